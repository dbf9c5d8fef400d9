import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, office as addresses, until, type BootHooks } from "../lab";
import { officeInputs, officeProgram, piecesProgram, setup, type Setup } from "./office";
import { changedSince } from "./restart";
import { sampled } from "./sample";
import { drift, expectBothUplinks } from "./traffic";

/* Routers without systemd. The lab does what their init does: it runs the scripts of a boot in its order. */

interface Init {
    name: string;
    /** What the router has of it, before ours; of what is below /run, again at each start. */
    make: string;
    /** Starts what is started before there is any network, and what is started at the end. */
    early: string;
    late: string;
    /** Somebody switches the second script off. */
    disable: string;
    files: string[];
}

const hookFile = "/etc/network/if-up.d/nvi";

const inits: Init[] = [
    {
        name: "sysvinit", make: "echo si::sysinit:/etc/init.d/rcS >/etc/inittab",
        early: "for script in /etc/rcS.d/S??nvi*; do $script start || exit; done", late: "for script in /etc/rc2.d/S??nvi*; do $script start || exit; done", disable: "update-rc.d nvi-late disable",
        files: ["/etc/init.d/nvi", "/etc/init.d/nvi-late", hookFile, ...["2", "3", "4", "5"].map((level) => `/etc/rc${level}.d/S01nvi-late`), "/etc/rcS.d/S01nvi"],
    },
    {
        // As much of openrc-run(8) as a script needs.
        name: "OpenRC", make: `mkdir -p /run/openrc /etc/runlevels/boot /etc/runlevels/default
printf '%s\\n' '#!/bin/sh' 'ebegin() { :; }; eend() { return $1; }; need() { :; }; after() { :; }; before() { :; }' '. "$1"; depend && "$2"' >/sbin/openrc-run; chmod 755 /sbin/openrc-run`,
        early: "/etc/runlevels/boot/nvi start", late: "/etc/runlevels/default/nvi-late start", disable: "rm /etc/runlevels/default/nvi-late",
        files: ["/etc/init.d/nvi", "/etc/init.d/nvi-late", hookFile, "/etc/runlevels/boot/nvi", "/etc/runlevels/default/nvi-late"],
    },
];

describe.each(inits)("a router with $name", ({ name, make, early, late, disable, files }) => {
    let office: Setup;
    let before: string;
    let refused: string;
    let undone: string;
    let applied: string;
    beforeAll(async () => {
        office = await setup();
        await sh(`${make}; mkdir -p ${hookFile.replace(/\/nvi$/, "")}`);
        before = await office.lab.dump();
        office.stack.write({ "index.js": officeProgram(office.lab, { ...officeInputs, checks: [{ kind: "command", name: "no init script", within: 1, command: "test ! -e /etc/init.d/nvi" }] }) });
        refused = (await office.stack.up([], { allowFailure: true })).all;
        undone = await office.lab.dump();
        office.stack.write({ "index.js": officeProgram(office.lab) });
        await office.stack.up();
        applied = await office.lab.dump();
    });
    afterAll(async () => await office?.stop());

    const sh = async (script: string, args: string[] = []): Promise<string> => (await office.lab.router.sh(script, args)).stdout;
    /** What differs; /run is empty after a start, and each change counts generations. */
    const changed = async (): Promise<string[]> => (await changedSince(office.lab, applied)).filter((line) => !/^. files: \w+ \/etc\/nvi\/generation /.test(line));
    /** The processes of ours, with what they are to do. */
    const running = async (verb: string): Promise<string[]> => (await sh('pgrep -a -f "[n]vi/nvi $1" || :', [verb])).split("\n").filter(Boolean);
    const idle = async (): Promise<void> => void (await until("what runs in the background to end", async () => (await running("")).length === 0, 20_000));
    /** As ifupdown does it. */
    const isUp = async (nic: string): Promise<void> => void (await sh('IFACE=$1 run-parts /etc/network/if-up.d', [nic]));

    it("has nothing of it left where the first change is undone", () => {
        expect(refused).toMatch(/the check "no init script" failed/);
        expect(diffDumps(before, undone)).toEqual([]);
    });

    it("calls an init script at boot, and a hook for each NIC", async () => {
        expect(diffDumps(before, applied).filter((line) => /^\+ files: .* \/etc\/(?!nvi)/.test(line)).map((line) => / (\/\S+)/.exec(line)![1])).toEqual(files);
        expect(await office.stack.outputs()).toMatchObject({ facts: { restores: "init script" } });
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });

    const tampers = [
        ["an init script that is switched off", disable],
        ["one that is edited", "echo exit >>/etc/init.d/nvi"],
        ["a hook that is removed", `rm ${hookFile}`],
        ["a hook that may not be run", `chmod 644 ${hookFile}`],
    ] as const;
    it.each(sampled(tampers, (_, i) => i === (name === "sysvinit" ? 2 : 0)))("%s is drift, which the next up repairs", async (_, script) => {
        await sh(script);
        expect(Object.keys(await drift(office.stack))).toEqual(["at boot"]);
        await office.stack.up(["--refresh"]);
        expect(await changed()).toEqual([]);
    });

    it("brings all of it back after a restart, with no help", async () => {
        const hooks: BootHooks = { beforeNics: async () => void (await sh(`${make}; ${early}`)), beforeSshd: async () => { await sh(late); await idle(); } };
        await office.lab.reboot(hooks);
        expect(await changed()).toEqual([]);
        await expectBothUplinks(office.lab);
    });

    it("brings back what a NIC took along that comes back with another number", async () => {
        const index = async (): Promise<number> => Number(await sh("cat /sys/class/net/isp2/ifindex"));
        const was = await index();
        await office.lab.pull("isp2");
        await office.lab.plug("isp2");
        expect(await index()).not.toBe(was);
        expect(await changed()).not.toEqual([]);
        await isUp("isp2");
        await idle();
        expect(await changed()).toEqual([]);
        await expectBothUplinks(office.lab);
    });

    it("is the same after each of many times that a link goes down and up", async () => {
        for (let round = 1; round <= 20; round++) {
            // IPv6 addresses go with a link that goes down.
            await sh('ip link set isp2 down && ip link set isp2 up && ip address add "$1/64" dev isp2 nodad', [addresses.router.isp2v6]);
            await isUp("isp2");
            await idle();
            expect(await changed(), `round ${round}`).toEqual([]);
        }
        await expectBothUplinks(office.lab);
    });

    it("has one process wait, however much happens while a change is being made, and no hook", async () => {
        const holder = office.lab.router.spawn(["sh", "-c", "exec 9>>/run/nvi/lock; flock 9; echo held; cat"]);
        await holder.waitFor(/^held/m);
        const since = performance.now();
        await sh("for _ in 1 2 3 4 5 6 7 8 9 10; do for nic in isp1 isp2; do IFACE=$nic run-parts /etc/network/if-up.d; done; done");
        expect(performance.now() - since).toBeLessThan(10_000);
        await until("all but one to leave", async () => (await running("nic")).length <= 1 && (await running("restore")).length === 1);
        holder.closeInput();
        await idle();
        expect(await changed()).toEqual([]);
    });

    it("has nothing to do for its loopback, nor for devices of ours", async () => {
        const holder = office.lab.router.spawn(["sh", "-c", "exec 9>>/run/nvi/lock; flock 9; echo held; cat"]);
        await holder.waitFor(/^held/m);
        for (const nic of ["lo", "nvi0", "nvi0p"]) await isUp(nic);
        expect(await running("")).toEqual([]);
        holder.closeInput();
    });

    it("with several resources keeps it until the last of them is gone", async () => {
        await office.stack.destroy();
        expect(diffDumps(before, await office.lab.dump())).toEqual([]);
        office.stack.write({ "index.js": piecesProgram(office.lab) });
        await office.stack.up();
        await office.stack.run(["destroy", "--yes", "--skip-preview", "--target", "**NatStage**"]);
        await sh("test -x /etc/init.d/nvi");
        await office.stack.destroy();
        expect(diffDumps(before, await office.lab.dump())).toEqual([]);
    });
});
