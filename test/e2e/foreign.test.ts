import { afterAll, beforeAll, expect, it } from "vitest";
import { ForeignBench } from "../faults/foreign";
import { describe as described, features, planOf } from "../faults/foreign-plan";

/* A sample of the ten thousand sequences of `npm run faults`: of every operation, resource and way to the router. */

const SEED = 1;
const ALL = Array.from({ length: 300 }, (_, i) => ({ number: i + 1, plan: planOf(SEED, i + 1) }));

/** Few that have everything, those first that have most for their length. */
function covering(): typeof ALL {
    const missing = new Set(ALL.flatMap(({ plan }) => features(plan)));
    const chosen: typeof ALL = [];
    while (missing.size > 0) {
        const worth = ({ plan }: (typeof ALL)[number]) => new Set(features(plan).filter((feature) => missing.has(feature))).size / (plan.operations.length + 1);
        const best = ALL.reduce((one, other) => (worth(other) > worth(one) ? other : one));
        for (const feature of features(best.plan)) missing.delete(feature);
        chosen.push(best);
    }
    return chosen;
}

let bench: ForeignBench;
beforeAll(async () => { bench = await ForeignBench.start(); });
afterAll(async () => await bench?.stop());

it.each(covering().map((one) => ({ ...one, title: described(one.plan) })))("what others have is as it was after: $title", async ({ number, plan }) => {
    const { tally } = await bench.run(SEED, number);
    expect(Object.values(tally).reduce((sum, count) => sum + count), "operations").toBe(plan.operations.length);
});
