import { afterAll, beforeAll, expect, it } from "vitest";
import { officeInputs, officeProgram, routerArgs, setup, type Setup } from "../e2e/office";
import { diffDumps } from "../lab";
import { figure } from "../lab/figure";
import { random as randomOf } from "../unit/model/random";
import { Ground, type Point, type Result } from "./bench";
import { CHANGES, CUTS, describeCut, during } from "./cuts";
import { deadline, isDone, record, seed } from "./results";

/* The same cuts, with the whole engine: `pulumi up` is cut short, and a plain one after it has to do. */

const EACH = 30;
/** To the router in one `up`, about. */
const BYTES = 60_000;
const SCENE = "pulumi up";

const { translations, uplinks } = officeInputs;
const VERSIONS = [officeInputs, { ...officeInputs, translations: translations.slice(0, 2), uplinks: { isp1: { ...uplinks.isp1, table: 7901 }, isp2: { ...uplinks.isp2, table: 7902 } } }];
const fast = (program: string, args: object): string => program.replace(JSON.stringify(args), JSON.stringify({ ...args, dialTimeout: 20, keepalive: 1, confirmTimeout: 3 }));

let on: Setup;
let before: string;
beforeAll(async () => {
    on = await setup(() => "");
    before = await on.lab.dump();
});
afterAll(() => on?.stop());

it("a plain `pulumi up` after one that was cut short brings what was asked for", async () => {
    const { lab, stack } = on;
    const ground = new Ground(lab);
    const write = (version: number): void => stack.write({ "index.js": fast(officeProgram(lab, VERSIONS[version]!), routerArgs(lab)) });
    const versions: string[] = [];
    let commands = 0;
    // From the first, so that it takes as many commands either way.
    for (const version of [0, 1, 0, 1]) {
        write(version);
        commands = await ground.commandsOf(CHANGES, () => stack.up());
        versions[version] = await ground.dump();
    }
    const random = randomOf(seed);
    const points = random.shuffle(CUTS.flatMap((cut) => Array.from({ length: EACH }, (_, i): Point => {
        const share = (i + 0.5) / EACH;
        return { scene: SCENE, cut, at: cut === "connection reset at a byte" ? Math.round(share * BYTES) : 1 + Math.floor(share * commands) };
    })));

    /** What the router has after a cut, and after a plain `up`. */
    async function tried(point: Point, from: number): Promise<Result> {
        const to = 1 - from;
        write(to);
        const said = await during(lab, ground, point, async () => {
            const { code, all } = await stack.up([], { allowFailure: true });
            return code === 0 ? "done" : all;
        }, () => stack.kill());
        const state = await ground.dump();
        const ended = ground.difference(versions[to]!, state).length === 0 ? "new" : ground.difference(versions[from]!, state).length === 0 ? "old" : "neither";
        if (point.cut === "provider killed") await stack.run(["cancel", "--yes"]);
        const { code, all } = await stack.up([], { allowFailure: true });
        const left = ground.difference(versions[to]!, await ground.dump());
        const trouble = [
            ...(ended === "neither" ? [`the router has neither version after:\n${said}`] : []),
            ...(said === "done" && ended === "old" ? ["it succeeded, but the router has the old version"] : []),
            ...(code === 0 ? [] : [`a plain up failed:\n${all}`]),
            ...(left.length === 0 ? [] : [`a plain up does not bring the new version:\n${left.join("\n")}`]),
        ];
        return { ...point, ended: trouble.length === 0 ? ended : "neither", said: trouble.length === 0 ? said.trim().split("\n", 1)[0]! : `${describeCut(point)}: ${trouble.join("\n")}` };
    }

    const failures: string[] = [];
    let version = 1;
    for (const point of points) {
        if (Date.now() >= deadline) break;
        if (isDone(point)) continue;
        const { ended, said } = record(await tried(point, version), points.length);
        if (ended === "neither") failures.push(said);
        figure(`${describeCut(point)}: ${ended}`);
        version = 1 - version;
    }
    await stack.preview(["--refresh", "--expect-no-changes"]);
    await stack.destroy();
    expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"))).toEqual([]);
    expect(failures).toEqual([]);
});
