import type { Family } from "../model/address";

/**
 * What a router is made to have, one kind for each thing that a tool makes. Resources render to lists of
 * these; everything below them knows artifacts only.
 */
export type Artifact = Module | Link | Setting | Address | Neighbour | Sysctl | Table | Rule | Routes | Boot;

/**
 * When an artifact comes into being. Creation goes from first to last and removal from last to first, so
 * that a packet is only ever diverted into a stage that is complete.
 */
export const PHASES = ["device", "stage2", "stage1", "divert", "forward"] as const;
export type Phase = (typeof PHASES)[number];

interface Base {
    phase: Phase;
}

/** The kernel module, one for all NVIs of a router. */
export interface Module extends Base {
    kind: "module";
    /** As the module says it itself (MODULE_VERSION). */
    version: string;
    /** By kernel release, files of modules that were built elsewhere; without any, DKMS builds it on the router. */
    prebuilt?: Record<string, string>;
    /** Whether to install the packages that DKMS needs, where they are missing. */
    install: boolean;
}

/** A veth pair whose ends share a MAC address, so that neither needs neighbour entries; or a device of the module. */
export interface Link extends Base {
    kind: "link";
    name: string;
    /** The other end of a veth pair; a device of the module has none. */
    peer?: string;
    mtu: number;
    mac: string;
}

/** A setting of a device of the module, in its folder of sysfs. It goes when the device goes. */
export interface Setting extends Base {
    kind: "setting";
    device: string;
    name: string;
    value: string;
}

export interface Address extends Base {
    kind: "address";
    /** A device of ours: the address goes when the device goes. */
    device: string;
    /** With prefix length, as `ip` prints it. */
    prefix: string;
}

/** An address that the router answers ARP or neighbour solicitations for without having it. */
export interface Neighbour extends Base {
    kind: "neighbour";
    device: string;
    address: string;
}

export interface Sysctl extends Base {
    kind: "sysctl";
    /** In path form, e.g. `net/ipv4/conf/lan0/rp_filter`: interface names may have dots. */
    path: string;
    value: string;
    /** Values that are left alone because they do as well. */
    accept?: string[];
    /** The NIC whose setting it is, where it is one's; it may be away for a while. */
    device?: string;
    /** Of a device of ours: it goes when the device goes, and has no value from before. */
    transient?: boolean;
}

/** A rule of a {@link Table}. `id` says which input it comes from and is kept in the rule's comment. */
export interface TableRule {
    id: string;
    text: string;
}

export interface Chain {
    name: string;
    /** `type filter hook forward priority -300`, for base chains. */
    hook?: string;
    rules: TableRule[];
}

/** A whole nft table of the inet family, ours alone. */
export interface Table extends Base {
    kind: "table";
    name: string;
    chains: Chain[];
}

/** An `ip rule`. */
export interface Rule extends Base {
    kind: "rule";
    family: Family;
    priority: number;
    iif?: string;
    from?: string;
    to?: string;
    mark?: { value: number; mask: number };
    /** The tunnel id that the module gives packets of stage 2. The reverse-path check's own lookups have none. */
    tunnelId?: number;
    /** `lookup 7700`, or `unreachable`. */
    action: { table: number } | "unreachable";
    suppressPrefixLength?: number;
}

export interface NextHop {
    via?: string;
    dev?: string;
    onlink?: boolean;
    weight?: number;
}

/** A whole route table, of both families, ours alone. */
export interface Routes extends Base {
    kind: "routes";
    table: number;
    routes: Route[];
}

/** An `ip route`. */
export interface Route {
    family: Family;
    table: number;
    /** A prefix in canonical form, or `default`. */
    to: string;
    type: "unicast" | "unreachable" | "blackhole";
    metric?: number;
    hops: NextHop[];
}

/** What brings objects back after a restart: units of systemd. One for all objects of a router. */
export interface Boot extends Base {
    kind: "boot";
}

/** The routing protocol number that marks our rules, routes and proxy neighbours (ip-rule(8), ip-route(8), ip-neighbour(8): `protocol`). */
export const PROTOCOL = 78;

/** What will be on the router, or is: one entry for everything that can differ by itself. */
export type Rendered = Record<string, string>;
