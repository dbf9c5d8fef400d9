import * as pulumi from "@pulumi/pulumi";
import type { IngressMark } from "./ingress-mark";
import type { Interface } from "./interface";
import { OnRouter, type OnRouterArgs } from "./resource";
import type { RouteTable } from "./route-table";
import type { StageArgs, UplinkArgs } from "./translation";

export interface NatStageArgs extends OnRouterArgs, StageArgs {
    /** The NVI into which packets are diverted. */
    interface: Interface;
    /** The mark that tells stage 2 the ingress NIC. Asked for so that packets are diverted only once it is there. */
    mark: IngressMark;
    /** The tables of stage 2. Asked for so that packets are diverted only once they are there, and until they go. */
    routeTables: RouteTable[];
    /** Uplinks by name: 1 to 24 lower-case letters, digits and underscores. @default {} */
    uplinks?: pulumi.Input<Record<string, pulumi.Input<UplinkArgs>>>;
    /** Number of the route table that leads into the NVI. Another number is another stage. @default 7700 */
    table?: pulumi.Input<number>;
    /** Priority of the rules that divert packets, after all of stage 2. Their guards, which let nothing pass them by, are one later. @default 2000 */
    priority?: pulumi.Input<number>;
}

/** Stage 1: which NICs enter the NVI, and what is translated on the way. */
export class NatStage extends OnRouter {
    declare readonly name: pulumi.Output<string>;

    constructor(name: string, args: NatStageArgs, opts?: pulumi.CustomResourceOptions) {
        const { mark, routeTables, ...own } = args;
        super("nat-stage", "NatStage", name, { ...own, interface: args.interface.name, backend: args.interface.backend } as never, opts, [args.interface, mark, ...routeTables]);
    }
}
