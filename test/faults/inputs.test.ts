import { expect, it } from "vitest";
import { figure } from "../lab/figure";
import { examineCorrupted } from "../unit/inputs/corrupt";
import { examine, type Sent } from "../unit/inputs/examine";
import { generated } from "../unit/inputs/generator";
import { random } from "../unit/model/random";
import { deadline, isTried, keep, seed } from "./results";
import { misreadByShell } from "./shell";
import { refusedByTools } from "./tools";

/* Generated inputs through check, render, the plan and the parsers; of those that a router would get, some of each thousand through a real shell, nft and ip. */

const [ALL, TURN, THROUGH_TOOLS] = [100_000, 1000, 50];
const SHELLS = [["sh"], ["busybox", "sh"]];
/** How many answers of a router are spoilt in each turn, nine times each. */
const SPOILT = 30;

const reasonOf = (error: unknown): string => (error as Error).message;

it("any inputs are refused with reasons, or taken by the shell, nft and ip of a router", async () => {
    const failures: string[] = [];
    for (let first = 0; first < ALL && Date.now() < deadline; first += TURN) {
        if (isTried(first)) continue;
        const said: string[] = [];
        const sent: Sent[] = [];
        let taken = 0;
        for (let n = first; n < first + TURN; n++) {
            try {
                const examined = await examine(generated(seed, n));
                if (examined.outcome === "taken") taken++;
                if (examined.sent) sent.push(examined.sent);
            } catch (error) {
                said.push(reasonOf(error));
            }
        }
        for (const [i, one] of sent.slice(0, SPOILT).entries()) await examineCorrupted(one, random(first + i)).catch((error: unknown) => said.push(reasonOf(error)));
        const some = sent.slice(0, THROUGH_TOOLS);
        said.push(...await misreadByShell(some, SHELLS[(first / TURN) % SHELLS.length]), ...await refusedByTools(some));
        keep("inputs", { first, inputs: TURN, of: ALL, taken, sent: sent.length, spoilt: 9 * Math.min(SPOILT, sent.length), tools: some.length, failures: said.length });
        figure(`inputs ${first} to ${first + TURN - 1}: ${taken} pass the check, a router would get ${sent.length}, of which shell, nft and ip had ${some.length}; ${said.length} failures`);
        for (const one of said) figure(one.slice(0, 3000));
        failures.push(...said);
    }
    expect(failures).toEqual([]);
});
