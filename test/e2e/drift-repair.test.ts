import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure } from "../../provider/reconcile/engine";
import { CASES, KINDS } from "./cases";
import { NVIS, bench, type Bench } from "./drift-core";
import { addForeign, tamperWith } from "./drift-rounds";

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

    it.each(CASES.filter((one) => one.kind === kind).map((one, i) => ({ ...one, title: `case ${i}` })))("$title", async (one) => {
        expect(await tamperWith(on, one, seen)).toBeGreaterThanOrEqual(0);
    });
});
