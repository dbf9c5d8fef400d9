import { FAMILIES } from "../../model/address";
import { TRANSLATED } from "../../model/mark";
import { hash32 } from "../../model/names";
import type { Desired } from "../../syntax/desired";
import { MODULE_VERSION } from "../../model/module";
import type { Artifact, Chain, Link, Module, Rule, Setting, Sysctl, Table } from "../../syntax/artifact";
import { MAIN_TABLE } from "../../syntax/iproute";
import { quote } from "../../syntax/nft";
import { farEnd, STAGE2_SPAN, type InterfaceInputs } from "./schema";

/** Any number but 0, which is none. */
const TUNNEL_ID = 78;

export function render(inputs: InterfaceInputs): Desired {
    const { name } = inputs;
    const peer = farEnd(name, inputs.backend);
    const link: Link = { kind: "link", phase: "device", name, ...(peer === name ? {} : { peer }), mtu: inputs.mtu, mac: macOf(name) };
    const artifacts: Artifact[] = [
        ...(inputs.backend === "module" ? ofModule(inputs) : []),
        link,
        ...sysctls(name, peer),
        { kind: "address", phase: "device", device: peer, prefix: inputs.address },
        table(name, peer),
        ...FAMILIES.flatMap((family) => edgeRules(family, peer, inputs)),
    ];
    return { artifacts, nics: [], diverted: [], crossing: { device: name, peer } };
}

/**
 * The device hands packets back as received by itself, not by the ingress NIC, and leaves the mark to nft: so the rules of
 * both stages are those of the other backend, and no sysctl of a real NIC has to change.
 */
function ofModule({ name, installPackages, prebuilt }: InterfaceInputs): (Module | Setting)[] {
    const setting = (key: string, value: string): Setting => ({ kind: "setting", phase: "device", device: name, name: key, value });
    const files = Object.keys(prebuilt).length > 0 ? { prebuilt } : {};
    return [
        { kind: "module", phase: "device", version: MODULE_VERSION, ...files, install: installPackages },
        setting("reinject", "self"),
        setting("ingress", "mark"),
        setting("tun_id", `${TUNNEL_ID}`),
    ];
}

/** Both ends have the same, locally administered MAC: a packet sent to either is for the other. */
function macOf(name: string): string {
    const hash = hash32(name).toString(16).padStart(8, "0");
    return ["02", "6e", ...hash.match(/../g)!].join(":");
}

function sysctls(device: string, peer: string): Sysctl[] {
    const set = (path: string, value: string, accept?: string[]): Sysctl => ({ kind: "sysctl", phase: "device", path, value, ...(accept ? { accept } : {}), transient: true });
    return [
        // Translated sources are the router's own addresses; the return path is decided by stage 2 alone.
        set(`net/ipv4/conf/${peer}/accept_local`, "1"),
        // Where systemd runs, udev writes 2 some time after the device is there (50-default.conf, systemd-sysctl): with the address that does as well.
        set(`net/ipv4/conf/${peer}/rp_filter`, "0", ["2"]),
        // No link-local addresses: neither end talks to anybody.
        ...[...new Set([device, peer])].map((end) => set(`net/ipv6/conf/${end}/addr_gen_mode`, "1")),
    ];
}

function table(device: string, peer: string): Table {
    // Before defragmentation (-400), which would otherwise put fragments together again in stage 2.
    const untrack: Chain = { name: "untrack", hook: "type filter hook prerouting priority -450", rules: [{ id: "untrack", text: `iifname ${quote(peer)} notrack` }] };
    // A stage-2 route into the NVI would go round until the TTL ends.
    const loop: Chain = { name: "loop", hook: "type filter hook forward priority -300", rules: [{ id: "loop", text: `iifname ${quote(peer)} oifname ${quote(device)} counter reject with icmpx type no-route` }] };
    // The module's packets come back untracked.
    const chains = peer === device ? [loop] : [untrack, loop];
    return { kind: "table", phase: "stage2", name: `nvi_if_${device.replace(/[^A-Za-z0-9_]/g, "_")}`, chains };
}

/**
 * The first and the last rule of stage 2. What has not been through the NAT stage goes nowhere; what no route
 * table claims goes by the main table, so that connections older than the NAT stage go on. Where stage 1 sends to the device
 * that stage 2 receives on, the reverse-path check of a real NIC looks up the way back as if the answer came in there
 * (net/ipv4/fib_frontend.c, __fib_validate_source): without a mark, so that "unreachable" would make a martian of every packet.
 */
function edgeRules(family: 4 | 6, peer: string, { backend, priority }: InterfaceInputs): Rule[] {
    const base = { kind: "rule", phase: "stage2", family, iif: peer } as const;
    const received = backend === "module" ? { tunnelId: TUNNEL_ID } : {};
    return [
        { ...base, priority, mark: { value: 0, mask: TRANSLATED }, ...received, action: "unreachable" },
        { ...base, priority: priority + STAGE2_SPAN, action: { table: MAIN_TABLE } },
    ];
}
