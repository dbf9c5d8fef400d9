import { beforeAll, expect, it } from "vitest";
import { misreadByShell } from "../faults/shell";
import { refusedByTools } from "../faults/tools";
import { figure } from "../lab/figure";
import { examine, type Sent } from "../unit/inputs/examine";
import { generated } from "../unit/inputs/generator";

/* A sample of what `npm run faults -- inputs` does: what passed the check, given to a real shell, nft and ip. */

const COUNT = 200;

const sent: Sent[] = [];
beforeAll(async () => {
    for (let n = 0; sent.length < COUNT; n++) {
        const examined = await examine(generated(4, n));
        if (examined.sent) sent.push(examined.sent);
    }
});

it.each([[["sh"]], [["busybox", "sh"]]])("the script on the router reads every word as it was written: %j", async (shell) => {
    expect(await misreadByShell(sent.slice(0, COUNT / 2), shell)).toEqual([]);
});

it("nft and ip take all that passed the check, and list it as what was wanted", async () => {
    const since = performance.now();
    expect(await refusedByTools(sent)).toEqual([]);
    figure(`${COUNT} of generated inputs made and undone by nft and ip in ${Math.round((performance.now() - since) / 1000)} s`);
});
