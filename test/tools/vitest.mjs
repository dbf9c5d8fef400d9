// @ts-check
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./path.mjs";
import { ended, signalCode } from "./run.mjs";
import { count } from "./summary.mjs";

const CONFIG = join("test", "vitest.config.mts");

/**
 * Runs vitest once, and counts.
 *
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, become?: string[], atEnd?: boolean }} [options] `become` is the command that makes
 *   us root; what is printed goes to our terminal as it comes, or all of it at the end
 */
export async function vitest(args, { env = {}, become = [], atEnd = false } = {}) {
    const scratch = mkdtempSync(join(tmpdir(), "nvi-test-"));
    const report = join(scratch, "report.json");
    const [command, ...rest] = [
        ...privileged(become, env),
        process.execPath,
        join(root, "node_modules", "vitest", "vitest.mjs"),
        ...["run", "--config", CONFIG, "--passWithNoTests"],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
        ...args,
    ];
    try {
        const child = spawn(/** @type {string} */ (command), rest, {
            cwd: root,
            env: { ...process.env, ...env },
            stdio: atEnd ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
        });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (output += text));
        const { code, interrupted } = await ended(child);
        process.stdout.write(output);
        const status = interrupted ? signalCode(interrupted) : (code ?? 1);
        return { status, interrupted, counts: count(report, status) };
    } finally {
        rmSync(scratch, { recursive: true, force: true });
    }
}

/**
 * sudo resets PATH to its own even where -E keeps the rest, so what matters is repeated behind `env`.
 *
 * @param {string[]} become
 * @param {Record<string, string>} env
 */
function privileged(become, env) {
    if (become.length === 0) return [];
    return [...become, "-E", "env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
}
