// @ts-check
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the Go modules. */
export const folder = dirname(fileURLToPath(import.meta.url));

/** The version of the engine that is built, e.g. v3.230.0. */
export const PINNED = pinned();

function pinned() {
    const file = join(folder, "cli", "go.mod");
    const found = /github\.com\/pulumi\/pulumi\/pkg\/v3 (v\S+)/.exec(readFileSync(file, "utf8"));
    if (!found?.[1]) throw new Error(`${file} requires no github.com/pulumi/pulumi/pkg/v3`);
    return found[1];
}

/** @param {string} version @param {string} least */
export function atLeast(version, least) {
    const have = numbers(version);
    const want = numbers(least);
    const differs = want.findIndex((part, i) => part !== (have[i] ?? 0));
    return differs < 0 || (have[differs] ?? 0) > (want[differs] ?? 0);
}

/** @param {string} version */
function numbers(version) {
    return version.replace(/^v/, "").split(/[.+-]/).map((part) => parseInt(part, 10));
}
