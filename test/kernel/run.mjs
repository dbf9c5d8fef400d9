// @ts-check
// node test/kernel/run.mjs [--kernel 6.1|6.12|5.10|debug] [--stress N] [--seed N] [--minutes M] [test...]
// Builds nvi.ko for a kernel and runs the tests on it, in an emulated machine. The minutes are the machine's, an end
// for what hangs; the stress run ends in time by itself and tells how far it came.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureTools } from "../tools/packages.mjs";
import { boot, initrd, kernel, MACHINE_TOOLS } from "./machine.mjs";
import { releases } from "./root.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const tests = readdirSync(join(here, "tests")).map((file) => file.replace(/\.sh$/, ""));

// What a kernel says when something is broken that no test looks at.
const TROUBLE = /WARNING|BUG|Oops|KASAN|UBSAN|kmemleak|unregister_netdevice: waiting|suspicious RCU|general protection|Call Trace|Kernel panic|refcount_t|hung_task|blocked for more|leaked reference/;

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        kernel: { type: "string", default: "6.1" },
        stress: { type: "string" },
        seed: { type: "string", default: "1" },
        minutes: { type: "string" },
    },
});

const version = /^PACKAGE_VERSION="(.*)"$/m.exec(readFileSync(join(here, "../../provider/kernel/nvi/dkms.conf"), "utf8"))?.[1] ?? "";

const minutes = Number(values.minutes ?? (values.kernel === "debug" ? 60 : 20));
const QUIET_SECONDS = 60;

const known = [...releases, "debug"];
const chosen = positionals.length ? positionals : values.stress ? ["stress"] : tests.filter((name) => name !== "stress");
const unknown = chosen.filter((name) => !tests.includes(name));

if (!known.includes(values.kernel)) fail(`no kernel ${values.kernel}: ${known.join(", ")}`);
else if (!(minutes > 0)) fail(`no time: ${values.minutes}`);
else if (unknown.length) fail(`no test ${unknown.join(", ")}: ${tests.join(", ")}`);
else await main();

/** @param {string} message */
function fail(message) {
    console.error(message);
    process.exitCode = 2;
}

async function main() {
    const missing = await ensureTools({ need: MACHINE_TOOLS });
    if (missing) return fail(missing);
    const counts = { passed: 0, failed: 0, skipped: 0 };
    /** @type {string[]} */
    const trouble = [];
    let ended = false;
    let scanned = false;
    let operations = "";
    let last = "nothing yet";
    const settings = { names: `${chosen.join("\n")}\n`, stress: values.stress ?? "1000", seed: values.seed, minutes: `${minutes}`, version };
    const machine = kernel(values.kernel);
    const archive = initrd(machine, settings);
    const begun = Date.now();
    const seconds = () => Math.round((Date.now() - begun) / 1000);
    const quiet = setInterval(() => console.log(`# ${seconds()} s, and nothing new after: ${last}`), QUIET_SECONDS * 1000);
    const timely = await boot(machine, archive, (line) => {
        console.log(line);
        quiet.refresh();
        last = line;
        if (/^ok .*# SKIP/.test(line)) counts.skipped++;
        else if (/^ok /.test(line)) counts.passed++;
        else if (/^not ok /.test(line)) counts.failed++;
        else if (line === "# the end") ended = true;
        else if (/^# memory: [1-9]/.test(line)) scanned = true;
        else if (/^# stress: /.test(line)) operations = `, ${line.slice("# stress: ".length)}`;
        else if (TROUBLE.test(line)) trouble.push(line);
    }, { seconds: minutes * 60 });
    clearInterval(quiet);
    if (!timely) trouble.push(`not done after ${minutes} minutes, the last line: ${last}`);
    else if (!ended) trouble.push(`the machine ended before the tests did, after: ${last}`);
    else if (values.kernel === "debug" && !scanned) trouble.push("nobody looked for leaked memory");
    for (const line of trouble.slice(0, 20)) console.log(`! ${line}`);
    const { passed, failed, skipped } = counts;
    console.log(`kernel ${values.kernel}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${trouble.length} complaints, ${seconds()} s${operations}`);
    if (failed || trouble.length || !passed) process.exitCode = 1;
}
