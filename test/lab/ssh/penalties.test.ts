import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { Pool } from "../../../provider/host/pool";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { newer } from "../newer";
import { until } from "../process";
import { Server, keygen } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 });

/* OpenSSH of Debian 13 keeps an address out for a while that fails to log in, or that connects and doesn't log in. */

const servers: Server[] = [];
let programs: string | undefined;
let missing: string | undefined;
beforeAll(async () => void ({ programs, missing } = await newer()));
afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));
afterAll(() => {
    if (missing) console.warn(`skipped: ${missing}`);
});

const penal = (name: string, run: () => Promise<void>) => test(name, async ({ skip }) => {
    skip(programs === undefined, missing);
    await run();
});

/** Every misdeed costs so many seconds; by default the first ones cost nothing. */
async function start(seconds: number, ...config: string[]): Promise<Server> {
    const server = await Server.start({ programs, config: [...config, `PerSourcePenalties crash:${seconds} authfail:${seconds} noauth:${seconds} grace-exceeded:${seconds} min:1`] });
    servers.push(server);
    return server;
}

const refused = (endpoint: Endpoint): Promise<NviError> => connect(endpoint).then(() => expect.fail("it connected"), (error) => error as NviError);
const patient = ({ connection, ...rest }: Endpoint, more: Partial<Endpoint> = {}): Endpoint => ({ ...rest, connection: { ...connection, dialErrorLimit: undefined }, ...more });
const penalties = (server: Server) => server.count(/^srclimit_penalise: .* penalty of/);
const turnedAway = (server: Server) => server.count(/^drop connection .* penalty: /);

/** A stranger at our address: a login that fails. */
async function earn(server: Server): Promise<void> {
    const before = penalties(server);
    const privateKeyPath = `${server.dir}/stranger${before}`;
    await keygen(privateKeyPath);
    expect((await refused({ name: "edge", hostKey: server.hostKey(), connection: { host: "127.0.0.1", port: server.port, privateKeyPath } })).kind).toBe("authentication");
    await until("the penalty", () => penalties(server) > before);
}

describe("an address with a penalty", () => {
    penal("gets an error that names the penalty and the cure", async () => {
        const server = await start(600);
        await earn(server);
        const error = await refused(patient(await server.endpoint(), { dialTimeout: 2 }));
        expect(error).toMatchObject({ kind: "unreachable", cure: expect.stringMatching(/PerSourcePenaltyExemptList/) as string });
        expect(error.reason).toMatch(/it said: Not allowed at this time; it keeps this address out for a while \(PerSourcePenalties\) \(gave up after \d attempts in /);
        expect(turnedAway(server)).toBeGreaterThan(1);
        // To knock is no misdeed.
        expect(penalties(server)).toBe(1);
    });

    penal("gets in once it is over, in the same attempt", async () => {
        const server = await start(3);
        await earn(server);
        const session = await connect(patient(await server.endpoint()));
        expect((await session.exec("echo ok")).stdout.toString()).toBe("ok\n");
        session.close();
        expect(turnedAway(server)).toBeGreaterThan(0);
    });

    penal("is named at the hop that keeps it out", async () => {
        const [bastion, router] = [await start(600), await start(600)];
        const proxy = { ...(await bastion.hop()), hostKey: bastion.hostKey() };
        const { connection, ...rest } = await router.endpoint();
        const way = { ...rest, connection: { ...connection, proxy } };
        const session = await connect(way);
        session.close();
        await earn(router);
        expect((await refused(way)).message).toMatch(/^edge \(root@\S+ via .*PerSourcePenalties/);
        await earn(bastion);
        expect((await refused(way)).message).toMatch(/^edge: bastion 1 of 1 .*PerSourcePenalties/);
    });

    penal("that is exempt does not have it", async () => {
        const server = await start(600, "PerSourcePenaltyExemptList 127.0.0.0/8");
        const privateKeyPath = `${server.dir}/stranger`;
        await keygen(privateKeyPath);
        await refused({ name: "edge", hostKey: server.hostKey(), connection: { host: "127.0.0.1", port: server.port, privateKeyPath } });
        (await connect(await server.endpoint())).close();
        expect(turnedAway(server)).toBe(0);
    });
});

penal("a login that succeeds is no misdeed, however many there are", async () => {
    const server = await start(600);
    for (let i = 0; i < 5; i++) {
        const session = await connect({ ...(await server.endpoint(i % 2 ? "deploy" : "root")) });
        await session.exec("true");
        session.close();
    }
    const ended = () => server.count(/^(Disconnected from|Connection closed by)/);
    await until("sshd to see all of them end", () => ended() >= 5);
    expect(penalties(server)).toBe(0);
});

penal("a host key that is refused is one misdeed, and not one a resource", async () => {
    const server = await start(600);
    const pool = new Pool();
    const wrong = { ...(await server.endpoint()), hostKey: `ssh-ed25519 SHA256:${"A".repeat(43)}` };
    await Promise.all(Array.from({ length: 20 }, () => pool.acquire(wrong).catch(() => undefined)));
    await until("the penalty", () => penalties(server) > 0);
    expect([penalties(server), turnedAway(server)]).toEqual([1, 0]);
});
