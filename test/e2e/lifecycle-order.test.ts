import { afterEach, describe, expect, test } from "vitest";
import { ensure, remove } from "../../provider/reconcile/engine";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { diffDumps, Flow, office, probe, type FlowReport } from "../lab";
import { bench, desiredOf, type Bench } from "./drift-core";
import { officeInputs } from "./office";

/** The office of single resources, in the order in which Pulumi creates them. */
function pieces(): DesiredObject[] {
    const { inside, uplinks, translations } = officeInputs;
    const table = (name: "isp1" | "isp2", number: number) => desiredOf("route-table", {
        name, table: number, errors: name,
        routes: [{ to: "0.0.0.0/0", via: uplinks[name].gateway, device: name }, { to: "::/0", via: uplinks[name].gateway6, device: name }],
        rules: uplinks[name].addresses.map((from) => ({ from })),
    });
    return [
        desiredOf("interface", { name: "nvi0" }),
        desiredOf("ingress-mark", { name: "mark", nics: ["lan0", "isp1", "isp2"] }),
        desiredOf("route-table", { name: "inwards", table: "main", rules: [{ to: "10.0.0.0/24", priority: 1050 }, { to: "2001:db8:a::/64", priority: 1050 }] }),
        table("isp1", 7101),
        table("isp2", 7102),
        desiredOf("nat-stage", { name: "office", inside, uplinks: { isp1: { addresses: uplinks.isp1.addresses }, isp2: { addresses: uplinks.isp2.addresses } }, translations }),
    ];
}

/** What the router did before anybody thought of two stages: one uplink, one NAT, a port forward on it. */
const PLAIN_NAT = `
table inet plain {
    chain pre { type nat hook prerouting priority dstnat; iifname "isp1" tcp dport 8080 dnat ip to 10.0.0.80:7; }
    chain post { type nat hook postrouting priority srcnat; oifname "isp1" snat ip to 198.51.100.2; oifname "isp1" snat ip6 to 2001:db8:1::2; }
}`;

let made: Bench | undefined;
afterEach(async () => {
    await made?.stop();
    made = undefined;
});

/** Every way that worked before; those that don't work now. */
async function broken({ lab }: Bench): Promise<string[]> {
    const ways = [
        { from: "client", to: office.internet.v4, port: 7 },
        { from: "client", to: office.internet.v6, port: 7 },
        { from: "client", to: office.internet.v4, port: 53, proto: "udp" as const },
        { from: "client", to: office.internet.v6, port: 53, proto: "udp" as const },
        { from: "internet", to: office.router.isp1v4, port: 8080 },
    ];
    const results = await Promise.all(ways.map(async ({ from, ...target }) => ({ from, target, result: await probe(lab.node(from), target) })));
    return results.filter(({ result }) => !result.ok).map(({ from, target, result }) => `${from} to ${target.proto ?? "tcp"} ${target.to}: ${JSON.stringify(result)}`);
}

async function plainRouter(): Promise<Bench> {
    made = await bench();
    await made.lab.router.run(["nft", "-f", "-"], { stdin: PLAIN_NAT });
    expect(await broken(made)).toEqual([]);
    return made;
}

const flows = (one: Bench) => Promise.all([office.internet.v4, office.internet.v6].map((to) => Flow.start(one.lab.node("client"), { to, port: 7 })));

function report(when: string, reports: readonly FlowReport[]): void {
    for (const { longestStallMs, error, ping } of reports) console.log(`${when}: ${ping.lost} of ${ping.sent} pings lost, slowest ${ping.slowestMs} ms; TCP stalled ${longestStallMs} ms at most${error ? `, then ${error}` : ""}`);
}

describe("every prefix of a first up, and every suffix of a destroy, forwards as before", () => {
    test("new connections in both families, and connections from before the first up", async () => {
        const one = await plainRouter();
        const before = await one.lab.dump();
        const open = await flows(one);
        const failures: string[] = [];
        const objects = pieces();
        for (const object of objects) {
            await ensure(one.host, object);
            failures.push(...(await broken(one)).map((what) => `after creating ${object.id.kind} ${object.id.name}: ${what}`));
        }
        for (const object of [...objects].reverse()) {
            await remove(one.host, object);
            failures.push(...(await broken(one)).map((what) => `after removing ${object.id.kind} ${object.id.name}: ${what}`));
        }
        const alive = await Promise.all(open.map((flow) => flow.alive()));
        const reports = await Promise.all(open.map((flow) => flow.stop()));
        report("six created, six removed", reports);
        expect(failures).toEqual([]);
        expect(alive).toEqual([true, true]);
        expect(reports.map(({ ping }) => ping.lost)).toEqual([0, 0]);
        expect(diffDumps(before, await one.lab.dump())).toEqual([]);
    });
});

describe("destroy leaves the router as it was before", () => {
    const cases: [string, string][] = [
        ["one that didn't forward", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"],
        ["one that forwarded on some interfaces only", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0; sysctl -qw net.ipv4.conf.isp1.forwarding=1 net.ipv6.conf.lan0.forwarding=1 net.ipv4.conf.default.forwarding=1"],
        ["one that took no redirects", "sysctl -qw net.ipv4.ip_forward=0; sysctl -qw net.ipv4.conf.all.accept_redirects=0"],
        ["one with strict reverse-path filters", "for nic in lan0 isp1 isp2; do sysctl -qw net.ipv4.conf.$nic.rp_filter=1; done"],
    ];

    test.each(cases)("%s", async (_, command) => {
        made = await bench();
        await made.lab.router.sh(command);
        const before = await made.lab.dump();
        const whole = desiredOf("two-stage-nat", { name: "office", ...officeInputs });
        await ensure(made.host, whole);
        expect(await probe(made.lab.node("client"), { to: office.internet.v4, port: 7 })).toMatchObject({ ok: true });
        await remove(made.host, whole);
        expect(diffDumps(before, await made.lab.dump())).toEqual([]);
    });

    test("one that has its IPv6 default route from router advertisements, and keeps it meanwhile", async () => {
        made = await bench();
        const { lab, host } = made;
        // The kernel marks what an advertisement brought by its protocol and RTF_ADDRCONF; only the latter is purged, so
        // what is looked at here is the setting that keeps it from that.
        await lab.router.sh("sysctl -qw net.ipv6.conf.all.forwarding=0; ip -6 route del default; ip -6 route add default via 2001:db8:1::1 dev isp1 proto ra; sysctl -qw net.ipv6.conf.isp1.accept_ra=1");
        const before = await lab.dump();
        const whole = desiredOf("two-stage-nat", { name: "office", ...officeInputs });
        await ensure(host, whole);
        expect((await lab.router.sh("cat /proc/sys/net/ipv6/conf/isp1/accept_ra; ip -6 route show default")).stdout).toMatch(/^2\ndefault via 2001:db8:1::1 dev isp1 proto ra/);
        await remove(host, whole);
        expect(diffDumps(before, await lab.dump())).toEqual([]);
    });
});
