import * as pulumi from "@pulumi/pulumi";

/**
 * The provider whose text is stored in the state with every resource of a kind, and run again by whatever version
 * reads that state: so it holds nothing but names, and must never change.
 */
export function providerOf(kind: string): pulumi.dynamic.ResourceProvider {
    return {
        check: (olds, news) => require("pulumi-nvi/provider").check(kind, olds, news),
        diff: (id, olds, news) => require("pulumi-nvi/provider").diff(kind, id, olds, news),
        create: (inputs) => require("pulumi-nvi/provider").create(kind, inputs),
        read: (id, props) => require("pulumi-nvi/provider").read(kind, id, props),
        update: (id, olds, news) => require("pulumi-nvi/provider").update(kind, id, olds, news),
        delete: (id, props) => require("pulumi-nvi/provider").delete(kind, id, props),
    };
}
