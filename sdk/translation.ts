import * as pulumi from "@pulumi/pulumi";

/** Source translation to the addresses of uplinks: "overload". With several, each connection is given to one of them. */
export interface ToUplinksArgs {
    /** Names of uplinks, chosen between by weight. */
    uplinks: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * What stays together: nothing beyond the connection, all of one source, or all between one source and one destination.
     *
     * @default "connection"
     */
    spread?: pulumi.Input<"connection" | "source" | "source-destination">;
}

/**
 * Source translation to a pool of addresses. The router answers ARP and neighbour solicitations for up to 256 of them; a
 * larger pool has to be routed to the router.
 */
export interface ToPoolArgs {
    /** An address, a prefix or `first-last`. */
    pool: pulumi.Input<string>;
    /** The uplink whose provider gave the pool. */
    uplink: pulumi.Input<string>;
}

/** Translates the source of what comes from the inside. */
export interface SnatArgs {
    kind: "snat";
    /** Inside prefix or prefixes. */
    from: pulumi.Input<string | pulumi.Input<string>[]>;
    to: pulumi.Input<ToUplinksArgs> | pulumi.Input<ToPoolArgs>;
}

/** A port forward, answered through the uplink that it came in on. */
export interface DnatArgs {
    kind: "dnat";
    /** The uplink or uplinks on whose addresses it is published. */
    on: pulumi.Input<string | pulumi.Input<string>[]>;
    /** Protocol (tcp, udp, sctp or dccp) and port or ports: `tcp/443`, `udp/5000-5010`. */
    port: pulumi.Input<string>;
    /** The inside host. */
    to: pulumi.Input<string>;
    /** The first port there. @default the same ports */
    toPort?: pulumi.Input<number>;
    /** Only for clients of this prefix or these prefixes. @default everybody */
    from?: pulumi.Input<string | pulumi.Input<string>[]>;
}

/**
 * A static 1:1 translation of an address, or of prefixes of the same length, in both directions. The router answers ARP and
 * neighbour solicitations for up to 256 outside addresses.
 */
export interface StaticArgs {
    kind: "static";
    /** The uplink whose provider gave the outside address. */
    on: pulumi.Input<string>;
    /** An address of the inside, or a prefix. */
    inside: pulumi.Input<string>;
    /** What it is outside: as many addresses. */
    outside: pulumi.Input<string>;
}

/** No translation for what goes from one prefix to another, e.g. into a VPN. */
export interface ExemptArgs {
    kind: "exempt";
    /** Inside prefix. */
    from: pulumi.Input<string>;
    /** Destination prefix. */
    to: pulumi.Input<string>;
}

export type TranslationArgs = SnatArgs | DnatArgs | StaticArgs | ExemptArgs;

/** An uplink, as far as stage 1 is concerned. */
export interface UplinkArgs {
    /** Its NIC; a name of more than 15 characters is no NIC's. @default the uplink's name */
    device?: pulumi.Input<string>;
    /**
     * Its own addresses, either family, which its NIC has to have; the first of each is what sources are translated to.
     *
     * @default the addresses that its NIC has: for dialled and DHCP uplinks
     */
    addresses?: pulumi.Input<pulumi.Input<string>[]>;
    /** Its share of the connections, 1 to 1000. @default 1 */
    weight?: pulumi.Input<number>;
}

/** What the NAT stage translates, between which NICs. */
export interface StageArgs {
    /** NICs of the inside, whose sources are translated. */
    inside: pulumi.Input<pulumi.Input<string>[]>;
    /** Prefixes that are inside beyond those that translations name, e.g. behind further routers. @default [] */
    insidePrefixes?: pulumi.Input<pulumi.Input<string>[]>;
    /** In the order in which they are tried, within each kind. @default [] */
    translations?: pulumi.Input<pulumi.Input<TranslationArgs>[]>;
}
