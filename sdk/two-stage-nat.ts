import * as pulumi from "@pulumi/pulumi";
import { backendOf, type Backend, type BackendArgs } from "./backend";
import { OnRouter, type OnRouterArgs } from "./resource";
import type { StageArgs, UplinkArgs } from "./translation";

/** An uplink of both stages: what sources are translated to, and where such packets go. */
export interface FullUplinkArgs extends UplinkArgs {
    /** Its IPv4 gateway. @default none: IPv4 goes to the NIC itself where there is no IPv6 gateway either */
    gateway?: pulumi.Input<string>;
    /** Its IPv6 gateway. @default none: IPv6 goes to the NIC itself where there is no IPv4 gateway either */
    gateway6?: pulumi.Input<string>;
    /** Take the gateways for neighbours, whatever the NIC's prefixes are. @default false */
    onlink?: pulumi.Input<boolean>;
    /** Number of its route table. @default made of its name, 1 to 250 above `table` */
    table?: pulumi.Input<number>;
}

export interface TwoStageNatArgs extends OnRouterArgs, StageArgs, BackendArgs {
    /** Uplinks by name: 1 to 24 lower-case letters, digits and underscores. */
    uplinks: pulumi.Input<Record<string, pulumi.Input<FullUplinkArgs>>>;
    /** Name of the NVI device, at most 14 characters. Another name is another router set-up. @default "nvi0" */
    interface?: pulumi.Input<string>;
    /** Bytes, 1280 to 65535; see `Interface`. @default 65535 */
    mtu?: pulumi.Input<number>;
    /** See `Interface`. @default "169.254.77.2/32" */
    address?: pulumi.Input<string>;
    /** See `source` of `IngressMark`; `connection` writes the lowest 16 bits of the conntrack mark. For ip rules of your own: its own go by source address. @default "packet" */
    markSource?: pulumi.Input<"packet" | "connection">;
    /** Number of stage 1's route table; those of uplinks follow it. @default 7700 */
    table?: pulumi.Input<number>;
    /** Priority of the first rule of stage 2, 11 to 31000; the last of all is 1001 higher, and those for the router's own ICMP errors are 10 lower. @default 1000 */
    priority?: pulumi.Input<number>;
}

/** A whole two-stage NAT router as one resource: all of it is there, or none. */
export class TwoStageNat extends OnRouter {
    declare readonly name: pulumi.Output<string>;
    /** What does the work. */
    declare readonly backend: pulumi.Output<Backend>;

    constructor(name: string, args: TwoStageNatArgs, opts?: pulumi.CustomResourceOptions) {
        super("two-stage-nat", "TwoStageNat", name, { ...args, backend: backendOf(args, "TwoStageNat", name) } as never, opts);
    }
}
