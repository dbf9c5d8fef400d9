// @ts-check
/** Tests of the product that are run with an emulated router as well. All that a lab offers on both kinds of router may be used there. */
export const SAMPLE = ["test/e2e/traffic-uplinks.test.ts"];
