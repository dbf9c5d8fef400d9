import { describe, expect, it } from "vitest";
import { kindOf } from "../../../provider/reconcile/kinds";
import { hasTokens, render, renderObserved, resolve } from "../../../provider/reconcile/resolve";
import type { ObservedAddress, Snapshot } from "../../../provider/reconcile/snapshot";
import type { Artifact, Routes, Rule, Table } from "../../../provider/syntax/artifact";
import { ownAddress } from "../../../provider/syntax/own-address";
import { diversion, guard } from "./things";

const token = ownAddress(4, "ppp0");
const rule: Rule = { kind: "rule", phase: "stage2", family: 4, priority: 1100, iif: "nvi0p", from: token, action: { table: 7701 } };
const table: Table = { kind: "table", phase: "stage1", name: "t", chains: [{ name: "c", rules: [{ id: "own", text: `ip daddr ${token} accept` }, { id: "other", text: "drop" }] }] };
const address = (local: string, more: Partial<ObservedAddress> = {}): ObservedAddress => ({ device: "ppp0", local, length: 32, scope: "global", family: local.includes(":") ? 6 : 4, ...more });

const snapshotWith = (addresses: ObservedAddress[], rules: Partial<Rule>[] = []): Snapshot =>
    ({ addresses, ipv6: true, links: new Map(), rules: rules.map((one) => ({ ...rule, ...one, protocol: 78, other: false })) }) as unknown as Snapshot;

describe("a NIC's own address", () => {
    it("is asked for only where a program leaves it to the router", () => {
        expect([hasTokens([rule]), hasTokens([table]), hasTokens([diversion, guard])]).toEqual([true, true, false]);
    });

    it.each<[string, ObservedAddress[], string | undefined]>([
        ["the first global one of the family", [address("2001:db8::1"), address("192.0.2.1"), address("192.0.2.2")], "192.0.2.1"],
        ["none of another NIC", [address("192.0.2.1", { device: "isp1" })], undefined],
        ["none of link scope", [address("169.254.1.1", { scope: "link" })], undefined],
        ["none where there is none", [], undefined],
    ])("is %s", (_what, addresses, wanted) => {
        const resolved = resolve(rule, { addresses, ipv6: true }) as Rule | undefined;
        expect(resolved?.from).toBe(wanted);
    });

    it("leaves out of a table only the rules that need it", () => {
        const texts = (addresses: ObservedAddress[]) => (resolve(table, { addresses, ipv6: true }) as Table).chains[0]!.rules.map(({ text }) => text);
        expect(texts([address("192.0.2.1")])).toEqual(["ip daddr 192.0.2.1 accept", "drop"]);
        expect(texts([])).toEqual(["drop"]);
    });

    it("is a token in what is reviewed, and stays one where the router is as wanted, so that a new address is no drift", () => {
        const wanted = { [`ipv4 rule 1100 from ${token} iif nvi0p`]: "lookup 7701" };
        expect(render([rule])).toEqual(wanted);
        expect(renderObserved([rule], snapshotWith([address("192.0.2.1")], [{ from: "192.0.2.1" }]))).toEqual(wanted);
    });

    it("that has changed since is drift: the rule of the new one is not there", () => {
        expect(renderObserved([rule], snapshotWith([address("192.0.2.9")], [{ from: "192.0.2.1" }]))).toEqual({});
    });

    it("shows what the rule of the address does instead", () => {
        const found = renderObserved([rule], snapshotWith([address("192.0.2.1")], [{ from: "192.0.2.1", action: { table: 1 } }]));
        expect(found).toEqual({ [`ipv4 rule 1100 from ${token} iif nvi0p`]: "lookup 1" });
    });

    it("that isn't there leaves the entry as wanted: nothing can be made before it comes", () => {
        expect(renderObserved([rule], snapshotWith([]))).toEqual(render([rule]));
    });
});

describe("a kernel without IPv6", () => {
    const routes: Routes = { kind: "routes", phase: "stage1", table: 7700, routes: ([4, 6] as const).map((family) => ({ family, table: 7700, to: "default", type: "unreachable", hops: [] })) };
    const both: Artifact[] = [
        diversion, { ...diversion, family: 6 }, guard, routes,
        { kind: "sysctl", phase: "forward", path: "net/ipv4/ip_forward", value: "1" }, { kind: "sysctl", phase: "forward", path: "net/ipv6/conf/all/forwarding", value: "1" },
        { kind: "address", phase: "device", device: "nvi0p", prefix: "169.254.77.2/32" }, { kind: "address", phase: "device", device: "nvi0p", prefix: "fd00::2/128" },
        { kind: "neighbour", phase: "stage1", device: "isp1", address: "198.51.100.9" }, { kind: "neighbour", phase: "stage1", device: "isp1", address: "2001:db8::9" },
    ];

    it("gets what is IPv4's, and tables, which are of both", () => {
        const got = both.flatMap((artifact) => resolve(artifact, { addresses: [], ipv6: false }) ?? []);
        expect(got).toEqual([diversion, guard, { ...routes, routes: [routes.routes[0]] }, both[4], both[6], both[8]]);
        expect(both.map((artifact) => resolve(artifact, { addresses: [], ipv6: true }))).toEqual(both);
    });

    it("lacks nothing for that: what can't be is no drift", () => {
        const wanted = render([{ ...diversion, family: 6 }]);
        expect(renderObserved([{ ...diversion, family: 6 }], { ...snapshotWith([]), ipv6: false })).toEqual(wanted);
        expect(renderObserved([{ ...diversion, family: 6 }], snapshotWith([]))).toEqual({});
    });
});

describe("every kind", () => {
    it("tells two artifacts apart by what the kernel does", () => {
        const keys = [rule, { ...rule, priority: 1101 }, { ...rule, family: 6 as const }, { ...rule, iif: "nvi1p" }, diversion, guard, table].map((one) => kindOf(one).key(one));
        expect(new Set(keys).size).toBe(keys.length);
        const elsewhere: Rule = { ...rule, action: { table: 1 } };
        expect(kindOf(elsewhere).key(elsewhere)).toBe(kindOf(rule).key(rule));
    });
});
