// @ts-check
// What `npm run faults` runs: things that end in the middle of transactions, and tools that lie, at every point of every one.
//
//   npm run faults -- [--budget 60m] [--seed N] [--fresh] [cuts] [lies] [neighbours] [soak] [power]
//
// Each part has its share of the budget; power cuts are those of an emulated router. The order is the seed's. What was done is kept in test/faults/results.jsonl, so that a next run goes on; `--fresh` forgets it.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureEngine } from "../engine/engine.mjs";
import { environment } from "../tools/environment.mjs";
import { root } from "../tools/path.mjs";
import { becomeRoot, namespaceTrouble } from "../tools/privilege.mjs";
import { createProgress } from "../tools/progress.mjs";
import { signalCode } from "../tools/run.mjs";
import { ensureBuild, ensureModules, ensureTools, LAB_TOOLS } from "../tools/setup.mjs";
import { table } from "../tools/table.mjs";
import { vitest } from "../tools/vitest.mjs";
import { ensureImage, VM_TOOLS } from "../vm/image.mjs";

/** Of each there is a test file, and a project of vitest. */
const PARTS = ["cuts", "lies", "neighbours", "soak", "power"];
const RESULTS = join(root, "test", "faults", "results.jsonl");
const progress = createProgress(process.stdout);

try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { budget: { type: "string" }, seed: { type: "string" }, fresh: { type: "boolean" } } });
    if (values.fresh) rmSync(RESULTS, { force: true });
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const missing = namespaceTrouble() ?? (await ensureTools({ need: [...LAB_TOOLS, ...VM_TOOLS], progress }));
    if (missing) throw new Error(missing);
    const parts = PARTS.filter((part) => positionals.length === 0 || positionals.includes(part));
    if (parts.includes("power")) await ensureImage("bookworm", { progress });
    const env = {
        ...environment(await ensureEngine({ progress })),
        NVI_FAULTS_RESULTS: RESULTS,
        NVI_FAULTS_SEED: values.seed ?? "1",
        NVI_FAULTS_BUDGET: `${Math.ceil(seconds(values.budget) / parts.length)}`,
    };
    for (const part of parts) {
        const run = await vitest(["--project", `faults-${part}`], { env, become: becomeRoot() ?? [] });
        process.exitCode ||= run.interrupted ? signalCode(run.interrupted) : run.status;
        if (run.interrupted) break;
    }
    progress.step(summary());
} catch (/** @type {any} */ error) {
    progress.step(`\n${error.message}`);
    process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
}

/** @param {string | undefined} text `90s`, `60m` or `8h`; without one there is time for all. */
function seconds(text) {
    if (text === undefined) return 0;
    const [, count, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
    if (!count) throw new Error(`--budget ${text}: not a time such as 60m`);
    return Number(count) * { s: 1, m: 60, h: 3600 }[/** @type {"s" | "m" | "h"} */ (unit)];
}

function summary() {
    /** @type {{ scene: string, cut: string, of: number, ended: "old" | "new" | "neither" }[]} */
    const results = existsSync(RESULTS) ? readFileSync(RESULTS, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
    const cuts = [...new Set(results.map(({ cut }) => cut))].sort();
    const count = (/** @type {typeof results} */ some, /** @type {string} */ ended) => `${some.filter((one) => one.ended === ended).length}`;
    const row = (/** @type {string} */ name, /** @type {typeof results} */ some) => [name, `${some.length}`, count(some, "old"), count(some, "new"), count(some, "neither")];
    const scenes = new Set(results.map(({ scene }) => scene));
    const points = [...new Map(results.map(({ scene, cut, of }) => [`${scene} ${cut === "power cut"}`, of])).values()].reduce((sum, of) => sum + of, 0);
    return [
        "",
        table(["what happened", "runs", "old version", "new version", "neither"], [...cuts.map((cut) => row(cut, results.filter((one) => one.cut === cut))), row("in all", results)]),
        "",
        `  ${results.length} of ${points} points of ${scenes.size} transactions; each was then repeated plainly, and brought the new version`,
    ].join("\n");
}
