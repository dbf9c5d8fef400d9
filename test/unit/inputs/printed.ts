import { PROTOCOL, type Route, type Rule } from "../../../provider/syntax/artifact";
import type { Family } from "../../../provider/model/address";

/* Rules and routes as `ip -N -j` prints them. */

const [FROM, TO] = [["src", "srclen"], ["dst", "dstlen"]] as const;

function selector([host, length]: readonly [string, string], prefix: string | undefined): object {
    const [address, size] = prefix?.split("/") ?? [];
    return address === undefined ? (host === "src" ? { src: "all" } : {}) : { [host]: address, ...(size === undefined ? {} : { [length]: Number(size) }) };
}

export const rulesJson = (rules: readonly Rule[], family: Family): string => JSON.stringify(rules.filter((rule) => rule.family === family).map((rule) => ({
    priority: rule.priority, ...selector(FROM, rule.from), ...selector(TO, rule.to),
    ...(rule.mark ? { fwmark: `0x${rule.mark.value.toString(16)}`, fwmask: `0x${rule.mark.mask.toString(16)}` } : {}),
    ...(rule.iif === undefined ? {} : { iif: rule.iif }), ...(rule.tunnelId === undefined ? {} : { tun_id: `${rule.tunnelId}` }),
    ...(rule.action === "unreachable" ? { action: "7" } : { table: `${rule.action.table}` }), protocol: `${PROTOCOL}`,
    ...(rule.suppressPrefixLength === undefined ? {} : { suppress_prefixlen: rule.suppressPrefixLength }),
})));

const TYPES = { unicast: {}, blackhole: { type: "6" }, unreachable: { type: "7" } };

export const routesJson = (routes: readonly Route[], family: Family): string => JSON.stringify(routes.filter((route) => route.family === family).map(({ to, type, metric, hops }) => {
    const printed = hops.map(({ via, dev, onlink, weight }) => ({ ...(via === undefined ? {} : { gateway: via }), dev: dev ?? "found", weight, flags: onlink ? ["onlink"] : [] }));
    const several = printed.length === 1 ? { ...printed[0], weight: undefined } : { nexthops: printed };
    return { ...TYPES[type], dst: to, protocol: `${PROTOCOL}`, ...(metric === undefined && family === 4 ? {} : { metric: metric ?? 1024 }), flags: [], ...(type === "unicast" ? several : { dev: "lo" }) };
}));
