import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JUMPS, LieBench, LIES } from "../faults/lies";
import { LOOKS, SCENES } from "../faults/scenes";
import { diffDumps, Lab } from "../lab";
import { figure } from "../lab/figure";
import { sampled } from "./sample";

/* A sample of what `npm run faults` does at every call of a tool in every operation. */

let lab: Lab;
let before: string;
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterAll(() => lab?.stop());

/** Of the calls in each operation: the first looks, the middle, where a change is made, and the last look at it. */
const PLACES: Record<string, number> = { read: 0.3, create: 0.55, update: 0.65, delete: 0.5 };
const SHARE: Record<string, string[]> = {
    read: ["prints half", "finds the disk full"],
    create: ["has no buffer space", "finds /etc read-only"],
    delete: ["hangs", "finds the disk full"],
};

const ALL = Object.keys({ ...LIES, ...JUMPS });
const scenes = [...LOOKS, ...SCENES].filter(({ name }) => name.endsWith(" interface"));

describe.each(sampled(scenes, ({ name }) => name.split(" ")[0]! in SHARE))("$name", (scene) => {
    const [operation] = scene.name.split(" ") as [string];
    let bench: LieBench;
    beforeAll(async () => {
        bench = new LieBench(lab, scene);
        await bench.prepare();
        await bench.countCommands();
    });
    afterAll(async () => {
        await bench.finish();
        expect(diffDumps(before, await lab.dump()).filter((line) => !/ \/run\/(nvi|mount)/.test(line))).toEqual([]);
    });

    it.each(sampled(ALL, (cut) => SHARE[operation]?.includes(cut) ?? false))("%s", async (cut) => {
        const point = { scene: scene.name, cut, at: Math.ceil(bench.commands * PLACES[operation]!) };
        const { ended, said } = await bench.run(point);
        figure(`${bench.describe(point)}: ${ended} version; ${said.split("\n", 1)[0]!.slice(0, 160)}`);
    });
});
