import { describe, expect, it } from "vitest";
import { check } from "../../../provider";
import { UNKNOWN } from "../../../provider/model/unknown";
import { parsePath, placesIn, put } from "./places";
import { faultOf, KINDS, SAMPLES, schemaOf, wire, type Inputs, type Kind } from "./samples";

/*
 * In preview any value may be unknown yet, at any depth: then it is no fault, what depends on it isn't rendered, and what is
 * wrong elsewhere is said all the same.
 */

const places = (kind: Kind) => SAMPLES[kind].flatMap((sample) => placesIn(schemaOf(kind), sample).map((place) => ({ sample, ...place })));

/** A fault of each kind that has nothing to do with any other property. */
const ELSEWHERE: Record<Kind, string> = { router: "keepalive", interface: "mtu", "ingress-mark": "connectionShift", "route-table": "closed", "nat-stage": "priority", "two-stage-nat": "mtu" };

describe.each(KINDS)("check of %s", (kind) => {
    it("takes an unknown in the place of each value and each part, and renders nothing", async () => {
        expect(places(kind).length).toBeGreaterThanOrEqual(5);
        for (const { sample, path, property } of places(kind)) {
            const inputs = wire(kind, put(sample, path, UNKNOWN) as Inputs);
            const result = await check(kind, {}, inputs);
            expect(result.failures, property).toEqual([]);
            expect(result.inputs, property).toEqual(kind === "router" ? inputs : { ...inputs, rendered: UNKNOWN });
        }
    });

    it("takes all of them unknown together", async () => {
        const all = (value: unknown): unknown => (Array.isArray(value) ? value.map(all) : value !== null && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, all(item)])) : UNKNOWN);
        for (const sample of SAMPLES[kind]) expect((await check(kind, {}, wire(kind, all(sample) as Inputs))).failures).toEqual([]);
    });

    it("still finds what is wrong elsewhere", async () => {
        const wrong = ELSEWHERE[kind];
        for (const { sample, path, property } of places(kind).filter((place) => place.property !== wrong)) {
            const { failures } = await check(kind, {}, wire(kind, put(put(sample, path, UNKNOWN), [wrong], "?") as Inputs));
            expect(failures.map((failure) => faultOf(failure)[0]), property).toEqual([wrong]);
        }
    });
});

describe("what is unknown", () => {
    const office = SAMPLES["two-stage-nat"][0]!;
    const failuresWith = async (...values: [property: string, value: unknown][]) => {
        const inputs = values.reduce<unknown>((tree, [property, value]) => put(tree, parsePath(property), value), office);
        return (await check("two-stage-nat", {}, wire("two-stage-nat", inputs as Inputs))).failures.map((failure) => faultOf(failure).join(" "));
    };

    it("excuses no fault beside it, in the same object", async () => {
        expect(await failuresWith(["translations[1].from", UNKNOWN], ["translations[1].to.pool", "203.0.113.0/29"])).toEqual(["translations[1].to.pool overlaps with the address of uplink isp2"]);
        expect(await failuresWith(["translations[2].to", UNKNOWN], ["translations[2].port", "tcp/0"])).toEqual(["translations[2].port has a port outside 1 to 65535"]);
        expect(await failuresWith(["uplinks.isp1.addresses[0]", UNKNOWN], ["uplinks.isp2.addresses[0]", "nowhere"])).toEqual(["uplinks.isp2.addresses[0] is not an IPv4 or IPv6 address"]);
    });

    it("may be what makes a fault of something else: that waits", async () => {
        expect(await failuresWith(["uplinks", UNKNOWN], ["translations[2].on", "isp9"])).toEqual([]);
        expect(await failuresWith(["uplinks.isp1.addresses", UNKNOWN], ["translations[4].outside", "203.0.113.9"])).toEqual([]);
        expect(await failuresWith(["interface", UNKNOWN], ["inside[1]", "nvi1"])).toEqual([]);
    });

    it("is equal to nothing, not even to what else is unknown", async () => {
        const rule = { from: UNKNOWN };
        const route = { to: "0.0.0.0/0", device: "isp1", metric: UNKNOWN };
        const table = wire("route-table", { name: "isp1", table: 7101, routes: [route, route], rules: [rule, rule] });
        expect((await check("route-table", {}, table)).failures).toEqual([]);
        const forward = { kind: "dnat", on: [UNKNOWN], port: "tcp/80", to: "10.0.0.80" };
        expect(await failuresWith(["translations", [forward, forward]])).toEqual([]);
        const only = { ...forward, on: "isp1", from: [UNKNOWN] };
        expect(await failuresWith(["translations", [only, only]])).toEqual([]);
        const device = { device: UNKNOWN, table: UNKNOWN };
        expect(await failuresWith(["uplinks", { lan0: device, lan1: device }], ["translations", []])).toEqual([]);
        expect(await failuresWith(["table", UNKNOWN], ["uplinks.isp1.table", 7700])).toEqual([]);
    });

    it("is nothing to render with: an unknown owner, but not an unknown router", async () => {
        const rendered = async (more: Inputs) => (await check("two-stage-nat", {}, { ...wire("two-stage-nat", office), ...more })).inputs.rendered;
        expect(await rendered({})).toMatchObject({ owner: "organization/project/stack/office" });
        expect(await rendered({ owner: UNKNOWN })).toBe(UNKNOWN);
        expect(await rendered({ router: UNKNOWN })).toMatchObject({ owner: "organization/project/stack/office" });
    });
});
