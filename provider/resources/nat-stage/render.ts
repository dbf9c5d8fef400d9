import { canonicalPrefix, FAMILIES, familyOf, formatAddress, parseRange, type Family } from "../../model/address";
import type { Desired } from "../../syntax/desired";
import type { Artifact, Neighbour, Route, Rule, Sysctl } from "../../syntax/artifact";
import { unreachable } from "../route-table/render";
import { farEnd, NEXT_HOP } from "../interface/schema";
import { deviceOf, type NatStageInputs } from "./schema";
import { chains, outsideOf } from "./table";

export function render(inputs: NatStageInputs): Desired {
    const uplinks = Object.entries(inputs.uplinks).map(([name, uplink]) => deviceOf(name, uplink));
    const diverted = [...inputs.inside, ...uplinks];
    const artifacts: Artifact[] = [
        { kind: "table", phase: "stage1", name: `nvi_nat_${inputs.name.replace(/-/g, "_")}`, chains: chains(inputs) },
        { kind: "routes", phase: "stage1", table: inputs.table, routes: stage1Routes(inputs) },
        ...uplinks.map(looseFilter),
        ...Object.keys(inputs.uplinks).flatMap((name) => answered(name, inputs)),
        ...diverted.flatMap((nic) => FAMILIES.map((family) => diversion(nic, family, inputs))),
        ...diverted.flatMap((nic) => FAMILIES.map((family) => guard(nic, family, inputs))),
        forwarding("net/ipv4/ip_forward"),
        forwarding("net/ipv6/conf/all/forwarding"),
    ];
    return { artifacts, nics: [...diverted, inputs.interface], diverted, crossing: { device: inputs.interface, peer: farEnd(inputs.interface, inputs.backend) } };
}

/** The answers to what stage 2 sent by another uplink come in here: strict filtering by the main table drops them. */
const looseFilter = (nic: string): Sysctl => ({ kind: "sysctl", phase: "stage1", path: `net/ipv4/conf/${nic}/rp_filter`, value: "2", accept: ["0"], device: nic });

/** More addresses than this must be routed to the router: it doesn't answer for each of them. */
const MOST_ANSWERED = 256n;

/**
 * On a shared link others ask for the addresses of pools and of 1:1 translations, which the router doesn't have. IPv6
 * wants a sysctl besides (net/ipv6/ndisc.c, ndisc_recv_ns).
 */
function answered(name: string, inputs: NatStageInputs): Artifact[] {
    const device = deviceOf(name, inputs.uplinks[name]);
    const own = new Set(inputs.uplinks[name]?.addresses?.map(canonicalPrefix));
    const addresses = outsideOf(name, inputs).flatMap(expand).filter((address) => !own.has(address));
    const artifacts: Artifact[] = [...new Set(addresses)].map((address): Neighbour => ({ kind: "neighbour", phase: "stage1", device, address }));
    if (addresses.some((address) => familyOf(address) === 6)) artifacts.push({ kind: "sysctl", phase: "stage1", path: `net/ipv6/conf/${device}/proxy_ndp`, value: "1", device });
    return artifacts;
}

function expand(text: string): string[] {
    const range = parseRange(text);
    if (typeof range === "string" || range.last - range.first >= MOST_ANSWERED) return [];
    return Array.from({ length: Number(range.last - range.first) + 1 }, (_, i) => formatAddress(range.family, range.first + BigInt(i)));
}

/** Last of all, and first to go: a router that didn't forward never forwards anything untranslated. */
const forwarding = (path: string): Sysctl => ({ kind: "sysctl", phase: "forward", path, value: "1" });

const diversion = (nic: string, family: Family, { priority, table }: NatStageInputs): Rule => ({ kind: "rule", phase: "divert", family, priority, iif: nic, action: { table } });

/**
 * Whatever becomes of the diversion or its table, what comes from these NICs never goes on to the main table, untranslated.
 * It follows the diversion, and goes before it.
 */
const guard = (nic: string, family: Family, { priority }: NatStageInputs): Rule => ({ kind: "rule", phase: "forward", family, priority: priority + 1, iif: nic, action: "unreachable" });

/** Never forwarded by anybody: RFC 3927, RFC 1112 section 4, RFC 4291 section 2.5.6. */
const NOT_ROUTED = { 4: ["169.254.0.0/16", "240.0.0.0/4"], 6: ["fe80::/10"] } as const;

function stage1Routes({ table, interface: nvi }: NatStageInputs): Route[] {
    const into = FAMILIES.map((family): Route => ({ family, table, to: "default", type: "unicast", hops: [{ via: NEXT_HOP[family], dev: nvi, onlink: true }] }));
    const never = FAMILIES.flatMap((family) => NOT_ROUTED[family].map((to): Route => ({ family, table, to, type: "unreachable", hops: [] })));
    // When the NVI goes down its routes go; what stays says no, so that nothing leaves untranslated.
    return [...into, ...never, ...unreachable(table)];
}
