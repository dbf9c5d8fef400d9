import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CASES } from "./cases";
import { bench, type Bench } from "./drift-core";
import { addForeign, tamperWith } from "./drift-rounds";
import { sampled } from "./sample";

describe("what is done to two-stage-nat by hand is named, and repaired as narrowly:", () => {
    const seen = new Set<string>();
    let on: Bench;
    beforeAll(async () => {
        on = await bench();
        await addForeign(on);
    });
    afterAll(async () => await on.stop());

    it.each(sampled(CASES.filter(({ kind }) => kind === "two-stage-nat").map((one, i) => ({ ...one, title: `case ${i}` })), (_, i) => i % 2 === 0))("$title", async (one) => {
        expect(await tamperWith(on, one, seen)).toBeGreaterThan(0);
    });
});
