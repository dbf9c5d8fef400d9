import { canonicalPrefix, type Family } from "../model/address";
import { hex } from "../model/mark";
import { PROTOCOL, type NextHop, type Route, type Rule } from "./artifact";

/*
 * The grammar of iproute2's `rule` and `route`, both ways: as arguments for `ip`, and from what
 * `ip -N -j` prints. Numbers, never names: names depend on files in /etc/iproute2.
 */

export const MAIN_TABLE = 254;
export const LOCAL_TABLE = 255;

export const ipFamily = (family: Family): string => (family === 4 ? "ipv4" : "ipv6");
const flag = (family: Family): string => (family === 4 ? "-4" : "-6");

/** A rule of ours, or one that somebody else has put there. */
interface AnyRule extends Omit<Rule, "phase"> {
    /** Whether it selects what its selectors don't. */
    inverted?: boolean;
}

/** What tells a rule from the others of its family: its entry's key. */
export function ruleKey(rule: AnyRule): string {
    return [`${ipFamily(rule.family)} rule ${rule.priority}`, ...selectors(rule)].join(" ");
}

/** What a rule does: its entry's value. */
export function ruleValue(rule: AnyRule): string {
    if (rule.action === "unreachable") return "unreachable";
    const suppress = rule.suppressPrefixLength === undefined ? "" : ` suppress_prefixlength ${rule.suppressPrefixLength}`;
    return `lookup ${rule.action.table}${suppress}`;
}

function selectors(rule: AnyRule): string[] {
    const words = rule.inverted ? ["not"] : [];
    if (rule.from) words.push("from", rule.from);
    if (rule.to) words.push("to", rule.to);
    if (rule.iif) words.push("iif", rule.iif);
    if (rule.mark) words.push("fwmark", `${hex(rule.mark.value)}/${hex(rule.mark.mask)}`);
    if (rule.tunnelId !== undefined) words.push("tun_id", `${rule.tunnelId}`);
    return words;
}

/** A rule in the words that add it, or delete it. */
export const ruleWords = (rule: AnyRule): string[] => ["priority", `${rule.priority}`, ...selectors(rule), ...ruleValue(rule).split(" ")];

/** Of a rule that is ours: without its protocol, a deletion may take somebody else's. */
export const ruleCommand = (verb: "add" | "del", rule: AnyRule): string[] => ["ip", flag(rule.family), "rule", verb, ...ruleWords(rule), "protocol", `${PROTOCOL}`];

/**
 * Whether ip may take one rule for the other. A deletion takes the first rule that has all that it names, whatever else that one selects by
 * (net/core/fib_rules.c, rule_find: `from`, `to`, `iif`, `tun_id`, the mark unless it is 0, and what is suppressed); an addition is refused
 * ("File exists") where a rule is there that differs in more of `from` and `to` only. Different priorities or tables are told apart.
 */
export const overlap = (one: Rule, other: Rule): boolean => stretches(one, other) || stretches(other, one);

function stretches(less: Rule, more: Rule): boolean {
    const action = ({ action }: Rule) => (action === "unreachable" ? action : action.table);
    const isSame = less.family === more.family && less.priority === more.priority && action(less) === action(more);
    const names = (["from", "to", "iif", "tunnelId", "suppressPrefixLength"] as const).every((key) => less[key] === undefined || less[key] === more[key]);
    return isSame && names && (!less.mark || (less.mark.mask === more.mark?.mask && (less.mark.value === 0 || less.mark.value === more.mark.value)));
}

/** One rule as the router has it, with the protocol that says whose it is. */
export interface ObservedRule extends AnyRule {
    protocol: number;
    /** Selectors or actions that ours never have; such a rule equals none of ours. */
    other: boolean;
}

/** Keys of a rule in `ip -N -j rule` that are understood here. */
const RULE_KEYS = new Set([
    "priority", "not", "src", "srclen", "dst", "dstlen", "iif", "iif_detached", "fwmark", "fwmask", "tun_id", "table", "action", "protocol",
    "suppress_prefixlen",
]);
/** FR_ACT_UNREACHABLE in linux/fib_rules.h. */
const ACTION_UNREACHABLE = "7";

type Json = Record<string, unknown>;
const text = (value: unknown): string | undefined => (value === undefined || value === null ? undefined : String(value));

function prefixOf(host: unknown, length: unknown): string | undefined {
    if (host === undefined || host === "all") return undefined;
    return canonicalPrefix(length === undefined ? String(host) : `${host}/${length}`);
}

export function parseRules(family: Family, json: string): ObservedRule[] {
    return (JSON.parse(json) as Json[]).map((rule) => {
        const mark = rule.fwmark === undefined ? undefined : { value: Number(rule.fwmark), mask: Number(rule.fwmask ?? 0xffffffff) };
        const suppress = text(rule.suppress_prefixlen);
        const unreachable = text(rule.action) === ACTION_UNREACHABLE || text(rule.action) === "unreachable";
        return {
            kind: "rule",
            family,
            priority: Number(rule.priority),
            inverted: "not" in rule,
            from: prefixOf(rule.src, rule.srclen),
            to: prefixOf(rule.dst, rule.dstlen),
            iif: text(rule.iif),
            mark,
            ...(rule.tun_id === undefined ? {} : { tunnelId: Number(rule.tun_id) }),
            action: unreachable ? "unreachable" : { table: Number(rule.table) },
            suppressPrefixLength: suppress === undefined ? undefined : Number(suppress),
            protocol: Number(rule.protocol ?? 0),
            other: Object.keys(rule).some((key) => !RULE_KEYS.has(key)) || (rule.action !== undefined && !unreachable),
        };
    });
}

export function routeKey(route: Pick<Route, "family" | "table" | "to" | "metric">): string {
    const metric = route.metric === undefined ? "" : ` metric ${route.metric}`;
    return `${ipFamily(route.family)} route ${route.table} ${route.to}${metric}`;
}

/** A route of ours, or one that somebody else has put there: of whatever type. */
type AnyRoute = Omit<Route, "type"> & { type: string };

export function routeValue({ type, hops }: Pick<AnyRoute, "type" | "hops">): string {
    return [...typeWords(type), ...hopsWords(hops)].join(" ");
}

const typeWords = (type: string): string[] => (type === "unicast" ? [] : [type]);

function hopsWords(hops: readonly NextHop[]): string[] {
    if (hops.length === 1) return hopWords({ ...hops[0]!, weight: undefined });
    // The kernel keeps IPv6 next hops in an order of its own.
    return hops.map((hop) => `nexthop ${hopWords({ ...hop, weight: hop.weight ?? 1 }).join(" ")}`).sort().flatMap((hop) => hop.split(" "));
}

function hopWords(hop: NextHop): string[] {
    const words: string[] = [];
    if (hop.via) words.push("via", hop.via);
    if (hop.dev) words.push("dev", hop.dev);
    if (hop.weight !== undefined) words.push("weight", `${hop.weight}`);
    if (hop.onlink) words.push("onlink");
    return words;
}

/** IPv6 gives a route without metric 1024 (IP6_RT_PRIO_USER in net/ip6_route.h); IPv4 gives it 0. */
export const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const;

export function routeCommand(verb: "add" | "append" | "del" | "replace", route: AnyRoute, protocol = PROTOCOL): string[] {
    const metric = route.metric === undefined ? [] : ["metric", `${route.metric}`];
    const words = ["ip", flag(route.family), "route", verb, ...typeWords(route.type), route.to, "table", `${route.table}`];
    return [...words, "protocol", `${protocol}`, ...metric, ...hopsWords(route.hops)];
}

export interface ObservedRoute extends Omit<AnyRoute, "metric"> {
    metric: number;
    protocol: number;
    scope?: string;
}

/** RTN_* of linux/rtnetlink.h, which `ip -N` prints as numbers: all that somebody may add, so that it can be shown, deleted and brought back. */
const ROUTE_TYPES = ["", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"];
/** They lead nowhere, though IPv6 lists them with the device lo. */
const HOPLESS = ["blackhole", "unreachable", "prohibit", "throw"];

/** Parses `ip -N -j route show table <table>`. */
export function parseRoutes(family: Family, table: number, json: string): ObservedRoute[] {
    return (JSON.parse(json) as Json[]).map((route) => {
        const type = route.type === undefined ? "unicast" : ROUTE_TYPES[Number(route.type)] ?? String(route.type);
        const nexthops = route.nexthops as Json[] | undefined;
        return {
            family,
            table,
            to: route.dst === "default" ? "default" : canonicalPrefix(String(route.dst)),
            type,
            metric: Number(route.metric ?? 0),
            protocol: Number(route.protocol ?? 0),
            scope: text(route.scope),
            hops: HOPLESS.includes(type) ? [] : (nexthops ?? [route]).map((hop) => parseHop(hop, nexthops !== undefined)),
        };
    });
}

function parseHop(hop: Json, weighted: boolean): NextHop {
    const via = hop.gateway ?? (hop.via as Json | undefined)?.host;
    const flags = (hop.flags as string[] | undefined) ?? [];
    return {
        ...(via === undefined ? {} : { via: String(via) }),
        ...(hop.dev === undefined ? {} : { dev: String(hop.dev) }),
        ...(flags.includes("onlink") ? { onlink: true } : {}),
        ...(weighted ? { weight: Number(hop.weight ?? 1) } : {}),
    };
}
