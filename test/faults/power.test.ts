import { afterAll, beforeAll, expect, it } from "vitest";
import { Lab } from "../lab";
import { figure } from "../lab/figure";
import { random as randomOf } from "../unit/model/random";
import type { Point } from "./bench";
import { CutBench } from "./cuts";
import { deadline, isDone, record, seed } from "./results";
import { SCENES } from "./scenes";

/** Spread over the longest transaction, from dialling to the confirmation, as long as it takes an emulated router. */
const MOMENTS = Array.from({ length: 60 }, (_, i) => 200 + i * 500);

let lab: Lab;
beforeAll(async () => { lab = await Lab.start(); }, 600_000);
afterAll(() => lab?.stop());

it("a router whose power is cut in a transaction comes up with the old version or the new one, whole", async () => {
    const scene = SCENES.find(({ name }) => name === "update two-stage-nat")!;
    const bench = new CutBench(lab, scene);
    await bench.prepare();
    const points = MOMENTS.map((at): Point => ({ scene: scene.name, cut: "power cut", at }));
    const failures: string[] = [];
    for (const point of randomOf(seed).shuffle(points.filter((one) => !isDone(one)))) {
        if (Date.now() >= deadline) break;
        const { ended, said } = record(await bench.tried(point), points.length);
        if (ended === "neither") failures.push(said);
        figure(`${bench.describe(point)}: ${ended}`);
    }
    expect(failures).toEqual([]);
});
