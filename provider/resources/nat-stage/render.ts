import { FAMILIES, type Family } from "../../model/address";
import type { Desired } from "../../reconcile/desired";
import type { Artifact, Route, Rule, Sysctl } from "../../syntax/artifact";
import { unreachable } from "../route-table/render";
import { peerOf } from "../interface/schema";
import { deviceOf, type NatStageInputs } from "./schema";
import { chains } from "./table";

export function render(inputs: NatStageInputs): Desired {
    const uplinks = Object.entries(inputs.uplinks).map(([name, uplink]) => deviceOf(name, uplink));
    const diverted = [...inputs.inside, ...uplinks];
    const artifacts: Artifact[] = [
        { kind: "table", phase: "stage1", name: `nvi_nat_${inputs.name.replace(/-/g, "_")}`, chains: chains(inputs) },
        { kind: "routes", phase: "stage1", table: inputs.table, routes: stage1Routes(inputs) },
        ...uplinks.map(looseFilter),
        ...diverted.flatMap((nic) => FAMILIES.map((family) => diversion(nic, family, inputs))),
        forwarding("net/ipv4/ip_forward"),
        forwarding("net/ipv6/conf/all/forwarding"),
    ];
    return { artifacts, nics: [...diverted, inputs.interface], diverted, crossing: { device: inputs.interface, peer: peerOf(inputs.interface) } };
}

/** The answers to what stage 2 sent by another uplink come in here: strict filtering by the main table drops them. */
const looseFilter = (nic: string): Sysctl => ({ kind: "sysctl", phase: "stage1", path: `net/ipv4/conf/${nic}/rp_filter`, value: "2", accept: ["0"] });

/** Last of all, and first to go: a router that didn't forward never forwards anything untranslated. */
const forwarding = (path: string): Sysctl => ({ kind: "sysctl", phase: "forward", path, value: "1" });

const diversion = (nic: string, family: Family, { priority, table }: NatStageInputs): Rule => ({ kind: "rule", phase: "divert", family, priority, iif: nic, action: { table } });

/** Never forwarded by anybody: RFC 3927, RFC 1112 section 4, RFC 4291 section 2.5.6. */
const NOT_ROUTED = { 4: ["169.254.0.0/16", "240.0.0.0/4"], 6: ["fe80::/10"] } as const;

function stage1Routes({ table, interface: nvi }: NatStageInputs): Route[] {
    const into = FAMILIES.map((family): Route => ({ family, table, to: "default", type: "unicast", hops: [{ dev: nvi }] }));
    const never = FAMILIES.flatMap((family) => NOT_ROUTED[family].map((to): Route => ({ family, table, to, type: "unreachable", hops: [] })));
    // When the NVI goes down its routes go; what stays says no, so that nothing leaves untranslated.
    return [...into, ...never, ...unreachable(table)];
}
