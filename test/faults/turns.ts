import { expect } from "vitest";
import { diffDumps, type Lab } from "../lab";
import { figure } from "../lab/figure";
import { random as randomOf } from "../unit/model/random";
import type { Bench, Point } from "./bench";
import { deadline, isDone, record, seed } from "./results";
import type { Scene } from "./scenes";

/** Points of one scene before it is another's turn: each scene takes some time to prepare. */
const TURN = 12;

/** Goes through all points of all scenes, in an order that the seed decides, for as long as there is time; the scenes in turn. */
export async function inTurns(lab: Lab, scenes: readonly Scene[], benchOf: (scene: Scene) => Bench, pointsOf: (bench: Bench) => Omit<Point, "scene">[]): Promise<void> {
    const before = await lab.dump();
    const random = randomOf(seed);
    const left = new Map<string, Point[]>();
    const failures: string[] = [];
    for (let idle = false; !idle && Date.now() < deadline;) {
        idle = true;
        for (const scene of random.shuffle(scenes)) {
            if (Date.now() >= deadline || left.get(scene.name)?.length === 0) continue;
            const bench = benchOf(scene);
            await bench.prepare();
            await bench.countCommands();
            const all = pointsOf(bench).map((point) => ({ scene: scene.name, ...point }));
            const points = left.get(scene.name) ?? random.shuffle(all.filter((point) => !isDone(point)));
            left.set(scene.name, points);
            for (const point of points.splice(0, TURN)) {
                if (Date.now() >= deadline) break;
                idle = false;
                const { ended, said } = record(await bench.tried(point), all.length);
                if (ended === "neither") failures.push(said);
                figure(`${bench.describe(point)}: ${ended}`);
            }
            await bench.finish();
            expect(diffDumps(before, await lab.dump()).filter((line) => !/ \/run\/(nvi|mount)/.test(line)), `after ${scene.name}`).toEqual([]);
        }
    }
    expect(failures).toEqual([]);
}
