import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, type Lab } from "../lab";
import { diagnosticsOf, expectOneScreen } from "../unit/model/screen";
import { officeProgram, routerArgs, setup, type Setup } from "./office";
import { sampled } from "./sample";

/*
 * The router can be reached, but can't take the office as it is. Each `up` is refused before it changes anything: the state
 * and the router are as they were, and once the trouble is gone the same `up` succeeds.
 */

type Change = (lab: Lab) => Promise<unknown>;

interface Trouble {
    name: string;
    trouble: string | Change;
    heal: string | Change;
    says: (string | RegExp)[];
    env?: Record<string, string>;
}

let s: Setup;
/** The state with the router alone, which no row changes. */
let stored: unknown;

beforeAll(async () => {
    s = await setup((lab) => `new (require("pulumi-nvi").Router)("edge", ${JSON.stringify(routerArgs(lab))});`);
    await s.stack.up();
    stored = await state();
    s.stack.write({ "index.js": officeProgram(s.lab) });
});
afterAll(async () => await s?.stop());

/** The resources as stored, less where in the program they are. */
async function state(): Promise<unknown> {
    const { resources, pending_operations: pending } = (await s.stack.export()).deployment;
    return { pending, resources: resources?.map(({ stackTrace: _, ...rest }) => rest) };
}

const apply = async (change: string | Change): Promise<unknown> => (typeof change === "string" ? s.lab.router.sh(change) : change(s.lab));

/** What is left of the dumps' difference; the script, its work folders and those of `mount` are no configuration. */
const changes = (before: string, after: string): string[] => diffDumps(before, after).filter((line) => !/ \/run\/(nvi|mount)\b/.test(line));

async function expectRefusal({ name, trouble, heal, says, env }: Trouble): Promise<void> {
    const { lab, stack } = s;
    const healthy = await lab.dump();
    await apply(trouble);
    try {
        const troubled = await lab.dump();
        const { code, all } = await stack.up([], { allowFailure: true, env });
        expect(code, all).not.toBe(0);
        expectOneScreen(name, all, [/edge \(root@127\.0\.0\.1:\d+\): /, ...says]);
        expect(await state(), "the state").toEqual(stored);
        expect(changes(troubled, await lab.dump()), "the router").toEqual([]);
    } finally {
        await apply(heal);
    }
    expect(changes(healthy, await lab.dump()), `what ${name} leaves behind`).toEqual([]);
}

/** As systemd marks a unit that runs: a link that leads nowhere. */
const running = (unit: string): string => `mkdir -p /run/systemd/units; ln -s 0123456789abcdef /run/systemd/units/invocation:${unit}.service`;
const stopped = "rm -r /run/systemd/units; rmdir /run/systemd 2>/dev/null || :";

/** Answers as the kernel does where somebody has used the filter table of legacy iptables. */
const legacyGrep = '#!/bin/sh\ncase "$*" in *" /proc/net/ip_tables_names") exit 0 ;; esac\nexec busybox grep "$@"\n';
const legacySave = `#!/bin/sh
[ "$1" = -V ] && exec echo 'iptables-save v1.8.9 (legacy)'
printf '%s\\n' '*filter' ':INPUT ACCEPT [0:0]' ':FORWARD DROP [0:0]' ':OUTPUT ACCEPT [0:0]' '-A FORWARD -i lan0 -j ACCEPT' COMMIT
`;

const preflight = (reason: string): string => `preflight of two-stage-nat office: ${reason}`;

describe("an `up` that preflight refuses", () => {
    // The unit tests of preflight have all of them.
    it.each(sampled<Trouble>([
        {
            name: "a table id in use",
            trouble: "ip route add 192.0.2.0/24 dev lan0 table 7700",
            heal: "ip route flush table 7700",
            says: [preflight("route table 7700 is in use"), "192.0.2.0/24 dev lan0", /cure: .*ip route flush table 7700/],
        },
        {
            name: "a port of a bridge for a NIC",
            trouble: "ip link add br9 type bridge; ip link set isp2 master br9",
            heal: "ip link del br9",
            says: [preflight("isp2 is a port of the bridge br9"), /cure: name br9 in its place/],
        },
        {
            name: "an ip rule's priority in use",
            trouble: "ip rule add pref 2000 from 10.9.0.0/16 lookup main",
            heal: "ip rule del pref 2000",
            says: [preflight("priority 2000 of ipv4 rules is in use"), /cure: .*`priority`/],
        },
        {
            name: "an nft table of the same name",
            trouble: "nft add table inet nvi_nat_office",
            heal: "nft delete table inet nvi_nat_office",
            says: [preflight("an nft table inet nvi_nat_office is there already and is not ours"), /cure: .*nft delete table inet nvi_nat_office/],
        },
        {
            name: "a device nvi0 of somebody else",
            trouble: "ip link add nvi0 type bridge",
            heal: "ip link del nvi0",
            says: [preflight("a network device nvi0 (bridge) is there already and is not ours"), /cure: .*ip link del nvi0/],
        },
        {
            name: "a missing NIC",
            trouble: (lab) => lab.pull("isp2"),
            heal: (lab) => lab.plug("isp2"),
            says: [preflight("it has no network interface isp2"), /cure: .*lo, lan0, isp1$/m],
        },
        {
            name: "strict reverse-path filtering everywhere",
            trouble: "sysctl -qw net.ipv4.conf.all.rp_filter=1",
            heal: "sysctl -qw net.ipv4.conf.all.rp_filter=0",
            says: [preflight("net.ipv4.conf.all.rp_filter is 1"), "cure: sysctl -w net.ipv4.conf.all.rp_filter=0"],
        },
        {
            name: "proxy_arp on a diverted NIC",
            trouble: "sysctl -qw net.ipv4.conf.lan0.proxy_arp=1",
            heal: "sysctl -qw net.ipv4.conf.lan0.proxy_arp=0",
            says: [preflight("proxy_arp is on for lan0"), "cure: sysctl -w net.ipv4.conf.lan0.proxy_arp=0"],
        },
        {
            name: "a kernel that is too old",
            trouble: (lab) => lab.fake("/bin/uname", "#!/bin/sh\necho 5.4.0-42-generic\n"),
            heal: (lab) => lab.unhide("/bin/uname"),
            says: [preflight("its kernel is 5.4.0-42-generic"), "cure: boot Linux 5.5 or later"],
        },
        {
            name: "systemd-networkd that deletes rules and routes of others",
            trouble: running("systemd-networkd"),
            heal: stopped,
            says: [preflight("systemd-networkd is running"), "deletes ip rules and routes that others made", "ManageForeignRoutingPolicyRules and ManageForeignRoutes are not off", /cure: .*\/etc\/systemd\/networkd\.conf\.d.*systemctl restart systemd-networkd/],
        },
        {
            name: "systemd-networkd of which a file in /etc masks the one that told it not to",
            trouble: `${running("systemd-networkd")}; mkdir -p /run/systemd/networkd.conf.d /etc/systemd/networkd.conf.d; ln -s /dev/null /etc/systemd/networkd.conf.d/50-keep.conf
                printf '[Network]\\nManageForeignRoutes=no\\n' >/run/systemd/networkd.conf.d/50-keep.conf; printf '[Network]\\nManageForeignRoutingPolicyRules=no' >/run/systemd/networkd.conf.d/60-rules.conf`,
            heal: `rm -r /run/systemd/networkd.conf.d /etc/systemd/networkd.conf.d; ${stopped}`,
            says: [preflight("systemd-networkd is running"), "deletes routes that others made, the NVI's too, as ManageForeignRoutes is not off"],
        },
        {
            name: "systemd-networkd whose configuration can't be read",
            trouble: `${running("systemd-networkd")}; mkdir -p /run/systemd/networkd.conf.d/50-x.conf`,
            heal: `rm -r /run/systemd/networkd.conf.d; ${stopped}`,
            says: ["observe: reading networkd.conf and its drop-ins failed with exit status 1; nothing was changed", "50-x.conf: Is a directory"],
        },
        {
            name: "firewalld's check of the reverse path",
            trouble: "nft 'table inet firewalld { chain filter_PREROUTING { type filter hook prerouting priority filter + 10; icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }; }'",
            heal: "nft delete table inet firewalld",
            says: [preflight("chain filter_PREROUTING of nft table inet firewalld checks the reverse path"), "cure: set IPv6_rpfilter=no in /etc/firewalld/firewalld.conf, then: systemctl restart firewalld"],
        },
        {
            name: "legacy iptables that drop",
            trouble: async (lab) => {
                await lab.fake("/bin/grep", legacyGrep);
                await lab.router.sh("cat >/usr/local/sbin/iptables-legacy-save; chmod 755 /usr/local/sbin/iptables-legacy-save", [], { stdin: legacySave });
            },
            heal: async (lab) => {
                await lab.router.sh("rm /usr/local/sbin/iptables-legacy-save");
                await lab.unhide("/bin/grep");
            },
            says: [preflight("chain FORWARD of the legacy iptables would drop forwarded packets; nft doesn't list it"), "cure: iptables-legacy -I FORWARD -i nvi0p -j ACCEPT; iptables-legacy -I FORWARD -o nvi0 -j ACCEPT"],
        },
        {
            name: "legacy iptables that no tool lists",
            trouble: (lab) => lab.fake("/bin/grep", legacyGrep),
            heal: (lab) => lab.unhide("/bin/grep"),
            says: [preflight("it has legacy iptables rules, which nft doesn't list, and no iptables-legacy-save to read them with"), /cure: install iptables; .* rmmod iptable_filter/],
        },
        {
            name: "several things at once, each said once",
            trouble: `sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add blackhole 192.0.2.0/24 table 7700; ip rule add pref 2000 from 10.9.0.0/16 lookup main; ${running("systemd-networkd")}
                nft 'table inet firewalld { chain filter_PREROUTING { type filter hook prerouting priority filter + 10; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }; chain filter_FORWARD { type filter hook forward priority filter + 10; ct state established,related accept; reject with icmpx admin-prohibited; }; }'`,
            heal: `sysctl -qw net.ipv4.conf.all.rp_filter=0; ip route flush table 7700; ip rule del pref 2000; ${stopped}; nft delete table inet firewalld`,
            says: [preflight("6 things stand in the way; nothing was changed"), "1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "rp_filter", "table 7700", "priority 2000", "checks the reverse path", "chain filter_FORWARD", "systemd-networkd"],
        },
    ], (_, i) => i % 2 === 0))("$name", expectRefusal);
});

describe("an `up` that the router can't carry out", () => {
    const fill = (folder: string) => `mkdir -p ${folder}; mount -t tmpfs -o size=4k tmpfs ${folder}; echo full > ${folder}/x`;
    it.each<Trouble>([
        {
            name: "a missing nft",
            trouble: (lab) => lab.hide("/usr/sbin/nft"),
            heal: (lab) => lab.unhide("/usr/sbin/nft"),
            says: ["observe: it has no `nft`; nothing was changed", "cure:    install nftables"],
        },
        {
            name: "a full /etc",
            trouble: fill("/etc/nvi"),
            heal: "umount /etc/nvi; rmdir /etc/nvi",
            says: ["apply two-stage-nat.office: cannot write /etc/nvi", "No space left on device", "the router is as it was", "cure:    free space"],
        },
        {
            name: "a read-only /etc",
            trouble: "mkdir /etc/nvi; mount -t tmpfs -o ro tmpfs /etc/nvi",
            heal: "umount /etc/nvi; rmdir /etc/nvi",
            says: ["apply two-stage-nat.office: cannot write /etc/nvi", "Read-only file system", "the router is as it was"],
        },
        {
            name: "a full /run",
            trouble: fill("/run/nvi"),
            heal: "umount /run/nvi",
            says: ["upload the router-side script: it did not arrive whole in /run/nvi", "No space left on device", "cure:    the router needs a writable /run"],
        },
        {
            name: "a full disk",
            trouble: (lab) => lab.limitDisk(0),
            heal: (lab) => lab.limitDisk(undefined),
            says: ["observe: the upload did not arrive whole", "100%", "cure:    free space on the router's /run"],
        },
    ])("$name", expectRefusal);

    it("a lock that somebody else holds", async () => {
        const holder = s.lab.router.spawn(["flock", "/run/nvi/lock", "-c", "echo held; exec sleep 1000"], { stdin: "" });
        await holder.waitFor(/held/);
        const says = ["apply two-stage-nat.office: another transaction has held this router's lock for 1 s", "nothing was changed", "cure:    wait for it"];
        const stop = () => holder.stop("SIGKILL");
        await expectRefusal({ name: "a lock that somebody else holds", trouble: ":", heal: stop, says, env: { NVI_LOCK_WAIT: "1" } });
    });
});

describe("once the trouble is gone", () => {
    it("by what the error said to type, for systemd-networkd", async () => {
        const { lab, stack } = s;
        const restarted = "#!/bin/sh\n[ \"$*\" = 'restart systemd-networkd' ] && touch /run/restarted\n";
        await lab.router.sh(`cat >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl; ${running("systemd-networkd")}`, [], { stdin: restarted });
        const refusal = await stack.up([], { allowFailure: true });
        const [, cure] = /cure: (mkdir .*)$/m.exec(diagnosticsOf(refusal.all)) ?? [];
        await lab.router.sh(cure!);
        expect((await lab.router.run(["cat", "/etc/systemd/networkd.conf.d/99-nvi.conf"])).stdout).toBe("[Network]\nManageForeignRoutingPolicyRules=no\nManageForeignRoutes=no\n");
        await lab.router.sh("rm /run/restarted /usr/local/sbin/systemctl");
    });

    it("the same `up` succeeds, and so does `destroy`", async () => {
        await s.stack.up();
        await s.lab.router.sh("ip link add br9 type bridge; ip link set isp2 master br9");
        expect((await s.stack.refresh(["--diff"])).all).toMatch(/in the way: isp2 is a port of the bridge br9: .*: "cure: name br9 in its place; /);
        await s.lab.router.sh("ip link del br9");
        await s.stack.destroy();
        expect(await s.stack.resources()).toEqual([]);
    });
});
