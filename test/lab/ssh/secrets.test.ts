import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import { Pool } from "../../../provider/host/pool";
import { until } from "../process";
import { Server, keygen, password } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const passphrase = "open sesame 4711";
let server: Server;
let endpoint: Endpoint;
let key: string;
let secrets: string[];
beforeAll(async () => {
    server = await Server.start({ sudoers: ["deploy ALL=(root) ALL"] });
    server.authorize(await keygen(join(server.dir, "key"), { passphrase }));
    key = readFileSync(join(server.dir, "key"), "utf8");
    endpoint = {
        name: "edge",
        hostKey: server.hostKey(),
        sudoPassword: password,
        connection: { host: "127.0.0.1", port: server.port, user: "deploy", privateKey: key, privateKeyPassword: passphrase, password: "hunter2 hunter2", dialErrorLimit: 1 },
    };
    secrets = [password, passphrase, "hunter2 hunter2", ...key.split("\n").slice(1, -2)];
});
afterAll(() => server?.stop());
afterEach(() => void vi.unstubAllEnvs());

function expectNoSecretIn(text: string): void {
    for (const secret of secrets) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(Buffer.from(secret).toString("base64"));
        expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
    }
}

/** All ways in which a value may end up on a screen or in a log. */
const shown = (value: unknown) => [inspect(value, { depth: 20, showHidden: true, getters: true }), JSON.stringify(value) ?? "", String(value), String((value as Error).stack)].join("\n");

test("a session and a pool show none", async () => {
    const pool = new Pool();
    const session = await pool.acquire(endpoint);
    await session.execAsRoot("true");
    expect(JSON.parse(JSON.stringify(session))).toEqual({ label: session.label });
    expectNoSecretIn(shown(session));
    expectNoSecretIn(shown(pool));
    pool.closeAll();
});

test("without NVI_SSH_DEBUG nothing is printed", async () => {
    const spy = vi.spyOn(process.stderr, "write");
    const session = await connect(endpoint);
    await session.exec("true");
    session.close();
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
});

test("ssh2's trace shows none, with logins by key and password, sudo, and a command's input", async () => {
    vi.stubEnv("NVI_SSH_DEBUG", "1");
    const printed: string[] = [];
    const spy = vi.spyOn(process.stderr, "write").mockImplementation((text) => (printed.push(String(text)), true));
    try {
        const session = await connect(endpoint);
        await session.execAsRoot("cat", { stdin: Buffer.from(password) });
        await session.exec(`echo ${password.replaceAll(/[^a-z]/g, "")} ${passphrase}`);
        session.close();
        const byPassword = { ...endpoint, connection: { ...endpoint.connection, privateKey: undefined, password } };
        (await connect(byPassword)).close();
        await until("both to be gone", () => printed.join("").split("Socket closed").length > 2);
    } finally {
        spy.mockRestore();
    }
    const trace = printed.join("");
    expect(trace).toMatch(/^ssh deploy@127\.0\.0\.1:\d+: /);
    expect(trace).toContain("USERAUTH_REQUEST (password)");
    expect(trace).toContain("exec: env LC_ALL=C sh -c 'echo");
    expectNoSecretIn(trace);
});

test("no error shows one", async () => {
    const session = await connect(endpoint);
    const change = (connection: Partial<Endpoint["connection"]>, rest: Partial<Endpoint> = {}): Endpoint => ({ ...endpoint, ...rest, connection: { ...endpoint.connection, ...connection } });
    const fails: (() => Promise<unknown>)[] = [
        () => connect(change({ user: "nobody-here" })),
        () => connect(change({ privateKeyPassword: `${passphrase}x` })),
        () => connect(change({ privateKeyPassword: undefined })),
        () => connect(change({ privateKey: key.slice(0, 200) })),
        () => connect(change({ privateKey: undefined, privateKeyPath: key })),
        () => connect(change({ privateKey: undefined, privateKeyPath: `/nowhere/${password}` })),
        // Too long for a DNS label, so that no packet leaves this machine.
        () => connect(change({ host: "x".repeat(64) + passphrase })),
        () => connect(change({ host: "" })),
        () => connect(change({}, { hostKey: key })),
        () => connect(change({}, { hostKey: password })),
        () => connect(change({}, { hostKey: undefined, knownHosts: `/nowhere/${passphrase}` })),
        () => connect(change({}, { hostKey: undefined, knownHosts: "/dev/null" })),
        () => connect(change({ port: 1 })),
        () => connect(change({ proxy: { host: "127.0.0.1", port: server.port, user: "deploy", password: `${password}2`, hostKey: server.hostKey() } })),
        () => session.exec(`echo ${passphrase} >&2; sleep 5`, { timeoutMs: 100 }),
        () => session.exec(`kill -9 $(ps -o ppid= -p $$); : ${passphrase}`),
        async () => (await connect(change({}, { sudoPassword: `${password}3` }))).execAsRoot(`: ${passphrase}`),
        async () => (await connect(change({ user: "nosudo" }))).execAsRoot(`: ${passphrase}`),
    ];
    for (const fail of fails) {
        const error = await fail().then(() => undefined, (reason: unknown) => reason);
        if (error) expectNoSecretIn(shown(error));
        else expect(String(fail)).toContain("kill -9");
    }
    session.close();
});
