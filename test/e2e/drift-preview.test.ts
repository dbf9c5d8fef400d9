import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { diffDumps, type Lab, type LabOptions } from "../lab";
import { CASES, KINDS, coverage, leavesOfKind } from "./cases";
import { NVIS, bench, desiredOf, generation, labForCases, leftSince, type Bench } from "./drift-core";
import { place, placedProgram } from "./drift-placing";
import { named } from "./drift-walk";
import { stack, type Stack } from "./pulumi";

describe("the cases", () => {
    it.each(KINDS)("set every property of %s, with every value that its schema names", (kind) => {
        const inCases = new Set(CASES.filter((one) => one.kind === kind).flatMap(({ inputs }) => [...coverage(kind, inputs)]));
        expect(leavesOfKind(kind).map(named).filter((leaf) => !inCases.has(leaf))).toEqual([]);
    });
});

const titled = CASES.map((one, i) => ({ ...one, title: `${one.kind} ${i}` }));

describe.each([
    { what: "a case", of: titled.filter(({ kind }) => kind !== "nat-stage"), on: [] },
    { what: "a NAT stage on interfaces", of: titled.filter(({ kind }) => kind === "nat-stage"), on: NVIS },
])("through the core, $what is found as it was made, and goes without a trace:", ({ of, on: needed }) => {
    let on: Bench;
    let before: string;
    beforeAll(async () => {
        on = await bench();
        for (const one of needed) await ensure(on.host, one);
        before = await on.lab.dump();
    });
    afterAll(async () => await on.stop());

    it.each(of)("$title", async ({ kind, inputs }) => {
        const desired = desiredOf(kind, inputs);
        try {
            await staysAsMade(on, desired);
        } finally {
            await remove(on.host, desired);
        }
        expect(await leftSince(before, on), "what removal left behind").toEqual([]);
    });
});

async function staysAsMade(on: Bench, desired: DesiredObject): Promise<void> {
    await ensure(on.host, desired);
    expect((await read(on.host, desired)).rendered).toEqual(renderedOf(desired));
    const writes = await generation(on);
    await ensure(on.host, desired);
    expect(await generation(on), "a second ensure wrote something").toBe(writes);
}

describe("through the engine, all cases in one program", () => {
    const placed = place(CASES);
    const labs: Lab[] = [];
    let dev: Stack;
    let before: string[];
    beforeAll(async () => {
        // A router is not always as a fresh one: some don't forward yet, some filter strictly.
        const options: LabOptions[] = [{}, { forwarding: false }, { rpFilter: 1 }, { rpFilter: 0 }];
        const routers = Math.max(...placed.map(({ router }) => router)) + 1;
        for (let i = 0; i < routers; i++) labs.push(await labForCases(options[i]));
        before = await Promise.all(labs.map(async (lab) => await lab.dump()));
        dev = await stack({ files: { "index.js": placedProgram(labs, placed) } });
    });
    afterAll(async () => {
        dev?.close();
        await Promise.all(labs.map(async (lab) => await lab.stop()));
    });

    it("preview no change right after up", async () => {
        await dev.up();
        await dev.preview(["--expect-no-changes", "--diff"]);
    });

    it("preview no change after a refresh, which found none either", async () => {
        await dev.refresh(["--expect-no-changes", "--diff"]);
        await dev.preview(["--expect-no-changes", "--diff"]);
    });

    it("leave no trace", async () => {
        await dev.destroy();
        const after = await Promise.all(labs.map(async (lab) => await lab.dump()));
        expect(after.flatMap((dump, i) => diffDumps(before[i]!, dump))).toEqual([]);
    });
});
