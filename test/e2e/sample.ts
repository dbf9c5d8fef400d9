/** All of a long matrix, or the part of it that `npm test` has time for. */
export const sampled = <T>(all: readonly T[], keep: (one: T, i: number) => boolean): T[] => all.filter((one, i) => process.env.NVI_TEST_FULL === "1" || keep(one, i));
