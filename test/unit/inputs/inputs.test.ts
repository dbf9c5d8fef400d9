import { expect, it } from "vitest";
import { random } from "../model/random";
import { figure } from "../../lab/figure";
import { examineCorrupted } from "./corrupt";
import { examine, type Sent } from "./examine";
import { generated } from "./generator";

/* A sample of what `npm run faults -- inputs` does with all of them. */

const COUNT = 2000;
/** Seconds are enough, but not on every busy machine. */
const TIMEOUT = 300_000;

it("any inputs are refused with reasons, or come to nothing but sound words for the router", async () => {
    const sent: Sent[] = [];
    let taken = 0;
    for (let n = 0; n < COUNT; n++) {
        const examined = await examine(generated(2, n));
        if (examined.outcome === "taken") taken++;
        if (examined.sent) sent.push(examined.sent);
    }
    figure(`${COUNT} generated inputs: ${taken} pass the check, and a router would get something of ${sent.length}`);
    expect(taken / COUNT).toBeGreaterThan(0.2);
    expect(taken / COUNT).toBeLessThan(0.6);
    expect(new Set(sent.map(({ desired }) => desired.id.kind)).size).toBe(5);
}, TIMEOUT);

it("an answer of the router that is spoilt anywhere is read, or refused with a reason", async () => {
    const { below } = random(3);
    for (let n = 0, left = 100; left > 0; n++) {
        const { sent } = await examine(generated(3, below(1_000_000)));
        if (!sent) continue;
        await examineCorrupted(sent, random(n));
        left--;
    }
}, TIMEOUT);
