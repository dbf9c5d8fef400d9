import { isDeepStrictEqual } from "node:util";

/** Inputs or outputs as they come over Pulumi's wire. */
export type Bag = Record<string, unknown>;

/** Names of the properties that differ; a property that is undefined or null is one that isn't there. */
export function changedKeys(olds: Bag, news: Bag): string[] {
    const keys = new Set([...Object.keys(olds), ...Object.keys(news)]);
    keys.delete("__provider");
    return [...keys].filter((key) => !isDeepStrictEqual(plain(olds[key]), plain(news[key])));
}

/** The wire has no `undefined`, and no order of keys. */
function plain(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value ?? undefined;
    const entries = Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
    return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
}
