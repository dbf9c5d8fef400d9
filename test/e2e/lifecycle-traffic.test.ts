import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Flow, office as topology, type FlowReport } from "../lab";
import { figure } from "../lab/figure";
import { officeInputs, officeProgram, setup, type Setup } from "./office";
import { costOf, families, uplinks, type UplinkName } from "./traffic";

/* What later operations cost connections that are there: from the inside, and from outside to a server, by each uplink, in both families. */

const { router } = topology;
const outside = { isp1: [router.isp1v4, router.isp1v6], isp2: [router.isp2v4, router.isp2v6] } as const;

/** A connection and the pings beside it have the same addresses, and so the same uplink. */
const spread = "source-destination";
const usual = { ...officeInputs, translations: officeInputs.translations.map((one) => (one.kind === "snat" ? { ...one, to: { ...(one.to as object), spread } } : one)) };

let office: Setup;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, usual));
    await office.lab.router.sh("modprobe nf_conntrack 2>/dev/null; sysctl -q -w net.netfilter.nf_conntrack_acct=1 || :");
    await office.stack.up();
}, 300_000);
afterAll(async () => await office?.stop());

interface Held {
    flow: Flow;
    uplink: UplinkName;
    what: string;
}

const hold = async (by: readonly UplinkName[] = uplinks): Promise<Held[]> => [...(await fromInside(by)), ...(await fromOutside(by))];

async function fromInside(by: readonly UplinkName[]): Promise<Held[]> {
    const found = new Map<string, Held>();
    for (let n = 1; found.size < families.length * by.length && n <= 30; n++) {
        for (const words of families) {
            const flow = await Flow.start(office.lab.node("client"), { to: words.destination(n), port: 7 });
            const { peer } = await flow.report();
            const uplink = uplinks.find((name) => words[name] === peer);
            const what = `${words.family} from the inside by ${uplink}`;
            if (uplink === undefined || found.has(what)) await flow.stop();
            else found.set(what, { flow, uplink, what });
        }
    }
    expect([...found.keys()].sort()).toEqual(["IPv4", "IPv6"].flatMap((family) => by.map((uplink) => `${family} from the inside by ${uplink}`)));
    return [...found.values()];
}

// Pings of the router's own address by its second uplink find no way back: the answer goes by its own default route, to the first.
const fromOutside = async (by: readonly UplinkName[]): Promise<Held[]> => await Promise.all(by.flatMap((uplink) => outside[uplink].map(async (to, i) => (
    { flow: await Flow.start(office.lab.node("internet"), { to, port: 8080, pings: false }), uplink, what: `${families[i]!.family} from outside by ${uplink}` }
))));

/** Carries out an operation; what it cost, uplink by uplink. */
async function cost(held: readonly Held[], operation: () => Promise<unknown>): Promise<Record<UplinkName, FlowReport[]>> {
    await operation();
    const alive = await Promise.all(held.map(async ({ flow, what }) => [what, await flow.alive(5000)] as const));
    const reports = await Promise.all(held.map(async ({ flow, uplink }) => [uplink, await flow.stop()] as const));
    const of = (name: UplinkName) => reports.filter(([uplink]) => uplink === name).map(([, report]) => report);
    const dead = alive.filter(([, yes]) => !yes).map(([what]) => what);
    for (const name of uplinks.filter((one) => of(one).length > 0)) figure(`${expect.getState().currentTestName?.split(" > ").at(-1)}, by ${name}: ${costOf(of(name))}${dead.some((what) => what.endsWith(name)) ? ", and the connections ended" : ""}`);
    return { isp1: of("isp1"), isp2: of("isp2") };
}

function expectNothingLost(reports: readonly FlowReport[]): void {
    expect(reports.map(({ error, ping: { lost } }) => ({ error, lost }))).toEqual(reports.map(() => ({ error: undefined, lost: 0 })));
}

const up = async (inputs: object): Promise<unknown> => {
    office.stack.write({ "index.js": officeProgram(office.lab, inputs) });
    return await office.stack.up();
};

/** The kernel's entries of connections that are held, with what they have counted. */
async function tracked(): Promise<Map<string, number>> {
    const { stdout } = await office.lab.router.sh("for family in ipv4 ipv6; do conntrack -L -f $family -p tcp --state ESTABLISHED -o id 2>/dev/null; done");
    return new Map(stdout.trim().split("\n").filter((line) => /port=(?:7|8080) /.test(line)).map((line) => [/ id=(\d+)/.exec(line)![1]!, Number(/packets=(\d+)/.exec(line)![1])]));
}

/** Rules by their handles. */
async function rules(): Promise<string[]> {
    const { stdout } = await office.lab.router.sh("nft -a list table inet nvi_nat_office");
    return stdout.split("\n").filter((line) => /comment .* # handle/.test(line)).map((line) => line.trim());
}

const more = { ...usual, translations: [...usual.translations, { kind: "dnat", on: ["isp1"], port: "udp/5353", to: "10.0.0.80" }] };
const { isp1 } = usual.uplinks;
const withoutIsp2 = {
    ...usual, uplinks: { isp1 },
    translations: usual.translations.map((one) => (one.kind === "snat" ? { ...one, to: { uplinks: ["isp1"], spread } } : { ...one, on: ["isp1"] })),
};

describe("established connections lose nothing", () => {
    it.each([["that is added", more], ["that is taken away", usual]])("by a rule of no concern to them %s, which leaves counters and the other rules' handles alone", async (_, inputs) => {
        const held = await hold();
        const [connections, handles] = [await tracked(), await rules()];
        expect(connections.size).toBe(held.length);
        const lost = await cost(held, async () => await up(inputs));
        const [now, after] = [await tracked(), await rules()];
        for (const [id, packets] of connections) expect(now.get(id) ?? packets, `packets of connection ${id}`).toBeGreaterThanOrEqual(packets);
        const [less, more] = inputs === usual ? [after, handles] : [handles, after];
        expect(more).toEqual(expect.arrayContaining(less));
        expect(more).toHaveLength(less.length + 1);
        for (const name of uplinks) expectNothingLost(lost[name]);
    });

    it("by a refresh", async () => {
        const lost = await cost(await hold(), async () => await office.stack.refresh());
        for (const name of uplinks) expectNothingLost(lost[name]);
    });

    it.each<[string, object, readonly UplinkName[]]>([["is taken away", withoutIsp2, uplinks], ["is added", usual, ["isp1"]]])("when another uplink %s", async (_, inputs, by) => {
        // Those of the other one are there for the figure alone.
        const lost = await cost(await hold(by), async () => await up(inputs));
        expectNothingLost(lost.isp1);
    });

});
