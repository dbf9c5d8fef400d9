import { describe, expect, it } from "vitest";
import type { Family } from "../../../provider/model/address";
import { parseRoutes, routeCommand, routeValue } from "../../../provider/syntax/iproute";

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
