import { afterAll, beforeAll, expect, it } from "vitest";
import { diffDumps, Lab } from "../lab";
import { figure } from "../lab/figure";
import { random as randomOf } from "../unit/model/random";
import { CutBench, CUTS, describe, type Point } from "./cuts";
import { deadline, isDone, record, seed } from "./results";
import { SCENES } from "./scenes";

/** Points of one scene before it is another's turn: each scene takes some time to prepare. */
const TURN = 12;
/** Where connections are cut by bytes: as much as goes to the router for the largest transaction. */
const BYTES = Array.from({ length: 40 }, (_, i) => 500 + i * 1500);

let lab: Lab;
let before: string;
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterAll(() => lab?.stop());

it("leaves the old version or the new one, whole, whatever ends where", async () => {
    const random = randomOf(seed);
    const left = new Map<string, Point[]>();
    const failures: string[] = [];
    for (let turn = 0; Date.now() < deadline; turn++) {
        let idle = true;
        for (const scene of random.shuffle(SCENES)) {
            if (Date.now() >= deadline || left.get(scene.name)?.length === 0) continue;
            const bench = new CutBench(lab, scene);
            await bench.prepare();
            await bench.countCommands();
            const all = CUTS.flatMap((cut) => (cut === "connection reset at a byte" ? BYTES : Array.from({ length: bench.commands + 1 }, (_, i) => i + 1)).map((at): Point => ({ scene: scene.name, cut, at })));
            const points = left.get(scene.name) ?? random.shuffle(all.filter((point) => !isDone(point)));
            left.set(scene.name, points);
            for (const point of points.splice(0, TURN)) {
                if (Date.now() >= deadline) break;
                idle = false;
                const { ended, said } = record(await bench.tried(point), all.length);
                if (ended === "neither") failures.push(said);
                figure(`${describe(point)}: ${ended}`);
            }
            await bench.finish();
            expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi")), `after ${scene.name}`).toEqual([]);
        }
        if (idle) break;
    }
    expect(failures).toEqual([]);
});
