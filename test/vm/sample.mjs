// @ts-check
/*
 * Tests of the product that are run with an emulated router as well. All that a lab offers on both kinds of router may be
 * used there. `npm test` has those of SAMPLE, `npm run test:kernels` all.
 */
const full = process.env.NVI_TEST_FULL === "1";
const TRAFFIC = ["mtu", "nics", "own", "spoof", "uplinks", "variants"].map((name) => `test/e2e/traffic-${name}.test.ts`);

/** By each backend, and what each is shown by. @type {Record<"rules" | "module", string[]>} */
export const SAMPLE = full
    ? { rules: ["test/vm/**/*.test.ts", "test/e2e/boot.test.ts", ...TRAFFIC], module: ["test/e2e/module/**/*.test.ts", "test/e2e/boot.test.ts", ...TRAFFIC] }
    : { rules: ["test/vm/**/*.test.ts"], module: ["test/e2e/traffic-uplinks.test.ts"] };

/** What there is only with the kernel module. */
export const MODULE_ONLY = ["test/e2e/module/**/*.test.ts"];
