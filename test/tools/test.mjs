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
    if (wantsMachines()) await ensureImage("bookworm", { progress });
    const become = becomeRoot() ?? [];
    if (become.length === 0) return [await vitest(args, { env })];
    // The unit tests need no root, and the files that they may write had better not be root's.
    const unit = await vitest(["--project", "unit", ...args], { env });
    return unit.interrupted ? [unit] : [unit, await vitest(["--project", "lab", "--project", "vm", ...args], { env, become })];
}

/** Whether an emulated router is among what these arguments of vitest leave. */
function wantsMachines() {
    const filters = args.filter((arg) => !arg.startsWith("-"));
    const files = [...SAMPLE, ...testFiles("vm")];
    return filters.length === 0 || filters.some((filter) => files.some((file) => file.includes(filter)));
}

/**
 * @param {Run[]} runs
 * @param {string} [missing] why only the unit tests ran
 */
function finish(runs, missing) {
    const counts = sum(runs.map((run) => run.counts));
    if (missing) counts.skipped += tellSkipped(missing);
    const status = runs.find((run) => run.status !== 0)?.status ?? 0;
    const nothing = counts.passed + counts.failed === 0;
    if (nothing) progress.step("No test ran, and that counts as a failure.");
    progress.step(line(nothing ? { ...counts, failed: 1 } : counts));
    process.exitCode = status || (nothing ? 1 : 0);
}

/** @param {string} reason */
function tellSkipped(reason) {
    const files = ["lab", "e2e", "vm"].flatMap(testFiles);
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
