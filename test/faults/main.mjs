// @ts-check
// What `npm run faults` runs: things that end in the middle of transactions, tools that lie, at every point of every one, and what takes
// long besides: inputs that nobody thought of, sequences of operations beside what others have on the router, two stacks at once, a thousand changes.
//
//   npm run faults -- [--budget 60m] [--seed N] [--fresh] [inputs] [cuts] [engine] [lies] [foreign] [neighbours] [soak] [power] [reboots]
//
// Each part has its share of the budget; power cuts and restarts are those of an emulated router. The order is the seed's. What was done is kept beside
// the caches, with the revision of the sources, so that a next run goes on, also from another checkout; `--fresh` forgets it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureEngine } from "../engine/engine.mjs";
import { environment } from "../tools/environment.mjs";
import { cacheFolder, root } from "../tools/path.mjs";
import { becomeRoot, namespaceTrouble } from "../tools/privilege.mjs";
import { createProgress } from "../tools/progress.mjs";
import { signalCode } from "../tools/run.mjs";
import { ensureBuild, ensureModules, ensureTools, LAB_TOOLS } from "../tools/setup.mjs";
import { table } from "../tools/table.mjs";
import { vitest } from "../tools/vitest.mjs";
import { ensureImage, VM_TOOLS } from "../vm/image.mjs";

/** Of each there is a test file, and a project of vitest. */
const PARTS = ["inputs", "cuts", "engine", "lies", "foreign", "neighbours", "soak", "power", "reboots"];
const RESULTS = join(cacheFolder(), "faults.jsonl");
const progress = createProgress(process.stdout);

try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { budget: { type: "string" }, seed: { type: "string" }, fresh: { type: "boolean" } } });
    mkdirSync(cacheFolder(), { recursive: true });
    if (values.fresh) rmSync(RESULTS, { force: true });
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const missing = namespaceTrouble() ?? (await ensureTools({ need: [...LAB_TOOLS, ...VM_TOOLS], progress }));
    if (missing) throw new Error(missing);
    const parts = PARTS.filter((part) => positionals.length === 0 || positionals.includes(part));
    if (parts.includes("power") || parts.includes("reboots")) await ensureImage("bookworm", { progress });
    const env = {
        ...environment(await ensureEngine({ progress })),
        NVI_FAULTS_RESULTS: RESULTS,
        NVI_FAULTS_REVISION: revision(),
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

/** Of the sources; with a plus sign where they were changed since. */
function revision() {
    const git = (/** @type {string[]} */ ...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
    const { status, stdout } = git("rev-parse", "--short", "HEAD");
    return status === 0 ? `${stdout.trim()}${git("status", "--porcelain").stdout ? "+" : ""}` : "unknown";
}

function summary() {
    /** @type {any[]} */
    const lines = existsSync(RESULTS) ? readFileSync(RESULTS, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
    const of = (/** @type {string} */ kind) => lines.filter((line) => line.kind === kind);
    const said = [...points(of("point")), ...inputs(of("inputs")), ...sequences(of("sequence")), ...rounds(of("round")), ...soaks(of("soak")), ...restarts(of("restart"))];
    if (said.length === 0) return "nothing was run";
    const revisions = last(lines, (line) => line.revision ?? "unknown").map((line) => line.revision ?? "unknown");
    return `\n${said.join("\n")}\n\n  All that is kept, of ${revisions.length === 1 ? "revision" : "revisions"} ${revisions.join(", ")}; with --fresh all is run anew.`;
}

/** The last that is known of each: one that failed may have been run again. @template T @param {T[]} all @param {(one: T) => string} keyOf @returns {T[]} */
function last(all, keyOf) {
    return [...new Map(all.map((one) => [keyOf(one), one])).values()];
}

/** @param {{ scene: string, cut: string, at: number, of: number, ended: "old" | "new" | "neither" }[]} all */
function points(all) {
    if (all.length === 0) return [];
    const results = last(all, ({ scene, cut, at }) => `${scene} ${cut} ${at}`);
    const cuts = [...new Set(results.map(({ cut }) => cut))].sort();
    const count = (/** @type {typeof results} */ some, /** @type {string} */ ended) => `${some.filter((one) => one.ended === ended).length}`;
    const row = (/** @type {string} */ name, /** @type {typeof results} */ some) => [name, `${some.length}`, count(some, "old"), count(some, "new"), count(some, "neither")];
    const scenes = new Set(results.map(({ scene }) => scene));
    const sum = last(results, ({ scene, cut }) => `${scene} ${cut.startsWith("power cut")}`).reduce((sum, one) => sum + one.of, 0);
    return [
        table(["what happened", "runs", "old version", "new version", "neither"], [...cuts.map((cut) => row(cut, results.filter((one) => one.cut === cut))), row("in all", results)]),
        `\n  ${results.length} of ${sum} points of ${scenes.size} transactions; each, but nine of ten power cuts, was then repeated plainly, and brought the new version`,
    ];
}

/** @param {{ seed: number, first: number, inputs: number, of: number, taken: number, sent: number, spoilt: number, tools: number, failures: number }[]} all */
function inputs(all) {
    const turns = last(all, ({ seed, first }) => `${seed} ${first}`);
    return [...new Set(turns.map(({ seed }) => seed))].map((seed) => {
        const own = turns.filter((turn) => turn.seed === seed);
        const sum = (/** @type {"inputs" | "taken" | "sent" | "spoilt" | "tools" | "failures"} */ what) => own.reduce((all, turn) => all + turn[what], 0);
        return `  ${sum("inputs")} of ${own[0]?.of} generated inputs (seed ${seed}): ${sum("taken")} pass the check, the others were refused with reasons; a router would get ${sum("sent")} of them, a real shell, nft and ip had ${sum("tools")}; ${sum("spoilt")} spoilt answers; ${sum("failures")} failures`;
    });
}

/** @param {{ sequence: number, seed: number, of: number, tally?: Record<"done" | "refused" | "undone" | "others", number> }[]} all */
function sequences(all) {
    if (all.length === 0) return [];
    const each = last(all, ({ seed, sequence }) => `${seed} ${sequence}`);
    const sum = (/** @type {"done" | "refused" | "undone" | "others"} */ what) => each.reduce((count, { tally }) => count + (tally?.[what] ?? 0), 0);
    return [
        `  ${each.length} of ${each[0]?.of} sequences beside what others have on the router, ${each.filter(({ tally }) => !tally).length} of which failed: ` +
            `${sum("done")} operations were done, ${sum("undone")} undone, ${sum("refused")} refused; ${sum("others")} times others changed something of their own in between`,
    ];
}

/** @param {{ of: number, transactions: number, seconds: number }[]} all */
function rounds(all) {
    const sum = (/** @type {"transactions" | "seconds"} */ what) => all.reduce((count, one) => count + one[what], 0);
    return all.length === 0 ? [] : [`  ${all.length} rounds (of ${all[0]?.of}) of two stacks at once: ${sum("transactions")} transactions in ${sum("seconds")} s, all done, and nothing left of them`];
}

/** @param {{ changes: number, first: Record<string, number>, last: Record<string, number> }[]} all */
function soaks(all) {
    return all.map(({ changes, first, last }) => `  ${changes} changes in a row: ${Object.entries(last).map(([what, count]) => `${what} ${first[what]} to ${count}`).join(", ")}`);
}

/** @param {{ of: number, flaps: number, early: number }[]} all */
function restarts(all) {
    const early = all.map((one) => one.early).sort((a, b) => a - b);
    const flaps = all.reduce((count, one) => count + one.flaps, 0);
    return all.length === 0 ? [] : [`  ${all.length} restarts (of ${all[0]?.of}) and ${flaps} links down and up: as it was after each; sshd waited ${early[early.length >> 1]?.toFixed(1)} s for nvi.service (median; at most ${early.at(-1)?.toFixed(1)} s)`];
}
