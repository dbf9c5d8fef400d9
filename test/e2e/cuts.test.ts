import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CutBench, CUTS } from "../faults/cuts";
import { SCENES } from "../faults/scenes";
import { diffDumps, Lab } from "../lab";
import { figure } from "../lab/figure";
import { sampled } from "./sample";

/* A sample of what `npm run faults` does at every command of every transaction. */

let lab: Lab;
let before: string;
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterAll(() => lab?.stop());

describe.each(sampled(SCENES, (_, i) => i % 8 === 1))("$name, cut short", (scene) => {
    let bench: CutBench;
    beforeAll(async () => {
        bench = new CutBench(lab, scene);
        await bench.prepare();
        await bench.countCommands();
    });
    afterAll(async () => {
        await bench.finish();
        expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"))).toEqual([]);
    });

    it.each(CUTS)("%s", async (cut) => {
        const { commands } = bench;
        const points = cut === "connection reset at a byte" ? [9000, 3000, 20_000] : [Math.ceil(commands / 2), 1, commands + 1];
        for (const at of sampled(points, (_, i) => i === 0)) {
            const { ended, said } = await bench.run({ scene: scene.name, cut, at });
            figure(`${scene.name}, ${cut} at ${at} of ${commands}: ${ended} version; ${said.split("\n", 1)[0]!.slice(0, 160)}`);
        }
    });
});
