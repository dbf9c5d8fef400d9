import { afterAll, beforeAll, expect, it } from "vitest";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { desiredOf } from "../e2e/drift-core";
import { routerArgs } from "../e2e/office";
import { diffDumps, Lab } from "../lab";
import { figure } from "../lab/figure";
import { deadline, keep } from "./results";

const [ROUNDS, RESOURCES] = [10, 20];

let lab: Lab;
let before: string;
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterAll(() => lab?.stop());

/** A stack with a provider of its own, and twenty objects. */
function stackOf(n: number) {
    const pool = new Pool();
    const host = new Router({ name: "edge", ...routerArgs(lab) }, pool);
    const owner = `organization/nvi-test/stack${n}/x`;
    const objects = Array.from({ length: RESOURCES }, (_, i) => desiredOf("route-table", {
        name: `s${n}-${i}`, interface: "nvi0", table: 8000 + 100 * n + i, routes: [{ to: "0.0.0.0/0", via: "198.51.100.1", device: "isp1" }], rules: [{ to: `10.${n}.${i}.0/24`, priority: 1100 }],
    } as never, owner));
    return {
        objects, host, close: () => pool.closeAll(),
        up: async () => { for (const object of objects) await ensure(host, object); },
        destroy: async () => { for (const object of [...objects].reverse()) await remove(host, object); },
    };
}

it("two stacks with twenty resources each, at the same moment on one router, both complete", async () => {
    let round = 0;
    for (; round < ROUNDS && Date.now() < deadline; round++) {
        const [one, two] = [stackOf(1), stackOf(2)];
        const since = performance.now();
        await Promise.all([one.up(), two.up()]);
        for (const { objects, host } of [one, two]) for (const object of objects) expect((await read(host, object)).rendered).toEqual(renderedOf(object));
        await Promise.all([one.destroy(), two.destroy()]);
        for (const { close } of [one, two]) close();
        expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"))).toEqual([]);
        const seconds = Math.round((performance.now() - since) / 1000);
        keep("round", { round: round + 1, of: ROUNDS, transactions: 4 * RESOURCES, seconds });
        figure(`round ${round + 1}: ${4 * RESOURCES} transactions in ${seconds} s`);
    }
    expect(round).toBeGreaterThan(0);
});
