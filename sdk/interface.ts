import * as pulumi from "@pulumi/pulumi";
import { backendOf, type Backend, type BackendArgs } from "./backend";
import { orElse } from "./inputs";
import { OnRouter, type OnRouterArgs } from "./resource";

export interface InterfaceArgs extends OnRouterArgs, BackendArgs {
    /**
     * The device's name, at most 14 characters: its other end has a `p` more. Another name is another device.
     *
     * @default "nvi0"
     */
    name?: pulumi.Input<string>;
    /** Bytes, 1280 to 65535. The default leaves path MTU to the real links. @default 65535 */
    mtu?: pulumi.Input<number>;
    /**
     * An IPv4 address with /32 for the device's other end. It is never used, but the kernel's loose reverse-path filter
     * drops everything on a device without any (fib_validate_source in net/ipv4/fib_frontend.c).
     *
     * @default "169.254.77.2/32"
     */
    address?: pulumi.Input<string>;
    /**
     * Priority of the first rule of stage 2, 11 to 31000; the last one is 900 higher, those of route tables between, and those
     * for ICMP errors of the router's own 10 lower.
     *
     * @default 1000
     */
    priority?: pulumi.Input<number>;
}

/** The NVI device: packets that are routed into it come back untracked, for stage 2. */
export class Interface extends OnRouter {
    /** The device's name. */
    declare readonly name: pulumi.Output<string>;
    /** What does the work. */
    declare readonly backend: pulumi.Output<Backend>;
    /** Of the first rule of stage 2. */
    readonly priority: pulumi.Output<number>;

    constructor(name: string, args: InterfaceArgs, opts?: pulumi.CustomResourceOptions) {
        super("interface", "Interface", name, { ...args, name: orElse(args.name, "nvi0"), backend: backendOf(args, "Interface", name) } as never, opts);
        this.priority = pulumi.output(orElse(args.priority, 1000));
    }
}
