import { describe, expect, test } from "vitest";
import { backoffMs } from "../../../provider/host/dial";
import type { Endpoint } from "../../../provider/host/endpoint";
import { labelOf, stepsTo } from "../../../provider/host/hops";

const edge = (connection: Partial<Endpoint["connection"]>, rest: Partial<Endpoint> = {}): Endpoint => ({ name: "edge", connection: { host: "192.0.2.7", ...connection }, ...rest });

describe("labelOf", () => {
    test.each<[Endpoint, string]>([
        [edge({}), "edge (root@192.0.2.7:22)"],
        [edge({ user: "ops", port: 2222 }), "edge (ops@192.0.2.7:2222)"],
        [edge({ host: "2001:db8::1" }), "edge (root@[2001:db8::1]:22)"],
        [edge({ host: "[2001:db8::1]" }), "edge (root@[2001:db8::1]:22)"],
        [edge({ proxy: { host: "bastion" } }), "edge (root@192.0.2.7:22 via root@bastion:22)"],
        [edge({ proxy: [{ host: "b1", user: "ops" }, { host: "b2", port: 23 }] }), "edge (root@192.0.2.7:22 via ops@b1:22, root@b2:23)"],
    ])("%#: %s", (endpoint, label) => expect(labelOf(endpoint)).toBe(label));
});

describe("stepsTo", () => {
    test("bastions in order, the router last, only the first dialed from here", () => {
        const steps = stepsTo(edge({ proxy: [{ host: "b1" }, { host: "b2" }] }));
        expect(steps.map(({ host, direct }) => [host, direct])).toEqual([["b1", true], ["b2", false], ["192.0.2.7", false]]);
        expect(steps[1]!.subject).toBe("edge: bastion 2 of 2 (root@b2:22)");
    });

    test("an IPv6 address loses its brackets", () => expect(stepsTo(edge({ host: "[::1]" }))[0]!.host).toBe("::1"));

    test("each hop has its own pins; the router's stand in two places", () => {
        const steps = stepsTo(edge({ hostKey: "c", proxy: { host: "b", hostKey: ["x", "y"] } }, { hostKey: "a" }));
        expect(steps.map((step) => step.pins)).toEqual([["x", "y"], ["a", "c"]]);
    });

    test.each<[Partial<Endpoint["connection"]>, RegExp]>([
        [{ host: " " }, /`host` is empty/],
        [{ port: 0 }, /`port` is 0/],
        [{ port: 70000 }, /`port` is 70000/],
        [{ port: 22.5 }, /`port` is 22.5/],
        [{ proxy: { host: "" } }, /bastion 1 of 1 .*`host` is empty/],
    ])("refuses %j", (connection, message) => expect(() => stepsTo(edge(connection))).toThrow(message));
});

describe("backoffMs", () => {
    test("doubles from 250 ms to 5 s", () => {
        expect([1, 2, 3, 4, 5, 6, 7, 60].map((n) => backoffMs(n, 0))).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    });
    test("is up to a half shorter at random", () => expect(backoffMs(1, 1)).toBe(125));
});
