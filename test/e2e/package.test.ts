import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seen } from "../lab";
import { officeProgram, setup, type Setup } from "./office";
import { root } from "./project";

const run = promisify(execFile);

let office: Setup;
beforeAll(async () => {
    office = await setup(officeProgram);
});
afterAll(() => office?.stop());

/** Installs the package as a user does, into the stack's folder, with nothing of the repository in reach. */
async function installFromTarball(folder: string): Promise<string[]> {
    const packed = join(folder, "packed");
    mkdirSync(packed);
    await run("npm", ["pack", "--pack-destination", packed, "--ignore-scripts"], { cwd: root });
    const [tarball] = readdirSync(packed);
    const { stdout } = await run("tar", ["tzf", join(packed, tarball!)]);
    rmSync(join(folder, "node_modules"), { recursive: true });
    await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", join(packed, tarball!)], { cwd: folder });
    return stdout.trim().split("\n");
}

test("the package installs from its tarball into an empty folder and works there", { timeout: 300_000 }, async () => {
    const files = await installFromTarball(office.stack.folder);
    expect(files).toContain("package/dist/provider/host/script/main.sh");
    expect(files.filter((file) => /\/(test|examples)\/|\.map$|tsconfig/.test(file))).toEqual([]);
    await office.stack.up();
    expect((await seen(office.lab.node("client"), { to: "192.0.2.10", port: 7 })).peer).toMatch(/^(198\.51\.100|203\.0\.113)\.2$/);
    await office.stack.destroy();
});
