// @ts-check
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, which } from "./path.mjs";
import { createProgress } from "./progress.mjs";
import { run } from "./run.mjs";

export { LAB_TOOLS, ensureTools } from "./packages.mjs";

/** Runs `npm ci` unless node_modules holds what package-lock.json asks for. @param {Options} [options] */
export async function ensureModules({ progress = createProgress() } = {}) {
    const differs = moduleDifference();
    if (!differs) return;
    progress.step(`npm ci, because ${differs}`);
    // No package of ours needs its install script; ssh2's would compile an optional module with a C++ compiler.
    await npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { label: "npm ci", progress });
}

/** Runs `npm run build` unless dist is newer than what it is made of. @param {Options} [options] */
export async function ensureBuild({ progress = createProgress() } = {}) {
    // Written after the build, so that one which failed half-way is not taken for a result; but with the time of its
    // start, so that a source edited meanwhile counts as newer.
    const stamp = join(root, "dist", ".built");
    const sources = ["provider", "sdk", "package.json", "package-lock.json", "tsconfig.json"];
    const newest = Math.max(...sources.map((source) => newestChange(join(root, source))));
    if (existsSync(stamp) && statSync(stamp).mtimeMs > newest) return;
    const started = new Date();
    progress.step("npm run build");
    await npm(["run", "build"], { label: "npm run build", progress });
    mkdirSync(join(root, "dist"), { recursive: true });
    writeFileSync(stamp, "");
    utimesSync(stamp, started, started);
}

/** @typedef {{ progress?: import("./progress.mjs").Progress }} Options */

/** @param {string[]} args @param {{ label: string, progress: import("./progress.mjs").Progress }} options */
async function npm(args, options) {
    // The npm that runs us, if it is one that does: yarn and pnpm set the variable too.
    const script = process.env.npm_execpath;
    if (script?.endsWith("npm-cli.js")) return run(process.execPath, [script, ...args], { cwd: root, ...options });
    if (!which("npm")) throw new Error("npm is not on PATH; it comes with Node.js, in Debian in the package npm");
    return run("npm", args, { cwd: root, ...options });
}

/**
 * npm writes node_modules/.package-lock.json when it is done, about what it installed. Comparing that with the
 * lock file also sees an installation that was cut short, or changed by hand since.
 *
 * @returns {string | undefined} why node_modules is not what package-lock.json says
 */
function moduleDifference() {
    const installedFile = join(root, "node_modules", ".package-lock.json");
    if (!existsSync(installedFile)) return "node_modules is missing or incomplete";
    /** @type {Packages} */
    const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
    /** @type {Packages} */
    const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
    for (const [path, { version, integrity, optional }] of Object.entries(wanted)) {
        const found = installed[path];
        // Optional ones are left out where they are for another platform.
        if (path === "" || (!found && optional)) continue;
        if (!found || !existsSync(join(root, path))) return `${path} is missing`;
        if (found.version !== version || found.integrity !== integrity) {
            return `${path} is ${found.version}, and package-lock.json says ${version}`;
        }
    }
    const extra = Object.keys(installed).find((path) => !wanted[path]);
    return extra && `${extra} is not in package-lock.json`;
}

/** @typedef {Record<string, { version: string, integrity?: string, optional?: boolean }>} Packages */

/** Folders count as well: that of a deleted file has changed. @param {string} path @returns {number} */
function newestChange(path) {
    if (!existsSync(path)) return 0;
    const info = statSync(path);
    if (!info.isDirectory()) return info.mtimeMs;
    return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))));
}
