import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps } from "../lab";
import { expectOneScreen } from "../unit/model/screen";
import { officeProgram, routerArgs, setup, type Setup } from "./office";

/*
 * The router can be reached, but can't take the office as it is. Each `up` is refused before it changes anything: the state
 * and the router are as they were, and once the trouble is gone the same `up` succeeds.
 */

let s: Setup;

beforeAll(async () => {
    s = await setup((lab) => `new (require("pulumi-nvi").Router)("edge", ${JSON.stringify(routerArgs(lab))});`);
    await s.stack.up();
    s.stack.write({ "index.js": officeProgram(s.lab) });
});
afterAll(async () => await s?.stop());

/** Runs `up` in trouble: expects a refusal that says so, and that neither the state nor the router changed. */
async function refused(name: string, trouble: string, heal: string, says: (string | RegExp)[], env: Record<string, string> = {}): Promise<void> {
    const { lab, stack } = s;
    await lab.router.sh(trouble);
    try {
        const [state, router] = [await stack.export(), await lab.dump()];
        const { code, all } = await stack.up([], { allowFailure: true, env });
        expect(code, all).not.toBe(0);
        expectOneScreen(name, all, [/edge \(root@127\.0\.0\.1:\d+\): /, ...says]);
        expect((await stack.export()).deployment).toEqual(state.deployment);
        expect(diffDumps(router, await lab.dump()).filter((line) => !/\/run\/nvi\b/.test(line))).toEqual([]);
    } finally {
        await lab.router.sh(heal);
    }
}

const PREFLIGHT = "preflight of two-stage-nat office: ";

describe("an `up` that the router's preflight refuses", () => {
    it.each<[name: string, trouble: string, heal: string, says: (string | RegExp)[]]>([
        ["a table id in use", "ip route add 192.0.2.0/24 dev lan0 table 7700", "ip route flush table 7700",
            [`${PREFLIGHT}route table 7700 is in use: it has 1 routes`, "192.0.2.0/24"]],
        ["an ip rule's priority in use", "ip rule add pref 2000 from 10.9.0.0/16 lookup main", "ip rule del pref 2000",
            [`${PREFLIGHT}priority 2000 of ipv4 rules is in use`]],
        ["an nft table of the same name", "nft add table inet nvi_nat_office", "nft delete table inet nvi_nat_office",
            [`${PREFLIGHT}an nft table inet nvi_nat_office is there already and is not ours`]],
        ["a device nvi0 of somebody else", "ip link add nvi0 type bridge", "ip link del nvi0",
            [`${PREFLIGHT}a network device nvi0 (bridge) is there already and is not ours`]],
        ["a missing NIC", "ip link set isp2 down; ip link set isp2 name isp2x", "ip link set isp2x name isp2; ip link set isp2 up",
            [`${PREFLIGHT}it has no network interface isp2`, "lan0, isp1"]],
        ["strict reverse-path filtering everywhere", "sysctl -qw net.ipv4.conf.all.rp_filter=1", "sysctl -qw net.ipv4.conf.all.rp_filter=0",
            [`${PREFLIGHT}net.ipv4.conf.all.rp_filter is 1`]],
        ["proxy_arp on a diverted NIC", "sysctl -qw net.ipv4.conf.lan0.proxy_arp=1", "sysctl -qw net.ipv4.conf.lan0.proxy_arp=0",
            [`${PREFLIGHT}proxy_arp is on for lan0`, "net.ipv4.conf.lan0.proxy_arp=0"]],
        ["several things at once", "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add blackhole 192.0.2.0/24 table 7700; nft add table inet nvi_if_nvi0", "sysctl -qw net.ipv4.conf.all.rp_filter=0; ip route flush table 7700; nft delete table inet nvi_if_nvi0",
            ["3 things stand in the way; nothing was changed", "rp_filter", "route table 7700", "nvi_if_nvi0"]],
    ])("%s", (name, trouble, heal, says) => refused(name, trouble, heal, says));
});

describe("an `up` that the router itself can't do", () => {
    it("a lock held by somebody else", async () => {
        const holder = s.lab.router.spawn(["flock", "/run/nvi/lock", "-c", "echo held; sleep 1000"], { stdin: "" });
        await holder.waitFor(/held/);
        await refused("a lock held by somebody else", ":", ":", ["lock"], { NVI_LOCK_WAIT: "1" }).finally(() => holder.stop("SIGKILL"));
    });
    it("a full /etc", () => refused("a full /etc", "mkdir /etc/nvi; mount -t tmpfs -o size=4k tmpfs /etc/nvi; echo > /etc/nvi/x", "umount /etc/nvi; rmdir /etc/nvi", ["/etc/nvi"]));
    it("a full /run", () => refused("a full /run", "mount -t tmpfs -o size=4k tmpfs /run/nvi", "umount /run/nvi", ["/run/nvi"]));
    it("a readonly /run", () => refused("a readonly /run", "mount -t tmpfs -o ro tmpfs /run/nvi", "umount /run/nvi", ["/run/nvi"]));
    it("a readonly /etc", () => refused("a readonly /etc", "mount -t tmpfs -o ro tmpfs /etc", "umount /etc", ["/etc"]));
    it("full", async () => { await s.lab.limitDisk(0); await refused("full", ":", ":", [""]).finally(() => s.lab.limitDisk(undefined)); });
    it("no nft", async () => { await s.lab.hide("/usr/sbin/nft"); await refused("no nft", ":", ":", [""]).finally(() => s.lab.unhide("/usr/sbin/nft")); });
    it("uname", async () => { await s.lab.fake("/bin/uname", "#!/bin/sh\necho 5.4.0-42-generic\n"); await refused("kernel", ":", ":", [""]).finally(() => s.lab.unhide("/bin/uname")); });
});

describe("once the trouble is gone", () => {
    it("the same `up` succeeds", async () => {
        await s.stack.up();
        await s.stack.preview(["--refresh", "--expect-no-changes"]);
        await s.stack.destroy();
    });
});
