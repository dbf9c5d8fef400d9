import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { diffDumps, Lab, office, probe, until } from "../lab";
import { officeInputs, officeProgram, routerArgs } from "./office";
import { stack, type Stack } from "./pulumi";
import { sampled } from "./sample";

let lab: Lab;
let before: string;
const stacks: Stack[] = [];

beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterEach(() => stacks.splice(0).forEach((one) => one.close()));
afterAll(() => lab?.stop());

async function program(text = officeProgram(lab)): Promise<Stack> {
    const made = await stack({ files: { "index.js": text } });
    stacks.push(made);
    return made;
}

const REAL_IP = "/etc/ssh/lab/hidden/ip";
/** Files of the faked tool, in a place that no dump looks at. */
const GATE = "/etc/ssh/lab/gate";
const COUNT = "/etc/ssh/lab/count";

/** An `ip` that does something else at the n-th rule that it adds, and with every rule that it deletes from then on. */
async function fakeIp(at: number, instead: string, deleting = ""): Promise<void> {
    await lab.router.sh(`rm -f ${COUNT} ${GATE} ${GATE}.reached`);
    await lab.fake("/usr/sbin/ip", `#!/bin/sh
n=$(cat ${COUNT} 2>/dev/null || echo 0)
case " $* " in
*" rule add "*) n=$((n + 1)); echo $n >${COUNT}; [ $n -ne ${at} ] || { ${instead} } ;;
*" rule del "*) [ $n -lt ${at} ] || { ${deleting || ":;"} } ;;
esac
exec ${REAL_IP} "$@"
`);
}

const REFUSE = `echo "RTNETLINK answers: No buffer space available" >&2; exit 2;`;
/** Kills what carries the transaction out, as the kernel's out-of-memory killer would. */
const KILL = "pkill -KILL -f '/run/nvi/[0-9a-f]*/nvi _run';";
const WAIT = `: >${GATE}.reached; until [ -e ${GATE} ]; do sleep 0.05; done;`;

const healed = () => lab.unhide("/usr/sbin/ip");
const works = async () => expect(await probe(lab.node("client"), { to: office.internet.v4, port: 7 })).toMatchObject({ ok: true });
const asBefore = async () => expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"))).toEqual([]);

async function failedUp(made: Stack): Promise<string> {
    const result = await made.up([], { allowFailure: true });
    expect(result.code, result.all).not.toBe(0);
    return result.all;
}

describe("a create that fails half-way", () => {
    const breaks: [string, string, string][] = [
        ["a step fails and is undone", REFUSE, ""],
        ["undoing fails too", REFUSE, REFUSE],
        ["the router-side script is killed", KILL, ""],
    ];
    const then: [string, (made: Stack) => Promise<unknown>][] = [
        ["refresh and up", async (made) => {
            await made.refresh();
            await made.up();
            await works();
        }],
        ["up", async (made) => {
            await made.up();
            await works();
        }],
        ["nothing more", () => Promise.resolve()],
    ];
    const cases = breaks.flatMap(([name, ...rest], i) => then.map(([next, action], j) => ({ name, rest, next, action, at: 3 + 7 * ((i + j) % 3) })));

    // Each break, each way on and each place once.
    test.each(sampled(cases, (_, i) => i % (then.length + 1) === 0))("$name, at rule $at; then $next, and destroy", async ({ rest: [instead, deleting], action, at }) => {
        const made = await program();
        await fakeIp(at, instead!, deleting);
        const said = await failedUp(made).finally(healed);
        expect(said).toMatch(deleting ? /UNDOING FAILED: the router is neither as it was nor as wanted/ : instead === KILL ? /ended in its middle.*the router has undone it and is as it was/ : /the router has undone it and is as it was[\s\S]*No buffer space available/);
        if (!deleting) await asBefore();
        await action(made);
        await made.destroy();
        await asBefore();
    });

    test("the connection is cut in its middle: it goes on, and its result is fetched", async () => {
        const made = await program();
        await fakeIp(5, WAIT);
        const up = made.up();
        await until("the transaction to be in its middle", async () => (await lab.router.sh(`test -e ${GATE}.reached`, [], { allowFailure: true })).code === 0, 60_000);
        lab.relay.cut();
        await lab.router.sh(`: >${GATE}`);
        await up.finally(healed);
        await works();
        await made.destroy();
        await asBefore();
    });
});

describe("what somebody else does to our objects", () => {
    test("a second stack's object of the same name is refused, with the owner's name; under another name both live", async () => {
        const first = await program();
        await first.up();
        const args = JSON.stringify(routerArgs(lab));
        const other = await stack({ name: "prod", files: { "index.js": officeProgram(lab) } });
        stacks.push(other);
        expect(await failedUp(other)).toContain("organization/nvi-test/dev/office");
        other.write({ "index.js": `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${args});
new nvi.Interface("second", { router, name: "nvi7", address: "169.254.77.7/32" });` });
        await other.up();
        await first.destroy();
        expect((await lab.router.run(["ip", "link", "show", "nvi7"])).code).toBe(0);
        await other.destroy();
        await asBefore();
    });

    test("two stacks at once on one router both complete", async () => {
        const text = (n: number) => `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(lab))});
for (const i of [0, 1, 2]) new nvi.Interface("n" + i, { router, name: "nvi${n}" + i, address: "169.254.7${n}." + i + "/32" });`;
        const both = await Promise.all([1, 2].map((n) => program(text(n))));
        await Promise.all(both.map((one) => one.up()));
        for (const name of ["nvi10", "nvi12", "nvi20", "nvi22"]) expect((await lab.router.run(["ip", "link", "show", name])).code).toBe(0);
        await Promise.all(both.map((one) => one.destroy()));
        await asBefore();
    });

    test("without /etc/nvi an object is still there, and up restores it; without everything it is gone", async () => {
        const made = await program();
        await made.up();
        await lab.router.sh("rm -rf /etc/nvi");
        expect((await made.refresh(["--diff"])).all).toMatch(/- *owner/);
        expect((await made.resources()).length).toBe(2);
        await made.up();
        await made.preview(["--refresh", "--expect-no-changes"]);

        const rendered = (await made.outputs()).rendered as Record<string, string>;
        await lab.router.sh(REMOVE_ALL);
        await made.refresh();
        expect((await made.resources()).map(({ type }) => type)).toEqual(["pulumi-nodejs:dynamic/nvi:Router"]);
        await made.up();
        expect((await made.outputs()).rendered).toEqual(rendered);
        await works();
        await made.destroy();
        // Forwarding was on before the first `up` already, so that nothing is left to put back.
        await asBefore();
    });
});

/** What an administrator would do who wants to be rid of us without Pulumi. */
const REMOVE_ALL = `rm -rf /etc/nvi /run/nvi
for table in nvi_if_nvi0 nvi_mark_office nvi_nat_office; do nft delete table inet $table; done
for family in -4 -6; do
    while ip $family rule del protocol 78 2>/dev/null; do :; done
    ip $family route show table all proto 78 | sed 's/ linkdown//; s/ pref medium//' | while read -r route; do ip $family route del $route proto 78; done
done
ip link del nvi0`;

test("a failing update leaves the old version, and the state", async () => {
    const made = await program();
    await made.up();
    const rules = (await lab.router.run(["nft", "list", "ruleset"])).stdout;
    const state = JSON.stringify((await made.resources()).map(({ outputs }) => outputs));
    made.write({ "index.js": officeProgram(lab, { ...officeInputs, uplinks: { ...officeInputs.uplinks, isp1: { ...officeInputs.uplinks.isp1, table: 7999 } } }) });
    await fakeIp(1, REFUSE);
    await failedUp(made).finally(healed);
    expect((await lab.router.run(["nft", "list", "ruleset"])).stdout).toBe(rules);
    expect(JSON.stringify((await made.resources()).map(({ outputs }) => outputs))).toBe(state);
    await works();
    await made.up();
    await works();
    await made.destroy();
    await asBefore();
});
