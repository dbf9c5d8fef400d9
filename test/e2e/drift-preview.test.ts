import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { diffDumps } from "../lab";
import { CASES, KINDS, coverage, leavesOfKind } from "./cases";
import { NVIS, bench, desiredOf, generation, leftSince, type Bench } from "./drift-core";
import { named } from "./drift-walk";

describe("the cases", () => {
    it.each(KINDS)("set every property of %s, with every value that its schema names", (kind) => {
        const inCases = new Set(CASES.filter((one) => one.kind === kind).flatMap(({ inputs }) => [...coverage(kind, inputs)]));
        expect(leavesOfKind(kind).map(named).filter((leaf) => !inCases.has(leaf))).toEqual([]);
    });
});

const titled = CASES.map((one, i) => ({ ...one, title: `${one.kind} ${i}` }));
const stages = titled.filter(({ kind }) => kind === "nat-stage");
const others = titled.filter(({ kind }) => kind !== "nat-stage");

/** Made, found as made, not made again, gone without a trace. */
async function roundTrip(on: Bench, kind: (typeof KINDS)[number], inputs: object): Promise<void> {
    const before = await on.lab.dump();
    const desired = desiredOf(kind, inputs);
    await ensure(on.host, desired);
    expect((await read(on.host, desired)).rendered).toEqual(renderedOf(desired));
    const [made, writes] = [await on.lab.dump(), await generation(on)];
    await ensure(on.host, desired);
    expect(await generation(on), "a second ensure wrote something").toBe(writes);
    expect(diffDumps(made, await on.lab.dump())).toEqual([]);
    await remove(on.host, desired);
    expect(await leftSince(before, on), "what removal left behind").toEqual([]);
}

describe("through the core, a case is found as it was made, and goes without a trace:", () => {
    let on: Bench;
    beforeAll(async () => { on = await bench(); });
    afterAll(async () => await on.stop());

    it.each(others)("$title", async ({ kind, inputs }) => await roundTrip(on, kind, inputs));
});

describe("through the core, a NAT stage on interfaces is found as it was made, and goes without a trace:", () => {
    let on: Bench;
    beforeAll(async () => {
        on = await bench();
        for (const one of NVIS) await ensure(on.host, one);
    });
    afterAll(async () => await on.stop());

    it.each(stages)("$title", async ({ kind, inputs }) => await roundTrip(on, kind, inputs));
});
