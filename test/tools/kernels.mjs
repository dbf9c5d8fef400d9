// @ts-check
// What `npm run test:kernels` runs: the sample of test/vm/sample.mjs, and the emulated lab's own tests, with a router of
// each Debian release, one after the other. Arguments that name releases choose; all others go to vitest.
import { ensureEngine } from "../engine/engine.mjs";
import { ensureImage, RELEASES, VM_TOOLS } from "../vm/image.mjs";
import { environment } from "./environment.mjs";
import { becomeRoot, namespaceTrouble } from "./privilege.mjs";
import { createProgress, elapsed } from "./progress.mjs";
import { signalCode } from "./run.mjs";
import { ensureBuild, ensureModules, ensureTools, LAB_TOOLS } from "./setup.mjs";
import { line, sum } from "./summary.mjs";
import { vitest } from "./vitest.mjs";

const progress = createProgress(process.stdout);
const chosen = RELEASES.filter((release) => process.argv.slice(2).includes(release));
const args = process.argv.slice(2).filter((arg) => !RELEASES.some((release) => release === arg));

try {
    await ensureModules({ progress });
    await ensureBuild({ progress });
    const missing = namespaceTrouble() ?? (await ensureTools({ need: [...LAB_TOOLS, ...VM_TOOLS], progress }));
    if (missing) throw new Error(missing);
    const env = environment(await ensureEngine({ progress }));
    const releases = chosen.length > 0 ? chosen : RELEASES;
    // All of them first: who started it may go away then.
    for (const release of releases) await ensureImage(release, { progress });
    const results = [];
    for (const release of releases) {
        const since = Date.now();
        progress.step(`\nDebian ${release}`);
        const result = await vitest(["--project", "vm", "--project", "vm-module", ...args], { env: { ...env, NVI_TEST_ROUTER: release, NVI_TEST_FULL: "1" }, become: becomeRoot() ?? [] });
        results.push({ ...result, name: release, took: elapsed(since) });
        if (result.interrupted) break;
    }
    for (const { name, took, counts } of results) progress.step(`${name}: ${line(counts)}, ${took}`);
    const counts = sum(results.map((result) => result.counts));
    const nothing = counts.passed + counts.failed === 0;
    for (const failure of counts.failures ?? []) progress.step(`FAILED ${failure}`);
    progress.step(line(nothing ? { ...counts, failed: 1 } : counts));
    process.exitCode = results.find((result) => result.status !== 0)?.status ?? (nothing ? 1 : 0);
} catch (/** @type {any} */ error) {
    progress.step(`\n${error.message}\n\nNo test ran: the preparation failed.`);
    progress.step(line({ passed: 0, failed: 1, skipped: 0 }));
    process.exitCode = error.interrupted ? signalCode(error.interrupted) : 1;
}
