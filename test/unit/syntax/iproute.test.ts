import { describe, expect, it } from "vitest";
import type { Family } from "../../../provider/model/address";
import type { Rule } from "../../../provider/syntax/artifact";
import { overlap, parseRoutes, routeCommand, routeValue } from "../../../provider/syntax/iproute";

const listed = (family: Family, route: object) => parseRoutes(family, 7701, JSON.stringify([{ dst: "default", flags: [], ...route }]))[0]!;

describe("a route of whatever type", () => {
    it.each<[Family, object, string, string]>([
        [4, { dev: "isp1" }, "", "dev isp1"],
        [4, { type: "1", dev: "isp1" }, "", "dev isp1"],
        [4, { type: "2", dev: "lo", scope: "254" }, "local", "dev lo"],
        [4, { type: "3", dev: "isp1", scope: "253" }, "broadcast", "dev isp1"],
        [6, { type: "4", dev: "isp1", metric: 1024 }, "anycast", "dev isp1"],
        [6, { type: "5", dev: "isp1", metric: 256 }, "multicast", "dev isp1"],
        [4, { type: "6" }, "blackhole", ""],
        [6, { type: "7", dev: "lo", metric: 1024 }, "unreachable", ""],
        [4, { type: "8" }, "prohibit", ""],
        [6, { type: "9", dev: "lo", metric: 1024 }, "throw", ""],
        [6, { type: "10", dev: "isp1", metric: 1024 }, "nat", "dev isp1"],
        [4, { type: "throw" }, "throw", ""],
    ])("of IPv%i, listed as %j, is told and deleted by it", (family, json, type, hops) => {
        const words = (...all: string[]) => all.filter(Boolean).join(" ");
        const route = listed(family, json);
        expect(routeValue(route)).toBe(words(type, hops));
        expect(routeCommand("del", route, 3).join(" ")).toBe(words(`ip -${family} route del`, type, `default table 7701 protocol 3 metric ${route.metric}`, hops));
    });
});

describe("the kernel takes one rule for another", () => {
    const rule: Rule = { kind: "rule", phase: "stage2", family: 4, priority: 1100, iif: "nvi0p", from: "10.0.0.0/8", action: { table: 254 } };
    const mark = (value: number, mask = 0xffff) => ({ mark: { value, mask } });

    it.each<[string, Partial<Rule>, Partial<Rule>]>([
        ["to", {}, { to: "10.1.0.0/16" }],
        ["from", { from: undefined }, {}],
        ["iif", { iif: undefined }, {}],
        ["fwmark", {}, mark(7)],
        ["another fwmark where one is 0", mark(0), mark(7)],
        ["tun_id", {}, { tunnelId: 78 }],
        ["suppress_prefixlength", {}, { suppressPrefixLength: 0 }],
        ["two selectors", { from: undefined }, { ...mark(7), to: "10.1.0.0/16" }],
        ["nothing", {}, {}],
    ])("that selects by %s in addition", (_what, less, more) => {
        expect(overlap({ ...rule, ...less }, { ...rule, ...more })).toBe(true);
        expect(overlap({ ...rule, ...more }, { ...rule, ...less })).toBe(true);
    });

    it.each<[string, Partial<Rule>, Partial<Rule>]>([
        ["priority", {}, { to: "10.1.0.0/16", priority: 1101 }],
        ["table", {}, { to: "10.1.0.0/16", action: { table: 7701 } }],
        ["action", {}, { to: "10.1.0.0/16", action: "unreachable" }],
        ["family", { from: undefined }, { family: 6, from: undefined }],
        ["prefix, though one has all of the other", {}, { from: "10.0.0.0/9" }],
        ["fwmark", mark(7), mark(8)],
        ["mask", mark(7), mark(7, 0xff)],
        ["selectors, each of its own", { to: "10.1.0.0/16" }, mark(7)],
    ])("but not one of another %s", (_what, one, other) => {
        expect(overlap({ ...rule, ...one }, { ...rule, ...other })).toBe(false);
    });
});
