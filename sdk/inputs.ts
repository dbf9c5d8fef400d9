import * as pulumi from "@pulumi/pulumi";

/** What a program leaves undefined has its default, as wrappers pass on what they weren't given. */
export function orElse<T extends string | number>(given: pulumi.Input<T | undefined> | undefined, fallback: T): pulumi.Input<T> {
    return given === undefined ? fallback : (pulumi.output(given) as pulumi.Output<T | undefined>).apply((value) => value ?? fallback);
}

/** A literal would be stored in clear. A secret of nothing would arrive as null, which is no credential. */
export function conceal(value: pulumi.Input<string | undefined> | undefined): pulumi.Input<string | undefined> | undefined {
    if (value === undefined) return undefined;
    if (typeof value === "string") return pulumi.secret(value);
    return pulumi.unsecret(pulumi.output(value)).apply((plain) => pulumi.output(plain === undefined ? undefined : pulumi.secret(plain)));
}
