// @ts-check
// node test/kernel/run.mjs [--kernel 6.1|6.12|5.10|debug] [--stress N] [--seed N] [test...]
// Builds nvi.ko for a kernel and runs the tests on it, in an emulated machine.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { boot, initrd, kernel } from "./machine.mjs";
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
        minutes: { type: "string", default: "15" },
    },
});

const version = /^PACKAGE_VERSION="(.*)"$/m.exec(readFileSync(join(here, "../../provider/kernel/nvi/dkms.conf"), "utf8"))?.[1] ?? "";

const known = [...releases, "debug"];
const chosen = positionals.length ? positionals : values.stress ? ["stress"] : tests.filter((name) => name !== "stress");
const unknown = chosen.filter((name) => !tests.includes(name));

if (!known.includes(values.kernel)) fail(`no kernel ${values.kernel}: ${known.join(", ")}`);
else if (unknown.length) fail(`no test ${unknown.join(", ")}: ${tests.join(", ")}`);
else await main();

/** @param {string} message */
function fail(message) {
    console.error(message);
    process.exitCode = 2;
}

async function main() {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    /** @type {string[]} */
    const trouble = [];
    let ended = false;
    const settings = { names: `${chosen.join("\n")}\n`, stress: values.stress ?? "1000", seed: values.seed, version };
    const machine = kernel(values.kernel);
    const timely = await boot(machine, initrd(machine, settings), (line) => {
        console.log(line);
        if (/^ok .*# SKIP/.test(line)) counts.skipped++;
        else if (/^ok /.test(line)) counts.passed++;
        else if (/^not ok /.test(line)) counts.failed++;
        else if (line === "# the end") ended = true;
        else if (TROUBLE.test(line)) trouble.push(line);
    }, { seconds: Number(values.minutes) * 60 });
    if (!timely) trouble.push(`not done after ${values.minutes} minutes`);
    else if (!ended) trouble.push("the machine ended before the tests did");
    for (const line of trouble.slice(0, 20)) console.log(`! ${line}`);
    console.log(`kernel ${values.kernel}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${trouble.length} complaints`);
    if (counts.failed || trouble.length || !counts.passed) process.exitCode = 1;
}
