import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { Lab } from "../lab";
import { figure } from "../lab/figure";
import { routerArgs } from "../e2e/office";
import { deadline, keep } from "./results";
import { SCENES } from "./scenes";

/** Cycles of a change and a refresh, after some in which everything finds its size. */
const [CYCLES, FIRST, EVERY] = [1000, 50, 50];

let lab: Lab;
beforeAll(async () => { lab = await Lab.start(); });
afterAll(() => lab?.stop());

/** What could grow, on either side. */
async function sizes(): Promise<Record<string, number>> {
    // No process of the counting itself may be counted at times.
    const { stdout } = await lab.router.sh(`
        set -- /proc/[0-9]*; echo processes $#
        echo files $(find /etc/nvi /run/nvi | wc -l)
        echo kilobytes $(du -sk /etc/nvi /run/nvi | awk '{ sum += $1 } END { print sum }')
        echo nft $(nft -a list ruleset | grep -c handle)
        echo rules $(ip rule | wc -l) && echo routes $(ip route show table all | wc -l)`);
    const router = Object.fromEntries(stdout.trim().split("\n").map((line) => [`router's ${line.split(" ")[0]}`, Number(line.split(" ")[1])]));
    globalThis.gc?.();
    return { ...router, "provider's file descriptors": readdirSync("/proc/self/fd").length, "provider's megabytes": Math.round(process.memoryUsage().heapUsed / 1e6) };
}

it("nothing grows over a thousand changes", async () => {
    const pool = new Pool();
    const host = new Router({ name: "edge", ...routerArgs(lab) }, pool);
    const { needs, from, to } = SCENES.find(({ name }) => name === "update route-table")!;
    for (const need of needs) await ensure(host, need);
    let first: Record<string, number> | undefined;
    let last: Record<string, number> = {};
    let cycle = 0;
    for (; cycle < CYCLES && Date.now() < deadline; cycle++) {
        const wanted = cycle % 2 === 0 ? from! : to!;
        await ensure(host, wanted);
        expect((await read(host, wanted)).rendered).toEqual(renderedOf(wanted));
        if (cycle >= FIRST && cycle % EVERY === 0) {
            last = await sizes();
            first ??= last;
            figure(`after ${cycle} changes: ${Object.entries(last).map(([what, count]) => `${what} ${count}`).join(", ")}`);
        }
    }
    if (first) keep("soak", { changes: cycle, first, last });
    expect(first, `only ${cycle} changes in the time that there was`).toBeDefined();
    for (const [what, count] of Object.entries(last)) {
        // A heap is collected when it likes to.
        expect(count, what).toBeLessThanOrEqual(what.endsWith("megabytes") ? first![what]! + 30 : first![what]!);
    }
    await remove(host, to!);
    for (const need of [...needs].reverse()) await remove(host, need);
    pool.closeAll();
});
