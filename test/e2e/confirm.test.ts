import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import type { Rule } from "../../provider/syntax/artifact";
import { diffDumps, Lab, office as topology, probe, until } from "../lab";
import { coreRouter, officeObject } from "./core";

/*
 * A change that nobody confirms is undone by the router itself. The core is driven directly, with a confirmTimeout of 2 s.
 */

let lab: Lab;
let before: string;
const closing: (() => void)[] = [];
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterEach(() => closing.splice(0).forEach((close) => close()));
afterAll(() => lab?.stop());

function router(more: Parameters<typeof coreRouter>[1] = {}) {
    const { host, close } = coreRouter(lab, more);
    closing.push(close);
    return host;
}

const office = officeObject();
/** Another version of it: an uplink's table has another number. */
const moved = officeObject({ table: 7800 });

const asBefore = async () => expect(diffDumps(before, await lab.dump())).toEqual([]);
const processes = async () => (await lab.router.sh("pgrep -fa '/run/nvi/[0-9a-f]*/nvi' || :")).stdout.trim().split("\n").filter(Boolean);
const quiet = async () => await until("the script to end", async () => (await processes()).length === 0, 20_000);
const failure = async (attempt: Promise<unknown>) => await attempt.then(() => undefined, (error: Error & { kind?: string }) => error);

describe("a change that is confirmed", () => {
    it("stays, and leaves nothing that waits", async () => {
        const host = router();
        await ensure(host, office);
        await quiet();
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        expect((await lab.router.sh("find /etc/nvi -type f | sort; ls /run/nvi")).stdout).not.toMatch(/pending|undo/);
        await new Promise((resolve) => setTimeout(resolve, 3000));
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        expect(await probe(lab.node("client"), { to: topology.internet.v4, port: 7 })).toMatchObject({ ok: true });
    });

    it("is confirmed through a connection of its own, one a transaction", async () => {
        const host = router();
        const { opened } = await lab.relay.count();
        await ensure(host, moved);
        expect((await lab.relay.count()).opened - opened).toBe(2);
        await ensure(host, moved);
        expect((await lab.relay.count()).opened - opened).toBe(2);
    });

    it("goes away confirmed, and with it all of ours", async () => {
        await remove(router(), moved);
        await quiet();
        await asBefore();
    });
});
