import { createServer, type AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { until } from "../process";
import { TcpRelay } from "./relay";
import { Server, freePort, keygen } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: Server;
let good: Endpoint;
beforeAll(async () => {
    server = await Server.start();
    good = await server.endpoint();
});
afterAll(() => server?.stop());

/** The working endpoint at another port. */
const at = (port: number, connection: Partial<Endpoint["connection"]> = {}, rest: Partial<Endpoint> = {}): Endpoint => ({
    ...good,
    connection: { ...good.connection, port, dialErrorLimit: undefined, ...connection },
    ...rest,
});
const refused = (endpoint: Endpoint): Promise<NviError> => connect(endpoint).then(() => expect.fail("it connected"), (error) => error as NviError);

async function timed<T>(what: Promise<T>): Promise<[T, seconds: number]> {
    const start = performance.now();
    return [await what, (performance.now() - start) / 1000];
}

/** A server that greets every connection with some bytes, and may close it. */
async function greeter(greeting: string, close: boolean) {
    let taken = 0;
    const listener = createServer((socket) => {
        taken++;
        socket.resume();
        socket.on("error", () => undefined);
        if (close) socket.end(greeting);
        else socket.write(greeting);
    }).listen(0, "127.0.0.1");
    await until("the greeter", () => listener.listening);
    return { port: (listener.address() as AddressInfo).port, taken: () => taken, stop: () => new Promise((resolve) => listener.close(resolve)) };
}

describe("tries again", () => {
    test("a refused port, until the deadline, ever more slowly", async () => {
        const [error, seconds] = await timed(refused(at(await freePort(), {}, { dialTimeout: 3 })));
        expect(error).toMatchObject({ kind: "unreachable", reason: expect.stringMatching(/connect ECONNREFUSED 127.0.0.1:\d+ \(gave up after \d attempts in/) });
        expect(error.cure).toMatch(/whether sshd runs and listens on port \d+/);
        expect(Number(/after (\d) attempts/.exec(error.reason)![1])).toBeGreaterThanOrEqual(3);
        expect(seconds).toBeGreaterThan(1);
        expect(seconds).toBeLessThan(3.2);
    });

    test("as often as dialErrorLimit says", async () => {
        expect((await refused(at(await freePort(), { dialErrorLimit: 2 }))).reason).toContain("gave up after 2 attempts");
        expect((await refused(at(await freePort(), { dialErrorLimit: 0 }))).reason).toContain("gave up after 1 attempt ");
        expect((await refused(at(await freePort(), { dialErrorLimit: -1 }, { dialTimeout: 1 }))).reason).toMatch(/gave up after \d attempts/);
    });

    test("and gets in when the server comes up meanwhile", async () => {
        let tries = 0;
        const broken = createServer((socket) => {
            tries++;
            socket.resetAndDestroy();
        }).listen(0, "127.0.0.1");
        await until("the broken server", () => broken.listening);
        const { port } = broken.address() as AddressInfo;
        const dialing = connect(at(port));
        await until("the first attempt", () => tries > 0);
        await new Promise((resolve) => broken.close(resolve));
        const relay = await TcpRelay.start(server.port, port);
        const session = await dialing;
        expect((await session.exec("id -un")).stdout.toString()).toBe("root\n");
        session.close();
        await relay.stop();
    });

    test("a server that closes before its banner, and shows what it said instead", async () => {
        const full = await greeter("Exceeded MaxStartups\r\n", true);
        const error = await refused(at(full.port, { dialErrorLimit: 3 }));
        expect(error.reason).toContain("it said: Exceeded MaxStartups (gave up after 3 attempts");
        expect(full.taken()).toBe(3);
        await full.stop();
    });

    test("a server that resets", async () => {
        const listener = createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1");
        await until("the listener", () => listener.listening);
        expect(await refused(at((listener.address() as AddressInfo).port, { dialErrorLimit: 2 }))).toMatchObject({ kind: "unreachable", reason: expect.stringContaining("2 attempts") });
        listener.close();
    });

    test("a name that does not resolve", async () => {
        // Too long for a DNS label, so that no packet leaves this machine.
        const error = await refused(at(22, { host: "x".repeat(64), dialErrorLimit: 2 }));
        expect(error).toMatchObject({ kind: "unreachable", reason: expect.stringMatching(/getaddrinfo .* 2 attempts/) });
        expect(error.cure).toMatch(/cannot resolve this name/);
    });
});

describe("a black hole", () => {
    test("costs an attempt no more than perDialTimeout, and all no more than dialTimeout", async () => {
        const hole = await TcpRelay.start();
        const [error, seconds] = await timed(refused(at(hole.port, { perDialTimeout: 0.4 }, { dialTimeout: 2 })));
        expect(error).toMatchObject({ kind: "unreachable", reason: expect.stringMatching(/^no SSH handshake within 0.4 s \(gave up after [23] attempts/) });
        expect(seconds).toBeLessThan(2.3);
        expect(hole.taken).toBeGreaterThanOrEqual(2);
        await hole.stop();
    });

    test("with perDialTimeout 0 the whole of dialTimeout is one attempt's", async () => {
        const hole = await TcpRelay.start();
        const [error, seconds] = await timed(refused(at(hole.port, { perDialTimeout: 0 }, { dialTimeout: 1 })));
        expect(error.reason).toContain("no SSH handshake within 1 s (gave up after 1 attempt ");
        expect(seconds).toBeGreaterThan(0.9);
        await hole.stop();
    });

    test("a banner and then silence", async () => {
        const half = await greeter("SSH-2.0-OpenSSH_9.2\r\n", false);
        expect((await refused(at(half.port, { perDialTimeout: 0.3, dialErrorLimit: 1 }))).reason).toContain("no SSH handshake within 0.3 s");
        await half.stop();
    });
});

describe("does not try again", () => {
    test("what is no SSH server", async () => {
        const web = await greeter("SSH-nonsense\r\n", false);
        expect(await refused(at(web.port))).toMatchObject({ kind: "protocol", reason: expect.stringContaining("no SSH handshake is possible") });
        expect(web.taken()).toBe(1);
        await web.stop();
    });

    test("a server with no algorithm in common", async () => {
        const odd = await Server.start({ config: ["KexAlgorithms sntrup761x25519-sha512@openssh.com"] });
        const before = odd.count(/^Connection from /);
        expect(await refused(await odd.endpoint())).toMatchObject({ kind: "protocol", reason: expect.stringContaining("no matching key exchange algorithm") });
        await until("its log", () => odd.count(/^Connection from /) > before);
        expect(odd.count(/^Connection from /)).toBe(before + 1);
        await odd.stop();
    });

    test("a server whose banner is longer than a packet may be", async () => {
        const chatty = await Server.start();
        chatty.file("banner", "Authorized use only. ".repeat(3000));
        const lengthy = await Server.start({ config: [`Banner ${chatty.dir}/banner`] });
        const error = await refused({ ...(await lengthy.endpoint()), dialTimeout: 5 });
        expect(error).toMatchObject({ kind: "protocol", reason: expect.stringContaining("Bad packet length"), cure: expect.stringContaining("shorten what `Banner` shows") });
        expect(lengthy.count(/^Connection from /)).toBe(1);
        await Promise.all([chatty.stop(), lengthy.stop()]);
    });

    test("a server that falls silent in the login", async () => {
        const slow = await Server.start({ config: ["AuthorizedKeysCommand /usr/bin/sleep 30", "AuthorizedKeysCommandUser root"] });
        // A key that authorized_keys does not have, so that sshd asks the command.
        const privateKeyPath = `${slow.dir}/stranger`;
        await keygen(privateKeyPath);
        const connection = { host: "127.0.0.1", port: slow.port, privateKeyPath, perDialTimeout: 0.5 };
        const [error, seconds] = await timed(refused({ name: "edge", hostKey: slow.hostKey(), dialTimeout: 1.5, connection }));
        expect(error).toMatchObject({ kind: "timeout", reason: "the login was not done within 1.5 s from the first attempt" });
        expect(seconds).toBeGreaterThan(1.4);
        expect(slow.count(/^Connection from /)).toBe(1);
        await slow.stop();
    });
});
