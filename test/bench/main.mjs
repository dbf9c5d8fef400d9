// @ts-check
// What `npm run bench` runs: it prepares what is missing, becomes root, measures, and prints a table.
//
//   npm run bench -- [--quick] [--kernel 6.1|6.12|5.10] [host|emulated]
import { execFileSync, spawn } from "node:child_process";
import { chownSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cacheFolder, nodeFirst, toolPath } from "../tools/path.mjs";
import { emulatorVersion, MACHINE_TOOLS } from "../kernel/machine.mjs";
import { becomeRoot, namespaceTrouble } from "../tools/privilege.mjs";
import { createProgress, elapsed } from "../tools/progress.mjs";
import { ended, signalCode } from "../tools/run.mjs";
import { ensureBuild, ensureModules, ensureTools } from "../tools/setup.mjs";
import { inMachine } from "./emulated.mjs";
import { onHost } from "./host.mjs";
import { rowsOf, take } from "./measurements.mjs";
import { manifest, script } from "./product.mjs";
import { print } from "./report.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const RESULTS = join(here, "results.json");

const TOOLS = ["nft", "ip", "iperf3", "ping", "sysctl", "unshare", "setpriv", "gcc"];

const PLAIN = ["direct", "forward", "nat", "double", "rules"];
const PEER = "nat";

/** Packets in one measurement, and what iperf3 sends in one. */
const EFFORTS = {
    quick: { repetitions: 7, host: { packets: 100_000, tcp: "-t 1" }, emulated: { packets: 1000, tcp: "-n 50M" } },
    full: { repetitions: 15, host: { packets: 500_000, tcp: "-t 3" }, emulated: { packets: 5000, tcp: "-n 100M" } },
};

const progress = createProgress(process.stdout);
const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean", default: false }, kernel: { type: "string", default: "6.1" } },
});
const places = positionals.length > 0 ? positionals : ["host", "emulated"];

try {
    const stranger = places.find((place) => !["host", "emulated"].includes(place));
    if (stranger) throw new Error(`${stranger} is no place to measure: there are host and emulated`);
    if (process.env.NVI_BENCH_READY) await bench();
    else await prepare();
} catch (/** @type {any} */ error) {
    progress.step(`\n${error.message}`);
    process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
}

async function prepare() {
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const need = places.includes("emulated") ? [...TOOLS, ...MACHINE_TOOLS] : TOOLS;
    const trouble = namespaceTrouble() ?? (await ensureTools({ need, progress }));
    if (trouble) throw new Error(`The paths that are measured are made of network namespaces, and can't be: ${trouble}.`);
    const variables = [`PATH=${nodeFirst(toolPath())}`, `NVI_CACHE=${cacheFolder()}`, "NVI_BENCH_READY=1"];
    const command = [...(becomeRoot() ?? []), "env", ...variables, process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "inherit", "inherit"] });
    const { code, signal } = await ended(child);
    process.exitCode = signal ? signalCode(signal) : (code ?? 1);
}

async function bench() {
    const effort = { quick: options.quick, ...EFFORTS[options.quick ? "quick" : "full"] };
    const machine = { kernel: release(), cpus: cpus().length, processor: cpus()[0]?.model ?? "", load: loadavg()[0] ?? 0 };
    const files = prepareFiles();
    const rows = [];
    let emulation = {};
    if (places.includes("host")) rows.push(...(await measureHost(files, effort)));
    if (places.includes("emulated")) {
        const { kernel, rows: more } = await measureEmulated(files, effort);
        emulation = { qemu: emulatorVersion(), emulatedKernel: kernel };
        rows.push(...more);
    }
    const report = { machine: { ...machine, ...emulation }, effort, rows };
    progress.step(print(report));
    writeFileSync(RESULTS, `${JSON.stringify(report, undefined, 2)}\n`);
    // Root's file would be in its owner's way.
    if (process.env.SUDO_UID) chownSync(RESULTS, Number(process.env.SUDO_UID), Number(process.env.SUDO_GID));
    progress.step(`  All values: ${RESULTS}`);
}

/** @typedef {typeof EFFORTS["quick"]} Effort */

/** @param {string} files @param {Effort} effort */
async function measureHost(files, { repetitions, host }) {
    const what = { ...host, repetitions, variants: PLAIN };
    const { found } = await watched("host", what, (line) => onHost(files, what, line));
    return rowsOf("host", found, [
        { metric: "tcp", name: "TCP bulk", unit: "Gbit/s", scale: 1e-9 },
        { metric: "udp", name: "64-byte packet", unit: "ns", scale: 1 },
    ], PEER);
}

/** @param {string} files @param {Effort} effort */
async function measureEmulated(files, { repetitions, emulated }) {
    const what = { ...emulated, repetitions, variants: [...PLAIN, "module"], release: options.kernel };
    const { found, result } = await watched("emulated machine", what, (line) => inMachine(files, what, line));
    const tick = found.get("clock")?.get("tick")?.[0];
    found.delete("clock");
    if (tick === undefined || Math.abs(tick - 1) > 0.01) throw new Error(`the emulated clock does not count instructions: it advances by ${tick} in one`);
    const rows = rowsOf("emulated", found, [
        { metric: "tcp", name: "TCP bulk", unit: "Gbit per 10⁹ instructions", scale: 1e-9 },
        { metric: "udp", name: "64-byte packet", unit: "instructions", scale: 1 },
    ], PEER);
    return { ...result, rows };
}

/** A folder with all that paths.sh needs. It is the same each time, so it stays. */
function prepareFiles() {
    const files = join(cacheFolder(), "bench");
    mkdirSync(files, { recursive: true });
    copyFileSync(join(here, "paths.sh"), join(files, "paths.sh"));
    writeFileSync(join(files, "nvi.sh"), script());
    for (const program of ["udp-flood", "tick"]) execFileSync("gcc", ["-O2", "-static", "-o", join(files, program), join(here, `${program}.c`)]);
    for (const backend of /** @type {const} */ (["rules", "module"])) writeFileSync(join(files, `${backend}.manifest`), manifest(backend));
    return files;
}

/**
 * Runs a measurement, and tells how far it is.
 *
 * @template T
 * @param {string} place @param {{ repetitions: number, variants: readonly string[] }} what
 * @param {(line: (text: string) => void) => Promise<T>} work
 */
async function watched(place, { repetitions, variants }, work) {
    /** @type {import("./measurements.mjs").Measured} */
    const found = new Map();
    const since = Date.now();
    const total = repetitions * variants.length * 2;
    /** @type {string[]} */
    const said = [];
    let taken = 0;
    progress.step(`measuring: ${place}, ${variants.join(", ")}, ${repetitions} times each, in turn`);
    const stop = progress.every(() => `${place}: ${taken} of ${total} measurements, ${elapsed(since)}${taken ? "" : `, ${said.at(-1) ?? "starting"}`}`);
    try {
        const result = await work((text) => {
            if (!take(found, text)) said.push(text);
            else if (/^= \S+ (udp|tcp) /.test(text)) taken++;
        });
        return { found, result };
    } catch (/** @type {any} */ error) {
        throw Object.assign(error, { message: [`${place}: ${error.message}`, ...said.slice(-15).map((line) => `    ${line}`)].join("\n") });
    } finally {
        stop();
    }
}
