// @ts-check
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, isExecutable, which } from "../tools/path.mjs";
import { createProgress, elapsed } from "../tools/progress.mjs";
import { signalCode } from "../tools/run.mjs";
import { buildEngine, requireGo } from "./build.mjs";
import { withLock } from "./lock.mjs";
import { atLeast, folder, PINNED } from "./version.mjs";

const LEAST = "3.230.0";

/**
 * A real Pulumi CLI with its Node language host: from PATH, from the cache, or built.
 *
 * @param {{ progress?: import("../tools/progress.mjs").Progress }} [options]
 * @returns {Promise<{ bin: string, pulumi: string, source: "PATH" | "cache" | "built" }>} `bin` goes first on PATH
 */
export async function ensureEngine({ progress = createProgress() } = {}) {
    const installed = onPath(progress);
    if (installed) return { bin: dirname(installed), pulumi: installed, source: "PATH" };

    const target = cached();
    const result = { bin: target, pulumi: join(target, "pulumi") };
    if (usable(target)) return { ...result, source: "cache" };

    requireGo();
    mkdirSync(dirname(target), { recursive: true });
    return withLock(`${target}.lock`, {
        waiting: (pid) => progress.step(`waiting for process ${pid}, which builds the Pulumi engine`),
        async work() {
            // Another process may have built it while this one waited.
            if (usable(target)) return { ...result, source: "cache" };
            await buildInto(target, progress);
            return { ...result, source: "built" };
        },
    });
}

/** @param {string} target @param {import("../tools/progress.mjs").Progress} progress */
async function buildInto(target, progress) {
    const since = Date.now();
    progress.step(`building the Pulumi engine ${PINNED} into ${target}; some minutes, once`);
    const scratch = mkdtempSync(`${target}.building-`);
    try {
        await buildEngine(scratch, progress);
        const trouble = versionTrouble(join(scratch, "pulumi"));
        if (trouble) throw new Error(`The Pulumi engine that was just built is of no use: ${trouble}`);
        // What is there already does not run, or usable() had taken it.
        rmSync(target, { recursive: true, force: true });
        chmodSync(scratch, 0o755);
        renameSync(scratch, target);
    } finally {
        rmSync(scratch, { recursive: true, force: true });
    }
    progress.step(`built the Pulumi engine in ${elapsed(since)}`);
}

/** @param {import("../tools/progress.mjs").Progress} progress */
function onPath(progress) {
    const pulumi = which("pulumi");
    if (!pulumi) return undefined;
    const trouble = which("pulumi-language-nodejs")
        ? versionTrouble(pulumi)
        : "there is no pulumi-language-nodejs on PATH beside it";
    if (trouble) progress.step(`not using ${pulumi}: ${trouble}`);
    return trouble ? undefined : pulumi;
}

/** The cache's folder for exactly this engine. */
function cached() {
    const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
    for (const module of ["cli", "language-nodejs"]) {
        for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(folder, module, file)));
    }
    return join(cacheFolder(), `engine-${hash.digest("hex").slice(0, 16)}`);
}

/** @param {string} bin */
function usable(bin) {
    if (!existsSync(bin)) return false;
    return isExecutable(join(bin, "pulumi-language-nodejs")) && !versionTrouble(join(bin, "pulumi"));
}

/** @param {string} pulumi @returns {string | undefined} */
function versionTrouble(pulumi) {
    const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
    const { error, status, stdout, stderr } = spawnSync(pulumi, ["version"], { encoding: "utf8", env, timeout: 60_000 });
    if (error || status !== 0) return `\`pulumi version\` failed: ${error?.message ?? stderr.trim()}`;
    const version = stdout.trim();
    if (!version) return "`pulumi version` prints nothing";
    return atLeast(version, LEAST) ? undefined : `it is ${version}, and the tests need ${LEAST} or later`;
}

// `node engine.mjs` prints the folder for PATH, and all else on stderr.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
    try {
        console.log((await ensureEngine()).bin);
    } catch (/** @type {any} */ error) {
        console.error(error.message);
        process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
    }
}
