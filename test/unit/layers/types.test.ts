import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = resolve(__dirname, "../../..");
const tsc = createRequire(__filename).resolve("typescript/bin/tsc");

/** Vitest takes types away unread, and some of them are tests: of the SDK against the schemas, of the examples. */
test("everything is of the types that it says", { timeout: 300_000 }, async () => {
    const run = promisify(execFile)(process.execPath, [tsc, "-p", "test/tsconfig.json", "--noEmit"], { cwd: root });
    expect(await run.then(() => "", (error: { stdout: string }) => error.stdout)).toBe("");
});
