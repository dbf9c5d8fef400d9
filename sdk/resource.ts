import * as pulumi from "@pulumi/pulumi";
import { objectNameFrom } from "../provider/model/names";
import { orElse } from "./inputs";
import { providerOf } from "./provider";
import type { PathCheckArgs } from "./path-check";
import type { Router } from "./router";

/** What every resource on a router takes. */
export interface OnRouterArgs {
    /** The router that it is on. */
    router: Router;
    /**
     * Its name on the router, part of its id: 1 to 31 lower-case letters, digits and hyphens. Another name is another object.
     *
     * @default made of the resource's name
     */
    name?: pulumi.Input<string>;
    /**
     * What must work once a change of it has been applied, beside the router's own checks: one that fails has the change undone.
     *
     * @default []
     */
    checks?: pulumi.Input<pulumi.Input<PathCheckArgs>[]>;
    /**
     * Take over an object of this kind and name that is on the router already and belongs to another stack, or whose record there
     * was lost. Without it both are refused, by the owner's name. What is not ours at all is never taken over.
     *
     * @default false
     */
    adopt?: pulumi.Input<boolean>;
}

/** Something on a router. */
export abstract class OnRouter extends pulumi.dynamic.Resource {
    /**
     * Everything that it is on the router, one entry for each thing that can differ by itself: links, sysctls, nft rules, ip
     * rules, routes. To be reviewed in preview; after `refresh`, as found. A secret where anything that it is made of is one.
     */
    declare readonly rendered: pulumi.Output<Record<string, string>>;

    protected constructor(kind: string, type: string, name: string, args: OnRouterArgs, opts: pulumi.CustomResourceOptions = {}, needs: pulumi.Resource[] = []) {
        const { router, checks, ...own } = args;
        // The engine knows a secret by the property that it is in: what check writes there is one where anything that it is made of is.
        const rendered = pulumi.output(own as pulumi.Inputs).apply(() => undefined);
        const inputs = { ...own, checks, name: orElse(own.name, objectNameFrom(name)), router: router.endpoint, owner: ownerOf(name), rendered };
        super(providerOf(kind), name, inputs, pulumi.mergeOptions(opts, { dependsOn: [router, ...needs] }), "nvi", type);
    }
}

/** Written into the object on the router, so that no other stack takes it for its own. */
const ownerOf = (name: string): string => [organization(), pulumi.getProject(), pulumi.getStack(), name].join("/");

/** The engine always names one; `setMocks` in programs' own unit tests most often doesn't. */
function organization(): string {
    try {
        return pulumi.getOrganization();
    } catch {
        return "organization";
    }
}
