import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure } from "../../provider/reconcile/engine";
import { check } from "../../provider/pulumi/adapter";
import { endpoint } from "../../provider/resources/endpoint";
import { CASES, KINDS, put } from "./cases";
import { NVIS, bench, type Bench } from "./drift-core";
import { addForeign, tamperWith } from "./drift-rounds";
import { hasState, propertiesOf, SHARED_WITHOUT_STATE, WITHOUT_STATE } from "./drift-stateless";
import { leavesOf, named } from "./drift-walk";
import { sampled } from "./sample";

describe("a property that nothing on the router stands for is listed with its reason:", () => {
    it.each(KINDS)("%s", (kind) => {
        const stateless = propertiesOf(kind).filter((leaf) => !hasState(kind, leaf)).map(({ path }) => `${kind} ${path}`);
        expect(stateless).toEqual(Object.keys(WITHOUT_STATE).filter((key) => key.startsWith(`${kind} `)));
    });

    it("all of router", async () => {
        expect(Object.keys(SHARED_WITHOUT_STATE)).toEqual(["router"]);
        const base = { name: "edge", connection: { host: "192.0.2.7" } };
        const rendered = async (router: unknown) => (await check("interface", { name: "nvi0", owner: "o/p/s/r", router })).inputs.rendered;
        const wanted = await rendered(base);
        expect(wanted).toHaveProperty("link nvi0");
        for (const leaf of leavesOf(endpoint)) expect(await rendered(put(endpoint, base, leaf.steps, leaf.value)), named(leaf)).toEqual(wanted);
    });
});

/*
 * The router is tampered with in every way that an entry of `rendered` can differ. A read must name that entry and nothing
 * else, the repair must write that and nothing else, and what is foreign stays as it is. `two-stage-nat` is in the file beside.
 */
describe.each(KINDS.filter((kind) => kind !== "two-stage-nat"))("what is done to %s by hand is named, and repaired as narrowly:", (kind) => {
    const seen = new Set<string>();
    let on: Bench;
    beforeAll(async () => {
        on = await bench();
        await addForeign(on);
        if (kind === "nat-stage") for (const one of NVIS) await ensure(on.host, one);
    });
    afterAll(async () => await on.stop());

    it.each(sampled(CASES.filter((one) => one.kind === kind).map((one, i) => ({ ...one, title: `case ${i}` })), (_, i) => i % 2 === 0))("$title", async (one) => {
        expect(await tamperWith(on, one, seen)).toBeGreaterThanOrEqual(0);
    });
});
