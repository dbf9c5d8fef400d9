import * as pulumi from "@pulumi/pulumi";
import type { Interface } from "./interface";
import { OnRouter, type OnRouterArgs } from "./resource";

/** Where a route leads. */
export interface NextHopArgs {
    /** The gateway's address. */
    via?: pulumi.Input<string>;
    /** The network interface. */
    device?: pulumi.Input<string>;
    /** Take the gateway (`via`) for a neighbour on the device, whatever the prefixes there are. @default false */
    onlink?: pulumi.Input<boolean>;
}

export interface RouteArgs extends NextHopArgs {
    /** Destination prefix; `0.0.0.0/0` and `::/0` are the default routes. */
    to: pulumi.Input<string>;
    /** `blackhole` drops in silence, `unreachable` tells the sender. @default "unicast" */
    type?: pulumi.Input<"unicast" | "blackhole" | "unreachable">;
    /** Several next hops in the place of one; flows are spread over them by weight, 1 to 256, 1 where not given. In IPv6 each has `via`. */
    nextHops?: pulumi.Input<pulumi.Input<NextHopArgs & { weight?: pulumi.Input<number> }>[]>;
    /** The lower wins. @default the kernel's: 0 for IPv4, 1024 for IPv6 */
    metric?: pulumi.Input<number>;
}

/** Which packets of stage 2 the table is for; what is given must all match. */
export interface RouteRuleArgs {
    /** The NIC that the packet came in on, as the ingress mark says. */
    ingress?: pulumi.Input<string>;
    /** Source prefix, as translated. */
    from?: pulumi.Input<string>;
    /** Destination prefix, as translated. */
    to?: pulumi.Input<string>;
    /**
     * The lower is asked first; between the first and the last priority of the interface. Two rules of one priority and table, one of
     * which selects all that the other does, are refused.
     *
     * @default the interface's and 100
     */
    priority?: pulumi.Input<number>;
}

export interface RouteTableArgs extends OnRouterArgs {
    /** The table's number, ours alone; or `"main"`, for rules that look up the system's own table. Another number is another table. */
    table: pulumi.Input<number | "main">;
    /** The NVI whose packets are routed. */
    interface: Interface;
    /** @default [] */
    routes?: pulumi.Input<pulumi.Input<RouteArgs>[]>;
    /** @default [] */
    rules?: pulumi.Input<pulumi.Input<RouteRuleArgs>[]>;
    /** An uplink's NIC: ICMP errors that the router raises about its connections leave by this table. Not with table `"main"`, by which they go anyway. */
    errors?: pulumi.Input<string>;
    /** End in `unreachable`, so that packets never fall through to another way out. @default true */
    closed?: pulumi.Input<boolean>;
}

/** Stage 2: routes, and the rules that choose them by ingress NIC, by translated source, by destination. */
export class RouteTable extends OnRouter {
    declare readonly name: pulumi.Output<string>;
    declare readonly table: pulumi.Output<number | "main">;

    constructor(name: string, args: RouteTableArgs, opts?: pulumi.CustomResourceOptions) {
        super("route-table", "RouteTable", name, { ...args, interface: args.interface.name, backend: args.interface.backend, interfacePriority: args.interface.priority } as never, opts, [args.interface]);
    }
}
