import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { figure } from "../lab/figure";
import { ForeignBench } from "./foreign";
import { deadline, keep, seed, sequencesDone } from "./results";

/** Sequences in all, and those that fail before it is given up. */
const [ALL, MOST_FAILURES] = [10_000, 5];
/** Routers side by side: a fifth of a transaction is waiting. */
const ROUTERS = Math.min(4, availableParallelism() + 1);
const EVERY = 100;

it("leaves all that others have on the router as it is, byte for byte", async () => {
    const before = sequencesDone();
    const left = Array.from({ length: ALL }, (_, i) => i + 1).filter((number) => !before.has(number));
    const failures: string[] = [];
    const since = performance.now();
    let count = 0;
    const work = async (): Promise<void> => {
        let bench = await ForeignBench.start();
        try {
            while (left.length > 0 && Date.now() < deadline && failures.length < MOST_FAILURES) {
                const number = left.shift()!;
                try {
                    keep("sequence", { sequence: number, tally: (await bench.run(seed, number)).tally, of: ALL });
                } catch (error) {
                    const failure = (error as Error).message;
                    failures.push(failure);
                    figure(failure);
                    keep("sequence", { sequence: number, failure, of: ALL });
                    await bench.stop();
                    bench = await ForeignBench.start();
                }
                if (++count % EVERY === 0) figure(`${count} sequences, ${((performance.now() - since) / 1000 / count).toFixed(1)} s each`);
            }
        } finally {
            await bench.stop();
        }
    };
    await Promise.all(Array.from({ length: ROUTERS }, work));
    figure(`${count} sequences in ${Math.round((performance.now() - since) / 1000)} s, ${before.size + count} of ${ALL} in all`);
    expect(failures).toEqual([]);
});
