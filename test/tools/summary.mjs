// @ts-check
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { root } from "./path.mjs";

/** @typedef {{ passed: number, failed: number, skipped: number, failures?: string[] }} Counts `failures` has a line for each */

/**
 * What one run of vitest came to. Nothing that went wrong may count as nothing: a file that cannot be loaded has no
 * tests that could fail, and a run that crashed has no report at all.
 *
 * @param {string} report the file of vitest's json reporter
 * @param {number} status vitest's exit code
 * @returns {Counts}
 */
export function count(report, status) {
    const counts = { passed: 0, failed: 0, skipped: 0, failures: /** @type {string[]} */ ([]) };
    if (existsSync(report)) {
        /** @type {Report} */
        const { testResults } = JSON.parse(readFileSync(report, "utf8"));
        for (const file of testResults) {
            const states = file.assertionResults.map((test) => test.status);
            const failed = states.filter((state) => state === "failed").length;
            const passed = states.filter((state) => state === "passed").length;
            counts.passed += passed;
            counts.failed += failed || (file.status === "failed" ? 1 : 0);
            counts.skipped += states.length - passed - failed;
            counts.failures.push(...failures(file));
        }
    }
    if (status !== 0) counts.failed ||= 1;
    return counts;
}

/** @typedef {{ name: string, status: string, message?: string, assertionResults: { status: string, fullName: string, failureMessages?: string[] }[] }} File */
/** @typedef {{ testResults: File[] }} Report */

/** @param {File} file @returns {string[]} */
function failures(file) {
    const name = relative(root, file.name);
    const lines = file.assertionResults
        .filter((test) => test.status === "failed")
        .map((test) => `${name}: ${test.fullName}: ${firstLine(test.failureMessages?.[0])}`);
    return lines.length === 0 && file.status === "failed" ? [`${name}: ${firstLine(file.message)}`] : lines;
}

const firstLine = (message = "") => message.split("\n", 1)[0];

/** @param {Counts[]} all @returns {Counts} */
export function sum(all) {
    /** @param {"passed" | "failed" | "skipped"} key */
    const total = (key) => all.reduce((amount, counts) => amount + counts[key], 0);
    return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), failures: all.flatMap((counts) => counts.failures ?? []) };
}

/** @param {Counts} counts */
export function line({ passed, failed, skipped }) {
    return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
