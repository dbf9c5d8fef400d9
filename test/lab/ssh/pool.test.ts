import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { Pool } from "../../../provider/host/pool";
import type { NviError } from "../../../provider/model/errors";
import { until } from "../process";
import { TcpRelay } from "./relay";
import { Server, freePort, keygen } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: Server;
let endpoint: Endpoint;
const pool = new Pool();
beforeAll(async () => {
    server = await Server.start();
    endpoint = await server.endpoint();
});
afterEach(() => pool.closeAll());
afterAll(() => server?.stop());

const logins = () => server.count(/^Accepted publickey/);
const connections = () => server.count(/^Connection from /);
const failed = (what: Promise<unknown>): Promise<NviError> => what.then(() => expect.fail("it succeeded"), (error) => error as NviError);

test("many acquires at once, and later ones, share one connection", async () => {
    const before = logins();
    const sessions = await Promise.all(Array.from({ length: 10 }, () => pool.acquire(endpoint)));
    sessions.push(await pool.acquire({ ...endpoint, connection: { ...endpoint.connection } }));
    expect(new Set(sessions).size).toBe(1);
    expect(logins()).toBe(before + 1);
});

test("the order in which the fields were written, and fields without a value, make no difference", async () => {
    const { name, hostKey, connection } = endpoint;
    const { host, port, user, ...rest } = connection;
    expect(await pool.acquire(endpoint)).toBe(await pool.acquire({ hostKey, connection: { ...rest, user, port, host, password: undefined }, name }));
});

test("other credentials, another user, another pin are another connection", async () => {
    server.authorize(await keygen(`${server.dir}/rotated`));
    const one = await pool.acquire(endpoint);
    for (const change of [{ privateKeyPath: `${server.dir}/rotated` }, { user: "deploy" }, { password: "x" }]) {
        expect(await pool.acquire({ ...endpoint, connection: { ...endpoint.connection, ...change } })).not.toBe(one);
    }
    expect(await pool.acquire({ ...endpoint, sudoPassword: "x" })).not.toBe(one);
    expect(await pool.acquire({ ...endpoint, hostKey: [endpoint.hostKey as string] })).not.toBe(one);
});

test("a connection that died is replaced, by one dial for all", async () => {
    const relay = await TcpRelay.start(server.port);
    const behind = { ...endpoint, connection: { ...endpoint.connection, port: relay.port } };
    const first = await pool.acquire(behind);
    relay.cut();
    await until("the session to notice", () => !first.alive);
    const next = await Promise.all([1, 2, 3].map(() => pool.acquire(behind)));
    expect(new Set(next).size).toBe(1);
    expect(next[0]).not.toBe(first);
    expect((await next[0]!.exec("echo ok")).stdout.toString()).toBe("ok\n");
    expect(relay.taken).toBe(2);
    await relay.stop();
});

test("a refused login is not repeated, until closeAll", async () => {
    await keygen(`${server.dir}/stranger`);
    const wrong = { ...endpoint, connection: { ...endpoint.connection, privateKeyPath: `${server.dir}/stranger` } };
    const before = connections();
    const errors = [...(await Promise.all([1, 2, 3].map(() => failed(pool.acquire(wrong))))), await failed(pool.acquire(wrong))];
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]!.kind).toBe("authentication");
    expect(connections()).toBe(before + 1);
    pool.closeAll();
    expect(await failed(pool.acquire(wrong))).not.toBe(errors[0]);
});

test("neither is a refused host key", async () => {
    const wrong = { ...endpoint, hostKey: `ssh-ed25519 SHA256:${"A".repeat(43)}` };
    const before = connections();
    for (let i = 0; i < 3; i++) expect((await failed(pool.acquire(wrong))).kind).toBe("host-key");
    expect(connections()).toBe(before + 1);
});

test("an unreachable router is dialed again by the next one who asks", async () => {
    const port = await freePort();
    const away = { ...endpoint, connection: { ...endpoint.connection, port, dialErrorLimit: 1 } };
    expect((await failed(pool.acquire(away))).kind).toBe("unreachable");
    const relay = await TcpRelay.start(server.port, port);
    expect((await (await pool.acquire(away)).exec("echo ok")).stdout.toString()).toBe("ok\n");
    await relay.stop();
});

test("closeAll ends what stands and what is being dialed", async () => {
    const standing = await pool.acquire(endpoint);
    const dialing = pool.acquire({ ...endpoint, name: "other" });
    pool.closeAll();
    const late = await dialing;
    await until("both to be closed", () => !standing.alive && !late.alive);
});
