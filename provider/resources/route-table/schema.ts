import { z } from "zod";
import { canonicalPrefix, familyOf, isLinkLocal6, type Family } from "../../model/address";
import type { Fault, Path } from "../../model/fault";
import { choice, flag, gateway, integer, interfaceName, list, objectName, prefix, type Partially } from "../../model/schema";
import { nicMark } from "../../model/mark";
import { DEFAULT_METRIC } from "../../syntax/iproute";
import { backend, DEFAULT_STAGE2_PRIORITY, nviName, peerOf, STAGE2_SPAN, stage2Priority } from "../interface/schema";

const nextHop = {
    via: gateway("198.51.100.1", "2001:db8:1::1").optional(),
    device: interfaceName("isp1").optional(),
    onlink: flag().optional(),
};

export const route = z.strictObject({
    to: prefix("0.0.0.0/0", "::/0", "192.0.2.0/24", "2001:db8:7::/48"),
    type: choice(["unicast", "blackhole", "unreachable"]).default("unicast"),
    ...nextHop,
    nextHops: list(z.strictObject({ ...nextHop, weight: integer(1, 256, 3).default(1) }), 1).optional(),
    metric: integer(0, 4294967294, 100).optional(),
});

/** Where the rules of a table that says nothing of it stand in stage 2, from its first rule on. */
export const DEFAULT_PLACE = 100;

export const rule = z.strictObject({
    ingress: interfaceName("lan0").optional(),
    from: prefix("198.51.100.0/24", "2001:db8:1::/64").optional(),
    to: prefix("10.0.0.0/24", "2001:db8:a::/64").optional(),
    priority: integer(12, 31899, 1250).optional(),
});

export const schema = z.strictObject({
    name: objectName(),
    table: z.union([integer(1, 4294967295, 7101), z.literal("main")]),
    interface: nviName(),
    backend,
    interfacePriority: stage2Priority,
    routes: list(route).default([]),
    rules: list(rule).default([]),
    errors: interfaceName("isp1").optional(),
    closed: flag().default(true),
});

export type RouteTableInputs = z.output<typeof schema>;
export type RouteInputs = z.output<typeof route>;
export type RuleInputs = z.output<typeof rule>;
type Hop = NonNullable<RouteInputs["nextHops"]>[number];

/** local, main, default: tables 253 to 255 belong to the kernel and the administrator. */
const RESERVED = [253, 254, 255];

export function faults(inputs: Partially<RouteTableInputs>): Fault[] {
    const found: Fault[] = [];
    if (RESERVED.includes(inputs.table as number)) found.push({ path: ["table"], reason: 'is one of the system\'s own tables; for rules that look up main, write "main"' });
    if (inputs.table === "main" && (inputs.routes?.length ?? 0) > 0) found.push({ path: ["routes"], reason: "must be empty for table main, which belongs to the administrator" });
    if (inputs.table === "main" && "errors" in inputs) found.push({ path: ["errors"], reason: "does nothing for table main, by which errors go anyway; leave it out" });
    const devices = inputs.interface === undefined ? [] : [inputs.interface, peerOf(inputs.interface)];
    inputs.routes?.forEach((one, i) => one && found.push(...routeFaults(one, ["routes", i], devices)));
    const stage2 = stage2Of(inputs);
    const rules = inputs.rules?.map((one) => one && placed(one, stage2));
    rules?.forEach((one, i) => one && found.push(...ruleFaults(one, ["rules", i], stage2)));
    return [...found, ...duplicates(inputs.routes, ["routes"], routeIdentity), ...duplicates(rules, ["rules"], ruleIdentity), ...overlaps(rules ?? [])];
}

/** The priority of the first rule of stage 2, as far as that is known. */
const stage2Of = (inputs: Partially<RouteTableInputs>): number | undefined => ("interfacePriority" in inputs ? inputs.interfacePriority : DEFAULT_STAGE2_PRIORITY);

/** With its default written out; there, but undefined, where that is not known. */
const placed = (one: Partially<RuleInputs>, stage2: number | undefined): Partially<RuleInputs> => ({ priority: stage2 === undefined ? undefined : stage2 + DEFAULT_PLACE, ...one });

export const priorityOf = (one: RuleInputs, { interfacePriority }: Pick<RouteTableInputs, "interfacePriority">): number => one.priority ?? interfacePriority + DEFAULT_PLACE;

function routeFaults(one: Partially<RouteInputs>, path: Path, nviDevices: readonly string[]): Fault[] {
    const hops = one.nextHops?.map((hop, i) => ({ hop, path: [...path, "nextHops", i] as Path })) ?? [];
    const all = [{ hop: one as Partially<Hop>, path }, ...hops];
    const found: Fault[] = [];
    const own = ["via", "device", "onlink"].some((key) => key in one);
    const isUnicast = !("type" in one) || one.type === "unicast";
    if (one.type !== undefined && !isUnicast && (own || hops.length > 0)) found.push({ path: [...path, "type"], reason: `${one.type} goes with no next hop` });
    if (own && hops.length > 0) found.push({ path: [...path, "nextHops"], reason: "stands beside via, device or onlink; give one or the other" });
    if (isUnicast && !["via", "device", "nextHops"].some((key) => key in one)) found.push({ path, reason: "leads nowhere; give via, device or nextHops, or a type that needs none" });
    found.push(...hops.filter(({ hop }) => hop && !("via" in hop) && !("device" in hop)).map((hop) => ({ path: hop.path, reason: "leads nowhere; give via or device" })));
    if (hops.length > 1 && one.to !== undefined && familyOf(one.to) === 6) found.push(...multipath6Faults(hops));
    for (const { hop, path: at } of all) {
        if (!hop) continue;
        if (hop.onlink && !("via" in hop)) found.push({ path: [...at, "onlink"], reason: "needs a next hop: give via" });
        if (hop.device !== undefined && nviDevices.includes(hop.device)) found.push({ path: [...at, "device"], reason: `is the NVI: a stage-2 route into it is a loop` });
        if (hop.via !== undefined && one.to !== undefined && familyOf(hop.via) !== familyOf(one.to)) found.push({ path: [...at, "via"], reason: "is not of the family of the destination" });
        if (hop.via !== undefined && !("device" in hop) && isLinkLocal6(hop.via)) found.push({ path: [...at, "via"], reason: "is link-local: it needs a device" });
        if (hop.onlink && !("device" in hop)) found.push({ path: [...at, "onlink"], reason: "needs a device" });
    }
    return found;
}

/** What IPv6 refuses of several next hops, and IPv4 doesn't (net/ipv6/route.c: rtm_to_fib6_multipath_config, ip6_route_info_append). */
function multipath6Faults(hops: readonly { hop: Partial<Hop> | undefined; path: Path }[]): Fault[] {
    return hops.flatMap(({ hop, path }, i) => {
        if (!hop) return [];
        if ("device" in hop && !("via" in hop)) return [{ path, reason: "needs via: of several next hops in IPv6, none is a device alone" }];
        const first = hops.findIndex((other) => other.hop && isSameHop(other.hop, hop));
        return first < 0 || first === i ? [] : [{ path, reason: `is nextHops[${first}] once more, which IPv6 does not take; give one of them all the weight` }];
    });
}

/** As far as is known. */
function isSameHop(one: Partial<Hop>, other: Partial<Hop>): boolean {
    if (one.via === undefined || other.via === undefined || canonicalPrefix(one.via) !== canonicalPrefix(other.via)) return false;
    return "device" in one ? one.device !== undefined && one.device === other.device : !("device" in other);
}

function ruleFaults(one: Partially<RuleInputs>, path: Path, stage2: number | undefined): Fault[] {
    const keys = Object.keys(one);
    if (!keys.some((key) => ["ingress", "from", "to"].includes(key))) return [{ path, reason: "selects every packet; give ingress, from or to" }];
    if (one.from !== undefined && one.to !== undefined && familyOf(one.from) !== familyOf(one.to)) return [{ path: [...path, "to"], reason: "is not of the family of from" }];
    // Before its first rule packets are not known to be translated, and after its last they have gone.
    if (one.priority !== undefined && stage2 !== undefined && (one.priority <= stage2 || one.priority >= stage2 + STAGE2_SPAN)) return [{ path: [...path, "priority"], reason: `is outside of stage 2, which has room for it from ${stage2 + 1} to ${stage2 + STAGE2_SPAN - 1}: between the first and the last rule of the interface` }];
    return [];
}

/** What is not known yet (there, but undefined) may turn out to be anything. */
const isUnknown = <T extends object>(one: T, key: keyof T): boolean => key in one && one[key] === undefined;

function routeIdentity(one: Partially<RouteInputs>): string | undefined {
    if (one.to === undefined || isUnknown(one, "metric")) return undefined;
    const family = familyOf(one.to);
    return `${family} ${canonicalPrefix(one.to)} ${one.metric || DEFAULT_METRIC[family]}`;
}

const selectedFamily = (prefix: string | undefined) => (prefix === undefined ? undefined : familyOf(prefix));

/** As the kernel has them: it knows neither spellings nor names of NICs. */
function ruleIdentity(one: Partially<RuleInputs>): string | undefined {
    const keys = ["ingress", "from", "to", "priority"] as const;
    if (keys.some((key) => isUnknown(one, key))) return undefined;
    const { ingress, from, to, priority } = one;
    return JSON.stringify([ingress && nicMark(ingress), ...[from, to].map((prefix) => (prefix === undefined ? "default" : canonicalPrefix(prefix))), selectedFamily(from ?? to), priority]);
}

/** Rules that the kernel takes for one another, see `overlap` in syntax/iproute.ts: all of one table look up the same. */
function overlaps(rules: readonly (Partially<RuleInputs> | undefined)[]): Fault[] {
    const known = rules.map((one) => (one === undefined || ruleIdentity(one) === undefined ? undefined : selected(one)));
    return known.flatMap((one, i) => {
        const first = known.slice(0, i).findIndex((other) => one && other && one.identity !== other.identity && (stretches(one, other) || stretches(other, one)));
        return first < 0 ? [] : [{ path: ["rules", i], reason: `is of the priority of rules[${first}], and one of them selects all that the other does, so that the kernel takes one for the other; leave the narrower one out, or give one another priority` }];
    });
}

type Selected = { identity: string | undefined; priority: number | undefined; family: Family | undefined; words: (string | number | undefined)[] };

function selected(one: Partially<RuleInputs>): Selected | undefined {
    const { ingress, from, to, priority } = one;
    if (ingress === undefined && from === undefined && to === undefined) return undefined;
    const prefixes = [from, to].map((prefix) => (prefix === undefined || canonicalPrefix(prefix) === "default" ? undefined : canonicalPrefix(prefix)));
    return { identity: ruleIdentity(one), priority, family: selectedFamily(from ?? to), words: [ingress && nicMark(ingress), ...prefixes] };
}

function stretches(less: Selected, more: Selected): boolean {
    const mayMeet = less.family === undefined || more.family === undefined || less.family === more.family;
    return mayMeet && less.priority === more.priority && less.words.every((word, i) => word === undefined || word === more.words[i]);
}

function duplicates<T>(items: readonly (T | undefined)[] | undefined, path: Path, identity: (item: T) => string | undefined): Fault[] {
    const seen = new Map<string, number>();
    return (items ?? []).flatMap((item, i) => {
        const key = item === undefined ? undefined : identity(item);
        const first = key === undefined ? undefined : seen.get(key);
        if (key !== undefined && first === undefined) seen.set(key, i);
        return first === undefined ? [] : [{ path: [...path, i], reason: `says the same as ${path.join(".")}[${first}]` }];
    });
}
