// @ts-check
/** Tests of the product that are run with an emulated router as well, by either backend. All that a lab offers on both kinds of router may be used there. */
export const SAMPLE = ["test/e2e/traffic-uplinks.test.ts", "test/e2e/boot.test.ts"];

/** What there is only with the kernel module. */
export const MODULE_ONLY = ["test/e2e/module/**/*.test.ts"];
