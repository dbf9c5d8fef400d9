// @ts-check
// What `npm run demo` runs: it prepares what is missing, becomes root, and shows the main job on an embedded lab.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureEngine } from "../engine/engine.mjs";
import { nodeFirst, root, toolPath } from "../tools/path.mjs";
import { becomeRoot, namespaceTrouble } from "../tools/privilege.mjs";
import { createProgress } from "../tools/progress.mjs";
import { ended, signalCode } from "../tools/run.mjs";
import { ensureBuild, ensureModules, ensureTools } from "../tools/setup.mjs";

const progress = createProgress(process.stdout);

try {
    if (process.env.NVI_DEMO_READY) await show();
    else await prepare();
} catch (/** @type {any} */ error) {
    progress.step(`\n${error.message}`);
    process.exitCode = 1;
}

async function prepare() {
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const trouble = namespaceTrouble() ?? (await ensureTools({ progress }));
    if (trouble) throw new Error(`The demo builds its lab of network namespaces, and can't: ${trouble}.`);
    const { bin } = await ensureEngine({ progress });
    const path = [bin, join(root, "node_modules", "@pulumi", "pulumi"), nodeFirst(toolPath())].join(delimiter);
    const variables = [`PATH=${path}`, `NVI_ENGINE_BIN=${bin}`, "NVI_DEMO_READY=1", "PULUMI_SKIP_UPDATE_CHECK=true"];
    const command = [...(becomeRoot() ?? []), "env", ...variables, process.execPath, fileURLToPath(import.meta.url)];
    const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "inherit", "inherit"] });
    const { code, signal } = await ended(child);
    process.exitCode = signal ? signalCode(signal) : (code ?? 1);
}

/** The demo and its lab are TypeScript; vite, which comes with vitest, loads them. */
async function show() {
    const { runnerImport } = await import("vite");
    const { module } = await runnerImport(join(root, "test", "demo", "demo.ts"), { configFile: false, logLevel: "error", root });
    await module.demo();
}
