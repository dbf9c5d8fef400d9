import * as fs from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diffDumps, Flow, Lab, office, ping, probe, run, seen, until } from "../lab";
import { figure } from "../lab/figure";

const { router, client, internet } = office;
let lab: Lab;
beforeAll(async () => {
    const started = performance.now();
    lab = await Lab.start({ users: [{ name: "ops", sudo: "nopasswd" }], mtu: { lan: 9000 }, tenants: true });
    figure(`lab with Debian ${process.env.NVI_TEST_ROUTER} started in ${Math.round(performance.now() - started)} ms`);
});
afterAll(async () => await lab?.stop());

const kernels: Record<string, { kernel: RegExp; nft: string }> = {
    bullseye: { kernel: /^5\.10\./, nft: "v0.9.8" }, bookworm: { kernel: /^6\.1\./, nft: "v1.0.6" }, trixie: { kernel: /^6\.12\./, nft: "v1.1.3" },
};
const release = process.env.NVI_TEST_ROUTER ?? "";
const onRouter = async (script: string): Promise<string> => (await lab.router.sh(script)).stdout.trim();
const changed = async (): Promise<string[]> => (await lab.changedFiles()).map(file => `${file.kind} ${file.path}`);

test("the router is that Debian, with all of its services up", async () => {
    expect(await onRouter(". /etc/os-release; echo $VERSION_CODENAME")).toBe(release);
    expect(await onRouter("uname -r")).toMatch(kernels[release]!.kernel);
    expect(await onRouter("nft --version")).toContain(kernels[release]!.nft);
    expect(await onRouter("systemctl --failed --plain --no-legend")).toBe("");
    expect(await onRouter("ls -d /lib/modules/$(uname -r)/build/include; command -v dkms && command -v gcc && command -v make")).toMatch(/build\/include\n.*dkms\n.*gcc\n.*make$/);
});

test("its NICs are the topology's, with addresses, MTU, routes and sysctls", async () => {
    expect(await onRouter("ls /sys/class/net | tr '\\n' ' '")).toBe("isp1 isp2 lan0 lo t1 t2");
    const addresses = await onRouter("ip -o addr show scope global | awk '{ print $2, $4 }' | sort");
    expect(addresses.split("\n")).toEqual([
        "isp1 198.51.100.2/28", "isp1 2001:db8:1::2/64", "isp2 2001:db8:2::2/64", "isp2 203.0.113.2/28", "lan0 10.0.0.1/24", "lan0 2001:db8:a::1/64",
        "t1 10.1.0.1/24", "t1 2001:db8:b::1/64", "t2 10.1.0.1/24", "t2 2001:db8:b::1/64",
    ]);
    expect(await onRouter("cat /sys/class/net/lan0/mtu /sys/class/net/isp1/mtu")).toBe("9000\n1500");
    expect(await onRouter("ip route show default; ip -6 route show default")).toMatch(/^default via 198\.51\.100\.1 dev isp1.*\ndefault via 2001:db8:1::1 dev isp1/);
    expect(await onRouter("cd /proc/sys/net; cat ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/all/rp_filter ipv4/conf/isp1/rp_filter ipv6/conf/lan0/accept_dad | tr '\\n' ' '")).toBe("1 1 0 2 0");
});

test("the administrator reaches its sshd through the LAN, by the relay", async () => {
    expect((await lab.sshRun("id -un; hostname; echo ${SSH_CONNECTION%% *}")).stdout.trim().split("\n")).toEqual(["root", "router", client.v4]);
    const before = lab.sshd.count();
    expect((await lab.sshRun("sudo -n id -un", { via: { ...lab.ssh, user: "ops" } })).stdout).toBe("root\n");
    expect(lab.sshd.count().accepted - before.accepted).toBe(1);
});

describe("traffic", () => {
    test("crosses it, both families, in jumbo frames on the LAN", async () => {
        // An ISP wants its own source, and there is no NAT yet: so it is seen, and dropped, at the first gateway.
        for (const to of [internet.v4, internet.v6]) expect((await ping(lab.node("client"), to)).received).toBe(0);
        const spoofed = await lab.spoofed();
        expect(spoofed.isp1).toBeGreaterThanOrEqual(2);
        await lab.router.sh("nft add table inet t; nft add chain inet t c '{ type nat hook postrouting priority 100; }'; nft add rule inet t c oifname isp1 masquerade");
        for (const [to, peer] of [[internet.v4, router.isp1v4], [internet.v6, router.isp1v6]] as const) {
            expect(await seen(lab.node("client"), { to, port: 80, bytes: 300_000 })).toMatchObject({ node: "internet", peer });
        }
        expect(await ping(lab.node("client"), router.lan4, { size: 8972, df: true })).toMatchObject({ received: 1 });
        expect((await ping(lab.node("client"), internet.v4, { size: 2000, df: true })).errors[0]).toMatchObject({ from: router.lan4, mtu: 1500 });
        await lab.router.sh("nft delete table inet t");
    });

    test("is captured on its NICs, and sent by itself", async () => {
        expect(await probe(lab.router, { to: internet.v4, port: 53, proto: "udp" })).toMatchObject({ ok: true, peer: router.isp1v4 });
        const flow = await Flow.start(lab.router, { to: internet.v6, port: 7 });
        expect(await flow.alive()).toBe(true);
        expect(await flow.stop()).toMatchObject({ peer: router.isp1v6 });
    });
});

test("a dump shows what changed, and nothing once it is undone", async () => {
    const before = await lab.dump();
    await lab.router.sh("mkdir /etc/nvi; echo a > /etc/nvi/b; mv /etc/services /tmp/s; ip rule add pref 50 iif lan0 lookup 100; sysctl -qw net.ipv4.conf.isp2.rp_filter=1");
    const diff = diffDumps(before, await lab.dump()).join("\n");
    for (const line of [/^\+ rules v4: 50:.*lookup 100/m, /^- sysctls: net.ipv4.conf.isp2.rp_filter = 2/m, /^\+ files: file \/etc\/nvi\/b 644 0:0/m, /^\+ files: deleted \/etc\/services/m]) expect(diff).toMatch(line);
    await lab.router.sh("rm -r /etc/nvi; mv /tmp/s /etc/services; ip rule del pref 50; sysctl -qw net.ipv4.conf.isp2.rp_filter=2");
    expect(diffDumps(before, await lab.dump())).toEqual([]);
});

test("tools can be taken away, and an onlooker still has them; the disk can be full", async () => {
    await lab.hide("/usr/sbin/nft");
    expect((await lab.router.sh("command -v nft", [], { allowFailure: true })).code).not.toBe(0);
    expect((await lab.router.observe(["nft", "list", "ruleset"])).code).toBe(0);
    expect(await changed()).toEqual(["deleted /usr/sbin/nft"]);
    await lab.unhide("/usr/sbin/nft");
    expect(await changed()).toEqual([]);
    await lab.limitDisk(64 * 1024);
    expect((await lab.router.sh("head -c 1000000 /dev/zero > /etc/big", [], { allowFailure: true })).stderr).toContain("No space left");
    await lab.limitDisk(undefined);
    await lab.router.sh("rm /etc/big");
});

test("a NIC can be pulled and plugged in, configured or not", async () => {
    await lab.pull("isp2");
    expect(await onRouter("ls /sys/class/net")).not.toContain("isp2");
    await lab.plug("isp2");
    expect((await ping(lab.node("gw2"), router.isp2v4)).received).toBe(1);
    await lab.pull("isp2");
    await lab.plug("isp2", { configure: false });
    expect(await onRouter("ip -o addr show dev isp2 scope global")).toBe("");
});

test("what it runs is reached whatever becomes of its network; commands end with its power", async () => {
    await lab.router.sh("ip link set lan0 down; nft add table inet x; nft add chain inet x y '{ type filter hook input priority 0; policy drop; }'");
    expect((await lab.sshRun("true", { allowFailure: true, args: ["-o", "ConnectTimeout=2"] })).code).toBe(255);
    expect(await onRouter("nft delete table inet x; ip link set lan0 up; echo still here")).toBe("still here");
    const sleeper = lab.router.spawn(["sleep", "1000"]);
    await onRouter("pgrep -x sleep");
    sleeper.kill("SIGINT");
    expect(await sleeper.exited()).toBe(130);
});

describe("its power", () => {
    const bootId = async (): Promise<string> => await onRouter("cat /proc/sys/kernel/random/boot_id");

    test("a reboot keeps files, ends processes, and brings the network and sshd up", async () => {
        await lab.router.sh("mkdir /etc/nvi; echo kept > /etc/nvi/a; echo lost > /run/a; nft add table inet gone; ip rule add pref 77 lookup 100");
        const [before, started] = [await bootId(), performance.now()];
        await lab.reboot();
        figure(`rebooted in ${Math.round(performance.now() - started)} ms`);
        expect(await bootId()).not.toBe(before);
        expect((await lab.sshRun("cat /etc/nvi/a; ls /run/a; ip rule; nft list ruleset", { allowFailure: true })).stdout).toMatch(/^kept\n(?!.*77)/);
        expect((await ping(lab.node("gw2"), router.isp2v4)).received).toBe(1);
        expect(await changed()).toEqual(["directory /etc/nvi", "file /etc/nvi/a"]);
    });

    test("a cut keeps what was synced, and loses what was not", async () => {
        await lab.router.sh("echo synced > /etc/nvi/synced; sync; head -c 200000 /dev/urandom > /etc/nvi/unsynced");
        const running = lab.router.run(["sleep", "1000"], { timeoutMs: 100_000 });
        running.catch(() => undefined);
        await lab.powerOff();
        await expect(running).rejects.toThrow("the machine is off");
        expect((await ping(lab.node("client"), router.lan4)).received).toBe(0);
        await lab.powerOn();
        expect(await onRouter("cat /etc/nvi/synced")).toBe("synced");
        expect(await onRouter("stat -c %s /etc/nvi/unsynced 2>/dev/null || echo 0")).toBe("0");
        await until("an answer", async () => (await ping(lab.node("client"), router.lan4)).received === 1);
    });
});

test("stop leaves nothing", async () => {
    const { dir, id } = lab;
    await lab.stop();
    expect(fs.existsSync(dir)).toBe(false);
    expect((await run(["ip", "netns"])).stdout).not.toContain(`nvi-${id}-`);
    const commands = fs.readdirSync("/proc").filter(name => /^\d+$/.test(name)).map(pid => {
        try { return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"); } catch { return ""; }
    });
    expect(commands.filter(command => command.includes(`${dir}/`))).toEqual([]);
});
