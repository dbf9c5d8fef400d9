import { describe, expect, it } from "vitest";
import type { NviError } from "../../../provider/model/errors";
import type { DesiredObject } from "../../../provider/reconcile/desired";
import { ensure, read, remove, renderedOf } from "../../../provider/reconcile/engine";
import { parseNetworkd } from "../../../provider/reconcile/networkd";
import type { Module } from "../../../provider/syntax/artifact";
import { ownAddress } from "../../../provider/syntax/own-address";
import { FakeRouter, section } from "./fake-router";
import { diversion, forwarding, guard, loose, manifestOf, object, stage1 } from "./things";

const crossing = { device: "nvi0", peer: "nvi0p" };
const base: DesiredObject = { ...object(diversion, guard, stage1), nics: ["lan0", "isp1"], diverted: ["lan0"], crossing };

async function refusal(desired: DesiredObject, change: (router: FakeRouter) => void, known = false): Promise<NviError> {
    const router = new FakeRouter();
    change(router);
    const error = await ensure(router, desired, { known }).then(() => undefined, (one: NviError) => one);
    if (!error) throw new Error("nothing stood in the way");
    expect(router.applied, "something was written").toEqual([]);
    return error;
}

const foreignRule = (priority: number) => ({ family: "-4", text: "", json: { priority, src: "all", iif: "lan0", table: "100", protocol: "3" } });
const ISP1 = { dst: "default", gateway: "198.51.100.1", dev: "isp1" };
/** A rule before ours, and the routes of its table. */
const early = (json: object, routes: object[] = [ISP1]) => (router: FakeRouter) => {
    router.rules.push({ family: "-4", text: "", json: { priority: 100, src: "all", table: "100", ...json } });
    router.defaults["4/100"] = routes;
    router.addresses = [{ ifname: "lan0", addr_info: [{ family: "inet", local: "10.0.0.1", prefixlen: 24, scope: "0" }] }];
};
const enslaved = (nic: string, master: string, kind: string) => (router: FakeRouter) => {
    router.links = router.links.map((link) => ((link as { ifname: string }).ifname === nic ? { ...link, master, linkinfo: { info_slave_kind: kind } } : link));
};
const forwardChain = (policy: string, ...rules: string[]): string => `table inet filter {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy ${policy};\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n}\n`;
const firewalldOf = (check: string): string => `table inet firewalld {\n\tchain filter_PREROUTING {\n\t\ttype filter hook prerouting priority filter + 10; policy accept;\n\t\ticmpv6 type { nd-router-advert, nd-neighbor-solicit } accept\n\t\tmeta nfproto ipv6 fib saddr . mark . ${check} drop\n\t}\n}\n`;
const saved = (...lines: string[]): string => ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]", ...lines, "COMMIT", ""].join("\n");
const legacy = (text: string, protocol = "iptables") => (router: FakeRouter) => { router.broken = [section(`legacy/${protocol}`, text)]; };
const firewall = (listing: string, exit = 0) => (router: FakeRouter) => {
    const observe = router.call.bind(router);
    router.call = async (verb, files) => [...await observe(verb, files), ...(verb === "observe" ? [section(`foreign/${/^table (\S+ \S+)/.exec(listing)?.[1]?.replace(" ", "/") ?? "inet/filter"}`, listing, exit)] : [])];
};

describe("what stands in the way is said with its cure:", () => {
    it.each<[string, DesiredObject, (router: FakeRouter) => void, string, RegExp]>([
        ["an old kernel", base, (router) => { router.broken = [section("facts", "kernel\t5.4.0-1\ntool nft\tx\ntool ip\tx\ntool unshare\tx\ntool flock\tx\n")]; }, "its kernel is 5.4.0-1, too old for two-stage NAT", /boot Linux 5\.5 or later/],
        ["a NIC that isn't there", { ...base, nics: ["lan7"] }, () => undefined, "it has no network interface lan7", /the router has lo, lan0, isp1, isp2/],
        ["a port of a bridge", base, enslaved("lan0", "br0", "bridge"), "lan0 is a port of the bridge br0: what comes in by it comes in by br0", /cure: name br0 in its place; or take lan0 out: ip link set lan0 nomaster$/],
        ["an uplink in a bond", base, enslaved("isp1", "bond0", "bond"), "isp1 is a port of the bond bond0", /name bond0/],
        ["a diverted NIC in a VRF", base, enslaved("lan0", "blue", "vrf"), "lan0 belongs to the VRF blue, whose table the kernel looks up first", /ip link set lan0 nomaster$/],
        ["IPv6 on a kernel without it", { ...base, artifacts: [...base.artifacts, { ...diversion, family: 6, to: "2001:db8::/64" }] }, (router) => { router.ipv6 = false; }, "its kernel has no IPv6 (ipv6.disable=1), but it is asked for: ipv6 rule 2000 to 2001:db8::/64 iif lan0", /cure: leave IPv6 out of the program; or take ipv6\.disable=1 off/],
        ["a route of IPv6's on a kernel without it", { ...base, artifacts: [...base.artifacts, { kind: "routes", phase: "stage2", table: 7701, routes: [{ family: 6, table: 7701, to: "default", type: "unicast", hops: [{ via: "2001:db8::1" }] }] }] }, (router) => { router.ipv6 = false; }, "its kernel has no IPv6 (ipv6.disable=1), but it is asked for: route default of table 7701", /leave IPv6 out/],
        ["a table of the name", base, (router) => { router.tables.set("nvi_nat_main", "table inet nvi_nat_main {\n}\n"); }, "an nft table inet nvi_nat_main is there already and is not ours", /nft delete table inet nvi_nat_main/],
        ["a foreign rule at the priority", base, (router) => { router.rules.push(foreignRule(2000)); }, "priority 2000 of ipv4 rules is in use by somebody else (lookup 100)", /choose another `priority`/],
        ["a rule that leads all past the NVI", base, early({}), 'ipv4 rule "priority 100 lookup 100" comes before the NVI\'s at 2000: what comes in by lan0 would go via 198.51.100.1 dev isp1, untranslated', /cure: have it asked later, where it is made, too: ip -4 rule add priority 2002 lookup 100; ip -4 rule del priority 100 lookup 100; or /],
        ["one for its NIC", base, early({ iif: "lan0" }), 'ipv4 rule "priority 100 iif lan0 lookup 100" comes before', /ip -4 rule del priority 100 iif lan0 lookup 100; /],
        ["one for its network", base, early({ src: "10.0.0.0", srclen: 8 }), 'ipv4 rule "priority 100 from 10.0.0.0/8 lookup 100" comes before', /ip -4 rule del priority 100 from 10\.0\.0\.0\/8 lookup 100; /],
        ["wg-quick's for all that it hasn't marked", base, early({ not: null, fwmark: "0xca6c" }, [{ dst: "default", dev: "wg0" }]), 'ipv4 rule "priority 100 not fwmark 0xca6c/0xffffffff lookup 100" comes before the NVI\'s at 2000: what comes in by lan0 would go dev wg0, untranslated', /ip -4 rule del priority 100 not fwmark 0xca6c\/0xffffffff lookup 100; /],
        ["the main table, whatever of it", base, early({ table: "254", suppress_prefixlen: 0 }, []), "what comes in by lan0 would go by the main table, untranslated", /rule add priority 2002 lookup 254 suppress_prefixlength 0; /],
        ["one for several NICs, once", { ...base, artifacts: [...base.artifacts, { ...diversion, iif: "isp1" }, { ...diversion, iif: "isp2" }] }, early({}), "what comes in by lan0, isp2 would go via", /^ipv4 rule/],
        ["a table local that is looked up later", base, (router) => { router.localRules = [{ priority: 32765, src: "all", table: "255" }]; }, "the ipv4 rule for the table local has priority 32765: what is for the router itself, SSH too, would be taken by the NVI's at 2000", /cure: add one before: ip -4 rule add priority 1999 lookup local$/],
        ["no table local at all", base, (router) => { router.localRules = []; }, "the ipv4 rule for the table local is missing", /rule add priority 1999 lookup local$/],
        ["strict filtering everywhere", base, (router) => { router.sysctls.set("net/ipv4/conf/all/rp_filter", "1"); }, "net.ipv4.conf.all.rp_filter is 1", /sysctl -w net\.ipv4\.conf\.all\.rp_filter=0/],
        ["proxy_arp on a diverted NIC", base, (router) => { router.sysctls.set("net/ipv4/conf/lan0/proxy_arp", "1"); }, "proxy_arp is on for lan0", /sysctl -w net\.ipv4\.conf\.lan0\.proxy_arp=0/],
        ["proxy_arp on all NICs", base, (router) => { router.sysctls.set("net/ipv4/conf/all/proxy_arp", "1"); }, "proxy_arp is on for all", /sysctl -w net\.ipv4\.conf\.all\.proxy_arp=0/],
        ["a firewall that drops", base, firewall(forwardChain("drop")), "chain forward of nft table inet filter would drop forwarded packets", /nft insert rule inet filter forward iifname "nvi0p" accept; nft insert rule inet filter forward oifname "nvi0" accept/],
        ["a firewall that lets one way through", base, firewall(forwardChain("drop", 'oifname { "lan0", "nvi0" } counter accept')), "would drop forwarded packets", /cure: nft insert rule inet filter forward iifname "nvi0p" accept$/],
        ["a firewall that can't be read", base, firewall("", 139), "the chains of nft table inet filter cannot be read with this router's nft", /nft list table inet filter/],
        ["firewalld's check of the reverse path", base, firewall(firewalldOf("iif oif missing")), "chain filter_PREROUTING of nft table inet firewalld checks the reverse path (fib saddr . iif): it would drop what comes in by nvi0p,", /cure: set IPv6_rpfilter=no in \/etc\/firewalld\/firewalld\.conf, then: systemctl restart firewalld$/],
        ["somebody's own check of the reverse path", base, firewall(firewalldOf("iif oif 0").replace("firewalld", "raw")), "chain filter_PREROUTING of nft table inet raw checks the reverse path", /cure: nft insert rule inet raw filter_PREROUTING iifname "nvi0p" accept$/],
        ["such a check in the way of several uplinks", { ...base, artifacts: [...base.artifacts, ...["isp1", "isp2"].map((device) => ({ ...loose, path: `net/ipv4/conf/${device}/rp_filter`, device }))] }, firewall(firewalldOf("iif oif missing").replace("firewalld", "raw").replace("icmpv6 type", 'iifname "isp2" accept\n\t\ticmpv6 type')), "it would drop what comes in by nvi0p, isp1, as", /iifname "nvi0p" accept; nft insert rule inet raw filter_PREROUTING iifname "isp1" accept$/],
        ["legacy iptables that drop", base, legacy(`iptables-legacy\n${saved("-A FORWARD -i lan0 -j ACCEPT")}`), "chain FORWARD of the legacy iptables would drop forwarded packets; nft doesn't list it", /cure: iptables-legacy -I FORWARD -i nvi0p -j ACCEPT; iptables-legacy -I FORWARD -o nvi0 -j ACCEPT$/],
        ["legacy ip6tables that nothing can list", base, legacy("none\n", "ip6tables"), "it has legacy ip6tables rules", /cure: install iptables; .*rmmod ip6table_filter$/],
        ["systemd-networkd that deletes rules and routes", base, (router) => { router.networkd = ""; }, "it deletes ip rules and routes that others made", /printf '%s\\n' '\[Network\]' ManageForeignRoutingPolicyRules=no ManageForeignRoutes=no >\/etc\/systemd\/networkd\.conf\.d\/99-nvi\.conf; systemctl restart systemd-networkd$/],
        ["systemd-networkd that deletes rules", base, (router) => { router.networkd = "[Network]\nManageForeignRoutes=no\n"; }, "it deletes ip rules that others made, the NVI's too, as ManageForeignRoutingPolicyRules is not off", /ManageForeignRoutes=no/],
        ["systemd-networkd that deletes routes", base, (router) => { router.networkd = "[Network]\nManageForeignRoutingPolicyRules=off\n"; }, "it deletes routes that others made", /ManageForeignRoutingPolicyRules=no/],
    ])("%s", async (_what, desired, change, reason, cure) => {
        const error = await refusal(desired, change);
        expect(error).toMatchObject({ kind: "preflight", operation: "preflight of nat-stage main", subject: "edge (root@192.0.2.7)" });
        expect(error.reason).toContain(reason);
        expect(error.reason).toMatch(cure);
    });

    it("but not an address of a NIC's own, which a kernel without IPv6 has none of", async () => {
        const router = new FakeRouter();
        router.ipv6 = false;
        await ensure(router, { ...base, artifacts: [...base.artifacts, { ...diversion, family: 6, from: ownAddress(6, "isp1") }] });
        expect(router.applied[0]!.steps).toContain("ip\t-4\trule\tadd");
        expect(router.applied[0]!.steps).not.toContain("-6");
    });

    it("all of it at once, numbered, and nothing twice", async () => {
        const error = await refusal({ ...base, nics: ["lan7", "lan7", "lan8"] }, (router) => {
            router.sysctls.set("net/ipv4/conf/all/rp_filter", "1");
            router.rules.push(foreignRule(2000));
        });
        expect(error.reason).toMatch(/^4 things stand in the way; nothing was changed\n {2}1\. .*lan7\n.*\n {2}2\. .*lan8\n.*\n {2}3\. priority 2000.*\n.*\n {2}4\. net\.ipv4\.conf\.all\.rp_filter/);
    });
});

it("what comes in the way later is found by looking, too", async () => {
    const router = new FakeRouter();
    await ensure(router, base);
    expect((await read(router, base)).rendered).toEqual(renderedOf(base));
    firewall(forwardChain("drop"))(router);
    expect((await read(router, base)).rendered).toEqual({
        ...renderedOf(base),
        "in the way: chain forward of nft table inet filter would drop forwarded packets": 'cure: nft insert rule inet filter forward iifname "nvi0p" accept; nft insert rule inet filter forward oifname "nvi0" accept',
    });
});

describe("what belongs to somebody else is not taken", () => {
    it("unless it is to be adopted: then it is ours, and the other owner's destroy is refused", async () => {
        const router = new FakeRouter();
        const theirs = { ...object(guard), owner: "organization/other/dev/x" };
        await ensure(router, theirs);
        await ensure(router, { ...object(guard), adopt: true });
        expect(JSON.parse(router.objects.get("nat-stage.main")!)).toMatchObject({ owner: object().owner });
        await expect(remove(router, theirs)).rejects.toMatchObject({ kind: "foreign", reason: expect.stringContaining(object().owner) as string });
        // What belongs to another object stays the other's.
        await expect(ensure(router, { ...object(guard), id: { kind: "nat-stage", name: "second" }, adopt: true })).rejects.toMatchObject({ kind: "foreign" });
    });

    const theirs = "organization/other/dev/theirs";

    it("an object of the same name, also where it was ours once", async () => {
        for (const known of [false, true]) {
            const error = await refusal(base, (router) => { router.objects.set("nat-stage.main", manifestOf([], { owner: theirs })); }, known);
            expect(error).toMatchObject({ kind: "foreign", reason: expect.stringContaining(`nat-stage main on this router belongs to ${theirs}`) as string });
        }
    });

    it("what another object stands for, by its key", async () => {
        const error = await refusal(base, (router) => { router.objects.set("two-stage-nat.x", manifestOf([diversion], { object: "two-stage-nat.x", owner: theirs })); });
        expect(error).toMatchObject({ kind: "foreign", reason: expect.stringContaining(`ipv4 rule 2000 iif lan0 belongs to two-stage-nat.x of ${theirs}`) as string });
    });

    it("a rule that the kernel could not tell from another object's, but for its priority", async () => {
        const beside = (more: object) => (router: FakeRouter) => { router.objects.set("route-table.x", manifestOf([{ ...diversion, ...more }], { object: "route-table.x", owner: theirs })); };
        const error = await refusal(base, beside({ from: "10.0.0.0/8" }));
        expect(error).toMatchObject({ kind: "foreign", reason: expect.stringContaining(`ipv4 rule 2000 iif lan0 and ipv4 rule 2000 from 10.0.0.0/8 iif lan0, which belongs to route-table.x of ${theirs}, look up the same table`) as string });
        expect(error.reason).toContain("give one of them another `priority`");
        const router = new FakeRouter();
        beside({ from: "10.0.0.0/8", priority: 2001 })(router);
        await ensure(router, object(diversion));
        expect(router.applied).toHaveLength(1);
    });

    it("but sysctls can be shared where both want the same", async () => {
        const router = new FakeRouter();
        router.objects.set("two-stage-nat.x", manifestOf([forwarding, { ...loose, value: "1" }], { object: "two-stage-nat.x" }));
        await ensure(router, object(forwarding));
        expect((await refusal(object(loose), (other) => other.objects.set("two-stage-nat.x", router.objects.get("two-stage-nat.x")!))).kind).toBe("foreign");
    });

    it("and so can the module, of whatever version and for whatever kernels, where it comes by one way", async () => {
        const module: Module = { kind: "module", phase: "device", version: "0.1.0", install: false, prebuilt: { "6.1.0-18-amd64": "/nowhere/56.ko" } };
        const held = (one: Module) => (router: FakeRouter) => { router.objects.set("interface.x", manifestOf([one], { object: "interface.x", owner: theirs })); };
        const router = new FakeRouter();
        router.broken = [section("module", "loaded\t0.1.0\ninstalled\t0.1.0\nway\tprebuilt\nloadable\tyes\nkernel\t6.1.0-18-amd64 0.1.0\n")];
        held({ ...module, version: "0.0.9", prebuilt: { ...module.prebuilt, "6.1.0-19-amd64": "/nowhere/57.ko" } })(router);
        await ensure(router, object(module));
        expect(router.objects.has("nat-stage.main")).toBe(true);
        const { prebuilt: _, ...built } = module;
        expect(await refusal(object(module), held(built))).toMatchObject({ kind: "foreign", reason: expect.stringMatching(/^module nvi belongs to interface\.x of .*, for which it is built by DKMS\n {4}cure: give `prebuilt` to all/) as string });
    });
});

describe("what doesn't stand in the way", () => {
    it.each<[string, (router: FakeRouter) => void]>([
        ["a firewall that accepts by policy", firewall(forwardChain("accept", 'iifname "eth9" drop'))],
        ["a firewall with both rules", firewall(forwardChain("drop", 'iifname "nvi0p" accept', 'oif "nvi0" counter packets 1 bytes 2 accept'))],
        ["a reverse-path check that any route satisfies", firewall(firewalldOf("oif missing").replace(" . oif", " oif"))],
        ["a reverse-path check that the NVI is excepted from", firewall(firewalldOf("iif oif missing").replace("icmpv6 type", 'iifname "nvi0p" accept\n\t\ticmpv6 type'))],
        ["legacy iptables with both rules", legacy(`iptables\n${saved("-A FORWARD -i nvi+ -j ACCEPT", "-A FORWARD -o nvi0 -j ACCEPT")}`)],
        ["systemd-networkd that was told", (router) => { router.networkd = "[Network]\nManageForeignRoutes=no\n\n[]\n[Network]\nManageForeignRoutingPolicyRules=0\n"; }],
        ["a foreign rule at another priority", (router) => { router.rules.push(foreignRule(1999)); }],
        ["a next hop's NIC in a VRF", enslaved("isp1", "blue", "vrf")],
        ["a foreign rule before ours that has no default route", early({}, [])],
        ["one whose default route is none", early({}, [{ ...ISP1, type: "7" }])],
        ["one whose table is the NIC's own", early({}, [{ ...ISP1, dev: "lan0" }])],
        ["one for another NIC", early({ iif: "lo" })],
        ["one for other sources", early({ src: "198.51.100.2" })],
        ["one for a single host of the LAN", early({ src: "10.0.0.1" })],
        ["one for some destinations", early({ dst: "192.0.2.0", dstlen: 24 })],
        ["one for marked packets", early({ fwmark: "0x7" })],
        ["one for all but some sources", early({ not: null, src: "10.9.0.0", srclen: 16 })],
        ["one for who knows what", early({ ipproto: "tcp" })],
        ["one that leaves the default route out", early({ suppress_prefixlen: 0 })],
        ["one of our own", early({ protocol: "78" })],
        ["one that comes after ours", early({ priority: 2002 })],
        ["a table local that is looked up twice", (router) => { router.localRules.push({ priority: 32765, src: "all", table: "255" }); }],
    ])("%s", async (_what, change) => {
        const router = new FakeRouter();
        change(router);
        await ensure(router, base);
        expect(router.applied).toHaveLength(1);
    });

    it("a foreign rule that came to our priority after us", async () => {
        const router = new FakeRouter();
        await ensure(router, base);
        router.rules.push(foreignRule(2000));
        await ensure(router, base);
        expect(router.applied).toHaveLength(1);
    });
});

it("systemd-networkd doesn't concern what has neither rules nor routes", async () => {
    const router = new FakeRouter();
    router.networkd = "";
    await ensure(router, object(forwarding, guard));
    expect(router.applied).toHaveLength(1);
});

describe("networkd.conf", () => {
    it.each([
        ["", true, true],
        ["[Network]\n#ManageForeignRoutes=no\n; ManageForeignRoutingPolicyRules=no\n", true, true],
        ["[Network]\nManageForeignRoutes = False\nManageForeignRoutingPolicyRules=N\n", false, false],
        ["ManageForeignRoutes=no\n[DHCPv4]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n", true, true],
        // A file that doesn't say which section begins outside of any.
        ["[]\n[Network]\nManageForeignRoutes=no\n[]\nManageForeignRoutingPolicyRules=no\n", true, false],
        // The last that is a boolean counts.
        ["[Network]\nManageForeignRoutes=no\nManageForeignRoutes=perhaps\nManageForeignRoutingPolicyRules=no\nManageForeignRoutingPolicyRules=yes\n", true, false],
    ])("case %#", (text, rules, routes) => {
        expect(parseNetworkd(text)).toEqual({ rules, routes });
    });
});

describe("where packets end in a filter:", () => {
    const to = (rule: string, chain: string): string => `table inet filter {\n\tchain empty {\n\t}\n\n${chain}\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\t${rule}\n\t}\n}\n`;
    const chain = (name: string, ...rules: string[]): string => `\tchain ${name} {\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n`;
    const BOTH = ["nvi0p", "nvi0"];

    /** Of what it is said to drop, what the cures let through. */
    async function dropped(listing: string): Promise<string[]> {
        const router = new FakeRouter();
        firewall(listing)(router);
        const error = await ensure(router, base).then(() => undefined, (one: NviError) => one);
        if (error) expect(error.reason).toContain("would drop forwarded packets");
        return error ? [...error.reason.matchAll(/[io]ifname "(\w+)" accept/g)].map(([, name]) => name!) : [];
    }

    it.each([
        [forwardChain("drop"), BOTH],
        [forwardChain("accept"), []],
        [forwardChain("accept", 'iifname "lan0" accept', "counter packets 0 bytes 0 drop"), BOTH],
        [forwardChain("accept", "reject with icmpx admin-prohibited"), BOTH],
        [forwardChain("accept", 'log prefix "all: accept" drop', 'iifname "nvi0p" accept', 'oifname "nvi0" accept'), BOTH],
        [forwardChain("accept", 'log prefix "FINAL_REJECT: " level info', 'meta nfproto ipv6 counter reject comment "no v6"'), BOTH],
        [forwardChain("accept", 'iifname != "docker0" oifname "docker0" drop', "ct state invalid drop", 'iifname "lan0" reject'), []],
        [forwardChain("accept", "ct state { invalid, untracked } drop"), ["nvi0p"]],
        [forwardChain("drop", "ct state established,related,untracked accept"), ["nvi0"]],
        [forwardChain("drop", 'iifname { "lan0",\n\t\t\t     "nvi0p" } oifname { "lan0", "isp1" } accept', 'oifname "nvi*" accept comment "hers"'), []],
        [forwardChain("drop", 'iifname != "nvi0p" accept', 'iifname . oifname { "nvi0p" . "lan0" } accept'), BOTH],
        // What is accepted elsewhere is of no use here.
        [to("drop", "\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tiifname \"nvi0p\" accept\n\t}\n"), BOTH],
        ["table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n", []],
        // Chains that are jumped to.
        [to("counter jump last", chain("last", "ct state established accept", "counter reject")), BOTH],
        [to("jump empty", chain("last", "drop")), []],
        [to('iifname "lan0" jump last', chain("last", "drop")), []],
        [to('iifname "nvi0p" ip saddr 192.0.2.1 jump last', chain("last", "drop")), []],
        [to("meta nfproto ipv4 jump last\n\t\tdrop", chain("last", "accept")), BOTH],
        [to("jump early\n\t\tdrop", chain("early", 'iifname "nvi0p" accept', 'oifname "nvi0" accept')), []],
        [to('iifname "nvi0p" goto trusted\n\t\tdrop', chain("trusted", "accept")), ["nvi0"]],
        [to("goto empty\n\t\tdrop", ""), []],
        [to("jump early\n\t\tdrop", chain("early", "return", "accept")), BOTH],
        [to("counter jump DOCKER-USER\n\t\tdrop", chain("DOCKER-USER")), BOTH],
    ])("case %#", async (listing, names) => {
        expect(await dropped(listing)).toEqual(names);
    });

    const translating = (...rules: string[]): string => `table ip nat {\n${chain("zone", 'oifname != "lo" masquerade')}\n${chain("PODS", "mark and 0x4000 != 0x4000 return", "masquerade random")}\n\tchain POSTROUTING {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n}\n`;

    it.each([
        [["masquerade"], true],
        [["counter packets 3 bytes 180 snat to 198.51.100.2"], true],
        [['counter packets 0 bytes 0 xt target "MASQUERADE"'], true],
        [['oifname != "lan0" masquerade random'], true],
        [['oifname != { "lan0", "docker0" } masquerade'], true],
        [['oifname "nvi*" masquerade'], true],
        [['oifname "isp1" goto zone', "goto zone"], true],
        [['oifname { "isp1", "isp2" } masquerade', 'ip saddr 172.17.0.0/16 oifname != "docker0" masquerade', "ip daddr 10.0.0.80 masquerade"], false],
        [['oifname != "nvi0" masquerade'], false],
        [['oifname != { "lan0", "nvi0" } masquerade'], false],
        [['oifname "nvi0" accept', "masquerade"], false],
        [["ip daddr 10.0.0.0/8 accept", "masquerade"], false],
        [['oifname "isp1" goto zone', "jump PODS"], false],
        [[], false],
    ])("what is translated by others, case %#", async (rules, refused) => {
        const router = new FakeRouter();
        firewall(translating(...rules))(router);
        const error = await ensure(router, base).then(() => undefined, (one: NviError) => one);
        expect(error?.reason).toEqual(refused ? expect.stringMatching(/^chain POSTROUTING of nft table ip nat would translate .*\n.*cure: nft insert rule ip nat POSTROUTING oifname "nvi0" accept$/) : undefined);
    });

    const offloading = (devices: string, ...rules: string[]): string => `table inet fast {\n\tflowtable f {\n\t\thook ingress priority filter\n\t\tdevices = { ${devices} }\n\t}\n\n${chain("flows", "meta l4proto { tcp, udp } flow add @f")}\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n}\n`;

    it.each([
        ["isp1, lan0", ["ip protocol { tcp, udp } flow add @f"], "lan0"],
        ['"lan0"', ["ct state established,related counter packets 0 bytes 0 flow add @f"], "lan0"],
        ["lan*", ["flow add @f counter packets 3 bytes 120"], "lan0"],
        ["lan0", ["ct state { established, related } jump flows", "ct state established accept"], "lan0"],
        ["lan0", ['oifname != "docker0" flow add @f'], "lan0"],
        ["isp1", ["flow add @f"], undefined],
        ["lan0", ['oifname != "nvi0" flow add @f'], undefined],
        ["lan0", ['iifname { "lan0", "isp1" } oifname { "lan0", "isp1" } flow add @f'], undefined],
        ["lan0", ["ct state established accept", "flow add @f"], undefined],
        ["lan0", ["ip daddr 192.0.2.1 jump flows"], undefined],
        ["lan0", [], undefined],
    ])("what is offloaded, case %#", async (devices, rules, nic) => {
        const router = new FakeRouter();
        firewall(offloading(devices, ...rules))(router);
        const error = await ensure(router, base).then(() => undefined, (one: NviError) => one);
        expect(error?.reason).toEqual(nic === undefined ? undefined : expect.stringMatching(`^chain \\w+ of nft table inet fast offloads connections to flowtable f: what comes in by ${nic} would .*\n *cure: .*: oifname != "nvi0" flow add @f$`));
    });

    it("Docker's chain for the rules of others gets those of the cure", async () => {
        const error = await refusal(base, firewall(to("counter jump DOCKER-USER\n\t\tdrop", chain("DOCKER-USER"))));
        expect(error.reason).toMatch(/^chain forward of .* cure: nft insert rule inet filter DOCKER-USER iifname/s);
    });

    it.each([
        [["-A FORWARD -i lan0 -j ACCEPT"], BOTH],
        [['-A FORWARD -m comment --comment "-i nvi0p -j ACCEPT" -j LOG --log-prefix "x -j DROP"', "-A FORWARD -i nvi0p -m comment --comment mine -j ACCEPT"], ["nvi0"]],
        [["-A FORWARD ! -i nvi0p -j ACCEPT"], BOTH],
        [["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,UNTRACKED -j ACCEPT", "-A FORWARD -o nvi0 -j ACCEPT"], []],
        [[":mine - [0:0]", "-A FORWARD -g mine", "-A mine -i lan0 -j RETURN", "-A mine -j ACCEPT"], []],
        [[":mine - [0:0]", "-A FORWARD -j mine", "-A FORWARD -j ACCEPT", "-A mine -j REJECT --reject-with icmp-port-unreachable"], BOTH],
        [[":DOCKER-USER - [0:0]", "-A FORWARD -j DOCKER-USER"], BOTH],
    ])("legacy case %#", async (lines, names) => {
        const router = new FakeRouter();
        legacy(`iptables-legacy\n${saved(...lines)}`)(router);
        const error = await ensure(router, base).then(() => undefined, (one: NviError) => one);
        if (error) expect(error.reason).toContain("would drop forwarded packets");
        expect([...(error?.reason ?? "").matchAll(/-I \S+ -[io] (\w+) -j ACCEPT/g)].map(([, name]) => name)).toEqual(names);
    });
});
