// @ts-check
// Breaks the product on purpose, one break after the other in a copy of the tree, and wants a test to notice each.
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { ensureEngine } from "../engine/engine.mjs";
import { nodeFirst, root, toolPath } from "./path.mjs";
import { createProgress } from "./progress.mjs";
import { ensureModules, ensureTools } from "./setup.mjs";
import { line } from "./summary.mjs";

/** @typedef {{ name: string, file: string, find: string, replace: string, test: string, grep?: string }} Mutation */

const progress = createProgress(process.stdout);
const wanted = process.argv[2] ?? "";
const folder = join(root, "test", "mutations");
/** @type {Mutation[]} */
const all = readdirSync(folder).filter((name) => name.endsWith(".json")).flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
const mutations = all.filter((mutation) => `${mutation.name} ${mutation.file} ${mutation.test}`.includes(wanted));

await ensureModules({ progress });
const missing = await ensureTools({ progress });
if (missing) throw new Error(missing);
const { bin } = await ensureEngine({ progress });
const env = { ...process.env, NVI_ENGINE_BIN: bin, PATH: [bin, join(root, "node_modules", "@pulumi", "pulumi"), nodeFirst(toolPath())].join(delimiter) };

const copy = mkdtempSync(join(tmpdir(), "nvi-mutations-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));
cpSync(root, copy, { recursive: true, filter: (path) => ![".git", "node_modules", "dist"].includes(basename(path)) });
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));

/** What the compiler leaves alone. */
const PARTS = ["provider/host/script", "provider/kernel/nvi"];
/** What a break leaves unused is no error of types. */
const LENIENT = ["--noUnusedLocals", "false", "--noUnusedParameters", "false"];

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const [i, mutation] of mutations.entries()) {
    const verdict = attempt(mutation);
    counts[verdict === "noticed" ? "passed" : "failed"]++;
    progress.step(`${i + 1}/${mutations.length} ${verdict}: ${mutation.name} (${mutation.file})`);
}
progress.step(line(counts));
process.exitCode = counts.failed > 0 || mutations.length === 0 ? 1 : 0;

/** @param {Mutation} mutation */
function attempt({ file, find, replace, test, grep }) {
    const path = join(copy, file);
    const original = readFileSync(path, "utf8");
    if (original.split(find).length !== 2) return "STALE: its text is not in the file exactly once";
    writeFileSync(path, original.replace(find, () => replace));
    try {
        // What no longer compiles says nothing about the test.
        if (sh("npx", ["tsc", "-p", "tsconfig.json", ...LENIENT]) !== 0) return "DOES NOT COMPILE";
        for (const part of PARTS) cpSync(join(copy, part), join(copy, "dist", part), { recursive: true });
        const args = ["vitest", "run", "--config", "test/vitest.config.mts", test, ...(grep ? ["-t", grep] : [])];
        return sh("npx", args) === 0 ? "NOT NOTICED" : "noticed";
    } finally {
        writeFileSync(path, original);
    }
}

/** @param {string} command @param {string[]} args */
function sh(command, args) {
    return spawnSync(command, args, { cwd: copy, env, stdio: "ignore", timeout: 600_000 }).status;
}
