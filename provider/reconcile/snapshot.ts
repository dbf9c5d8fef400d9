import type { Ground } from "../model/module";
import type { ObservedRoute, ObservedRule } from "../syntax/iproute";
import type { ListedTable } from "../syntax/nft";
import type { Networkd } from "./networkd";
import type { StoredObject } from "./objects";

export interface ObservedLink {
    name: string;
    kind?: string;
    peer?: string;
    mtu: number;
    mac: string;
    up: boolean;
    noArp: boolean;
    alias?: string;
    /** What it is a port of, and of which kind that is, e.g. `bridge`. */
    master?: { name: string; kind: string };
}

/** An address that the router answers for on a NIC; the protocol is 0 where whoever made the entry gave none. */
export interface ObservedNeighbour {
    device: string;
    address: string;
    protocol: number;
}

export interface ObservedAddress {
    device: string;
    /** Without prefix length. */
    local: string;
    length: number;
    scope: string;
    family: 4 | 6;
}

/** By what way a module came to a router. */
export type ModuleWay = "dkms" | "prebuilt";

/** What matters about the kernel module. */
export interface ModuleFacts extends Ground {
    /** Version of the module that is loaded. */
    loaded?: string;
    /** The one that the running kernel would load. */
    installed?: { version: string; way: ModuleWay };
    /** Of the kernels that were asked about, those that the router has, with the version of the prebuilt module that is there for each. */
    kernels: Map<string, string | undefined>;
}

/** An nft table of somebody else that filters what is forwarded. */
export interface ForeignTable {
    family: string;
    name: string;
    /** Empty where it can't be read. */
    listing: string;
}

/** A filter table of the kernel interface before nft. */
export interface LegacyFilter {
    protocol: "iptables" | "ip6tables";
    /** The command that reads and writes it, where the router has one. */
    tool?: string;
    /** As its `-save` prints it. */
    listing: string;
}

/** The router as one observation found it: parsed, and complete for what was asked. */
export interface Snapshot {
    router: string;
    facts: Record<string, string>;
    /** How many transactions it has kept. */
    generation: number;
    /** The last transaction that began or ended: what is observed is planned for no other. */
    turn: string;
    managers: string[];
    /** Whether its kernel has IPv6: not one that was started with `ipv6.disable=1`. */
    ipv6: boolean;
    objects: StoredObject[];
    links: Map<string, ObservedLink>;
    addresses: ObservedAddress[];
    /** Addresses that the router answers for without having them. */
    proxied: ObservedNeighbour[];
    rules: ObservedRule[];
    /** By table number, of those asked for. */
    routes: Map<number, ObservedRoute[]>;
    /** Default routes, by table number, of those asked for. */
    defaults: Map<number, ObservedRoute[]>;
    /** NICs with a default route learned from router advertisements. */
    advertised: string[];
    /** By path; what doesn't exist isn't there. */
    sysctls: Map<string, string>;
    /** Settings of the module's devices, by path below /sys. */
    settings: Map<string, string>;
    module: ModuleFacts;
    /** What the router itself calls after a restart and when a NIC changes; none where nothing would call us. */
    boot: "there" | "missing" | "none";
    /** Names of all nft tables, as `family name`. */
    tableNames: Set<string>;
    /** Tables of ours, of those asked for; undefined where there is none. */
    tables: Map<string, ListedTable | undefined>;
    /** The same as this router's nft lists what is wanted, and why it couldn't. */
    canonical: Map<string, ListedTable | { refused: string }>;
    foreign: ForeignTable[];
    legacy: LegacyFilter[];
    /** Where it runs. */
    networkd?: Networkd;
}
