import { afterAll, beforeAll, expect, it } from "vitest";
import { Lab } from "../lab";
import { figure } from "../lab/figure";
import { random as randomOf } from "../unit/model/random";
import type { Point } from "./bench";
import { CutBench } from "./cuts";
import { deadline, isDone, record, seed } from "./results";
import { SCENES } from "./scenes";

/** Percent of the time that the transaction takes, from dialling until some time after the confirmation. */
const MOMENTS = Array.from({ length: 60 }, (_, i) => i * 2);
/** Milliseconds since the router was told to keep it. */
const IN_CONFIRMATION = Array.from({ length: 24 }, (_, i) => i * 100);
/** An emulated router takes a minute to do it once more. */
const REPEATED = 10;

let lab: Lab;
beforeAll(async () => { lab = await Lab.start(); }, 600_000);
afterAll(() => lab?.stop());

it("a router whose power is cut in a transaction comes up with the old version or the new one, whole", async () => {
    const scene = SCENES.find(({ name }) => name === "update route-table")!;
    const bench = new CutBench(lab, scene);
    await bench.prepare();
    const pointsOf = (cut: string, moments: number[]) => moments.map((at): Point => ({ scene: scene.name, cut, at }));
    const points = [...pointsOf("power cut", MOMENTS), ...pointsOf("power cut in the confirmation", IN_CONFIRMATION)];
    figure(`${scene.name} takes ${Math.round(bench.took / 100) / 10} s`);
    const failures: string[] = [];
    for (const [i, point] of randomOf(seed).shuffle(points.filter((one) => !isDone(one))).entries()) {
        if (Date.now() >= deadline) break;
        const { ended, said } = record(await bench.tried(point, { repeated: i % REPEATED === 0 }), points.length);
        if (ended === "neither") failures.push(said);
        figure(`${bench.describe(point)}: ${ended}`);
    }
    expect(failures).toEqual([]);
});
