import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { office as addresses, ping, probe, seen, type LabNode } from "../lab";
import { officeProgram, setup, type Setup } from "./office";
import { families, onUplinks, uplinks } from "./traffic";

let office: Setup;
beforeAll(async () => {
    // Strict, so that a NIC that comes back comes with a filter that must be loosened again.
    office = await setup((lab) => officeProgram(lab), { rpFilter: 1 });
    await office.stack.up();
});
afterAll(async () => await office?.stop());

const node = (name: string): LabNode => office.lab.node(name);

/** The differences that pulumi prints, one an entry: `- "ipv4 route ..."`. */
async function drift(): Promise<string[]> {
    const { all } = await office.stack.refresh(["--diff"]);
    return [...new Set(all.split("\n").map((line) => line.trim()).filter((line) => /^[-+~] (ipv[46]|nft|sysctl|link|address|neighbour|"|')/.test(line)).map((line) => line.replace(/\s+:/, ":")))].sort();
}

const tryForward = async (to: string) => (await probe(node("internet"), { to, port: 8080, timeoutMs: 500 })).ok;

async function reachable(): Promise<void> {
    for (const words of families) {
        for (const uplink of uplinks) expect(await tryForward(words[uplink]), `forward of ${words[uplink]}`).toBe(true);
        for (let n = 0; n < 12; n++) await seen(node("client"), { to: words.destination(400 + n), port: 443 });
    }
}

async function unchanged(): Promise<void> {
    const { code, all } = await office.stack.preview(["--refresh", "--expect-no-changes"], { allowFailure: true });
    expect(code, all).toBe(0);
}

describe("an uplink's NIC that is pulled", () => {
    it("leaves the other uplink to work, and nothing of its own leaves by that", async () => {
        await office.lab.pull("isp2");
        const { result: peers, seen: packets } = await onUplinks1(async () => {
            const results = await Promise.all(families.flatMap((words) => Array.from({ length: 24 }, (_, n) => probe(node("client"), { to: words.destination(500 + n), port: 443, timeoutMs: 2500 }))));
            return new Set(results.map((result) => (result.ok ? result.peer : result.error)));
        });
        // The ones of the lost uplink are told so.
        expect([...peers].sort()).toEqual([addresses.router.isp1v4, addresses.router.isp1v6, "unreachable"].sort());
        expect(packets.every((packet) => [addresses.router.isp1v4, addresses.router.isp1v6].includes(packet.source as never)), JSON.stringify([...new Set(packets.map((packet) => packet.source))])).toBe(true);
        for (const words of families) expect(await tryForward(words.isp1)).toBe(true);
    });

    it("shows as the routes and settings that went with it", async () => {
        console.log((await drift()).join("\n"));
    });

    it("makes up fail by its name, as long as it isn't back", async () => {
        const { code, all } = await office.stack.up([], { allowFailure: true });
        console.log(code, all);
    });
});

describe("the NIC, back", () => {
    it("shows what it lost", async () => {
        await office.lab.plug("isp2");
        console.log((await drift()).join("\n"));
    });

    it("is repaired by up", async () => {
        await office.stack.up();
        await reachable();
        await unchanged();
    });
});

describe("the LAN's NIC, pulled and back", () => {
    it("works again by itself: its rules go by name", async () => {
        await office.lab.pull("lan0");
        await office.lab.plug("lan0");
        await reachable();
        expect((await ping(node("client"), addresses.router.lan4)).received).toBe(1);
        console.log((await drift()).join("\n"));
    });
});

async function onUplinks1<T>(work: () => Promise<T>) {
    const { during } = await import("./traffic");
    const { result, packets } = await during(office.lab.router, "isp1", "dst port 443", work);
    return { result, seen: packets };
}
