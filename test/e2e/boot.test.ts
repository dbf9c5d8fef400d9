import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, Flow, probe, type BootHooks } from "../lab";
import { officeProgram, piecesProgram, setup, type Setup } from "./office";
import { changedSince } from "./restart";
import { sampled } from "./sample";
import { drift, expectBothUplinks, families, unspoofed } from "./traffic";

/** Whether the router is a machine with systemd; where it is none, the lab does what the units say. */
const emulated = process.env.NVI_TEST_ROUTER !== undefined;

let office: Setup;
let before: string;
beforeAll(async () => {
    office = await setup();
    before = await office.lab.dump();
    await office.stack.up();
});
afterAll(async () => await office?.stop());

const restore = async (when: string) => void (await office.lab.router.sh(`sh /etc/nvi/nvi restore ${when}`));
const hooks: BootHooks = emulated ? {} : { beforeNics: () => restore("early"), beforeSshd: () => restore("late") };


const programs = [["one resource", officeProgram], ["five resources", piecesProgram]] as const;
describe.each(sampled(programs, (_, i) => i === 0 || !emulated))("a restart of a router with %s", (_, program) => {
    let applied: string;
    beforeAll(async () => {
        if (program !== officeProgram) {
            await office.stack.destroy();
            office.stack.write({ "index.js": program(office.lab) });
            await office.stack.up();
        }
        applied = await office.lab.dump();
    });

    it("brings all of it back with no help", async () => {
        await office.lab.reboot(hooks);
        expect(await changedSince(office.lab, applied)).toEqual([]);
        await expectBothUplinks(office.lab);
    });

    it("does so after a power cut", async () => {
        await office.lab.powerOff();
        await office.lab.powerOn(hooks);
        expect(await changedSince(office.lab, applied)).toEqual([]);
        await expectBothUplinks(office.lab);
    });

    if (emulated) it("is done before there is any network, and what needs a NIC when there is one", async () => {
        const at = async (unit: string, what: string) => Number((await office.lab.router.sh('systemctl show -p "$2" --value "$1"', [unit, what])).stdout.trim());
        expect(await at("nvi", "ActiveEnterTimestampMonotonic")).toBeLessThan(await at("networking", "InactiveExitTimestampMonotonic"));
        expect(await at("nvi-late", "InactiveExitTimestampMonotonic")).toBeGreaterThan(await at("networking", "ActiveEnterTimestampMonotonic"));
    });

    it("is no drift", async () => {
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });

    it("changes nothing where it is done twice", async () => {
        const flow = await Flow.start(office.lab.node("client"), { to: families[0].internet, port: 7 });
        try {
            if (emulated) await office.lab.router.sh("systemctl restart nvi nvi-late");
            else for (const when of ["early", "late"]) await restore(when);
            expect(await flow.alive()).toBe(true);
        } finally {
            await flow.stop();
        }
        expect(await changedSince(office.lab, applied)).toEqual([]);
    });
});

if (emulated) it("a unit that somebody removes is drift, which the next up repairs", async () => {
    await office.lab.router.sh("systemctl disable nvi-late");
    expect(Object.keys(await drift(office.stack))).toEqual(["at boot"]);
    await office.stack.up(["--refresh"]);
    await office.stack.preview(["--refresh", "--expect-no-changes"]);
});

it("lets nothing pass where a command fails, says so, and the next up completes it", async () => {
    let told = "";
    const { lab } = office;
    await lab.fake("/usr/sbin/nft", "#!/bin/sh\necho 'nft: no space for this' >&2\nexit 1\n");
    if (emulated) {
        // A service of the router has failed, which the lab takes for a fault of its own.
        await lab.reboot().catch(() => undefined);
        told = (await lab.router.sh("journalctl -b -u nvi --no-pager")).stdout;
    } else {
        await lab.reboot({ beforeNics: async () => void (told = (await lab.router.sh("sh /etc/nvi/nvi restore early 2>&1", [], { allowFailure: true })).stdout) });
    }
    expect(told).toMatch(/nft -f nvi_\w+\.nft: nft: no space for this\n/);
    expect(told).toMatch(/restored; \d+ commands failed/);
    for (const words of families) await unspoofed(lab, async () => expect(await probe(lab.node("client"), { to: words.internet, port: 443, timeoutMs: 1000 })).toMatchObject({ ok: false }));
    await lab.unhide("/usr/sbin/nft");
    await office.stack.up(["--refresh"]);
    await expectBothUplinks(office.lab);
});

it("nothing is left after destroy", async () => {
    await office.stack.destroy();
    expect(diffDumps(before, await office.lab.dump())).toEqual([]);
});
