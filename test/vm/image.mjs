// @ts-check
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "../engine/lock.mjs";
import { ensureTools } from "../tools/packages.mjs";
import { cacheFolder, toolPath } from "../tools/path.mjs";
import { becomeRoot } from "../tools/privilege.mjs";
import { createProgress, elapsed } from "../tools/progress.mjs";
import { run, signalCode } from "../tools/run.mjs";

/** @typedef {"bullseye" | "bookworm" | "trixie"} Release */
/** @typedef {{ release: Release, kernel: string, initrd: string, disk: string, manifest: string, kernelRelease: string, built: number }} Image */

/** Debian 11 (Linux 5.10, nft 0.9.8), 12 (6.1, 1.0.6) and 13 (6.12, 1.1.3). @type {Release[]} */
export const RELEASES = ["bullseye", "bookworm", "trixie"];

/** What building and running machines takes. */
export const VM_TOOLS = ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "mkfs.ext4", "debugfs", "busybox", "xz", "perl"];

const RECIPE = join(dirname(fileURLToPath(import.meta.url)), "recipe");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
// Bullseye's packages are on the ordinary mirrors as of 2026-11. Its successors' place is the same until they retire.
const MIRRORS = { debian: ["http://deb.debian.org/debian", "http://archive.debian.org/debian"], security: ["http://deb.debian.org/debian-security", "http://archive.debian.org/debian-security"] };
const UNUSED_DAYS = 14;

/**
 * What an emulated router of this release boots from: from the cache, or built from Debian's packages.
 *
 * @param {Release} release
 * @param {{ progress?: import("../tools/progress.mjs").Progress }} [options]
 * @returns {Promise<Image>}
 */
export async function ensureImage(release, { progress = createProgress() } = {}) {
    if (!RELEASES.includes(release)) throw new Error(`there is no recipe for ${release}, only for ${RELEASES.join(", ")}`);
    const target = join(cacheFolder(), `router-${release}-${recipeHash(release)}`);
    if (usable(target)) return image(release, target);
    mkdirSync(dirname(target), { recursive: true });
    return withLock(`${target}.lock`, {
        waiting: (pid) => progress.step(`waiting for process ${pid}, which builds the disk of a Debian ${release} router`),
        async work() {
            // Another process may have built it while this one waited.
            if (!usable(target)) await buildInto(release, target, progress);
            return image(release, target);
        },
    });
}

/** @param {Release} release @param {string} target @param {import("../tools/progress.mjs").Progress} progress */
async function buildInto(release, target, progress) {
    const since = Date.now();
    const missing = await ensureTools({ need: VM_TOOLS, progress });
    const become = becomeRoot();
    if (missing || !become) throw new Error(missing ?? "only root can build the disk of a router: its files are of many owners");
    progress.step(`building the disk of a Debian ${release} router into ${target}; some minutes, once`);
    const scratch = mkdtempSync(`${target}.building-`);
    try {
        const sources = join(scratch, "sources");
        writeFileSync(sources, (await aptSources(release)).join("\n") + "\n");
        const [command, ...args] = [...become, "nice", "sh", join(RECIPE, "build.sh"), release, scratch, sources];
        await run(/** @type {string} */ (command), args, { label: `Debian ${release}`, progress, status, env: { ...process.env, PATH: toolPath() } });
        removeAsRoot(become, [target]);
        const moved = spawnSync(/** @type {string} */ ([...become, "mv"][0]), [...become, "mv", scratch, target].slice(1), { stdio: "inherit" });
        if (moved.status !== 0) throw new Error(`cannot move ${scratch} to ${target}`);
        spawnSync(/** @type {string} */ ([...become, "chmod"][0]), [...become, "chmod", "755", target].slice(1));
    } finally {
        // Its owner is root, and this lock is ours, so what others left half-built goes as well.
        const left = readdirSync(dirname(target)).filter((name) => name.startsWith(`${basename(target)}.building-`));
        removeAsRoot(become, [...left.map((name) => join(dirname(target), name)), ...longUnused(target)]);
    }
    progress.step(`built the disk of a Debian ${release} router in ${elapsed(since)}`);
}

/** Disks of other recipes that nobody has started a machine from for a while. @param {string} target */
function longUnused(target) {
    const folder = dirname(target);
    return readdirSync(folder)
        .filter((name) => /^router-\w+-[0-9a-f]{16}$/.test(name) && name !== basename(target))
        .map((name) => join(folder, name))
        .filter((path) => existsSync(join(path, "used")) && Date.now() - statSync(join(path, "used")).mtimeMs > UNUSED_DAYS * 86_400_000);
}

/** @param {string[]} become @param {string[]} paths */
function removeAsRoot(become, paths) {
    const [command, ...args] = [...become, "rm", "-rf", ...paths];
    if (paths.length > 0) spawnSync(/** @type {string} */ (command), args, { stdio: "inherit" });
}

/** @param {string} output what build.sh printed so far */
function status(output) {
    return output.trimEnd().split("\n").reverse().find((line) => /^(==|I:) /.test(line))?.replace(/^(==|I:) /, "") ?? "starting";
}

/** @param {Release} release @param {string} folder @returns {Image} */
function image(release, folder) {
    const used = join(folder, "used");
    try { utimesSync(used, new Date(), new Date()); } catch { /* of another user */ }
    const file = (/** @type {string} */ name) => join(folder, name);
    const text = (/** @type {string} */ name) => readFileSync(file(name), "utf8").trim();
    return { release, kernel: file("kernel"), initrd: file("initrd"), disk: file("disk"), manifest: file("manifest"), kernelRelease: text("release"), built: Number(text("used")) };
}

/** @param {string} folder */
function usable(folder) {
    return existsSync(join(folder, "used"));
}

/** @param {Release} release */
function recipeHash(release) {
    const hash = createHash("sha256").update(`${release} ${process.arch}\n`);
    const files = readdirSync(RECIPE, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(RECIPE, name)).isFile());
    for (const name of files.sort()) hash.update(`${name}\n`).update(readFileSync(join(RECIPE, name)));
    return hash.digest("hex").slice(0, 16);
}

/** Lines for sources.list: this machine's own mirrors where they have the release. @param {Release} release */
export async function aptSources(release) {
    const own = ownMirrors();
    const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
    const main = await firstWith([...own.debian, ...MIRRORS.debian], release);
    const security = await firstWith([...own.security, ...MIRRORS.security], `${release}-security`);
    return [`deb ${signed}${main} ${release} main`, `deb ${signed}${security} ${release}-security main`];
}

function ownMirrors() {
    const { stdout } = spawnSync("apt-get", ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"], { encoding: "utf8" });
    const uris = (/** @type {string} */ label) => [...new Set((stdout ?? "").split("\n").filter((line) => line.startsWith(`${label} http`)).map((line) => line.slice(label.length + 1).replace(/\/$/, "")))];
    return { debian: uris("Debian"), security: uris("Debian-Security") };
}

/** @param {string[]} mirrors @param {string} suite */
async function firstWith(mirrors, suite) {
    const troubles = [];
    for (const mirror of new Set(mirrors)) {
        const url = `${mirror}/dists/${suite}/InRelease`;
        try {
            const { status } = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(20_000) });
            if (status === 200) return mirror;
            troubles.push(`${url}: ${status}`);
        } catch (/** @type {any} */ error) {
            troubles.push(`${url}: ${error.cause?.message ?? error.message}`);
        }
    }
    throw new Error([`no mirror of Debian has ${suite}:`, ...troubles].join("\n  "));
}

// `node image.mjs RELEASE...` builds what is missing.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
    try {
        for (const release of process.argv.slice(2)) console.log(dirname((await ensureImage(/** @type {Release} */ (release))).disk));
    } catch (/** @type {any} */ error) {
        console.error(error.message);
        process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
    }
}
