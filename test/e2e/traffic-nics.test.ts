import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { office as addresses, ping, probe, probeMany, type LabNode } from "../lab";
import { farEnd, officeProgram, setup, type Setup } from "./office";
import { drift, during, families, sources, tally, uplinks, type UplinkName } from "./traffic";

/** A real router brings back by itself what a NIC took along: test/vm/boot.test.ts. */
const emulated = process.env.NVI_TEST_ROUTER !== undefined;

let office: Setup;
beforeAll(async () => {
    // Strict, so that a NIC that comes back comes with a filter that must be loosened again.
    office = await setup((lab) => officeProgram(lab), { rpFilter: 1 });
    await office.stack.up();
});
afterAll(async () => await office?.stop());

const node = (name: string): LabNode => office.lab.node(name);

/** The route table of an uplink, by the rule that leads there. */
async function tableOf(uplink: UplinkName): Promise<string> {
    const { stdout } = await office.lab.router.observe(["ip", "rule", "show"]);
    return new RegExp(`from ${addresses.router[`${uplink}v4`]} iif ${farEnd} lookup (\\d+)`).exec(stdout)![1]!;
}

const forwarded = async (to: string) => (await probe(node("internet"), { to, port: 8080, timeoutMs: 1000 })).ok;

/** Connections of the client to a dozen destinations of each family. */
const connections = async () => tally(await probeMany(node("client"), families.flatMap((words) => Array.from({ length: 12 }, (_, n) => ({ to: words.destination(400 + n), port: 443, timeoutMs: 2500 })))));

async function allWorks(): Promise<void> {
    for (const words of families) {
        for (const uplink of uplinks) expect(await forwarded(words[uplink]), `the forward of ${words[uplink]}`).toBe(true);
    }
    const { timeout, unreachable, ...answered } = await connections();
    expect({ timeout, unreachable }).toEqual({});
    expect(Object.keys(answered).sort()).toEqual(families.flatMap((words) => [words.isp1, words.isp2]).sort());
}

const own = [addresses.router.isp1v4, addresses.router.isp1v6];

describe("an uplink's NIC that is removed", () => {
    beforeAll(async () => await office.lab.pull("isp2"));

    it("leaves the other uplink to work, by which nothing of its own leaves", async () => {
        const { result: counts, packets } = await during(office.lab.router, "isp1", "dst port 443", connections);
        // Who is sent to the lost uplink is told so, as often as the kernel's rate limit lets it.
        const { timeout, unreachable = 0, ...answered } = counts;
        expect(unreachable).toBeGreaterThan(0);
        expect(Object.keys(answered).sort()).toEqual([...own].sort());
        expect(sources(packets)).toEqual([...own].sort());
        for (const words of families) expect(await forwarded(words.isp1), `the forward of ${words.isp1}`).toBe(true);
    });

    it("shows in a refresh as what went with it", async () => {
        const table = await tableOf("isp2");
        expect(await drift(office.stack)).toEqual({
            [`ipv4 route ${table} default`]: '"via 203.0.113.1 dev isp2" => "waiting for isp2"',
            [`ipv6 route ${table} default`]: '"via 2001:db8:2::1 dev isp2" => "waiting for isp2"',
            "sysctl ipv4/conf/isp2/rp_filter": '"0 or 2" => "waiting for isp2"',
        });
    });

    describe("and comes back", () => {
        beforeAll(async () => await office.lab.plug("isp2"));

        if (!emulated) it("shows as what it lacks", async () => {
            const table = await tableOf("isp2");
            const changed = await drift(office.stack);
            expect(Object.keys(changed).sort()).toEqual([`ipv4 route ${table} default`, `ipv6 route ${table} default`, "sysctl ipv4/conf/isp2/rp_filter"]);
            expect(changed["sysctl ipv4/conf/isp2/rp_filter"]).toMatch(/ => "1"$/);
        });

        it("is repaired by up", async () => {
            await office.stack.up(["--refresh"]);
            await allWorks();
            const { code, all } = await office.stack.preview(["--refresh", "--expect-no-changes"], { allowFailure: true });
            expect(code, all).toBe(0);
        });
    });
});

describe("the LAN's NIC that is removed and comes back", () => {
    it("works again by itself: all rules go by its name", async () => {
        await office.lab.pull("lan0");
        await office.lab.plug("lan0");
        expect((await ping(node("client"), addresses.router.lan4)).received).toBe(1);
        await allWorks();
        expect(await drift(office.stack)).toEqual({});
    });
});
