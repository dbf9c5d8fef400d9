import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { readFileSync } from "node:fs";
import { Child, run, until } from "../process";
import { Server, keygen, password } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: Server;
beforeAll(async () => void (server = await Server.start()));
afterAll(() => server?.stop());

const at = (target: Server, hop: Partial<Hop>): Endpoint => ({ name: "edge", hostKey: target.hostKey(), connection: { host: "127.0.0.1", port: target.port, ...hop } });

async function whoami(endpoint: Endpoint): Promise<string> {
    const session = await connect(endpoint);
    try {
        return (await session.exec("id -un")).stdout.toString().trim();
    } finally {
        session.close();
    }
}

const refusal = (endpoint: Endpoint): Promise<NviError> => whoami(endpoint).then(() => expect.fail("it logged in"), (error) => error as NviError);

/** What a login cost on the server. */
async function cost(what: () => Promise<unknown>, target = server): Promise<{ connections: number; failed: number }> {
    const count = () => ({ connections: target.count(/^Connection from /), failed: target.count(/^Failed (?!none)/) });
    const before = count();
    await what();
    // sshd's log may lag behind: wait for the word on the last connection.
    await until("sshd to log the end", () => target.count(/^(Connection closed by|Disconnected from|Connection reset by)/) >= target.count(/^Connection from /));
    const after = count();
    return { connections: after.connections - before.connections, failed: after.failed - before.failed };
}

describe("a private key", () => {
    const kinds: [string, Parameters<typeof keygen>[1]][] = [
        ["ed25519", {}],
        ["ecdsa", { type: "ecdsa" }],
        ["rsa", { type: "rsa" }],
        ["ed25519, encrypted", { passphrase: "open sesame" }],
        ["rsa, PEM, encrypted", { type: "rsa", passphrase: "open sesame", format: "PEM" }],
    ];
    test.each(kinds)("%s, by path and as text", async (name, options) => {
        const file = join(server.dir, `user ${name}`);
        server.authorize(await keygen(file, options));
        const privateKeyPassword = options?.passphrase;
        expect(await whoami(at(server, { privateKeyPath: file, privateKeyPassword }))).toBe("root");
        expect(await whoami(at(server, { user: "deploy", privateKey: readFileSync(file, "utf8"), privateKeyPassword }))).toBe("deploy");
    });

    test("a wrong one is offered once, on one connection, and the error says what was tried", async () => {
        const file = join(server.dir, "stranger");
        await keygen(file);
        const { stdout } = await run(["ssh-keygen", "-lf", file]);
        let error: NviError | undefined;
        expect(await cost(async () => void (error = await refusal(at(server, { privateKeyPath: file }))))).toEqual({ connections: 1, failed: 1 });
        expect(error).toMatchObject({ kind: "authentication" });
        expect(error!.message).toContain(`edge (root@127.0.0.1:${server.port}): log in as root`);
        expect(error!.message).toContain(`server accepts: publickey, password; tried: key ${file} (${stdout.split(" ")[1]})`);
    });
});

describe("an agent", () => {
    let agent: Child;
    let socket: string;
    beforeAll(async () => {
        socket = join(server.dir, "agent.sock");
        agent = new Child(["ssh-agent", "-D", "-a", socket], { stdin: "" });
        await agent.waitFor(/SSH_AUTH_SOCK/);
    });
    afterAll(() => agent.stop());
    const add = async (name: string, authorized: boolean) => {
        const file = join(server.dir, name);
        const key = await keygen(file, { comment: name });
        if (authorized) server.authorize(key);
        await run(["ssh-add", file], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    };

    test("without a key: said before a packet is sent", async () => {
        const error = await refusal(at(server, { agentSocketPath: socket }));
        expect(error.message).toMatch(/agent\.sock holds no key/);
    });

    test("its keys are tried in turn, named or from the environment", async () => {
        await add("agent-stranger", false);
        await add("agent-friend", true);
        expect(await whoami(at(server, { agentSocketPath: socket }))).toBe("root");
        vi.stubEnv("SSH_AUTH_SOCK", socket);
        expect(await whoami(at(server, {}))).toBe("root");
        vi.unstubAllEnvs();
    });

    test("the error names all its keys", async () => {
        const other = await Server.start();
        try {
            const error = await refusal(at(other, { agentSocketPath: socket }));
            expect(error.message).toMatch(/tried: agent key agent-stranger \(SHA256:.+\), agent key agent-friend \(SHA256:/);
        } finally {
            await other.stop();
        }
    });

    test("after its keys were refused, the password is not sent to a server that takes none", async () => {
        const keysOnly = await Server.start({ config: ["PasswordAuthentication no"] });
        try {
            const error = await refusal(at(keysOnly, { user: "deploy", agentSocketPath: socket, password }));
            expect(error.message).toContain("not tried: password");
        } finally {
            await keysOnly.stop();
        }
    });

    test("one that will not sign is named, and the next way is taken", async () => {
        const file = join(server.dir, "agent-shy");
        server.authorize(await keygen(file, { comment: "agent-shy" }));
        // -c: the agent asks before each use, here a program that says no.
        const shy = join(server.dir, "shy.sock");
        const reluctant = new Child(["ssh-agent", "-D", "-a", shy], { stdin: "", env: { ...process.env, SSH_ASKPASS: "/bin/false", SSH_ASKPASS_REQUIRE: "force" } });
        await reluctant.waitFor(/SSH_AUTH_SOCK/);
        await run(["ssh-add", "-c", file], { env: { ...process.env, SSH_AUTH_SOCK: shy } });
        expect((await refusal(at(server, { agentSocketPath: shy }))).message).toMatch(/tried: agent key agent-shy .*; agent: Agent responded with failure/);
        expect(await whoami(at(server, { user: "deploy", agentSocketPath: shy, password }))).toBe("deploy");
        await reluctant.stop();
    });

    test("a key of it and a password are two factors", async () => {
        const both = await Server.start({ config: ["AuthenticationMethods publickey,password"] });
        try {
            both.authorize(readFileSync(join(server.dir, "agent-friend.pub"), "utf8").trim());
            expect(await whoami(at(both, { user: "deploy", agentSocketPath: socket, password }))).toBe("deploy");
        } finally {
            await both.stop();
        }
    });
});

describe("a password", () => {
    test("logs in", async () => expect(await whoami(at(server, { user: "deploy", password }))).toBe("deploy"));

    test("a wrong one is sent once, on one connection", async () => {
        let error: NviError | undefined;
        expect(await cost(async () => void (error = await refusal(at(server, { user: "deploy", password: "hunter2" }))))).toEqual({ connections: 1, failed: 1 });
        expect(error!.kind).toBe("authentication");
        expect(error!.message).toContain("tried: password");
        expect(error!.message).not.toContain("hunter2");
    });

    test("is not sent to a server that takes none", async () => {
        const keysOnly = await Server.start({ config: ["PasswordAuthentication no"] });
        try {
            let error: NviError | undefined;
            expect(await cost(async () => void (error = await refusal(at(keysOnly, { user: "deploy", password }))), keysOnly)).toEqual({ connections: 1, failed: 0 });
            expect(error!.message).toContain("server accepts: publickey; tried: nothing; not tried: password");
        } finally {
            await keysOnly.stop();
        }
    });

    test("and a key are two factors", async () => {
        const both = await Server.start({ config: ["AuthenticationMethods publickey,password"] });
        try {
            const hop = await both.hop("deploy");
            expect(await whoami(at(both, { ...hop, password }))).toBe("deploy");
            expect((await refusal(at(both, hop))).message).toContain("server accepts: password; tried: key");
        } finally {
            await both.stop();
        }
    });

    test("answers a keyboard-interactive question, once", async () => {
        const pam = await Server.start({ config: ["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no"] });
        try {
            expect(await whoami(at(pam, { user: "deploy", password }))).toBe("deploy");
            let error: NviError | undefined;
            const spent = await cost(async () => void (error = await refusal(at(pam, { user: "deploy", password: "hunter2" }))), pam);
            expect(spent.connections).toBe(1);
            expect(error!.message).toMatch(/server accepts: publickey, keyboard-interactive; tried: password/);
            expect(pam.count(/PAM: Authentication failure for deploy/)).toBe(1);
        } finally {
            await pam.stop();
        }
    });
});
