// @ts-check
// What `npm test` runs: it prepares what is missing, then hands over to vitest. Arguments go to vitest.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "../engine/engine.mjs";
import { ensureImage, VM_TOOLS } from "../vm/image.mjs";
import { SAMPLE } from "../vm/sample.mjs";
import { environment } from "./environment.mjs";
import { root } from "./path.mjs";
import { becomeRoot, namespaceTrouble } from "./privilege.mjs";
import { createProgress } from "./progress.mjs";
import { signalCode } from "./run.mjs";
import { ensureBuild, ensureModules, ensureTools, LAB_TOOLS } from "./setup.mjs";
import { line, sum } from "./summary.mjs";
import { vitest } from "./vitest.mjs";

const args = process.argv.slice(2);
const progress = createProgress(process.stdout);

/** Once by each backend. */
const ON_MACHINES = [...SAMPLE.rules, ...SAMPLE.module];

/** @typedef {Awaited<ReturnType<typeof vitest>>} Run */

try {
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const missing = namespaceTrouble() ?? (await ensureTools({ need: [...LAB_TOOLS, ...VM_TOOLS], progress }));
    if (missing) finish([await vitest(["--project", "unit", ...args])], missing);
    else finish(await runAll());
} catch (/** @type {any} */ error) {
    progress.step(`\n${error.message}\n\nNo test ran: the preparation failed.`);
    progress.step(line({ passed: 0, failed: 1, skipped: 0 }));
    process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
}

async function runAll() {
    const env = environment(await ensureEngine({ progress }));
    const noMachine = wantsMachines() ? await imageTrouble() : undefined;
    const become = becomeRoot() ?? [];
    const runs = await inProjects(["unit"], { env });
    // Emulated routers beside the namespaces: both wait for much. Those with the module by themselves: where it can't be built,
    // the others still run.
    if (!runs[0]?.interrupted) runs.push(...(await Promise.all([inProjects(["lab"], { env, become }), noMachine ? [] : inProjects(["vm", "vm-module"], { env, become, atEnd: true })])).flat());
    if (noMachine) runs.push({ status: 0, interrupted: undefined, counts: { passed: 0, failed: 0, skipped: tellSkipped(noMachine, ON_MACHINES) } });
    return runs;
}

/**
 * One project after the other. The unit tests need no root, and the files that they may write had better not be root's: so they
 * run by themselves where somebody else runs them.
 *
 * @param {string[]} projects @param {Parameters<typeof vitest>[1]} options
 */
async function inProjects(projects, options) {
    /** @type {Run[]} */
    const runs = [];
    for (const project of projects) {
        runs.push(await vitest(["--project", project, ...args], options));
        if (runs.at(-1)?.interrupted) break;
    }
    return runs;
}

/** Why there is no disk for an emulated router: Debian's mirror may be out of reach. */
async function imageTrouble() {
    try {
        await ensureImage("bookworm", { progress });
        return undefined;
    } catch (/** @type {any} */ error) {
        if (error.interrupted) throw error;
        return `no disk for an emulated router could be made: ${error.message}`;
    }
}

/** Whether an emulated router is among what these arguments of vitest leave. */
function wantsMachines() {
    const filters = args.filter((arg) => !arg.startsWith("-"));
    return filters.length === 0 || filters.some((filter) => ON_MACHINES.some((file) => file.includes(filter)));
}

/**
 * @param {Run[]} runs
 * @param {string} [missing] why only the unit tests ran
 */
function finish(runs, missing) {
    const counts = sum(runs.map((run) => run.counts));
    if (missing) counts.skipped += tellSkipped(missing, [...testFiles("lab"), ...testFiles("e2e").filter((file) => !file.startsWith("test/e2e/module/")), ...ON_MACHINES]);
    const status = runs.find((run) => run.status !== 0)?.status ?? 0;
    const nothing = counts.passed + counts.failed === 0;
    if (nothing) progress.step("No test ran, and that counts as a failure.");
    for (const failure of counts.failures ?? []) progress.step(`FAILED ${failure}`);
    progress.step(line(nothing ? { ...counts, failed: 1 } : counts));
    process.exitCode = status || (nothing ? 1 : 0);
}

/** @param {string} reason @param {string[]} files */
function tellSkipped(reason, files) {
    progress.step(`SKIPPED, each file counted as one test, because ${reason}:`);
    for (const file of files) progress.step(`  ${file}`);
    return files.length;
}

/** @param {string} suite @returns {string[]} */
function testFiles(suite) {
    const folder = join("test", suite);
    const names = readdirSync(join(root, "test")).includes(suite)
        ? readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        : [];
    return names.filter((name) => name.endsWith(".test.ts")).map((name) => join(folder, name));
}
