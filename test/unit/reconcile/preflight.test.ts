import { describe, expect, it } from "vitest";
import type { NviError } from "../../../provider/model/errors";
import type { DesiredObject } from "../../../provider/reconcile/desired";
import { ensure, remove } from "../../../provider/reconcile/engine";
import { droppingChains } from "../../../provider/reconcile/preflight";
import { FakeRouter, section } from "./fake-router";
import { diversion, forwarding, guard, loose, manifestOf, object } from "./things";

const crossing = { device: "nvi0", peer: "nvi0p" };
const base: DesiredObject = { ...object(diversion, guard), nics: ["lan0", "isp1"], diverted: ["lan0"], crossing };

async function refusal(desired: DesiredObject, change: (router: FakeRouter) => void, known = false): Promise<NviError> {
    const router = new FakeRouter();
    change(router);
    const error = await ensure(router, desired, { known }).then(() => undefined, (one: NviError) => one);
    if (!error) throw new Error("nothing stood in the way");
    expect(router.applied, "something was written").toEqual([]);
    return error;
}

const foreignRule = (priority: number) => ({ family: "-4", text: "", json: { priority, src: "all", iif: "lan0", table: "100", protocol: "3" } });
const forwardChain = (policy: string, ...rules: string[]): string => `table inet filter {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy ${policy};\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n}\n`;
const firewall = (listing: string, exit = 0) => (router: FakeRouter) => {
    const observe = router.call.bind(router);
    router.call = async (verb, files) => [...await observe(verb, files), ...(verb === "observe" ? [section("foreign/inet/filter", listing, exit)] : [])];
};

describe("what stands in the way is said with its cure:", () => {
    it.each<[string, DesiredObject, (router: FakeRouter) => void, string, RegExp]>([
        ["an old kernel", base, (router) => { router.broken = [section("facts", "kernel\t5.4.0-1\ntool nft\tx\ntool ip\tx\ntool unshare\tx\ntool flock\tx\n")]; }, "its kernel is 5.4.0-1, too old for two-stage NAT", /boot Linux 5\.5 or later/],
        ["a NIC that isn't there", { ...base, nics: ["lan7"] }, () => undefined, "it has no network interface lan7", /the router has lo, lan0, isp1, isp2/],
        ["a table of the name", base, (router) => { router.tables.set("nvi_nat_main", "table inet nvi_nat_main {\n}\n"); }, "an nft table inet nvi_nat_main is there already and is not ours", /nft delete table inet nvi_nat_main/],
        ["a foreign rule at the priority", base, (router) => { router.rules.push(foreignRule(2000)); }, "priority 2000 of ipv4 rules is in use by somebody else (lookup 100)", /choose another `priority`/],
        ["strict filtering everywhere", base, (router) => { router.sysctls.set("net/ipv4/conf/all/rp_filter", "1"); }, "net.ipv4.conf.all.rp_filter is 1", /sysctl -w net\.ipv4\.conf\.all\.rp_filter=0/],
        ["proxy_arp on a diverted NIC", base, (router) => { router.sysctls.set("net/ipv4/conf/lan0/proxy_arp", "1"); }, "proxy_arp is on for lan0", /sysctl -w net\.ipv4\.conf\.lan0\.proxy_arp=0/],
        ["proxy_arp on all NICs", base, (router) => { router.sysctls.set("net/ipv4/conf/all/proxy_arp", "1"); }, "proxy_arp is on for all", /sysctl -w net\.ipv4\.conf\.all\.proxy_arp=0/],
        ["a firewall that drops", base, firewall(forwardChain("drop")), "chain forward of nft table inet filter would drop forwarded packets", /nft insert rule inet filter forward iifname "nvi0p" accept; nft insert rule inet filter forward oifname "nvi0" accept/],
        ["a firewall that lets one way through", base, firewall(forwardChain("drop", 'oifname { "lan0", "nvi0" } counter accept')), "would drop forwarded packets", /cure: nft insert rule inet filter forward iifname "nvi0p" accept$/],
        ["a firewall that can't be read", base, firewall("", 139), "the forward chains of nft table inet filter cannot be read with this router's nft", /nft list table inet filter/],
    ])("%s", async (_what, desired, change, reason, cure) => {
        const error = await refusal(desired, change);
        expect(error).toMatchObject({ kind: "preflight", operation: "preflight of nat-stage main", subject: "edge (root@192.0.2.7)" });
        expect(error.reason).toContain(reason);
        expect(error.reason).toMatch(cure);
    });

    it("all of it at once, numbered, and nothing twice", async () => {
        const error = await refusal({ ...base, nics: ["lan7", "lan7", "lan8"] }, (router) => {
            router.sysctls.set("net/ipv4/conf/all/rp_filter", "1");
            router.rules.push(foreignRule(2000));
        });
        expect(error.reason).toMatch(/^4 things stand in the way; nothing was changed\n {2}1\. .*lan7\n.*\n {2}2\. .*lan8\n.*\n {2}3\. priority 2000.*\n.*\n {2}4\. net\.ipv4\.conf\.all\.rp_filter/);
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

    it("but sysctls can be shared where both want the same", async () => {
        const router = new FakeRouter();
        router.objects.set("two-stage-nat.x", manifestOf([forwarding, { ...loose, value: "1" }], { object: "two-stage-nat.x" }));
        await ensure(router, object(forwarding));
        expect((await refusal(object(loose), (other) => other.objects.set("two-stage-nat.x", router.objects.get("two-stage-nat.x")!))).kind).toBe("foreign");
    });
});

describe("what doesn't stand in the way", () => {
    it.each<[string, (router: FakeRouter) => void]>([
        ["a firewall that accepts by policy", firewall(forwardChain("accept", 'iifname "eth9" drop'))],
        ["a firewall with both rules", firewall(forwardChain("drop", 'iifname "nvi0p" accept', 'oif "nvi0" counter packets 1 bytes 2 accept'))],
        ["a foreign rule at another priority", (router) => { router.rules.push(foreignRule(1999)); }],
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

describe("a forward chain drops", () => {
    it.each([
        [forwardChain("drop"), ["forward"]],
        [forwardChain("accept", 'iifname "lan0" accept', "counter packets 0 bytes 0 drop"), ["forward"]],
        [forwardChain("accept", "reject with icmpx admin-prohibited"), ["forward"]],
        [forwardChain("accept", "drop", 'iifname "lan0" accept'), []],
        [forwardChain("accept"), []],
        ["table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n", []],
    ])("case %#", (listing, chains) => {
        expect(droppingChains(listing)).toEqual(chains);
    });
});
