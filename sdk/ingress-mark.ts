import * as pulumi from "@pulumi/pulumi";
import type { Interface } from "./interface";
import { OnRouter, type OnRouterArgs } from "./resource";

export interface IngressMarkArgs extends OnRouterArgs {
    /** The NVI whose packets it marks. */
    interface: Interface;
    /** NICs that are told apart: every NIC that enters the NAT stage. */
    nics: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Which NIC the mark names: the one that the packet came in on, or the one that its connection came in on, so that
     * answers can go back the same way.
     *
     * @default "packet"
     */
    source?: pulumi.Input<"packet" | "connection">;
    /** For `source: "connection"`: which 16 bits of the conntrack mark keep the NIC, counted from the lowest. 0 to 16. @default 0 */
    connectionShift?: pulumi.Input<number>;
}

/**
 * The hook at the very end of POSTROUTING that writes the ingress NIC into the packet mark. Until there the mark belongs
 * to the user's own rules.
 */
export class IngressMark extends OnRouter {
    declare readonly name: pulumi.Output<string>;

    constructor(name: string, args: IngressMarkArgs, opts?: pulumi.CustomResourceOptions) {
        super("ingress-mark", "IngressMark", name, { ...args, interface: args.interface.name } as never, opts, [args.interface]);
    }
}
