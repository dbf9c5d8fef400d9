import * as pulumi from "@pulumi/pulumi";

export interface Registered {
    type: string;
    name: string;
    inputs: Record<string, unknown>;
}

/** How special values go over Pulumi's wire (pulumi/sdk: resource/properties.go). */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

const isSecret = (value: object): value is { value: unknown } => (value as Record<string, unknown>)[SIGNATURE] === SECRET;

/** Runs programs without an engine; gives what they register, in order. */
export async function mocked(): Promise<Registered[]> {
    const registered: Registered[] = [];
    await pulumi.runtime.setMocks({
        newResource: ({ type, name, inputs }) => {
            registered.push({ type: type.split(":").at(-1)!, name, inputs: inputs as Record<string, unknown> });
            return { id: `${name}-id`, state: { ...inputs, rendered: { owner: "us" }, facts: {} } };
        },
        call: () => ({}),
    }, "mocked", "dev");
    return registered;
}

/** Inputs as the provider gets them: secrets in clear. */
export function plain(value: unknown): unknown {
    if (value === null || typeof value !== "object") return value;
    if (isSecret(value)) return plain(value.value);
    return Array.isArray(value) ? value.map(plain) : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** All that would be stored in clear. */
export function inClear(value: unknown): unknown {
    if (value === null || typeof value !== "object") return value;
    if (isSecret(value)) return "(secret)";
    return Array.isArray(value) ? value.map(inClear) : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inClear(item)]));
}

export const settled = (output: pulumi.Output<unknown>): Promise<unknown> => new Promise((resolve) => output.apply(resolve));
