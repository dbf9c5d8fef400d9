import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { probe, probeMany, seen, type ProbeTarget } from "../lab";
import { farEnd, officeInputs, officeProgram, setup, type Setup } from "./office";
import { counted, during, families, onUplinks, opened, sources, tally, unspoofed, uplinks, withTable, type FamilyWords } from "./traffic";

let office: Setup;
beforeAll(async () => {
    office = await setup();
});
afterAll(async () => await office?.stop());

const client = () => office.lab.node("client");
const internet = () => office.lab.node("internet");

/** Connections to as many destinations, so that each can be told by its address. */
const targets = ({ destination }: FamilyWords, count: number, port: number, more: Partial<ProbeTarget> = {}): ProbeTarget[] =>
    Array.from({ length: count }, (_, i) => ({ to: destination(i + 1), port, ...more }));

/** Within five standard deviations: one run of two million is outside. */
function expectShare(count: number, total: number, share: number): void {
    const deviation = Math.sqrt(total * share * (1 - share));
    expect(count, `of ${total} connections, ${Math.round(total * share)} expected`).toBeGreaterThan(total * share - 5 * deviation);
    expect(count, `of ${total} connections, ${Math.round(total * share)} expected`).toBeLessThan(total * share + 5 * deviation);
}

/** The same choice of uplink, the same forwards, without a second stage. */
const oneStage = `
    chain pre { type nat hook prerouting priority dstnat;
        ip daddr { 198.51.100.2, 203.0.113.2 } tcp dport 8080 dnat ip to 10.0.0.80:7
        ip6 daddr { 2001:db8:1::2, 2001:db8:2::2 } tcp dport 8080 dnat ip6 to [2001:db8:a::80]:7
    }
    chain post { type nat hook postrouting priority srcnat;
        iifname "lan0" oifname { "isp1", "isp2" } snat ip to numgen random mod 2 map { 0 : 198.51.100.2, 1 : 203.0.113.2 }
        iifname "lan0" oifname { "isp1", "isp2" } snat ip6 to numgen random mod 2 map { 0 : 2001:db8:1::2, 1 : 2001:db8:2::2 }
    }`;

describe.each(families)("plain Linux NAT with two uplinks fails in $family", (words) => {
    it("sends what it translated to the second uplink's address by the first one, which drops it", async () => {
        await withTable(office.lab.router, oneStage, async () => {
            const before = await office.lab.spoofed();
            const results = await probeMany(client(), targets(words, 60, 443, { timeoutMs: 500 }));
            const { [words.isp1]: answered = 0, timeout = 0, ...others } = tally(results);
            expect(others).toEqual({});
            expect(answered).toBeGreaterThan(0);
            expect(timeout).toBeGreaterThan(0);
            expect(answered + timeout).toBe(60);
            const after = await office.lab.spoofed();
            expect(after.isp1 - before.isp1).toBeGreaterThanOrEqual(timeout);
        });
    });

    it("answers a forward of the second uplink by the first one", async () => {
        await withTable(office.lab.router, oneStage, async () => {
            const before = await office.lab.spoofed();
            expect(await probe(internet(), { to: words.isp1, port: 8080 })).toMatchObject({ ok: true, node: "server" });
            expect(await probe(internet(), { to: words.isp2, port: 8080, timeoutMs: 500 })).toMatchObject({ ok: false, error: "timeout" });
            expect((await office.lab.spoofed()).isp1).toBeGreaterThan(before.isp1);
        });
    });
});

describe("two stages", () => {
    beforeAll(async () => {
        await office.stack.up();
    });

    describe.each(families)("$family", (words) => {
        it("splits connections evenly, each by the uplink of its translated source", async () => {
            const { result, seen } = await onUplinks(office.lab, "dst port 443", async () =>
                await unspoofed(office.lab, async () => await probeMany(client(), [...targets(words, 400, 443), ...targets(words, 100, 443, { proto: "udp" })])));
            const { [words.isp1]: first = 0, [words.isp2]: second = 0, ...others } = tally(result);
            expect(others).toEqual({});
            expect(first + second).toBe(500);
            expectShare(first, 500, 0.5);
            expect(sources(seen.isp1)).toEqual([words.isp1]);
            expect(sources(seen.isp2)).toEqual([words.isp2]);
            const tcp = tally(result.slice(0, 400));
            expect([opened(seen.isp1), opened(seen.isp2)]).toEqual([tcp[words.isp1], tcp[words.isp2]]);
        });

        it.each(uplinks)("answers a forward of %s by it", async (uplink) => {
            const address = words[uplink];
            // By its port: an answer that plain NAT sent the wrong way is repeated for a minute.
            const fromPort = 40_808;
            const { seen } = await onUplinks(office.lab, `tcp port 8080 and port ${fromPort}`, async () =>
                await unspoofed(office.lab, async () => expect(await probe(internet(), { to: address, port: 8080, fromPort, bytes: 20_000 })).toMatchObject({ ok: true, node: "server", localPort: 7, peer: words.internet })));
            const other = uplink === "isp1" ? "isp2" : "isp1";
            expect(sources(seen[uplink])).toEqual([words.internet, address].sort());
            expect(seen[other]).toEqual([]);
        });

        it.each(["tcp reset", "icmpx admin-prohibited"])("lets a filter in stage 1 refuse with %s, by the uplink that was dialled", async (how) => {
            await withTable(office.lab.router, `chain refuse {\ntype filter hook forward priority 5\noifname "nvi0" tcp dport 7 reject with ${how.replace("icmpx ", "icmpx type ")}\n}`, async () => await unspoofed(office.lab, async () => {
                for (const uplink of uplinks) {
                    const refused = { ok: false, error: how === "tcp reset" ? "refused" : words.family === "IPv4" ? "unreachable" : "prohibited" };
                    expect(await probe(internet(), { to: words[uplink], port: 8080, timeoutMs: 3000 }), uplink).toMatchObject(refused);
                }
            }));
        });

        it.each(uplinks)("lets the inside reach its own server by the public address of %s", async (uplink) => {
            for (const node of [client(), office.lab.node("server")]) {
                const { result, packets } = await during(node, "eth0", "src port 8080", async () =>
                    await unspoofed(office.lab, async () => await seen(node, { to: words[uplink], port: 8080, bytes: 20_000 })));
                expect(result, `from ${node.name}`).toMatchObject({ node: "server", local: words.server, localPort: 7 });
                expect([words.isp1, words.isp2], `from ${node.name}`).toContain(result.peer);
                expect(sources(packets), `from ${node.name}`).toEqual([words[uplink]]);
            }
        });

        it("tracks a connection once, in the first stage", async () => {
            const count = 50;
            const counters = `chain counting { type filter hook forward priority 10;
                iifname "${farEnd}" ct state untracked counter comment "untracked in stage 2"
                iifname "${farEnd}" ct state != untracked counter comment "tracked in stage 2"
                oifname "nvi0" ct state untracked counter comment "untracked in stage 1"
            }`;
            await withTable(office.lab.router, counters, async () => {
                await probeMany(client(), targets(words, count, 5001));
                const packets = await counted(office.lab.router);
                expect(packets).toMatchObject({ "tracked in stage 2": 0, "untracked in stage 1": 0 });
                expect(packets["untracked in stage 2"]).toBeGreaterThanOrEqual(count * 6);
            });
            const { stdout } = await office.lab.router.observe(["conntrack", "-L", "-f", words.family === "IPv4" ? "ipv4" : "ipv6"]);
            const entries = stdout.split("\n").filter((line) => / dport=5001 /.test(line));
            // `src= dst=` come twice a line: as the client sent it, and as it is answered.
            const originals = entries.map((line) => /src=(\S+) dst=(\S+)/.exec(line)!.slice(1, 3).join(" "));
            expect(originals.sort()).toEqual(targets(words, count, 5001).map(({ to }) => `${words.client} ${to}`).sort());
            expect(entries.filter((line) => line.includes("zone"))).toEqual([]);
        });
    });

    it("reaches 5,000 destinations without filling the neighbour table", async () => {
        const all = families.flatMap((words) => targets(words, 2500, 443, { timeoutMs: 5000 })).map((target, i) => ({ ...target, proto: i % 2 ? "udp" as const : "tcp" as const }));
        const results = await unspoofed(office.lab, async () => await probeMany(client(), all, { atOnce: 100 }));
        expect(results.filter((result) => !result.ok)).toEqual([]);
        const { stdout } = await office.lab.router.observe(["sh", "-c", "ip -4 neigh show nud all; ip -6 neigh show nud all"]);
        const atNvi = stdout.split("\n").filter((line) => /dev nvi0p? /.test(line));
        // The next hop of each family; the kernel's own multicast reports of either end.
        expect(atNvi.length, atNvi.join("\n")).toBeLessThanOrEqual(6);
        expect(atNvi.length, "neighbours at the NVI, which has carried packets").toBeGreaterThan(0);
    });

    it("splits connections by weight", async () => {
        const weighted = { ...officeInputs, uplinks: { ...officeInputs.uplinks, isp1: { ...officeInputs.uplinks.isp1, weight: 3 } } };
        office.stack.write({ "index.js": officeProgram(office.lab, weighted) });
        await office.stack.up();
        for (const words of families) {
            const results = await unspoofed(office.lab, async () => await probeMany(client(), targets(words, 400, 80)));
            const { [words.isp1]: first = 0, [words.isp2]: second = 0, ...others } = tally(results);
            expect(others).toEqual({});
            expect(first + second).toBe(400);
            expectShare(first, 400, 0.75);
        }
    });
});
