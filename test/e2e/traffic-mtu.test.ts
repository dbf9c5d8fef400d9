import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { icmpErrors, ping, probe, probeWithIcmp, seen, until, type LabNode, type Packet } from "../lab";
import { farEnd, officeInputs, officeProgram, setup, type Setup } from "./office";
import { during, families, onUplinks, unspoofed, uplinks, withTable, type FamilyWords, type UplinkName } from "./traffic";

/**
 * A LAN of 9,000 bytes. The client leaves by isp1, whose link takes 1,500 and what lies beyond its gateway 1,280; the server by
 * isp2, whose own link takes 1,280: errors of stage 2 and of machines beyond it.
 */
const inputs = {
    ...officeInputs,
    translations: [
        { kind: "snat", from: ["10.0.0.5/32", "2001:db8:a::5/128"], to: { uplinks: ["isp1"] } },
        { kind: "snat", from: ["10.0.0.0/24", "2001:db8:a::/64"], to: { uplinks: ["isp2"] } },
        ...[["tcp/8080", 7], ["udp/8080", 7]].flatMap(([port, toPort]) => ["10.0.0.80", "2001:db8:a::80"].map((to) => ({ kind: "dnat", on: ["isp1", "isp2"], port, to, toPort }))),
        ...["10.0.0.77", "2001:db8:a::77"].map((to) => ({ kind: "dnat", on: ["isp1", "isp2"], port: "tcp/8081", to })),
    ],
};

let office: Setup;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, inputs), { mtu: { lan: 9000, isp2: 1280 } });
    // By route, so that the far end of the link doesn't know and says so in its handshakes.
    for (const [ip, via] of [["-4", "172.31.1.2"], ["-6", "2001:db8:f1::2"]] as const) await node("gw1").observe(["ip", ip, "route", "replace", "default", "via", via, "mtu", "1280"]);
    await office.stack.up();
});
afterAll(async () => await office?.stop());

/** A router with systemd brings a lost route back when a NIC changes, and a capture is a change of one: its NIC becomes promiscuous. */
const emulated = process.env.NVI_TEST_ROUTER !== undefined;

const node = (name: string): LabNode => office.lab.node(name);
const forgetMtus = async (...names: string[]) => {
    for (const name of names) await node(name).observe(["sh", "-c", "ip -4 route flush cache; ip -6 route flush cache"]);
};
const gatewayNic = { isp1: "g1", isp2: "g2" } as const;

/** Each of these errors came to this machine's own address, and is about a packet from there to `to`. */
function expectQuoted(errors: readonly Packet[], mine: string, to: string, what: object): Packet[] {
    const fitting = errors.filter((packet) => packet.inner?.target === to);
    expect(fitting.length, `ICMP errors about ${to}, of ${JSON.stringify(errors)}`).toBeGreaterThan(0);
    for (const packet of fitting) {
        expect(packet).toMatchObject({ ...what, target: mine });
        expect(packet.inner).toMatchObject({ source: mine, target: to });
    }
    return fitting;
}

/** The packets that a machine sends to a port end after so many hops. */
const withTtl = <T>(from: LabNode, { ttl }: FamilyWords, port: number, hops: number, work: () => Promise<T>): Promise<T> =>
    withTable(from, `chain out {\ntype filter hook postrouting priority 300\ntcp dport ${port} ${ttl} set ${hops}\n}`, work);

describe.each(families)("$family", (words) => {
    describe("too big", () => {
        it("tells a ping of the inside what fits, for the link of stage 2 and for one beyond", async () => {
            const [first, beyond, other] = [21, 22, 23].map(words.destination) as [string, string, string];
            const ask = async (name: string, to: string, size: number) =>
                await during(node(name), "eth0", icmpErrors, async () => await unspoofed(office.lab, async () => await ping(node(name), to, { size, df: true })));
            const ofStage2 = await ask("client", first, 8000);
            expect(ofStage2.result.errors).toMatchObject([{ mtu: 1500 }]);
            expectQuoted(ofStage2.packets, words.client, first, words.icmpTooBig);
            const ofGateway = await ask("client", beyond, 1400);
            expect(ofGateway.result.errors).toMatchObject([{ from: words.gw1, mtu: 1280 }]);
            expectQuoted(ofGateway.packets, words.client, beyond, words.icmpTooBig);
            const ofIsp2 = await ask("server", other, 8000);
            expect(ofIsp2.result.errors).toMatchObject([{ mtu: 1280 }]);
            expectQuoted(ofIsp2.packets, words.server, other, words.icmpTooBig);
        });

        it.each(["client", "server"])("lets the %s's TCP find the path's MTU, both ways", async (name) => {
            const to = words.destination(31);
            const result = await unspoofed(office.lab, async () => await probeWithIcmp(node(name), { to, port: 7, bytes: 1_000_000, timeoutMs: 10_000 }));
            expect(result).toMatchObject({ ok: true, peer: name === "client" ? words.isp1 : words.isp2 });
            expect(result.icmp.filter((packet) => packet.target !== words[name as "client"])).toEqual([]);
            expect(result.icmp.filter((packet) => packet.inner?.source !== words[name as "client"])).toEqual([]);
        });

        it.each(uplinks)("lets a forward's TCP on %s find the path's MTU, both ways", async (uplink) => {
            await forgetMtus("internet", "server");
            const { result, packets } = await during(node("server"), "eth0", icmpErrors, async () =>
                await unspoofed(office.lab, async () => await seen(node("internet"), { to: words[uplink], port: 8080, bytes: 1_000_000, timeoutMs: 10_000 })));
            expect(result).toMatchObject({ node: "server", peer: words.internet });
            expectQuoted(packets, words.server, words.internet, { ...words.icmpTooBig, mtu: 1280 });
        });
    });

    describe("time exceeded", () => {
        it.each([["one", 1], ["two", 2]] as const)("reaches the client from stage %s", async (_, hops) => {
            const to = words.destination(41);
            const { icmp } = await unspoofed(office.lab, async () => await withTtl(node("client"), words, 443, hops, async () => await probeWithIcmp(node("client"), { to, port: 443, timeoutMs: 500 })));
            expectQuoted(icmp, words.client, to, words.icmpExceeded);
        });

        it.each([["one", 1], ["two", 2]] as const)("reaches a client that dials its own side's public address from stage %s", async (_, hops) => {
            for (const to of [words.isp1, words.isp2]) {
                const { icmp } = await unspoofed(office.lab, async () => await withTtl(node("client"), words, 8080, hops, async () => await probeWithIcmp(node("client"), { to, port: 8080, timeoutMs: 500 })));
                expectQuoted(icmp, words.client, to, words.icmpExceeded);
            }
        });

        // The gateway is the first hop.
        it.each(uplinks.flatMap((uplink) => ([[uplink, "one", 2], [uplink, "two", 3]] as const)))("reaches an outside client of %s from stage %s", async (uplink, _, hops) => {
            const to = words[uplink];
            const { result } = await unspoofed(office.lab, async () => await withTtl(node("internet"), words, 8080, hops, async () =>
                await onUplinks(office.lab, icmpErrors, async () => await probeWithIcmp(node("internet"), { to, port: 8080, timeoutMs: 500 }, gatewayNic[uplink]))));
            for (const packet of expectQuoted(result.icmp, words.internet, to, words.icmpExceeded)) expect(packet.source).toBe(to);
        });
    });

    describe("unreachable", () => {
        it("tells the client that stage 2 has no route", async () => {
            const { stdout } = await office.lab.router.observe(["ip", words.family === "IPv4" ? "-4" : "-6", "rule", "show"]);
            const table = new RegExp(`from ${words.isp1} iif ${farEnd} lookup (\\d+)`).exec(stdout)![1]!;
            const route = ["default", "via", words.gw1, "dev", "isp1", "table", table, "proto", "78"];
            if (emulated) await office.lab.router.observe(["systemctl", "stop", "nvi-nic.socket", "nvi-nic.service"]);
            await office.lab.router.observe(["ip", "route", "del", ...route]);
            try {
                const to = words.destination(51);
                const { result, seen: left } = await onUplinks(office.lab, "dst port 443", async () => await probeWithIcmp(node("client"), { to, port: 443, timeoutMs: 3000 }));
                expect(result).toMatchObject({ ok: false, error: "unreachable" });
                expectQuoted(result.icmp, words.client, to, words.family === "IPv4" ? { icmpType: 3 } : { icmpType: 1 });
                expect(left).toEqual({ isp1: [], isp2: [] });
            } finally {
                await office.lab.router.observe(["ip", "route", "add", ...route]);
                if (emulated) await office.lab.router.observe(["systemctl", "start", "nvi-nic.socket"]);
            }
        });

        it("tells outside clients of either uplink that the machine behind a forward is gone", async () => {
            const ask = async (uplink: UplinkName) => await probeWithIcmp(node("internet"), { to: words[uplink], port: 8081, timeoutMs: 6000 }, gatewayNic[uplink]);
            const results = await unspoofed(office.lab, async () => await Promise.all(uplinks.map(ask)));
            for (const [i, uplink] of uplinks.entries()) {
                expect(results[i]).toMatchObject({ ok: false, error: "unreachable" });
                const about = words.family === "IPv4" ? { icmpType: 3, icmpCode: 1 } : { icmpType: 1, icmpCode: 3 };
                for (const packet of expectQuoted(results[i]!.icmp, words.internet, words[uplink], about)) expect(packet.source).toBe(words[uplink]);
            }
        });
    });

    describe("fragments", () => {
        it.each([["client", "isp1"], ["server", "isp2"]] as const)("of the %s's UDP pass both ways by %s", async (name, uplink) => {
            const target = { proto: "udp" as const, to: words.destination(61), port: 53, bytes: 20_000, timeoutMs: 1000 };
            const { result, seen: packets } = await onUplinks(office.lab, words.family === "IPv4" ? "ip[6:2] & 0x3fff != 0" : "ip6[6] = 44", async () =>
                // The first ones find the path's MTU, which a datagram doesn't survive.
                await until(`${target.bytes} bytes to come back`, async () => {
                    const answer = await probe(node(name), target);
                    return answer.ok && answer;
                }, 10_000));
            expect(result.peer).toBe(words[uplink]);
            const fragments = packets[uplink].filter((packet) => packet.fragment);
            expect(fragments.filter((packet) => packet.source === words[uplink]).length, "fragments sent").toBeGreaterThan(13);
            expect(fragments.filter((packet) => packet.target === words[uplink]).length, "fragments received").toBeGreaterThan(13);
            expect(packets[uplink === "isp1" ? "isp2" : "isp1"]).toEqual([]);
        });

        it.each(uplinks)("of a forward's UDP pass both ways by %s", async (uplink) => {
            const target = { proto: "udp" as const, to: words[uplink], port: 8080, bytes: 20_000, timeoutMs: 1000 };
            await unspoofed(office.lab, async () => await until(`${target.bytes} bytes to come back`, async () => (await probe(node("internet"), target)).ok, 10_000));
        });
    });
});

/** The other way round: what comes from outside doesn't fit into the LAN. IPv6 knows no link below 1,280 bytes. */
describe("a LAN smaller than the uplinks", () => {
    beforeAll(async () => {
        for (const [name, nic] of [["router", "isp2"], ["gw2", "cust"]] as const) await node(name).observe(["ip", "link", "set", nic, "mtu", "1500"]);
        for (const { server } of families) await office.lab.router.observe(["ip", "route", "add", server, "dev", "lan0", "mtu", "1280"]);
    });

    const both = families.flatMap((words) => uplinks.map((uplink) => ({ family: words.family, words, uplink })));
    it.each(both)("tells an outside client of $uplink what fits, in $family, about the address that it dialled", async ({ words, uplink }: { words: FamilyWords; uplink: UplinkName }) => {
        await forgetMtus("internet", "server");
        const to = words[uplink];
        const result = await unspoofed(office.lab, async () => await probeWithIcmp(node("internet"), { to, port: 8080, bytes: 200_000, timeoutMs: 10_000 }, gatewayNic[uplink]));
        expect(result).toMatchObject({ ok: true, node: "server" });
        for (const packet of expectQuoted(result.icmp, words.internet, to, { ...words.icmpTooBig, mtu: 1280 })) expect(packet.source).toBe(to);
    });
});
