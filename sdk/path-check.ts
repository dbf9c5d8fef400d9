import * as pulumi from "@pulumi/pulumi";

interface CommonArgs {
    /** How messages call it, at most 80 characters. @default what it tries */
    name?: pulumi.Input<string>;
    /** Seconds within which it must succeed, 1 to 60; it is tried again until then. @default 5 */
    within?: pulumi.Input<number>;
}

/** The router pings an address. */
export interface PingCheckArgs extends CommonArgs {
    kind: "ping";
    /** Its address. */
    to: pulumi.Input<string>;
    /** Source address, or the NIC to leave by. @default the kernel's choice */
    from?: pulumi.Input<string>;
}

/** The router opens a TCP connection. It needs `nc` for that, or bash where no source is given. */
export interface ConnectCheckArgs extends CommonArgs {
    kind: "connect";
    /** The address. */
    to: pulumi.Input<string>;
    /** The TCP port, 1 to 65535. */
    port: pulumi.Input<number>;
    /** Source address, or a NIC whose first address is taken. @default the kernel's choice */
    from?: pulumi.Input<string>;
}

/** The router's routing sends such a packet by that NIC (`ip route get`). */
export interface LeavesCheckArgs extends CommonArgs {
    kind: "leaves";
    /** The packet's destination address. */
    to: pulumi.Input<string>;
    /** The packet's source: for stage 2, as translated. @default the router's own packet */
    from?: pulumi.Input<string>;
    /** The NIC that it comes in on: for stage 2 of the backend `rules`, the NVI's far end, e.g. `nvi0p`. @default the router's own packet */
    ingress?: pulumi.Input<string>;
    /** The NIC that it must leave by. */
    by: pulumi.Input<string>;
    /** The source that the router must choose for a packet of its own. @default any */
    source?: pulumi.Input<string>;
}

/** A command of the user's, run as root by sh; it must end with 0. */
export interface CommandCheckArgs extends CommonArgs {
    kind: "command";
    /** One line. Messages name its first word alone: what follows may be a secret. */
    command: pulumi.Input<string>;
}

/** Something that must work on the router once a change has been applied. */
export type PathCheckArgs = PingCheckArgs | ConnectCheckArgs | LeavesCheckArgs | CommandCheckArgs;
