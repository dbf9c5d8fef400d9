import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { diffDumps } from "../lab";
import { bench, desiredOf, withoutHousekeeping, type Bench } from "./drift-core";
import { officeInputs } from "./office";

/*
 * A transaction that fails, or whose process is killed, at any of its commands: through the core, and so at many of them.
 */
const inputs = { name: "office", ...officeInputs };
const office = desiredOf("two-stage-nat", inputs);
/** The same with another table for each uplink, other rules, and one forward less. */
const changed = desiredOf("two-stage-nat", { ...inputs, table: 7700, translations: officeInputs.translations.slice(0, 2), uplinks: { isp1: { ...officeInputs.uplinks.isp1, table: 7901 }, isp2: { ...officeInputs.uplinks.isp2, table: 7902 } } });

let on: Bench;
let before: string;
beforeAll(async () => {
    // What the provider switches on and has to switch off again.
    on = await bench({ forwarding: false, rpFilter: 1 });
    before = await on.lab.dump();
});
afterAll(async () => await on?.stop());
afterEach(async () => {
    await honest();
    await remove(on.host, office);
    expect(diffDumps(before, await on.lab.dump())).toEqual([]);
});

/** In a place that no dump looks at. */
const COUNT = "/etc/ssh/lab/count";
const TOOLS = ["ip", "nft"];

/** Tools of which the n-th call that changes something does something else. */
async function fake(at: number, instead: string): Promise<void> {
    await on.sh(`rm -f ${COUNT}`);
    for (const tool of TOOLS) {
        await on.lab.fake(`/usr/sbin/${tool}`, `#!/bin/sh
case " $* " in
*" add "* | *" del "* | *" set "* | *" replace "* | *" append "* | " -f "*".nft " | *" delete table "*)
    n=$(($(cat ${COUNT} 2>/dev/null || echo 0) + 1)); echo $n >${COUNT}
    [ $n -ne ${at} ] || { ${instead} } ;;
esac
exec /etc/ssh/lab/hidden/${tool} "$@"
`);
    }
}

async function honest(): Promise<void> {
    for (const tool of TOOLS) await on.lab.unhide(`/usr/sbin/${tool}`).catch(() => undefined);
}

const FAIL = "echo refused >&2; exit 2;";
// The working directory of a command is that of its transaction.
const KILL = "kill -9 $(cat pid);";

/** The number of commands of something that succeeds. */
async function commandsOf(action: () => Promise<unknown>): Promise<number> {
    await fake(0, ":;");
    await action().finally(honest);
    return Number(await on.sh(`cat ${COUNT}`));
}

/** Some positions of many: the first, the last, and what lies evenly between. */
const some = (total: number, count: number): number[] => Array.from({ length: count }, (_, i) => 1 + Math.round((i * (total - 1)) / (count - 1)));

const settled = async (action: Promise<unknown>): Promise<string> => await action.then(() => "done", (error: Error) => error.message);

describe("at any of its commands", () => {
    it("a creation that fails leaves the router as it was", async () => {
        const total = await commandsOf(() => ensure(on.host, office));
        await remove(on.host, office);
        for (const at of some(total, 6)) {
            await fake(at, FAIL);
            expect(await settled(ensure(on.host, office)), `failed at ${at} of ${total}`).toMatch(/everything before it was undone/);
            await honest();
            expect(withoutHousekeeping(diffDumps(before, await on.lab.dump())).filter((line) => !/ \/run\/nvi/.test(line)), `after failing at ${at} of ${total}`).toEqual([]);
        }
    });

    it("an update that fails leaves the old version", async () => {
        await ensure(on.host, office);
        const made = await on.lab.dump();
        const total = await commandsOf(() => ensure(on.host, changed));
        await ensure(on.host, office);
        for (const at of some(total, 4)) {
            await fake(at, FAIL);
            expect(await settled(ensure(on.host, changed)), `failed at ${at} of ${total}`).toMatch(/everything before it was undone/);
            await honest();
            expect(withoutHousekeeping(diffDumps(made, await on.lab.dump())).filter((line) => !line.startsWith("~")), `after failing at ${at} of ${total}`).toEqual([]);
        }
    });

    it("a removal that fails leaves the object", async () => {
        await ensure(on.host, office);
        const made = await on.lab.dump();
        for (const at of some(20, 3)) {
            await fake(at, FAIL);
            expect(await settled(remove(on.host, office)), `failed at ${at}`).toMatch(/everything before it was undone/);
            await honest();
            expect(withoutHousekeeping(diffDumps(made, await on.lab.dump())).filter((line) => !line.startsWith("~")), `after failing at ${at}`).toEqual([]);
        }
    });

    it("a creation that is killed is known to be there, can be completed, and be removed", async () => {
        for (const [i, at] of some(45, 4).entries()) {
            await fake(at, KILL);
            expect(await settled(ensure(on.host, office)), `killed at ${at}`).toMatch(/ended on the router, without a result/);
            await honest();
            expect((await read(on.host, office)).exists, `killed at ${at}`).toBe(true);
            if (i % 2) expect((await ensure(on.host, office)).rendered).toEqual(renderedOf(office));
            await remove(on.host, office);
            expect(diffDumps(before, await on.lab.dump()), `after removal of what was killed at ${at}`).toEqual([]);
        }
    });

    it.each([
        { at: 3, then: "is completed", by: async () => { await ensure(on.host, changed); } },
        { at: 9, then: "is taken back", by: async () => { await ensure(on.host, office); } },
        { at: 18, then: "is removed", by: async () => undefined },
    ])("an update that is killed at command $at $then, with no trace of what it had made", async ({ at, by }) => {
        await ensure(on.host, office);
        await fake(at, KILL);
        expect(await settled(ensure(on.host, changed))).toMatch(/ended on the router, without a result/);
        await honest();
        await by();
    });

    it.each([
        { at: 1, then: "is taken back", by: async () => { expect((await ensure(on.host, office)).rendered).toEqual(renderedOf(office)); } },
        { at: 12, then: "is completed", by: async () => undefined },
        { at: 25, then: "is taken back", by: async () => { expect((await ensure(on.host, office)).rendered).toEqual(renderedOf(office)); } },
    ])("a removal that is killed at command $at $then", async ({ at, by }) => {
        await ensure(on.host, office);
        await fake(at, KILL);
        expect(await settled(remove(on.host, office))).toMatch(/ended on the router, without a result/);
        await honest();
        await by();
    });
});
