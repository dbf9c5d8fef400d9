import { afterAll, beforeAll, it } from "vitest";
import { Lab } from "../lab";
import { JUMPS, LieBench, LIES } from "./lies";
import { LOOKS, SCENES } from "./scenes";
import { inTurns } from "./turns";

let lab: Lab;
beforeAll(async () => { lab = await Lab.start(); });
afterAll(() => lab?.stop());

it("takes nothing for gone, and leaves the old version or the new one, whatever tool lies where", async () => {
    await inTurns(lab, [...LOOKS, ...SCENES], (scene) => new LieBench(lab, scene), ({ commands }) => [
        ...Object.keys(LIES).flatMap((cut) => Array.from({ length: commands }, (_, i) => ({ cut, at: i + 1 }))),
        ...Object.keys(JUMPS).map((cut) => ({ cut, at: 1 })),
    ]);
});
