import { afterAll, beforeAll, it } from "vitest";
import { Lab } from "../lab";
import { CutBench, CUTS } from "./cuts";
import { SCENES } from "./scenes";
import { inTurns } from "./turns";

/** Where connections are cut by bytes: as much as goes to the router for the largest transaction. */
const BYTES = Array.from({ length: 40 }, (_, i) => 500 + i * 1500);

let lab: Lab;
beforeAll(async () => { lab = await Lab.start(); });
afterAll(() => lab?.stop());

it("leaves the old version or the new one, whole, whatever ends where", async () => {
    await inTurns(lab, SCENES, (scene) => new CutBench(lab, scene), ({ commands }) =>
        CUTS.flatMap((cut) => (cut === "connection reset at a byte" ? BYTES : Array.from({ length: commands + 1 }, (_, i) => i + 1)).map((at) => ({ cut, at }))));
});
