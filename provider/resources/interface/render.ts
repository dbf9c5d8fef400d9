import { FAMILIES } from "../../model/address";
import { TRANSLATED } from "../../model/mark";
import { hash32 } from "../../model/names";
import type { Desired } from "../../syntax/desired";
import type { Artifact, Link, Rule, Sysctl, Table } from "../../syntax/artifact";
import { MAIN_TABLE } from "../../syntax/iproute";
import { quote } from "../../syntax/nft";
import { peerOf, type InterfaceInputs } from "./schema";

/** How far from the first to the last priority of stage 2; route tables have those between. */
export const STAGE2_SPAN = 900;

export function render(inputs: InterfaceInputs): Desired {
    const peer = peerOf(inputs.name);
    const link: Link = { kind: "link", phase: "device", name: inputs.name, peer, mtu: inputs.mtu, mac: macOf(inputs.name) };
    const artifacts: Artifact[] = [
        link,
        ...sysctls(inputs.name, peer),
        { kind: "address", phase: "device", device: peer, prefix: inputs.address },
        table(inputs.name, peer),
        ...FAMILIES.flatMap((family) => edgeRules(family, peer, inputs.priority)),
    ];
    return { artifacts, nics: [], diverted: [], crossing: { device: inputs.name, peer } };
}

/** Both ends have the same, locally administered MAC: a packet sent to either is for the other. */
function macOf(name: string): string {
    const hash = hash32(name).toString(16).padStart(8, "0");
    return ["02", "6e", ...hash.match(/../g)!].join(":");
}

function sysctls(device: string, peer: string): Sysctl[] {
    const set = (path: string, value: string): Sysctl => ({ kind: "sysctl", phase: "device", path, value, transient: true });
    return [
        // Translated sources are the router's own addresses; the return path is decided by stage 2 alone.
        set(`net/ipv4/conf/${peer}/accept_local`, "1"),
        set(`net/ipv4/conf/${peer}/rp_filter`, "0"),
        // No link-local addresses: neither end talks to anybody.
        set(`net/ipv6/conf/${device}/addr_gen_mode`, "1"),
        set(`net/ipv6/conf/${peer}/addr_gen_mode`, "1"),
    ];
}

function table(device: string, peer: string): Table {
    return {
        kind: "table",
        phase: "stage2",
        name: `nvi_if_${device.replace(/[^A-Za-z0-9_]/g, "_")}`,
        chains: [
            // Before defragmentation (-400), which would otherwise put fragments together again in stage 2.
            { name: "untrack", hook: "type filter hook prerouting priority -450", rules: [{ id: "untrack", text: `iifname ${quote(peer)} notrack` }] },
            // A stage-2 route into the NVI would go round until the TTL ends.
            { name: "loop", hook: "type filter hook forward priority -300", rules: [{ id: "loop", text: `iifname ${quote(peer)} oifname ${quote(device)} counter reject with icmpx type no-route` }] },
        ],
    };
}

/**
 * The first and the last rule of stage 2. What has not been through the NAT stage goes nowhere; what no route
 * table claims goes by the main table, so that connections older than the NAT stage go on.
 */
function edgeRules(family: 4 | 6, peer: string, priority: number): Rule[] {
    const base = { kind: "rule", phase: "stage2", family, iif: peer } as const;
    return [
        { ...base, priority, mark: { value: 0, mask: TRANSLATED }, action: "unreachable" },
        { ...base, priority: priority + STAGE2_SPAN, action: { table: MAIN_TABLE } },
    ];
}
