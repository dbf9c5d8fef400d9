import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ping, probe, probeMany, seen, type LabNode } from "../lab";
import { chosen, farEnd, officeInputs, officeProgram, setup, type Setup } from "./office";
import { counted, drift, families, onUplinks, sources, tally, unspoofed, withTable, type FamilyWords } from "./traffic";

/** Addresses beyond the office's own, and what translates them. */
const extra = {
    IPv4: {
        sticky: "10.0.0.96/27", stickyHost: (n: number) => `10.0.0.${100 + n}`,
        pooled: "10.0.0.6", pool: "198.51.100.8-198.51.100.11", poolOf: ["198.51.100.8", "198.51.100.9", "198.51.100.10", "198.51.100.11"],
        single: "198.51.100.5",
        inside: "10.0.0.32/29", insideHost: "10.0.0.35", outside: "203.0.113.8/29", outsideHost: "203.0.113.11",
        exempt: "192.0.2.128/25", exemptHost: "192.0.2.200", stranger: "192.0.2.77", newAddress: "198.51.100.3", length: 28, host: 32,
    },
    IPv6: {
        sticky: "2001:db8:a::6:0/112", stickyHost: (n: number) => `2001:db8:a::6:${100 + n}`,
        pooled: "2001:db8:a::6", pool: "2001:db8:1::100-2001:db8:1::103", poolOf: ["2001:db8:1::100", "2001:db8:1::101", "2001:db8:1::102", "2001:db8:1::103"],
        single: "2001:db8:1::80",
        inside: "2001:db8:a::20:0/112", insideHost: "2001:db8:a::20:35", outside: "2001:db8:2::20:0/112", outsideHost: "2001:db8:2::20:35",
        exempt: "2001:db8:99::e:0/112", exemptHost: "2001:db8:99::e:200", stranger: "2001:db8:99::77", newAddress: "2001:db8:1::3", length: 64, host: 128,
    },
} as const;

function translations(words: FamilyWords): object[] {
    const more = extra[words.family];
    const to = { uplinks: ["isp1", "isp2"] };
    return [
        { kind: "exempt", from: words.inside, to: more.exempt },
        { kind: "static", on: "isp1", inside: words.server, outside: more.single },
        { kind: "static", on: "isp2", inside: more.inside, outside: more.outside },
        { kind: "snat", from: more.pooled, to: { pool: more.pool, uplink: "isp1" } },
        { kind: "snat", from: more.sticky, to: { ...to, spread: "source" } },
        { kind: "snat", from: words.inside, to: { ...to, spread: "source-destination" } },
        { kind: "dnat", on: "isp1", port: "tcp/9000-9002", to: words.server, toPort: 6000, from: words.internet },
    ];
}

/** isp1 has whatever address its NIC has. */
const { isp1: { addresses: _, ...isp1 }, isp2 } = officeInputs.uplinks;
const inputs = { ...chosen, inside: ["lan0"], markSource: "connection", uplinks: { isp1, isp2 }, translations: families.flatMap(translations) };

let office: Setup;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, inputs));
    for (const words of families) await furnish(words);
    await office.lab.listen("server", [6000, 6001, 6002], "tcp");
    await office.stack.up();
});
afterAll(async () => await office?.stop());

const node = (name: string): LabNode => office.lab.node(name);

/** The addresses and routes that the ISPs and the inside need besides. */
async function furnish(words: FamilyWords): Promise<void> {
    const more = extra[words.family];
    const address = async (name: string, nic: string, local: string) => await node(name).observe(["ip", "addr", "add", `${local}/${more.host}`, "dev", nic]);
    const route = async (name: string, to: string, via: string) => await node(name).observe(["ip", "route", "add", to, "via", via]);
    for (let n = 0; n < 8; n++) await address("client", "eth0", more.stickyHost(n));
    if (words.family === "IPv6") await address("client", "eth0", more.pooled);
    await address("server", "eth0", more.insideHost);
    for (const local of [more.stranger, more.exemptHost]) await address("internet", "lo", local);
    // The router answers itself for the pool and the single machine, which are of the link's own network.
    await route("gw2", more.outside, words.isp2);
    await route("gw1", words.inside, words.isp1);
    await route("internet", words.inside, words.family === "IPv4" ? "172.31.1.1" : "2001:db8:f1::1");
    await node("gw1").observe(["nft", "insert", "rule", "inet", "isp", "customer", words.ip, "daddr", more.exempt, "accept"]);
}

describe.each(families)("$family", (words) => {
    const more = extra[words.family];
    const stickies = Array.from({ length: 8 }, (_, n) => more.stickyHost(n));
    const destinations = Array.from({ length: 12 }, (_, n) => words.destination(100 + n));
    const chosen = async (from: string, to: string[]) => tally(await unspoofed(office.lab, async () => await probeMany(node("client"), to.map((one) => ({ from, to: one, port: 443 })))));

    it("spreads by source: each keeps its uplink, and both uplinks have some", async () => {
        const used = new Set<string>();
        for (const from of stickies) {
            const counts = await chosen(from, destinations);
            expect(Object.values(counts), JSON.stringify(counts)).toEqual([destinations.length]);
            used.add(Object.keys(counts)[0]!);
        }
        expect([...used].sort()).toEqual([words.isp1, words.isp2].sort());
    });

    it("spreads by source and destination: each pair keeps its uplink", async () => {
        const used = new Set<string>();
        for (const to of destinations) {
            const counts = await chosen(words.client, [to, to, to, to]);
            expect(Object.values(counts), JSON.stringify(counts)).toEqual([4]);
            used.add(Object.keys(counts)[0]!);
        }
        expect([...used].sort()).toEqual([words.isp1, words.isp2].sort());
    });

    it("translates to a pool by the uplink that has it", async () => {
        const { result, seen: packets } = await onUplinks(office.lab, "dst port 443", async () => await chosen(more.pooled, destinations));
        expect(more.poolOf).toEqual(expect.arrayContaining(Object.keys(result)));
        expect(sources(packets.isp1)).toEqual(Object.keys(result).sort());
        expect(packets.isp2).toEqual([]);
    });

    it.each([["a machine", words.server, more.single], ["a network", more.insideHost, more.outsideHost]])("translates %s 1:1, both ways", async (_, inside, outside) => {
        await unspoofed(office.lab, async () => {
            expect(await seen(node("server"), { from: inside, to: words.internet, port: 443, bytes: 5000 })).toMatchObject({ node: "internet", peer: outside });
            expect(await seen(node("internet"), { to: outside, port: 80, bytes: 5000 })).toMatchObject({ node: "server", peer: words.internet, local: inside, localPort: 80 });
            expect((await ping(node("internet"), outside)).replies).toMatchObject([{ from: outside }]);
            expect(await seen(node("client"), { to: outside, port: 80 })).toMatchObject({ node: "server", local: inside });
        });
    });

    it("leaves what is exempt as it is", async () => {
        const result = await seen(node("client"), { from: words.client, to: more.exemptHost, port: 443 });
        expect(result).toMatchObject({ node: "internet", peer: words.client });
    });

    it("forwards a range of ports, one to one, and only from where it is allowed", async () => {
        for (const n of [0, 1, 2]) {
            expect(await seen(node("internet"), { from: words.internet, to: words.isp1, port: 9000 + n })).toMatchObject({ node: "server", local: words.server, localPort: 6000 + n });
            expect(await probe(node("internet"), { from: more.stranger, to: words.isp1, port: 9000 + n })).toMatchObject({ ok: false, error: "refused" });
        }
    });

    it("marks the packets of a connection by the NIC that it came in on", async () => {
        const rendered = (await office.stack.outputs()).rendered as Record<string, string>;
        const mark = (nic: string) => new RegExp(`"${nic}" : (0x[0-9a-f]+)`).exec(rendered["nft nvi_mark_office ingress packet"]!)![1]!;
        const count = (what: string, nic: string, match: string) => `iifname "${farEnd}" ${match} meta mark and 0xffff == ${mark(nic)} counter comment "${what}"`;
        const there = `${words.ip} daddr ${words.internet}`;
        const chain = ["chain by_mark {", "type filter hook forward priority 10",
            count("answers, isp1", "isp1", `${there} tcp sport 9000`), count("answers, lan0", "lan0", `${there} tcp sport 9000`),
            count("questions, isp1", "isp1", `${there} tcp dport 5001`), count("questions, lan0", "lan0", `${there} tcp dport 5001`), "}"];
        await withTable(office.lab.router, chain.join("\n"), async () => {
            await seen(node("internet"), { from: words.internet, to: words.isp1, port: 9000 });
            await seen(node("client"), { to: words.internet, port: 5001 });
            const packets = await counted(office.lab.router);
            expect(packets).toMatchObject({ "answers, lan0": 0, "questions, isp1": 0 });
            expect(packets["answers, isp1"]).toBeGreaterThan(2);
            expect(packets["questions, lan0"]).toBeGreaterThan(2);
        });
    });
});

describe("an uplink without addresses", () => {
    const nothingToDo = async () => {
        const { code, all } = await office.stack.preview(["--refresh", "--expect-no-changes"], { allowFailure: true });
        expect(code, all).toBe(0);
    };

    it("shows no drift", nothingToDo);

    describe("whose NIC gets others", () => {
        beforeAll(async () => {
            const change = families.map(({ family, isp1, gw1 }) => `ip addr del ${isp1}/${extra[family].length} dev isp1
                ip addr add ${extra[family].newAddress}/${extra[family].length} dev isp1
                ip route replace default via ${gw1} dev isp1`);
            await office.lab.router.observe(["sh", "-ec", change.join("\n")]);
        });

        it("is named by refresh", async () => {
            const changed = Object.keys(await drift(office.stack));
            expect(changed).toEqual(expect.arrayContaining(["IPv4", "IPv6"].flatMap((family) => [
                `${family.toLowerCase()} rule 1100 from <${family.toLowerCase()} of isp1> iif ${farEnd}`,
                `nft nvi_nat_office uplink_isp1 uplinks.isp1 ${family}`,
                `nft nvi_nat_office errors isp1 ${family} in`,
            ])));
            expect(changed.filter((key) => key.includes("isp2") && !key.startsWith("ip"))).toEqual([]);
        });

        it("is followed by up", async () => {
            await office.stack.up(["--refresh"]);
            for (const words of families) {
                const { newAddress } = extra[words.family];
                const targets = Array.from({ length: 40 }, (_, n) => ({ from: words.client, to: words.destination(300 + n), port: 443 }));
                const counts = tally(await unspoofed(office.lab, async () => await probeMany(node("client"), targets)));
                expect(Object.keys(counts).sort()).toEqual([newAddress, words.isp2].sort());
                expect(await seen(node("internet"), { from: words.internet, to: newAddress, port: 9001 })).toMatchObject({ node: "server", localPort: 6001 });
            }
            await nothingToDo();
        });
    });
});
