/**
 * What every deadline of the tests is multiplied by: an emulated router does in a second what the test's own machine does in
 * a tenth of it.
 */
export const patience = Number(process.env.NVI_TEST_PATIENCE ?? 1);
