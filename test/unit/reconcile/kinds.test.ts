import { describe, expect, it } from "vitest";
import type { PlanContext } from "../../../provider/reconcile/kind";
import { addressKind } from "../../../provider/reconcile/kinds/address";
import { linkKind } from "../../../provider/reconcile/kinds/link";
import { neighbourKind } from "../../../provider/reconcile/kinds/neighbour";
import { routesKind } from "../../../provider/reconcile/kinds/routes";
import { ruleKind } from "../../../provider/reconcile/kinds/rule";
import { sysctlKind } from "../../../provider/reconcile/kinds/sysctl";
import type { ObservedLink } from "../../../provider/reconcile/snapshot";
import type { Address, Link, Neighbour, Route, Routes, Rule, Sysctl } from "../../../provider/syntax/artifact";
import { parseRules, type ObservedRoute, type ObservedRule } from "../../../provider/syntax/iproute";
import { commandsOf as done, planning as context, undoOf as undone, upLink as up } from "./planning";
import { diversion, loose } from "./things";

describe("routes", () => {
    const route: Route = { family: 4, table: 7701, to: "default", type: "unicast", hops: [{ via: "192.0.2.1", dev: "isp1" }] };
    const routes = (...all: Route[]): Routes => ({ kind: "routes", phase: "stage2", table: 7701, routes: all });
    const found = (...all: Partial<ObservedRoute>[]) => context({ routes: new Map([[7701, all.map((one) => ({ ...route, metric: 0, protocol: 78, ...one }))]]) });

    it.each<[string, Partial<ObservedRoute>[], string[], string[]]>([
        ["is as wanted", [{}], [], []],
        ["is missing", [], ["ip -4 route add default table 7701 protocol 78 via 192.0.2.1 dev isp1"], ["ip -4 route del default table 7701 protocol 78 via 192.0.2.1 dev isp1"]],
        ["leads elsewhere", [{ hops: [{ dev: "isp1" }] }], ["ip -4 route replace default table 7701 protocol 78 via 192.0.2.1 dev isp1"], ["ip -4 route replace default table 7701 protocol 78 metric 0 dev isp1"]],
        ["is somebody else's", [{ protocol: 4 }], ["ip -4 route replace default table 7701 protocol 78 via 192.0.2.1 dev isp1"], ["ip -4 route replace default table 7701 protocol 4 metric 0 via 192.0.2.1 dev isp1"]],
        ["has another before it", [{ hops: [{ dev: "isp1" }], protocol: 4 }, {}], ["ip -4 route del default table 7701 protocol 4 metric 0 dev isp1"], ["ip -4 route append default table 7701 protocol 4 metric 0 dev isp1"]],
        ["has another beside it", [{}, { to: "192.0.2.128/25" }], ["ip -4 route del 192.0.2.128/25 table 7701 protocol 78 metric 0 via 192.0.2.1 dev isp1"], ["ip -4 route append 192.0.2.128/25 table 7701 protocol 78 metric 0 via 192.0.2.1 dev isp1"]],
    ])("one that %s", (_what, there, commands, undo) => {
        const steps = routesKind.ensure(routes(route), found(...there));
        expect(done(steps)).toEqual(commands);
        expect(undone(steps)).toEqual(undo);
    });

    it("two of one destination and metric are both shown", () => {
        const { snapshot } = found({}, { hops: [{ dev: "isp1" }], protocol: 4 });
        expect(routesKind.observed(routes(route), snapshot)).toEqual({ "ipv4 route 7701 default": "via 192.0.2.1 dev isp1 and dev isp1 (protocol 4)" });
    });

    it("a device that the program leaves to the kernel is no difference", () => {
        const anywhere = routes({ ...route, hops: [{ via: "192.0.2.1" }] });
        expect(routesKind.observed(anywhere, found({}).snapshot)).toEqual(routesKind.entries(anywhere));
        expect(routesKind.ensure(anywhere, found({}))).toEqual([]);
    });

    it("an IPv6 route is taken back with its metric: without one, another might go", () => {
        const six: Route = { ...route, family: 6, hops: [{ dev: "isp1" }] };
        expect(undone(routesKind.ensure(routes(six), found()))).toEqual(["ip -6 route del default table 7701 protocol 78 metric 1024 dev isp1"]);
    });

    it("an IPv4 route that was perhaps never added may be another one by the time it is taken back, which then comes again", () => {
        const steps = routesKind.ensure(routes(route, { ...route, metric: 7 }, { ...route, metric: 8, hops: [{ dev: "isp1" }] }), found({ metric: 7 }, { metric: 8, hops: [{ dev: "isp1" }] }));
        expect(done(steps)).toEqual(["ip -4 route add default table 7701 protocol 78 via 192.0.2.1 dev isp1"]);
        expect(undone(steps)).toEqual(["ip -4 route del default table 7701 protocol 78 via 192.0.2.1 dev isp1", "ip -4 route append default table 7701 protocol 78 metric 7 via 192.0.2.1 dev isp1"]);
    });

    it("what isn't ours is left in a table that goes", () => {
        expect(done(routesKind.remove(routes(route), found({}, { to: "192.0.2.128/25", protocol: 4 })))).toEqual(["ip -4 route del default table 7701 protocol 78 metric 0 via 192.0.2.1 dev isp1"]);
    });
});

describe("rules", () => {
    const found = (...all: Partial<ObservedRule>[]) => context({ rules: all.map((one) => ({ ...diversion, protocol: 78, other: false, ...one })) });
    const add = "ip -4 rule add priority 2000 iif lan0 lookup 7700 protocol 78";

    it.each<[string, Partial<ObservedRule>[], string[]]>([
        ["is as wanted", [{}], []],
        ["is missing", [], [add]],
        ["leads elsewhere: the right one is there before the wrong one goes", [{ action: { table: 1 } }], [add, "ip -4 rule del priority 2000 iif lan0 lookup 1 protocol 78"]],
        ["is there twice, once wrong", [{ action: { table: 1 } }, {}], ["ip -4 rule del priority 2000 iif lan0 lookup 1 protocol 78"]],
        ["stands beside somebody else's twin", [{ protocol: 3 }], [add]],
        ["stands beside one with selectors that ours never have", [{ other: true }], [add]],
    ])("one that %s", (_what, there, commands) => {
        expect(done(ruleKind.ensure(diversion, found(...there)))).toEqual(commands);
    });

    it("only ours go", () => {
        expect(done(ruleKind.remove(diversion, found({}, { protocol: 3 }, { other: true })))).toEqual(["ip -4 rule del priority 2000 iif lan0 lookup 7700 protocol 78"]);
    });

    it("one of the module is read as it was written, and differs from one without its tunnel id", () => {
        const wanted: Rule = { kind: "rule", phase: "stage2", family: 4, priority: 1000, iif: "nvi0", mark: { value: 0, mask: 0x10000 }, tunnelId: 78, action: "unreachable" };
        const listed = (more: object) => context({ rules: parseRules(4, JSON.stringify([{ priority: 1000, src: "all", iif: "nvi0", fwmark: "0", fwmask: "0x10000", action: "7", protocol: "78", ...more }])) });
        expect(ruleKind.ensure(wanted, listed({ tun_id: 78 }))).toEqual([]);
        expect(done(ruleKind.ensure(wanted, listed({})))).toEqual(["ip -4 rule add priority 1000 iif nvi0 fwmark 0x0/0x10000 tun_id 78 unreachable protocol 78"]);
    });
});

describe("forwarding", () => {
    const ipv6: Sysctl = { kind: "sysctl", phase: "forward", path: "net/ipv6/conf/all/forwarding", value: "1" };
    const ipv4: Sysctl = { ...ipv6, path: "net/ipv4/ip_forward" };
    const values = (more: Record<string, string>) => new Map(Object.entries(more));

    it("keeps and puts back what the kernel switches along", () => {
        const before = { "net/ipv4/ip_forward": "0", "net/ipv4/conf/lan0/forwarding": "1", "net/ipv4/conf/isp1/forwarding": "0", "net/ipv4/conf/all/accept_redirects": "1" };
        const on = context({ sysctls: values(before) });
        const steps = sysctlKind.ensure(ipv4, on);
        expect(done(steps)).toEqual(["put net/ipv4/ip_forward 1"]);
        expect(undone(steps)).toEqual(["put-if-there net/ipv4/ip_forward 0", "put-if-there net/ipv4/conf/lan0/forwarding 1", "put-if-there net/ipv4/conf/all/accept_redirects 1"]);
        const off = context({ sysctls: values({ ...before, "net/ipv4/ip_forward": "1" }) }, { saved: on.saved });
        expect(done(sysctlKind.remove(ipv4, off))).toEqual(["put net/ipv4/ip_forward 0", "put-if-there net/ipv4/conf/lan0/forwarding 1", "put-if-there net/ipv4/conf/all/accept_redirects 1"]);
    });

    it("leaves a NIC's own switch as somebody has set it since", () => {
        const before = { "net/ipv4/ip_forward": "0", "net/ipv4/conf/lan0/forwarding": "1", "net/ipv4/conf/all/accept_redirects": "1" };
        const on = context({ sysctls: values(before) });
        sysctlKind.ensure(ipv4, on);
        const since = { "net/ipv4/ip_forward": "1", "net/ipv4/conf/lan0/forwarding": "0", "net/ipv4/conf/all/accept_redirects": "0" };
        const off = context({ sysctls: values(since) }, { saved: on.saved });
        expect(done(sysctlKind.remove(ipv4, off))).toEqual(["put net/ipv4/ip_forward 0", "put-if-there net/ipv4/conf/lan0/forwarding 0", "put-if-there net/ipv4/conf/all/accept_redirects 1"]);
    });

    it("raises accept_ra first where the default route is advertised, and lowers it again", () => {
        const sysctls = { "net/ipv6/conf/all/forwarding": "0", "net/ipv6/conf/isp1/accept_ra": "1", "net/ipv6/conf/lan0/accept_ra": "1" };
        const on = context({ sysctls: values(sysctls), advertised: ["isp1"] });
        const steps = sysctlKind.ensure(ipv6, on).sort((a, b) => a.order - b.order);
        expect(done(steps)).toEqual(["put-if-there net/ipv6/conf/isp1/accept_ra 2", "put net/ipv6/conf/all/forwarding 1"]);
        const off = context({ sysctls: values({ ...sysctls, "net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/isp1/accept_ra": "2" }) }, { saved: on.saved });
        expect(done(sysctlKind.remove(ipv6, off))).toEqual(["put net/ipv6/conf/all/forwarding 0", "put-if-there net/ipv6/conf/isp1/accept_ra 1"]);
    });

    it("comes back with accept_ra first, and every NIC's own switch as it was, where its removal is undone", () => {
        const since = { "net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/isp1/accept_ra": "2", "net/ipv6/conf/isp2/accept_ra": "1", "net/ipv6/conf/lan0/forwarding": "0", "net/ipv6/conf/isp1/forwarding": "1" };
        const saved = { "net/ipv6/conf/all/forwarding": "0", "net/ipv6/conf/isp1/accept_ra": "1", "net/ipv6/conf/gone/accept_ra": "1" };
        expect(undone(sysctlKind.remove(ipv6, context({ sysctls: values(since) }, { saved })))).toEqual([
            "put-if-there net/ipv6/conf/isp1/accept_ra 2", "put-if-there net/ipv6/conf/all/forwarding 1", "put-if-there net/ipv6/conf/lan0/forwarding 0",
        ]);
        const four = { "net/ipv4/ip_forward": "1", "net/ipv4/conf/lan0/forwarding": "0", "net/ipv4/conf/isp1/forwarding": "1", "net/ipv4/conf/all/accept_redirects": "1", "net/ipv6/conf/isp1/accept_ra": "2" };
        expect(undone(sysctlKind.remove(ipv4, context({ sysctls: values(four) }, { saved: { ...saved, "net/ipv4/ip_forward": "0" } })))).toEqual([
            "put-if-there net/ipv4/ip_forward 1", "put-if-there net/ipv4/conf/lan0/forwarding 0", "put-if-there net/ipv4/conf/all/accept_redirects 1",
        ]);
    });

    it("is left alone where it was on, and where another object holds it", () => {
        const on = context({ sysctls: values({ "net/ipv4/ip_forward": "1" }) });
        expect(sysctlKind.ensure(ipv4, on)).toEqual([]);
        expect(sysctlKind.remove(ipv4, on)).toEqual([]);
        expect(sysctlKind.remove(ipv4, { ...on, saved: { "net/ipv4/ip_forward": "0" }, held: new Set(["sysctl net/ipv4/ip_forward"]) })).toEqual([]);
    });

    it("undoing a NIC's setting is no failure where the NIC has gone meanwhile", () => {
        const steps = sysctlKind.ensure(loose, context({ sysctls: values({ [loose.path]: "1" }) }));
        expect(done(steps)).toEqual(["put-unless net/ipv4/conf/isp1/rp_filter 2 0"]);
        expect(undone(steps)).toEqual(["put-if-there net/ipv4/conf/isp1/rp_filter 1"]);
    });

    it("an interface that is to have no link-local address again loses the one it was given meanwhile", () => {
        const none: Sysctl = { ...ipv6, path: "net/ipv6/conf/nvi0/addr_gen_mode", transient: true };
        expect(done(sysctlKind.ensure(none, context({ sysctls: values({ [none.path]: "0" }) })))).toEqual(["put net/ipv6/conf/nvi0/addr_gen_mode 1", "ip -6 address flush dev nvi0 scope link"]);
    });
});

describe("the link", () => {
    const link: Link = { kind: "link", phase: "device", name: "nvi0", peer: "nvi0p", mtu: 65535, mac: "02:6e:00:00:00:01" };
    const end = (name: string, peer: string, more: Partial<ObservedLink> = {}) => up(name, { kind: "veth", peer, mtu: 65535, mac: link.mac, noArp: name === "nvi0", alias: "pulumi-nvi", ...more });
    const pair = (near: Partial<ObservedLink> = {}, far: Partial<ObservedLink> = {}) => context({ links: new Map([end("nvi0", "nvi0p", near), end("nvi0p", "nvi0", far)]) });

    it.each<[string, PlanContext, string[], string[]]>([
        ["as wanted", pair(), [], []],
        ["with another MTU", pair({ mtu: 1500 }), ["ip link set dev nvi0 mtu 65535"], ["ip link set dev nvi0 mtu 1500"]],
        ["with another MAC at its other end", pair({}, { mac: "02:00:00:00:00:09" }), [`ip link set dev nvi0p address ${link.mac}`], ["ip link set dev nvi0p address 02:00:00:00:00:09"]],
        ["that resolves neighbours", pair({ noArp: false }), ["ip link set dev nvi0 arp off"], ["ip link set dev nvi0 arp on"]],
        ["that is down", pair({ up: false }), ["ip link set dev nvi0 up"], ["ip link set dev nvi0 down"]],
        ["without alias", pair({ alias: undefined }), ["ip link set dev nvi0 alias pulumi-nvi"], []],
    ])("%s", (_what, on, commands, undo) => {
        const steps = linkKind.ensure(link, on);
        expect(done(steps)).toEqual(commands);
        expect(undone(steps)).toEqual(undo);
    });

    it("bears our mark at either end, and nobody else's device does", () => {
        const marked = (on: PlanContext) => linkKind.isMarked(link, on.snapshot);
        expect([marked(pair()), marked(pair({ alias: undefined })), marked(pair({ alias: undefined }, { alias: "mine" })), marked(context({}))]).toEqual([true, true, false, false]);
    });
});

describe("the address", () => {
    const address: Address = { kind: "address", phase: "device", device: "nvi0p", prefix: "169.254.77.2/32" };
    const found = (...all: [string, string][]) => context({ addresses: all.map(([local, scope]) => ({ device: "nvi0p", local, length: 32, scope, family: 4 })) });

    it.each<[string, PlanContext, string[]]>([
        ["is there", found(["169.254.77.2", "global"]), []],
        ["is missing", found(), ["ip address add 169.254.77.2/32 dev nvi0p"]],
        ["has another beside it", found(["169.254.77.2", "global"], ["192.0.2.1", "global"]), ["ip address del 192.0.2.1/32 dev nvi0p"]],
        ["was changed", found(["192.0.2.1", "global"]), ["ip address add 169.254.77.2/32 dev nvi0p", "ip address del 192.0.2.1/32 dev nvi0p"]],
    ])("that %s", (_what, on, commands) => {
        expect(done(addressKind.ensure(address, on))).toEqual(commands);
    });
});

describe("addresses that the router answers for", () => {
    const answer: Neighbour = { kind: "neighbour", phase: "stage1", device: "isp1", address: "198.51.100.14" };
    const found = (protocol?: number) => context({ proxied: protocol === undefined ? [] : [{ device: "isp1", address: "198.51.100.14", protocol }] });
    const [add, del] = ["ip neighbour add proxy 198.51.100.14 dev isp1 protocol 78", "ip neighbour del proxy 198.51.100.14 dev isp1"];

    it.each<[string, number | undefined, string[], string[]]>([
        ["is missing", undefined, [add], [del]],
        ["is ours", 78, [], []],
        ["somebody has made by hand", 0, [add], [del, "ip neighbour add proxy 198.51.100.14 dev isp1"]],
        ["a routing daemon has made", 186, [add], [del, "ip neighbour add proxy 198.51.100.14 dev isp1 protocol 186"]],
    ])("one that %s", (_what, protocol, commands, undo) => {
        const steps = neighbourKind.ensure(answer, found(protocol));
        expect(done(steps)).toEqual(commands);
        expect(undone(steps)).toEqual(undo);
    });

    it("are taken away where they are ours alone", () => {
        expect(done(neighbourKind.remove(answer, found(78)))).toEqual([del]);
        for (const protocol of [undefined, 0, 186]) expect(neighbourKind.remove(answer, found(protocol))).toEqual([]);
    });

    it("are somebody else's until we have made them", () => {
        expect(neighbourKind.observed(answer, found(0).snapshot)).toEqual({});
        expect(neighbourKind.isMarked(answer, found(0).snapshot)).toBe(false);
        expect(neighbourKind.occupied(answer, found(0).snapshot)).toContain("somebody else has the router answer for 198.51.100.14 on isp1 already");
        expect(neighbourKind.isMarked(answer, found(78).snapshot)).toBe(true);
    });
});
