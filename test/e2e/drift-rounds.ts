import { expect } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import type { DesiredObject } from "../../provider/reconcile/desired";
import type { Rendered } from "../../provider/syntax/artifact";
import { ruleCommand } from "../../provider/syntax/iproute";
import { diffDumps } from "../lab";
import type { Case } from "./cases";
import { desiredOf, leftSince, withoutHousekeeping, type Bench } from "./drift-core";
import { inFull, rounds, tampersOf, unseen, type Tamper } from "./drift-tampers";

/** Somebody else's: tables, rules and routes, between ours and with our protocol number. */
const FOREIGN = `
nft -f - <<'END'
table inet foreign {
    chain seen { type filter hook forward priority 5; counter comment "mine"; iifname "lan0" ct state new counter accept; }
    set few { type ipv4_addr; elements = { 192.0.2.1 } }
}
END
ip rule add pref 1001 from 192.0.2.77 lookup 4242
ip -6 rule add pref 1101 from 2001:db8:77::77 lookup 4242
ip route add 192.0.2.128/25 via 198.51.100.1 table 4242 proto 78
ip -6 route add 2001:db8:77::/64 via 2001:db8:1::1 dev isp1 table 4242
ip route add 192.0.2.64/26 via 203.0.113.1`;

export const addForeign = (on: Bench): Promise<string> => on.sh(FOREIGN);

/** Rules that differ from ours in nothing but the protocol. */
function twins(desired: DesiredObject, verb: "add" | "del"): string {
    const rules = desired.artifacts.flatMap((artifact) => (artifact.kind === "rule" ? [inFull(artifact)] : []));
    return rules.map((rule) => ruleCommand(verb, rule).join(" ").replace(/protocol \d+$/, "protocol 3")).join("\n");
}

/** Does to one object all that hasn't been done to one of its kind, in rounds, and gives the number of tampers. */
export async function tamperWith(on: Bench, { kind, inputs }: Case, seen: Set<string>): Promise<number> {
    const desired = desiredOf(kind, inputs);
    const tampers = unseen(tampersOf(desired), kind, seen);
    const before = await on.lab.dump();
    try {
        await ensure(on.host, desired);
        await on.sh(twins(desired, "add"));
        let sound = await lookAt(on);
        for (const round of rounds(tampers)) sound = await tamperAndRepair(on, desired, round, sound);
    } finally {
        await on.sh(twins(desired, "del").replaceAll("\n", "; ")).catch(() => "");
        await remove(on.host, desired);
    }
    expect(await leftSince(before, on), "what removal left behind").toEqual([]);
    return tampers.length;
}

interface Look {
    dump: string;
    handles: string[];
}

const lookAt = async (on: Bench): Promise<Look> => ({ dump: await on.lab.dump(), handles: await handlesOn(on) });

async function tamperAndRepair(on: Bench, desired: DesiredObject, round: readonly Tamper[], before: Look): Promise<Look> {
    const told = round.map(({ what, names, script }) => `${what}: ${names.slice(0, 3).join(", ")}\n    ${script}`).join("\n");
    await on.sh(round.map(({ script }) => script).join("\n"));
    const found = await read(on.host, desired);
    expect(different(found.rendered, renderedOf(desired)), `what a read names after\n${told}`).toEqual(round.flatMap(({ names }) => names).sort());

    const repaired = await ensure(on.host, desired, { known: true }).catch((error: Error) => { throw new Error(`no repair after\n${told}\n${error.message}`); });
    expect(repaired.rendered).toEqual(renderedOf(desired));
    const after = await lookAt(on);
    const left = withoutHousekeeping(diffDumps(before.dump, after.dump)).filter((line) => !isReordered(line, round) && !isSince(line, round));
    expect(left, `what the repair left different after\n${told}`).toEqual([]);
    const written = round.flatMap(({ rewrites = [] }) => rewrites);
    const kept = before.handles.filter((line) => !written.some((what) => line.startsWith(`${what} `)));
    expect(after.handles, `nft rules that stay where they are, after\n${told}`).toEqual(expect.arrayContaining(kept));
    return after;
}

/** Whose manifest was lost counts as made today: the order in which a restart brings objects back. */
const isSince = (line: string, round: readonly Tamper[]): boolean => / files: file \/etc\/nvi\/objects\/\S+\/manifest /.test(line) && round.some(({ names }) => names.includes("owner"));

/** A rule that is made again comes after the others of its priority, a table after all others. */
function isReordered(line: string, round: readonly Tamper[]): boolean {
    const [, what] = /^~ (rules|nft)(?: v[46])?: the same lines in another order$/.exec(line) ?? [];
    if (what === "rules") return round.some(({ names }) => names.some((name) => / rule \d/.test(name)));
    return what === "nft" && round.some(({ rewrites = [] }) => rewrites.some((one) => !one.includes(" ")));
}

function different(found: Rendered, wanted: Rendered): string[] {
    const keys = new Set([...Object.keys(found), ...Object.keys(wanted)]);
    return [...keys].filter((key) => found[key] !== wanted[key]).sort();
}

/** Every nft rule on the router as `table chain id handle`: a rule that was written anew has another handle. */
async function handlesOn({ lab }: Bench): Promise<string[]> {
    const { stdout } = await lab.router.observe(["nft", "-a", "-s", "list", "ruleset"]);
    let [table, chain] = ["", ""];
    return stdout.split("\n").flatMap((line) => {
        table = /^table \S+ (\S+)/.exec(line)?.[1] ?? table;
        chain = /^\tchain (\S+)/.exec(line)?.[1] ?? chain;
        const [, text, handle] = /^\t\t(.*) # handle (\d+)$/.exec(line) ?? [];
        return text === undefined ? [] : [`${table} ${chain} ${/comment "([^"]*)"/.exec(text)?.[1] ?? text} #${handle}`];
    });
}

