import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { connect, shellQuote, type Session } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { until } from "../process";
import { TcpRelay } from "./relay";
import { Server } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
const failed = (what: Promise<unknown>): Promise<NviError> => what.then((answer) => expect.fail(`it succeeded: ${inspect(answer)}`), (error) => error as NviError);

let server: Server;
let endpoint: Endpoint;
let session: Session;
beforeAll(async () => {
    server = await Server.start();
    endpoint = await server.endpoint();
    session = await connect(endpoint);
});
afterAll(async () => {
    session?.close();
    await server?.stop();
});

/** A session whose line can be cut, with a short keepalive. */
async function overRelay(): Promise<{ relay: TcpRelay; session: Session }> {
    const relay = await TcpRelay.start(server.port);
    return { relay, session: await connect({ ...endpoint, keepalive: 0.2, connection: { ...endpoint.connection, port: relay.port } }) };
}
const running = (mark: string) => until(`${mark} to run`, async () => (await session.exec(`ps ax | grep -q '[s]leep ${mark}' && echo yes`)).stdout.length > 0);

describe("the answer", () => {
    test("exit status, stdout and stderr, apart and whole", async () => {
        expect(await session.exec("printf out; printf err >&2; exit 42")).toEqual({ code: 42, stdout: Buffer.from("out"), stderr: Buffer.from("err") });
    });
    test("nothing at all", async () => expect(await session.exec("true")).toEqual({ code: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }));
    test("bytes that are no text", async () => {
        const { stdout } = await session.exec("cat", { stdin: Buffer.from([...Array(256).keys()]) });
        expect([...stdout]).toEqual([...Array(256).keys()]);
    });
    test("a signal is 128 and its number, with its name", async () => {
        expect(await session.exec("kill -9 $$")).toMatchObject({ code: 137 });
        // bash makes way for its only command, so that sshd sees the signal itself; dash waits for it and exits with 128 + n.
        const bash = await connect(await server.endpoint("ops"));
        expect(await bash.exec("kill -9 $$")).toMatchObject({ code: 137, signal: "SIGKILL" });
        expect(await bash.exec("kill -TERM $$")).toMatchObject({ code: 143, signal: "SIGTERM" });
        bash.close();
    });
    test("a command that does not exist is an answer", async () => expect((await session.exec("no-such-tool")).code).toBe(127));
    test("a syntax error, too", async () => expect((await session.exec("if")).code).not.toBe(0));
    test("no terminal, English", async () => {
        expect((await session.exec("tty; echo $LC_ALL")).stdout.toString()).toBe("not a tty\nC\n");
    });
    test("as root when the user is root, without sudo", async () => expect((await session.execAsRoot("id -u; echo $SUDO_USER")).stdout.toString()).toBe("0\n\n"));
    test.each(["it's", "a\\b", "$x `y`", "line\nbreak", "!x", "é漢"])("hostile words arrive: %j", async (word) => {
        expect((await session.exec(`printf %s ${shellQuote(word)}`)).stdout.toString()).toBe(word);
    });
});

describe("standard input and much data", () => {
    test("is ended when there is none", async () => expect((await session.exec("cat; echo end")).stdout.toString()).toBe("end\n"));
    test("8 MiB in", async () => {
        const stdin = randomBytes(8 * 1024 * 1024);
        expect((await session.exec("sha256sum", { stdin })).stdout.toString("latin1", 0, 64)).toBe(sha256(stdin));
    });
    test("32 MiB out, and 8 MiB on stderr at the same time", async () => {
        const { stdout, stderr } = await session.exec("head -c 33554432 /dev/zero & head -c 8388608 /dev/zero >&2; wait");
        expect([sha256(stdout), sha256(stderr)]).toEqual([sha256(Buffer.alloc(33554432)), sha256(Buffer.alloc(8388608))]);
    });
    test("8 MiB through, both ways at once, four times in parallel", async () => {
        const all = await Promise.all(Array.from({ length: 4 }, async () => {
            const stdin = randomBytes(8 * 1024 * 1024);
            return (await session.exec("cat", { stdin })).stdout.equals(stdin);
        }));
        expect(all).toEqual([true, true, true, true]);
    });
    test("a command that reads slowly", async () => {
        const stdin = randomBytes(4 * 1024 * 1024);
        const { stdout } = await session.exec("for i in 1 2 3 4; do dd bs=1024 count=1 2>/dev/null | wc -c; done; sha256sum | wc -c", { stdin });
        expect(stdout.toString()).toBe("1024\n1024\n1024\n1024\n68\n");
    });
    test("a command that does not read", async () => {
        expect(await session.exec("echo done", { stdin: randomBytes(8 * 1024 * 1024) })).toMatchObject({ code: 0, stdout: Buffer.from("done\n") });
    });
    test("the session is as good as new after all that", async () => expect((await session.exec("echo ok")).stdout.toString()).toBe("ok\n"));
});

describe("MaxSessions", () => {
    test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("%i, with 30 commands at once", async (most) => {
        const tight = await Server.start({ config: [`MaxSessions ${most}`] });
        const one = await connect(await tight.endpoint());
        const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => one.exec(`echo ${i}; sleep 0.0${i % 5}`)));
        expect(answers.map(({ stdout }) => Number(stdout.toString()))).toEqual([...Array(30).keys()]);
        expect(tight.count(/^Accepted publickey/)).toBe(1);
        one.close();
        await tight.stop();
    });
    test("10, asked for 16 at once", async () => {
        const eager = await connect(endpoint, { channels: 16 });
        const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => eager.exec(`sleep 0.1; echo ${i}`)));
        expect(answers.map(({ stdout }) => Number(stdout.toString()))).toEqual([...Array(60).keys()]);
        eager.close();
    });
    test("0 is said", async () => {
        const none = await Server.start({ config: ["MaxSessions 0"] });
        const one = await connect(await none.endpoint());
        expect(await failed(one.exec("true"))).toMatchObject({ kind: "preflight", cure: expect.stringContaining("MaxSessions") });
        one.close();
        await none.stop();
    });
});

describe("what goes wrong", () => {
    test("a time-out names the command and what it said, and leaves the session usable", async () => {
        const user = await connect(await server.endpoint("deploy"));
        const error = await failed(user.exec("echo so far >&2; sleep 5", { timeoutMs: 400, operation: "apply" }));
        expect(error).toMatchObject({ kind: "timeout", operation: "apply", command: "echo so far >&2; sleep 5", output: "so far\n" });
        // What wraps a command says nothing to whoever reads.
        expect(await failed(user.exec("echo; echo a mark; sleep 5", { timeoutMs: 400, shown: "sleep 5" }))).toMatchObject({ kind: "timeout", command: "sleep 5" });
        expect(error.message).toMatch(/^edge \(deploy@127.*\): apply: no end after 0.4 s; what it did is unknown, and it may still run/);
        expect((await user.exec("echo ok")).stdout.toString()).toBe("ok\n");
        user.close();
    });

    test("a command that timed out ends at its next write", async () => {
        expect((await failed(session.exec("while sleep 0.1; do echo 4720; done", { timeoutMs: 300 }))).kind).toBe("timeout");
        await until("the command to be gone", async () => (await session.exec("ps ax | grep -c '[e]cho 4720'")).stdout.toString() === "0\n");
    });

    test("a time-out longer than a timer can be is none", async () => {
        expect((await session.exec("sleep 0.1", { timeoutMs: Infinity })).code).toBe(0);
        expect((await session.exec("sleep 0.1", { timeoutMs: 2 ** 40 })).code).toBe(0);
    });

    test("a line that is cut in mid-command is disconnected, not success", async () => {
        const { relay, session: cut } = await overRelay();
        const answer = failed(cut.exec("echo half; sleep 4712"));
        await running("4712");
        relay.cut();
        expect(await answer).toMatchObject({ kind: "disconnected" });
        expect(cut.alive).toBe(false);
        expect(await failed(cut.exec("true"))).toMatchObject({ kind: "disconnected" });
        await relay.stop();
    });

    test("a line that is cut in the middle of the output, at 20 places", async () => {
        for (let i = 0; i < 20; i++) {
            const { relay, session: cut } = await overRelay();
            relay.cutAfter(i * 4099);
            expect(await failed(cut.exec("head -c 200000 /dev/zero"))).toMatchObject({ kind: "disconnected" });
            await relay.stop();
        }
    });

    test("a line that falls silent, in mid-command", async () => {
        const { relay, session: silent } = await overRelay();
        const answer = failed(silent.exec("sleep 4713"));
        await running("4713");
        relay.swallow();
        expect(await answer).toMatchObject({ kind: "disconnected", reason: "the line is dead: no answer to 3 keepalives, 0.2 s apart" });
        await relay.stop();
    });

    test("a line that falls silent while idle is found dead", async () => {
        const { relay, session: silent } = await overRelay();
        relay.swallow();
        await until("the keepalive to give up", () => !silent.alive);
        await relay.stop();
    });

    test("a long silent command on a good line is left alone", async () => {
        const { relay, session: quiet } = await overRelay();
        expect((await quiet.exec("sleep 2; echo done")).stdout.toString()).toBe("done\n");
        quiet.close();
        await relay.stop();
    });

    test("sshd's own process killed", async () => {
        const own = await connect(endpoint);
        expect(await failed(own.exec("kill -9 $(ps -o ppid= -p $PPID); sleep 5"))).toMatchObject({ kind: "disconnected" });
        expect(own.alive).toBe(false);
    });

    test("a server that stops answering altogether", async () => {
        const frozen = await Server.start();
        const own = await connect({ ...(await frozen.endpoint()), keepalive: 0.2 });
        const answer = failed(own.exec("sleep 60"));
        await until("the command to run", () => frozen.count(/^Starting session/) > 0);
        await frozen.freeze(true);
        expect(await answer).toMatchObject({ kind: "disconnected" });
        await frozen.stop();
    });

    test("a forced command runs in the place of ours: its answer is the caller's to judge", async () => {
        const strict = await Server.start();
        const key = (await strict.hop()).privateKeyPath;
        strict.file("authorized_keys", `restrict,command="echo forced" ${readFileSync(`${key}.pub`, "utf8")}`);
        const one = await connect(await strict.endpoint());
        expect((await one.exec("id")).stdout.toString()).toBe("forced\n");
        one.close();
        await strict.stop();
    });

    test("closing fails what runs, and twice is once", async () => {
        const own = await connect(endpoint);
        const answer = failed(own.exec("sleep 4714"));
        await running("4714");
        own.close();
        own.close();
        expect(await answer).toMatchObject({ kind: "disconnected", reason: "the session was closed" });
    });
});

test("an idle session does not keep the process alive; a busy one does", async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const before = sockets();
    const own = await connect(endpoint);
    expect(sockets()).toBe(before);
    const answer = own.exec("sleep 0.5");
    expect(sockets()).toBe(before + 1);
    await answer;
    expect(sockets()).toBe(before);
    own.close();
});
