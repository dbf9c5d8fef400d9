import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensure, remove } from "../../provider/reconcile/engine";
import { diffDumps, until } from "../lab";
import { bench, desiredOf, withoutHousekeeping, type Bench } from "./drift-core";
import { officeInputs } from "./office";
import { sampled } from "./sample";

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
const UNDONE = /the router has undone it and is as it was/;
/** The order of tables, and of rules of one priority that don't overlap, means nothing; what became of transactions is kept for a while. */
const peaceful = (lines: readonly string[]): string[] => withoutHousekeeping(lines).filter((line) => !line.startsWith("~") && !line.includes(" /run/nvi"));

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
            expect(await settled(ensure(on.host, office)), `failed at ${at} of ${total}`).toMatch(UNDONE);
            await honest();
            expect(peaceful(diffDumps(before, await on.lab.dump())), `after failing at ${at} of ${total}`).toEqual([]);
        }
    });

    it("an update that fails leaves the old version", async () => {
        await ensure(on.host, office);
        const made = await on.lab.dump();
        const total = await commandsOf(() => ensure(on.host, changed));
        await ensure(on.host, office);
        for (const at of some(total, 4)) {
            await fake(at, FAIL);
            expect(await settled(ensure(on.host, changed)), `failed at ${at} of ${total}`).toMatch(UNDONE);
            await honest();
            expect(peaceful(diffDumps(made, await on.lab.dump())), `after failing at ${at} of ${total}`).toEqual([]);
        }
    });

    /** Fails at some commands of a removal, after each of which the router is as it was; returns how that is. */
    async function failingRemovals(): Promise<string> {
        const made = await on.lab.dump();
        for (const at of some(20, 3)) {
            await fake(at, FAIL);
            expect(await settled(remove(on.host, office)), `failed at ${at}`).toMatch(UNDONE);
            await honest();
            expect(peaceful(diffDumps(made, await on.lab.dump())), `after failing at ${at}`).toEqual([]);
        }
        return made;
    }

    it("a removal that fails leaves the object", async () => {
        await ensure(on.host, office);
        await failingRemovals();
    });

    it("a removal that fails brings a table back with all that somebody has added to it", async () => {
        await ensure(on.host, office);
        await on.sh("nft add set inet nvi_nat_office few '{ type ipv4_addr; elements = { 192.0.2.77 }; }'; nft add rule inet nvi_nat_office passed ip saddr @few counter; nft add table inet nvi_nat_office '{ flags dormant; }'");
        const made = await failingRemovals();
        // Nor is anything done that could not be undone.
        await on.lab.fake("/usr/sbin/nft", `#!/bin/sh\ncase "$*" in "-c -f "*/nvi_nat_office.undo) echo 'syntax error' >&2; exit 1 ;; esac\nexec /etc/ssh/lab/hidden/nft "$@"\n`);
        expect(await settled(remove(on.host, office))).toMatch(/nft table inet nvi_nat_office could not be brought back.*nothing was changed/s);
        await honest();
        expect(peaceful(diffDumps(made, await on.lab.dump()))).toEqual([]);
    });

    describe("an update of a rule to one that ip takes for it", () => {
        const rules = (...all: object[]) => desiredOf("route-table", { name: "other", table: 7950, interface: "nvi0", rules: all });
        const [wide, narrow, both] = [{ ingress: "lan0" }, { ingress: "lan0", from: "10.0.0.0/24" }, { ingress: "lan0", from: "10.0.0.0/24", to: "192.0.2.0/24" }];
        const listed = async () => await on.sh("ip -N rule; ip -N -6 rule");
        afterEach(async () => {
            await honest();
            await remove(on.host, rules());
        });

        it.each([["narrower", wide, narrow], ["wider", narrow, wide], ["narrower by one more", narrow, both], ["wider by one less", both, narrow]])("%s succeeds; what fails of it, or is killed, leaves the old rule", async (_what, old, new_) => {
            await ensure(on.host, rules(old));
            const before_ = await listed();
            const total = await commandsOf(() => ensure(on.host, rules(new_)));
            const after = await listed();
            await ensure(on.host, rules(old));
            expect(await listed()).toBe(before_);
            for (let at = 1; at <= total; at++) {
                for (const instead of [FAIL, "pkill -KILL -f '/run/nvi/[0-9a-f]*/nvi _run';"]) {
                    await fake(at, instead);
                    const said = await settled(ensure(on.host, rules(new_)));
                    await honest();
                    if (said !== "done") expect(said).toMatch(UNDONE);
                    expect(await listed(), `${instead} at ${at} of ${total}: ${said}`).toBe(said === "done" ? after : before_);
                    await ensure(on.host, rules(old));
                }
            }
        });
    });

    const victims: [string, string][] = [["the worker", "_run"], ["what it was started by", "(apply|_apart|_run)"], ["the guard", "_guard"], ["all of it", ""]];
    it.each(sampled(victims, (_, i) => i % 3 === 0))("a creation, an update and a removal of which %s is killed", async (who, pattern) => {
        const kill = `pkill -KILL -f '/run/nvi/[0-9a-f]*/nvi ${pattern}';`;
        for (const [from, to] of [[undefined, office], [office, changed], [office, undefined]] as const) {
            const put = async (object: typeof from) => (object ? await ensure(on.host, object) : await remove(on.host, office));
            await put(to);
            const new_ = await on.lab.dump();
            await put(from);
            const old = await on.lab.dump();
            for (const at of some(20, 3)) {
                await fake(at, kill);
                const said = await settled(put(to));
                await honest();
                const wanted = said === "done" ? new_ : old;
                if (said !== "done") expect(said, `${who} killed at ${at}`).toMatch(UNDONE);
                await until("the router to be in peace", async () => (await on.lab.router.sh("pgrep -f '/run/nvi/[0-9a-f]*/nvi' || :")).stdout === "", 20_000);
                expect(peaceful(diffDumps(wanted, await on.lab.dump())), `${who} killed at ${at}: ${said}`).toEqual([]);
                await put(from);
            }
            await remove(on.host, office);
        }
    });
});
