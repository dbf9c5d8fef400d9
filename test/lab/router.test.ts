import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { diffDumps, Lab, labPassword, office, ping, until } from "./index";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
let lab: Lab;
beforeAll(async () => { lab = await Lab.start({ users: [{ name: "ops", sudo: "password" }], user: "ops" }); });
afterAll(async () => await lab.stop());

const paths = (): string[] => lab.files().map(file => `${file.kind} ${file.path}`);

test("two dumps with nothing in between are the same, with sessions and sudo in between too", async () => {
    const before = await lab.dump();
    expect(diffDumps(before, await lab.dump())).toEqual([]);
    const sudo = await lab.sshRun("sudo -S -p '' id -un", { stdin: `${labPassword}\n` });
    expect(sudo.stdout).toBe("root\n");
    expect((await ping(lab.node("client"), office.router.lan4)).received).toBe(1);
    expect(diffDumps(before, await lab.dump())).toEqual([]);
});

test.each([
    ["rule", "ip rule add pref 50 iif lan0 lookup 100", "ip rule del pref 50", /^\+ rules v4: 50:.*iif lan0 lookup 100/],
    ["v6 rule", "ip -6 rule add pref 50 iif lan0 lookup 100", "ip -6 rule del pref 50", /^\+ rules v6: 50:.*iif lan0 lookup 100/],
    ["route", "ip route add 192.0.2.0/24 via 203.0.113.1 table 102 proto 77", "ip route flush table 102", /^\+ routes v4: 192.0.2.0\/24 via 203.0.113.1 dev isp2 table 102 proto 77/],
    ["v6 route", "ip -6 route add unreachable default metric 4294967295 table 102", "ip -6 route del unreachable default metric 4294967295 table 102", /^\+ routes v6: 7 default dev lo table 102 metric 4294967295/],
    ["sysctl", "sysctl -qw net.ipv4.conf.isp2.rp_filter=1", "sysctl -qw net.ipv4.conf.isp2.rp_filter=2", /^- sysctls: net.ipv4.conf.isp2.rp_filter = 2/],
    ["nft rule", "nft add table inet x; nft add chain inet x y; nft add rule inet x y counter drop", "nft delete table inet x", /^\+ nft: table inet x \/ chain y \/ counter/],
    ["link", "ip link set lan0 mtu 1400", "ip link set lan0 mtu 1500", /^\+ links: lan0: .* mtu 1400/],
    ["address", "ip addr add 10.0.0.99/24 dev lan0", "ip addr del 10.0.0.99/24 dev lan0", /^\+ addresses: lan0 inet 10.0.0.99\/24/],
    ["neighbour", "ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 nud permanent dev lan0", "ip neigh del 10.0.0.7 dev lan0", /^\+ neighbours: 10.0.0.7 dev lan0 lladdr 02:00:00:00:00:07 PERMANENT/],
    ["proxy neighbour", "ip neigh add proxy 10.0.0.8 dev lan0", "ip neigh del proxy 10.0.0.8 dev lan0", /^\+ neighbours: 10.0.0.8 dev lan0 proxy/],
    ["file", "mkdir /etc/nvi; echo a > /etc/nvi/b", "rm -r /etc/nvi", /^\+ files: file \/etc\/nvi\/b 644 0:0 [0-9a-f]{64}/],
    ["mode of a system file", "chmod 600 /etc/services", "chmod 644 /etc/services", /^\+ files: file \/etc\/services 600/],
    ["deleted system file", "mv /etc/services /tmp/s", "mv /tmp/s /etc/services", /^\+ files: deleted \/etc\/services/],
])("a dump shows a changed %s, and no more of it once it is put back", async (_what, change, undo, expected) => {
    const before = await lab.dump();
    await lab.router.sh(change);
    const diff = diffDumps(before, await lab.dump());
    expect(diff.filter(line => expected.test(line)), diff.join("\n")).toHaveLength(1);
    await lab.router.sh(undo);
    expect(diffDumps(before, await lab.dump())).toEqual([]);
});

test("order counts among rules of the same priority", async () => {
    const first = "ip rule add pref 60 iif lan0 lookup 100", second = "ip rule add pref 60 iif isp1 lookup 100";
    await lab.router.sh(`${first}; ${second}`);
    const before = await lab.dump();
    await lab.router.sh(`ip rule del pref 60; ip rule del pref 60; ${second}; ${first}`);
    expect(diffDumps(before, await lab.dump())).toEqual(["~ rules v4: the same lines in another order"]);
    await lab.router.sh("ip rule del pref 60; ip rule del pref 60");
});

test("tools can be taken away, and replaced", async () => {
    await lab.hide("/usr/sbin/nft");
    expect((await lab.router.sh("command -v nft", [], { allowFailure: true })).code).not.toBe(0);
    expect(paths()).toEqual(["deleted /usr/sbin/nft"]);
    await lab.unhide("/usr/sbin/nft");
    expect((await lab.router.run(["nft", "list", "ruleset"])).code).toBe(0);
    await lab.fake("/usr/sbin/nft", "#!/bin/sh\nkill -SEGV $$\n");
    expect((await lab.router.run(["nft", "list", "ruleset"], { allowFailure: true })).code).toBe(139);
    await lab.unhide("/usr/sbin/nft");
    expect(paths()).toEqual([]);
});

test("the disk can be full", async () => {
    await lab.limitDisk(64 * 1024);
    const full = await lab.router.sh("head -c 1000000 /dev/zero > /etc/big", [], { allowFailure: true });
    expect(full.stderr).toContain("No space left");
    await lab.limitDisk(undefined);
    await lab.router.sh("head -c 1000000 /dev/zero > /etc/big; rm /etc/big");
    expect(paths()).toEqual([]);
});

test("the router's processes and host-wide knobs are its own", async () => {
    await lab.router.sh("setsid sleep 1000 >/dev/null 2>&1 & ");
    const { stdout } = await lab.router.run(["ps", "-e", "-o", "args="]);
    expect(stdout).toContain("sleep 1000");
    expect(stdout).not.toContain("vitest");
    expect((await lab.router.sh("echo 1 > /proc/sys/vm/swappiness", [], { allowFailure: true })).stderr).toContain("Read-only");
    expect((await lab.router.run(["ls", "-A", "/work", "/tmp"], { allowFailure: true })).stdout.replace("/tmp:", "").trim()).toBe("");
    await lab.router.run(["ip", "netns", "add", "scratch"]);
    expect((await lab.router.run(["ip", "netns", "exec", "scratch", "nft", "list", "ruleset"])).stdout).toBe("");
    await lab.router.run(["ip", "netns", "del", "scratch"]);
    await lab.router.sh("umount /run/netns; rmdir /run/netns"); // iproute2 leaves its folder, mounted on itself
});

test("a NIC that is pulled and plugged again has its addresses, its peer and a new number", async () => {
    const before = await lab.dump();
    await lab.pull("isp1");
    const gone = diffDumps(before, await lab.dump());
    expect(gone.some(line => line.startsWith("- links: isp1"))).toBe(true);
    expect(gone).toContain("- routes v4: default via 198.51.100.1 dev isp1");
    await lab.plug("isp1");
    // The kernel tells of a carrier at most once a second (net/core/link_watch.c).
    let left: string[] = [];
    await until("the NIC's carrier", async () => (left = diffDumps(before, await lab.dump())).length === 0).catch(() => undefined);
    expect(left).toEqual([]);
    expect((await ping(lab.router, office.gw1.v4)).received).toBe(1);
    await lab.pull("lan0");
    await lab.plug("lan0", { configure: false });
    expect((await lab.router.run(["ip", "-4", "addr", "show", "lan0"])).stdout).toBe("");
});

test("a power cut ends all processes and keeps the disk; the network comes up anew", async () => {
    await lab.router.sh("mkdir /etc/nvi; echo kept > /etc/nvi/a; echo lost > /run/a; nft add table inet gone; setsid sleep 999 >/dev/null 2>&1 &");
    await until("the sleeper", async () => (await lab.router.sh("pgrep -f '[s]leep 999'", [], { allowFailure: true })).code === 0);
    const bootId = (await lab.router.run(["cat", "/proc/sys/kernel/random/boot_id"])).stdout;
    let early = "", late = "";
    await lab.reboot({
        beforeNics: async () => { early = (await lab.router.run(["ls", "/sys/class/net"])).stdout.trim(); },
        beforeSshd: async () => { late = (await lab.router.run(["ls", "/sys/class/net"])).stdout.trim().replace(/\n/g, " "); },
    });
    expect([early, late]).toEqual(["lo", "isp1 isp2 lan0 lo"]);
    const after = await lab.sshRun("cat /etc/nvi/a /proc/sys/kernel/random/boot_id; ls /run/a; pgrep -f '[s]leep 999'", { allowFailure: true });
    expect(after.stdout).toMatch(/^kept\n[0-9a-f-]{36}\n$/);
    expect(after.stdout).not.toContain(bootId);
    expect((await lab.router.run(["nft", "list", "ruleset"])).stdout).toBe("");
    expect((await ping(lab.node("internet"), office.router.isp1v4)).received).toBe(1);
    expect(paths()).toEqual(["directory /etc/nvi", "file /etc/nvi/a"]);
});
