import { contains, FAMILIES, parsePrefix, type Prefix } from "../model/address";
import { PROTOCOL, type Rule } from "../syntax/artifact";
import { ipFamily, LOCAL_TABLE, MAIN_TABLE, routeValue, ruleWords, type ObservedRule } from "../syntax/iproute";
import type { DesiredObject } from "./desired";
import type { Finding } from "./finding";
import type { Request } from "./kind";
import type { ObservedAddress, Snapshot } from "./snapshot";

/*
 * ip rules are asked by priority, and the first whose table has a route decides (net/core/fib_rules.c, fib_rules_lookup). Rules of
 * others that come before the diversions keep packets from the NVI: they leave untranslated. Such are left over from policy routing, or
 * added without a priority, as wg-quick does: the kernel then takes one before all that are there (fib_default_rule_pref).
 */

type Seen = Pick<Snapshot, "rules" | "addresses">;

/** A rule of somebody else's that selects all that comes in by some NICs, before their diversions do. */
interface Capture {
    rule: ObservedRule & { action: { table: number } };
    nics: string[];
    /** Of the diversions. */
    priority: number;
}

/** Which of their tables have a default route; the main table has some that matter in any case. */
export function policyRoutingRequests(desired: Pick<DesiredObject, "artifacts">, seen: Seen): Request[] {
    const tables = captures(desired, seen).map(({ rule }) => rule.action.table).filter((table) => table !== MAIN_TABLE);
    return [...new Set(tables)].map((table) => ["default", `${table}`]);
}

export const policyRouting = (desired: DesiredObject, snapshot: Snapshot): Finding[] =>
    [...lateLocal(desired, snapshot), ...captures(desired, snapshot).flatMap((capture) => leak(capture, snapshot))];

function captures({ artifacts }: Pick<DesiredObject, "artifacts">, { rules, addresses }: Seen): Capture[] {
    return rules.filter(isUnconditional).flatMap((rule) => {
        const takes = ({ family, priority, iif }: Rule) => family === rule.family && priority > rule.priority && (!rule.iif || rule.iif === iif) && (!rule.from || isNetworkOf(iif, rule.from, addresses));
        const taken = artifacts.filter((one): one is Rule => one.kind === "rule" && one.phase === "divert" && takes(one));
        return taken.length === 0 ? [] : [{ rule, nics: taken.flatMap(({ iif }) => iif ?? []), priority: taken[0]!.priority }];
    });
}

/**
 * Those with a mark, a destination or selectors of which nothing is known here may be exceptions that somebody has reasons for; what is to
 * have no mark is nearly everything.
 */
function isUnconditional(rule: ObservedRule): rule is Capture["rule"] {
    const { action, protocol, other, inverted, mark, from, to, iif, tunnelId, suppressPrefixLength } = rule;
    const isLookup = action !== "unreachable" && action.table !== LOCAL_TABLE && (suppressPrefixLength === undefined || action.table === MAIN_TABLE);
    const selectsAll = inverted ? mark !== undefined && !from && !iif : !mark;
    return protocol !== PROTOCOL && !other && isLookup && selectsAll && !to && tunnelId === undefined;
}

/** Whether a network that a NIC is in is all in `from`. */
function isNetworkOf(nic: string | undefined, from: string, addresses: readonly ObservedAddress[]): boolean {
    const range = parsePrefix(from) as Prefix;
    return addresses.some(({ device, local, length, scope }) => device === nic && scope === "global" && length >= range.length && contains(range, parsePrefix(local) as Prefix));
}

function leak({ rule, nics, priority }: Capture, { defaults }: Snapshot): Finding[] {
    const { family, action: { table } } = rule;
    const route = defaults.get(table)?.find((one) => one.family === family && one.type === "unicast");
    // An uplink's own table takes from what comes in by that uplink only what its neighbours there send.
    const led = nics.filter((nic) => table === MAIN_TABLE || route?.hops.some(({ dev }) => dev !== nic));
    if (led.length === 0) return [];
    // Right behind the diversion is its guard.
    const [before, after] = [rule, { ...rule, priority: priority + 2 }].map((one) => ruleWords(one).join(" "));
    return [{
        reason: `${ipFamily(family)} rule "${before}" comes before the NVI's at ${priority}: what comes in by ${led.join(", ")} would go ${route ? routeValue(route) : "by the main table"}, untranslated`,
        cure: `have it asked later, where it is made, too: ip -${family} rule add ${after}; ip -${family} rule del ${before}; or only for the router's own packets, with "iif lo"`,
    }];
}

/** What is for the router itself, this connection too, must be known for that before anything of ours is asked. */
function lateLocal({ artifacts }: Pick<DesiredObject, "artifacts">, { rules, ipv6 }: Snapshot): Finding[] {
    return FAMILIES.filter((family) => family === 4 || ipv6).flatMap((family) => {
        const first = Math.min(...artifacts.flatMap((one) => (one.kind === "rule" && one.family === family ? one.priority : [])));
        const local = rules.filter((one) => one.family === family && one.action !== "unreachable" && one.action.table === LOCAL_TABLE).map(({ priority }) => priority);
        if (first === Infinity || local.some((priority) => priority < first)) return [];
        return [{
            reason: `the ${ipFamily(family)} rule for the table local ${local.length === 0 ? "is missing" : `has priority ${Math.min(...local)}`}: what is for the router itself, SSH too, would be taken by the NVI's at ${first}`,
            cure: `add one before: ip -${family} rule add priority ${first - 1} lookup local`,
        }];
    });
}
