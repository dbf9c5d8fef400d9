import { describe, expect, it } from "vitest";
import { check } from "../../../provider";
import { markCollisions } from "../../../provider/model/mark";
import { UNKNOWN } from "../../../provider/model/unknown";
import { leavesOf } from "../../e2e/drift-walk";
import { FAULTS, type Row } from "./faults";
import { parsePath, placesIn, put } from "./places";
import { failuresOf, faultOf, KINDS, SAMPLES, schemaOf, wire, type Inputs, type Kind } from "./samples";

/** The first sample that has what the property is part of. */
function sampleWith(kind: Kind, property: string): Inputs {
    const parent = parsePath(property).slice(0, -1);
    const has = (sample: unknown) => parent.reduce<unknown>((at, key) => (Array.isArray(at) === (typeof key === "number") ? (at as Inputs | undefined)?.[key] : undefined), sample);
    const found = SAMPLES[kind].find((sample) => typeof has(sample) === "object");
    if (!found) throw new Error(`no sample of ${kind} has ${property}`);
    return found;
}

describe("the samples", () => {
    it.each(KINDS)("of %s are accepted, and have every property in every form", async (kind) => {
        for (const sample of SAMPLES[kind]) expect(await failuresOf(kind, sample)).toEqual({});
        const places = new Set(SAMPLES[kind].flatMap((sample) => placesIn(schemaOf(kind), sample)).map(({ named }) => named));
        const missing = leavesOf(schemaOf(kind)).map(({ path }) => path).filter((path) => !path.endsWith("{key}") && !hasPlace(places, path));
        expect(missing).toEqual([]);
    });
});

/** An optional list or union stands for itself; its forms have places of their own. */
const hasPlace = (places: ReadonlySet<string>, path: string): boolean => [...places].some((place) => place === path || place.startsWith(`${path}<`));

describe("the table of faults", () => {
    it.each(KINDS)("has every leaf of %s", (kind) => {
        const places = SAMPLES[kind].flatMap((sample) => placesIn(schemaOf(kind), sample));
        const rejected = new Set(FAULTS[kind].flatMap(([property, , , at]) => [property, at ?? property]));
        const named = new Set(places.filter(({ property }) => rejected.has(property)).map(({ named }) => named));
        const missing = places.filter((place) => place.isLeaf && !named.has(place.named)).map((place) => `${place.named} (${place.property})`);
        expect(missing).toEqual([]);
    });

    it("has at least 120 rows", () => expect(Object.values(FAULTS).flat().length).toBeGreaterThanOrEqual(120));
});

describe.each(KINDS)("check of %s refuses", (kind) => {
    it.each(FAULTS[kind].map((row): [string, Row] => [`${row[0]} = ${JSON.stringify(row[1])}`, row]))("%s", async (_, [property, value, says, at = property]) => {
        const inputs = put(sampleWith(kind, property), parsePath(property), value) as Inputs;
        expect(await failuresOf(kind, inputs)).toEqual({ [at]: expect.stringContaining(says) });
    });
});

describe.each(KINDS)("check of %s, for every value that there is,", (kind) => {
    const places = SAMPLES[kind].flatMap((sample) => placesIn(schemaOf(kind), sample).map((place) => ({ sample, ...place })));

    it("refuses null and what is of another type, at the value itself", async () => {
        for (const { sample, path, property, type } of places) {
            // Of uplinks by name, any object is one of the right type.
            for (const wrong of [null, [[]], ...(type === "record" ? [] : [{ surprise: 1 }])]) {
                const failures = await failuresOf(kind, put(sample, path, wrong) as Inputs);
                const others = Object.keys(failures).filter((at) => !at.startsWith(property));
                expect(Object.keys(failures).length, `${property} = ${JSON.stringify(wrong)}`).toBeGreaterThan(0);
                expect(others, `${property} = ${JSON.stringify(wrong)}: ${JSON.stringify(failures)}`).toEqual([]);
            }
        }
    });

    it("says nothing in zod's own words", async () => {
        for (const { sample, path } of places) {
            for (const wrong of [null, 1e999, [], {}, "", [null], undefined]) {
                const failures = await failuresOf(kind, put(sample, path, wrong) as Inputs);
                for (const reason of Object.values(failures)) expect(reason).not.toMatch(/invalid|expected|received|too (small|big)|unrecognized/i);
            }
        }
    });
});

describe("check", () => {
    it("leaves the main table to the administrator", async () => {
        expect(await failuresOf("route-table", put(SAMPLES["route-table"][0], ["table"], "main") as Inputs)).toEqual({
            routes: expect.stringContaining("must be empty for table main"),
            errors: expect.stringContaining("does nothing for table main"),
        });
    });

    it("finds all faults of a resource at once: of values, across them, and of the router", async () => {
        const [office] = SAMPLES["two-stage-nat"];
        const faulty = [
            ["mtu", 100], ["translations[2].port", "tcp/0"], ["translations[4].outside", "198.51.100.9"], ["uplinks.isp1.gateway", "198.51.100.2"], ["inside[1]", "nvi1p"],
        ].reduce<unknown>((inputs, [property, value]) => put(inputs, parsePath(property as string), value), { ...office, router: { name: "edge", connection: { host: "a b" } } });
        const { failures } = await check("two-stage-nat", {}, { ...(faulty as Inputs), owner: "o/p/s/office" });
        expect(failures.map((failure) => faultOf(failure)[0]).sort()).toEqual(["inside[1]", "mtu", "router.connection.host", "translations[2].port", "translations[4].outside", "uplinks.isp1.gateway"]);
    });

    it("tells NICs whose marks are the same, wherever they are named", async () => {
        const names = Array.from({ length: 2000 }, (_, i) => `eth${i}`);
        const [one, other] = markCollisions(names)[0]!;
        const reason = expect.stringContaining(`gets the same mark as ${one}`);
        expect(await failuresOf("ingress-mark", { nics: [one, "lan0", other] })).toEqual({ "nics[2]": reason });
        const stage = (inside: string[], uplinks: object) => failuresOf("nat-stage", { inside, uplinks });
        expect(await stage([one, "lan0", other], {})).toEqual({ "inside[2]": reason });
        expect(await stage(["lan0", one], { isp1: { device: other } })).toEqual({ "uplinks.isp1.device": reason });
        expect(await stage(["lan0"], { [one]: {}, [other]: {} })).toEqual({ [`uplinks.${other}`]: reason });
        expect(await stage(["lan0"], { [one]: {}, [other]: { device: UNKNOWN } })).toEqual({});
    });

    it("knows an uplink from what every object has", async () => {
        const snat = { kind: "snat", from: "10.0.0.0/24", to: { uplinks: ["constructor"] } };
        expect(await failuresOf("nat-stage", { inside: ["lan0"], uplinks: { isp1: {} }, translations: [snat] })).toEqual({ "translations[0].to.uplinks[0]": "is no uplink; there are: isp1" });
        expect(await failuresOf("nat-stage", { inside: ["lan0"], uplinks: { constructor: {} }, translations: [snat] })).toEqual({});
    });

    it("refuses a 1:1 translation of all addresses, for which nft has no words", async () => {
        const all = { kind: "static", on: "isp1", inside: "::/0", outside: "::/0" };
        expect(await failuresOf("nat-stage", { inside: ["lan0"], uplinks: { isp1: {} }, translations: [all] })).toEqual({ "translations[0].inside": "is every address there is" });
    });

    it("knows IPv4 addresses from IPv6 addresses of the same number", async () => {
        expect(await failuresOf("nat-stage", { inside: ["lan0"], uplinks: { isp1: { addresses: ["198.51.100.2"] }, isp2: { addresses: ["::198.51.100.2"] } } })).toEqual({});
    });

    it("hears of the one key that zod passes over", async () => {
        const hidden = (value: unknown) => JSON.parse(`{ "__proto__": ${JSON.stringify(value)} }`) as Inputs;
        for (const value of [7, { device: "isp1" }, { addresses: 7 }]) expect(await failuresOf("nat-stage", { inside: ["lan0"], uplinks: hidden(value) })).toEqual({ "uplinks.__proto__": "is no property here" });
        expect(Object.entries(await failuresOf("interface", hidden({ name: "nvi9" })))).toEqual([["__proto__", "is no property here"]]);
    });

    it("gives the inputs back as they came, so that a secret stays one", async () => {
        const inputs = wire("nat-stage", SAMPLES["nat-stage"][0]!);
        const result = await check("nat-stage", {}, inputs);
        expect(result.inputs).toEqual({ ...inputs, rendered: expect.any(Object) });
        expect((await check("router", {}, SAMPLES.router[0]!)).inputs).toBe(SAMPLES.router[0]);
    });
});
