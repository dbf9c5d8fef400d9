import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { until } from "../process";
import { TcpRelay } from "./relay";
import { Server, freePort } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let first: Server, second: Server, router: Server;
let hops: { first: Hop; second: Hop; router: Hop };
beforeAll(async () => {
    [first, second, router] = await Promise.all([Server.start(), Server.start(), Server.start()]);
    const pinned = async (server: Server, user?: string): Promise<Hop> => ({ ...(await server.hop(user)), hostKey: server.hostKey() });
    hops = { first: await pinned(first, "ops"), second: await pinned(second), router: await pinned(router) };
});
afterAll(() => Promise.all([first, second, router].map((server) => server?.stop())));

const through = (...proxy: Hop[]): Endpoint => ({ name: "edge", connection: { ...hops.router, proxy } });
const refused = (endpoint: Endpoint): Promise<NviError> => connect(endpoint).then(() => expect.fail("it connected"), (error) => error as NviError);

test("one bastion, not in an array", async () => {
    const session = await connect({ name: "edge", connection: { ...hops.router, proxy: hops.first } });
    expect(session.label).toBe(`edge (root@127.0.0.1:${router.port} via ops@127.0.0.1:${first.port})`);
    expect((await session.exec("echo $SSH_CONNECTION")).stdout.toString()).toContain(` 127.0.0.1 ${router.port}`);
    session.close();
});

test("a chain of two, with data in both directions", async () => {
    const session = await connect(through(hops.first, hops.second));
    const stdin = randomBytes(6 * 1024 * 1024);
    const { stdout } = await session.exec("tee /dev/stderr | sha256sum; head -c 6000000 /dev/zero", { stdin });
    expect(stdout.toString("latin1", 0, 64)).toBe(createHash("sha256").update(stdin).digest("hex"));
    expect(stdout.length).toBeGreaterThan(6_000_000);
    session.close();
});

test("closing says goodbye to every hop", async () => {
    const ended = (server: Server) => server.count(/^Received disconnect from .*:11:/);
    const before = [first, second, router].map(ended);
    (await connect(through(hops.first, hops.second))).close();
    await until("all three to log it", () => [first, second, router].every((server, i) => ended(server) > before[i]!));
});

test.each<[string, () => Endpoint, RegExp]>([
    ["the first bastion", () => through({ ...hops.first, hostKey: router.hostKey() }, hops.second), /^edge: bastion 1 of 2 \(ops@.*NOT THE PINNED/],
    ["the second bastion", () => through(hops.first, { ...hops.second, hostKey: router.hostKey() }), /^edge: bastion 2 of 2 \(root@.*NOT THE PINNED/],
    ["the router", () => ({ ...through(hops.first, hops.second), connection: { ...hops.router, hostKey: first.hostKey(), proxy: [hops.first, hops.second] } }), /^edge \(root@.* via .*NOT THE PINNED/],
])("a wrong host key of %s is refused, and its hop is named", async (_, endpoint, message) => {
    expect(await refused(endpoint())).toMatchObject({ kind: "host-key", message: expect.stringMatching(message) });
});

test("one known_hosts file serves every hop without a pin, and the router behind is not offered a scan from here", async () => {
    const [a, b] = [first, router].map((server) => `[127.0.0.1]:${server.port} ${server.hostKey()}\n`) as [string, string];
    const unpinned = { name: "edge", connection: { ...hops.router, hostKey: undefined, proxy: { ...hops.first, hostKey: undefined } } };
    (await connect({ ...unpinned, knownHosts: first.file("both", a + b) })).close();
    expect((await refused({ ...unpinned, knownHosts: first.file("half", b) })).message).toMatch(/^edge: bastion 1 of 1 .*UNKNOWN[^]*ssh-keyscan/);
    const behind = await refused({ ...unpinned, knownHosts: first.file("other half", a) });
    expect(behind.message).toMatch(/^edge \(root.*UNKNOWN/);
    expect(behind.message).not.toContain("ssh-keyscan");
});

test("a wrong credential of a bastion names the bastion", async () => {
    expect(await refused(through(hops.first, { ...hops.second, user: "deploy", privateKeyPath: `${router.dir}/key_root` }))).toMatchObject({
        kind: "authentication",
        message: expect.stringMatching(/^edge: bastion 2 of 2 \(deploy@.*log in as deploy/),
    });
});

test("a slip in the last hop's credentials is found before the first hop is dialed", async () => {
    const before = first.count(/^Connection from /);
    const endpoint = through(hops.first);
    endpoint.connection.privateKeyPath = "/nowhere/key";
    expect((await refused(endpoint)).message).toMatch(/^edge \(root.*key file \/nowhere\/key/);
    expect(first.count(/^Connection from /)).toBe(before);
});

test("a router that the bastion cannot reach is tried again, over one login on the bastion", async () => {
    const before = first.count(/^Accepted publickey/);
    const endpoint = through(hops.first);
    Object.assign(endpoint.connection, { port: await freePort(), dialErrorLimit: 3 });
    const error = await refused(endpoint);
    expect(error).toMatchObject({ kind: "unreachable" });
    expect(error.reason).toMatch(/bastion before it cannot reach 127\.0\.0\.1:\d+ .*Connection refused.* \(gave up after 3 attempts in /);
    expect(first.count(/^Accepted publickey/)).toBe(before + 1);
});

test("a bastion that forbids forwarding is not asked twice", async () => {
    const closed = await Server.start({ config: ["AllowTcpForwarding no"] });
    try {
        const error = await refused(through({ ...(await closed.hop()), hostKey: closed.hostKey() }));
        expect(error).toMatchObject({ kind: "privilege", cure: expect.stringContaining("AllowTcpForwarding yes") });
    } finally {
        await closed.stop();
    }
});

test("a router that accepts and stays silent behind a bastion is given up in time", async () => {
    const hole = await TcpRelay.start();
    const endpoint = through(hops.first);
    Object.assign(endpoint.connection, { port: hole.port, perDialTimeout: 0.5 });
    expect((await refused(endpoint)).message).toMatch(/no SSH handshake within 0.5 s.*gave up after 1 attempt /);
    await hole.stop();
});

test("when the bastion's connection is cut, the running command fails at once", async () => {
    const relay = await TcpRelay.start(first.port);
    const session = await connect(through({ ...hops.first, port: relay.port }, hops.second));
    const running = session.exec("echo started; cat; sleep 60", { stdin: Buffer.alloc(1e6) }).catch((error: NviError) => error);
    await until("the command to run", () => router.count(/^Starting session/) > 0);
    relay.cut();
    expect(await running).toMatchObject({ kind: "disconnected", message: expect.stringMatching(/the connection to a bastion was (lost|closed)/) });
    expect(session.alive).toBe(false);
    await relay.stop();
});

test("a bastion's connection that is cut at any of 40 places, in the login or later, gives an error and nothing else", async () => {
    const kinds = new Set<string>();
    for (let i = 0; i < 40; i++) {
        const relay = await TcpRelay.start(first.port);
        relay.cutAfter(i * 251);
        const attempt = async () => {
            const session = await connect(through({ ...hops.first, port: relay.port }, hops.second));
            await session.exec("head -c 100000 /dev/zero; cat", { stdin: Buffer.alloc(100_000) });
        };
        const error = await attempt().then(() => expect.fail("it succeeded"), (reason: unknown) => reason as NviError);
        expect(error).toMatchObject({ name: "NviError" });
        kinds.add(error.kind);
        await relay.stop();
    }
    expect([...kinds].sort()).toEqual(["authentication", "disconnected", "unreachable"]);
});
