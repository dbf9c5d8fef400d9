import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { office, seen, type Seen } from "../lab";
import { diagnosticsOf, expectOneScreen } from "../unit/model/screen";
import { officeInputs, officeProgram, setup, type Setup } from "./office";

/*
 * Firewalls of others that would drop what the NVI forwards, or translate what enters it: each is refused with the commands that cure it. Pasted into a
 * shell on the router, they make the same `up` succeed and traffic flow, both families.
 */

let s: Setup;
/** The office with another weight, so that every `up` has something to do. */
let weight = 1;

function program(): string {
    const { uplinks } = officeInputs;
    return officeProgram(s.lab, { ...officeInputs, uplinks: { ...uplinks, isp1: { ...uplinks.isp1, weight: ++weight } } });
}

beforeAll(async () => {
    s = await setup();
});
afterAll(async () => await s?.stop());

const both = (table: (family: string, icmp: string) => string): string => table("ip", "icmp") + table("ip6", "ipv6-icmp");

/** As `nft list ruleset` shows what Docker, ufw and firewalld make, cut down to what forwards. */
const FIREWALLS = {
    Docker: both((family) => `table ${family} filter {
        chain DOCKER { iifname != "docker0" oifname "docker0" counter drop; }
        chain DOCKER-CT { oifname "docker0" ct state related,established counter accept; }
        chain DOCKER-FORWARD { counter jump DOCKER-CT; counter jump DOCKER; iifname "docker0" counter accept; }
        chain DOCKER-USER { }
        chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; counter jump DOCKER-FORWARD; }
    }\n`),
    ufw: both((family, icmp) => `table ${family} filter {
        chain ufw-user-input { tcp dport 22 counter accept; }
        chain ufw-before-input { iifname "lo" counter accept; ct state related,established counter accept; ct state invalid counter drop; meta l4proto ${icmp} counter accept; counter jump ufw-user-input; }
        chain ufw-user-forward { iifname "lan0" oifname { "isp1", "isp2" } counter accept; }
        chain ufw-before-forward { ct state related,established counter accept; meta l4proto ${icmp} counter accept; counter jump ufw-user-forward; }
        chain ufw-reject-forward { counter reject; }
        chain INPUT { type filter hook input priority filter; policy drop; counter jump ufw-before-input; }
        chain FORWARD { type filter hook forward priority filter; policy drop; counter jump ufw-before-forward; counter jump ufw-reject-forward; }
    }\n`),
    firewalld: `table inet firewalld {
        chain filter_FWD_lan { iifname "lan0" accept; }
        chain filter_FORWARD {
            type filter hook forward priority filter + 10; policy accept;
            ct state { established, related } accept
            ct status dnat accept
            iifname "lo" accept
            ct state invalid drop
            jump filter_FWD_lan
            reject with icmpx admin-prohibited
        }
    }\n`,
    "a reverse-path check": `table inet raw {
        chain strict { type filter hook prerouting priority raw; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; fib saddr . iif oif missing counter drop; }
    }\n`,
    "a masquerade of all": both((family) => `table ${family} theirs {
        chain post { type nat hook postrouting priority srcnat; policy accept; oifname != "lan0" counter masquerade; }
    }\n`),
};

/** What of a firewall's refusal says what is wrong. */
const FAULT = /chain \S+ of nft table \S+ \S+ (?:would (?:drop forwarded packets|translate whatever enters the NVI)|checks the reverse path .* by nvi0p, isp1, isp2,)/;

const client = (to: string): Promise<Seen> => seen(s.lab.node("client"), { to, port: 7 });

async function expectTraffic(): Promise<void> {
    expect((await client(office.internet.v4)).peer).toMatch(/^(198\.51\.100|203\.0\.113)\.2$/);
    expect((await client(office.internet.v6)).peer).toMatch(/^2001:db8:[12]::2$/);
    for (const to of [office.router.isp1v4, office.router.isp2v4, office.router.isp1v6, office.router.isp2v6]) {
        expect((await seen(s.lab.node("internet"), { to, port: 8080 })).node).toBe("server");
    }
    expect(await s.lab.spoofed()).toEqual({ isp1: 0, isp2: 0 });
}

/** What the error says to type. */
const curesIn = (printed: string): string[] => [...diagnosticsOf(printed).matchAll(/cure: (nft .+)$/gm)].map(([, command]) => command!);

/** As scripts of old translate: all, whatever leaves by anything but the LAN, or all that is from inside; some before others. */
const MASQUERADES = [["srcnat", "masquerade"], ["srcnat", 'oifname != "lan0" masquerade'], ["0", "ip saddr 10.0.0.0/24 masquerade; ip6 saddr 2001:db8:a::/64 masquerade"]];

describe("translation of somebody else's", () => {
    it.each(MASQUERADES)("that is loaded later, as by a firewall's restart, translates nothing that is for us to translate: %s, %s", async (priority, rules) => {
        const { lab, stack } = s;
        stack.write({ "index.js": program() });
        await stack.up();
        await lab.router.run(["nft", "-f", "-"], { stdin: `table inet theirs { chain post { type nat hook postrouting priority ${priority}; ${rules}; }; }` });
        await expectTraffic();
        await lab.router.run(["nft", "delete", "table", "inet", "theirs"]);
    });

    it("may stay: a masquerade by the uplinks, and port forwards, which go on", async () => {
        const { lab, stack } = s;
        const { router: { isp1v4, isp2v4 }, server } = office;
        const rules = `chain pre { type nat hook prerouting priority dstnat; ip daddr { ${isp1v4}, ${isp2v4} } tcp dport 2222 dnat to ${server.v4}:8080; }; chain post { type nat hook postrouting priority srcnat; oifname { "isp1", "isp2" } masquerade; };`;
        await lab.router.run(["nft", "-f", "-"], { stdin: `table ip theirs { ${rules} }` });
        stack.write({ "index.js": program() });
        await stack.up();
        await expectTraffic();
        for (const to of [isp1v4, isp2v4]) expect((await seen(lab.node("internet"), { to, port: 2222 })).node).toBe("server");
        await lab.router.run(["nft", "delete", "table", "ip", "theirs"]);
    });
});

describe("a firewall of somebody else's", () => {
    it.each(Object.entries(FIREWALLS))("%s is refused, until the printed cure is typed on the router", async (name, ruleset) => {
        const { lab, stack } = s;
        await lab.router.run(["nft", "-f", "-"], { stdin: ruleset });
        stack.write({ "index.js": program() });
        const before = await stack.resources();
        const refusal = await stack.up([], { allowFailure: true });
        expect(refusal.code, refusal.all).not.toBe(0);
        expectOneScreen(name, refusal.all, ["preflight of two-stage-nat office: ", FAULT]);
        expect((await stack.resources()).filter(({ type }) => !type.endsWith("Router"))).toEqual(before.filter(({ type }) => !type.endsWith("Router")));

        for (const cure of curesIn(refusal.all)) await lab.router.sh(cure);
        await stack.up();
        await expectTraffic();

        for (const [, family, table] of ruleset.matchAll(/^table (\S+) (\S+)/gm)) await lab.router.run(["nft", "delete", "table", family!, table!]);
    });

    it("that comes later is drift, which says what it does, until it is cured", async () => {
        const { lab, stack } = s;
        stack.write({ "index.js": program() });
        await stack.up();
        await lab.router.run(["nft", "-f", "-"], { stdin: FIREWALLS.Docker });
        await expect(expectTraffic()).rejects.toThrow("no answer");
        const { all } = await stack.refresh(["--diff"]);
        expect(all).toMatch(/"?in the way: chain FORWARD of nft table ip filter would drop forwarded packets"? *: "cure: nft insert rule ip filter DOCKER-USER /);
        const refusal = await stack.up([], { allowFailure: true });
        expect(refusal.code, refusal.all).not.toBe(0);
        for (const cure of curesIn(refusal.all)) await lab.router.sh(cure);
        await stack.up();
        await expectTraffic();
        await stack.preview(["--refresh", "--expect-no-changes"]);
        for (const family of ["ip", "ip6"]) await lab.router.run(["nft", "delete", "table", family, "filter"]);
    });

    it("that has the accepts already is none of our business", async () => {
        const { lab, stack } = s;
        await lab.router.run(["nft", "-f", "-"], { stdin: 'table inet mine { chain f { type filter hook forward priority 0; policy drop; iifname { "nvi0p", "wg0" } accept; oifname "nvi0" counter accept; }; }' });
        stack.write({ "index.js": program() });
        await stack.up();
        await expectTraffic();
        await stack.destroy();
        expect((await lab.router.run(["nft", "list", "tables"])).stdout).toBe("table inet mine\n");
    });
});
