import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ping, probe, type LabNode, type ProbeTarget } from "../lab";
import { patience } from "../lab/patience";
import { setup, type Setup } from "./office";
import { families } from "./traffic";

/** What the router itself sends and receives, before it has two stages and after. */
let office: Setup;
let before: Outcome;
let after: Outcome;

type Outcome = Record<string, unknown>;

beforeAll(async () => {
    office = await setup();
    // It answers broadcasts, so that these can be seen to arrive.
    for (const name of ["router", "server"]) await node(name).observe(["sysctl", "-q", "-w", "net.ipv4.icmp_echo_ignore_broadcasts=0"]);
    await office.lab.listen("router", [9000], "tcp");
    before = await observe();
    await office.stack.up();
    await forgetNeighbours();
    after = await observe();
});
afterAll(async () => await office?.stop());

const node = (name: string): LabNode => office.lab.node(name);
const others = ["client", "server", "internet"];

async function observe(): Promise<Outcome> {
    const parts = await Promise.all([pingsToRouter(), pingsFromRouter(), services(), outgoing(), ssh(), linkLocal(), groups()]);
    return Object.assign({}, ...parts) as Outcome;
}

async function collect(entries: readonly (readonly [string, () => Promise<unknown>])[]): Promise<Outcome> {
    return Object.fromEntries(await Promise.all(entries.map(async ([name, work]) => [name, await work()] as const)));
}

const addressesOfRouter = families.flatMap((words) => [words.lan, words.isp1, words.isp2]);
async function answers(from: LabNode, to: string, source?: string): Promise<boolean> {
    try {
        return (await ping(from, to, { from: source, count: 2 })).received > 0;
    } catch (error) {
        if (String(error).includes("Network is unreachable")) return false;
        throw error;
    }
}

const tried = async (from: LabNode, target: ProbeTarget) => {
    const result = await probe(from, { timeoutMs: 1000 * patience, ...target });
    return result.ok ? `by ${result.node}, for ${result.peer}` : result.error;
};

const pingsToRouter = () => collect(others.flatMap((name) => addressesOfRouter.map((to) => [`ping ${name} to ${to}`, () => answers(node(name), to)] as const)));

/** From each of its addresses, and as it chooses itself. */
const pingsFromRouter = () => collect(families.flatMap((words) =>
    [words.client, words.server, words.gw1, words.gw2, words.internet].flatMap((to) =>
        [undefined, words.lan, words.isp1, words.isp2].map((from) => [`ping router to ${to} from ${from ?? "itself"}`, () => answers(office.lab.router, to, from)] as const))));

/** A TCP service of the router's, a port where none is, in both protocols. */
const services = () => collect(others.flatMap((name) => addressesOfRouter.flatMap((to) => [
    [`tcp ${name} to ${to} port 9000`, () => tried(node(name), { to, port: 9000 })] as const,
    [`tcp ${name} to ${to} port 9001`, () => tried(node(name), { to, port: 9001 })] as const,
    [`udp ${name} to ${to} port 9001`, () => tried(node(name), { to, port: 9001, proto: "udp" })] as const,
])));

const outgoing = () => collect(families.flatMap((words) => (["tcp", "udp"] as const).flatMap((proto) => [
    [`${proto} router to ${words.internet}`, () => tried(office.lab.router, { to: words.internet, port: 53, proto })] as const,
    [`${proto} router to ${words.server}`, () => tried(office.lab.router, { to: words.server, port: 53, proto })] as const,
])));

const ssh = () => collect(([["client", "10.0.0.1"], ["internet", "198.51.100.2"]] as const).map(([from, to]) =>
    [`ssh ${from} to ${to}`, async () => (await office.lab.sshRun("echo here", { via: await office.lab.sshFrom(from, to) })).stdout] as const));

async function linkLocalOf(name: string, nic: string): Promise<string> {
    const { stdout } = await node(name).observe(["ip", "-6", "-o", "addr", "show", "dev", nic, "scope", "link"]);
    return /inet6 (\S+?)\//.exec(stdout)![1]!;
}

const linkLocal = () => collect(([["router", "lan0", "client", "eth0"], ["router", "isp1", "gw1", "cust"], ["router", "isp2", "gw2", "cust"], ["client", "eth0", "router", "lan0"], ["gw2", "cust", "router", "isp2"]] as const).map(
    ([from, nic, to, toNic]) => [`ping ${from} to the link-local address of ${to} on ${nic}`, async () => await answers(node(from), `${await linkLocalOf(to, toNic)}%${nic}`)] as const));

/** Everybody who answers a ping of a group or broadcast address. A second one answers as a duplicate: ping ends once each request has one answer, so a slow machine needs more of them. */
async function everybody(from: LabNode, to: string, options: string[] = []): Promise<string[]> {
    const { stdout } = await from.observe(["ping", "-n", "-c", `${2 * patience}`, "-i", "0.3", "-W", `${patience}`, ...options, to], { allowFailure: true });
    return [...new Set([...stdout.matchAll(/bytes from (\S+?)(?:%\S+)?:? icmp_seq/g)].map((match) => match[1]!))].sort();
}

const groups = () => collect([
    ["all nodes, asked by the client", () => everybody(node("client"), "ff02::1%eth0")],
    ["all routers, asked by the client", () => everybody(node("client"), "ff02::2%eth0")],
    ["all nodes, asked by the router", () => everybody(office.lab.router, "ff02::1%lan0")],
    ["all systems, asked by the client", () => everybody(node("client"), "224.0.0.1", ["-I", "eth0"])],
    ["the LAN's broadcast, asked by the client", () => everybody(node("client"), "10.0.0.255", ["-b"])],
    ["the LAN's broadcast, asked by the router", () => everybody(office.lab.router, "10.0.0.255", ["-b"])],
]);

async function forgetNeighbours(): Promise<void> {
    for (const name of ["router", "client", "server", "gw1", "gw2"]) await node(name).observe(["sh", "-c", "ip -4 neigh flush all; ip -6 neigh flush all"]);
}

describe("the router's own traffic", () => {
    it("is as it was before", () => {
        expect(after).toEqual(before);
    });

    // Two empty results are equal too.
    it.each(families)("was there before in $family", (words) => {
        for (const to of [words.lan, words.isp1, words.isp2]) {
            expect(before[`ping client to ${to}`]).toBe(true);
            expect(before[`tcp client to ${to} port 9000`]).toBe(`by router, for ${words.client}`);
            expect(before[`tcp client to ${to} port 9001`]).toBe("refused");
            expect(before[`udp client to ${to} port 9001`]).toBe("refused");
        }
        expect(before[`ping internet to ${words.isp1}`]).toBe(true);
        expect(before[`udp router to ${words.internet}`]).toBe(`by internet, for ${words.isp1}`);
        expect(before[`tcp router to ${words.server}`]).toBe(`by server, for ${words.lan}`);
        // By isp1's table, so its gateway drops it: two stages leave that alone.
        expect(before[`ping router to ${words.internet} from ${words.isp2}`]).toBe(false);
    });

    it("was heard by groups before", async () => {
        const own = await linkLocalOf("router", "lan0");
        expect(before["all nodes, asked by the client"]).toContain(own);
        expect(before["all routers, asked by the client"]).toEqual([own]);
        // It hears itself too.
        expect(before["all nodes, asked by the router"]).toEqual(expect.arrayContaining([own, await linkLocalOf("client", "eth0")]));
        expect(before["all systems, asked by the client"]).toContain("10.0.0.1");
        expect(before["the LAN's broadcast, asked by the client"]).toEqual(expect.arrayContaining(["10.0.0.1", "10.0.0.80"]));
        expect(before["the LAN's broadcast, asked by the router"]).toEqual(["10.0.0.1", "10.0.0.80"]);
        expect(before["ssh client to 10.0.0.1"]).toBe("here\n");
        expect(before["ssh internet to 198.51.100.2"]).toBe("here\n");
    });

    it.each(families)("finds its neighbours in $family, and answers for no other", async (words) => {
        await forgetNeighbours();
        for (const [name, to, nic] of [["router", words.client, "lan0"], ["router", words.gw2, "isp2"], ["client", words.lan, "eth0"], ["gw2", words.isp2, "cust"]] as const) {
            expect((await ping(node(name), to)).received, `${name} to ${to}`).toBe(1);
            const { stdout } = await node(name).observe(["ip", "neigh", "show", to, "dev", nic]);
            expect(stdout, `${name} of ${to}`).toMatch(/lladdr 02:00:5e:\S+ (router )?(REACHABLE|STALE|DELAY)/);
        }
        const nobody = words.family === "IPv4" ? "10.0.0.99" : "2001:db8:a::99";
        // Whoever answers for others takes up to 0.8 seconds (neigh/*/proxy_delay).
        expect((await ping(node("client"), nobody, { waitSeconds: 1.2 })).received).toBe(0);
        expect((await node("client").observe(["ip", "neigh", "show", nobody])).stdout).not.toContain("lladdr");
    });
});
