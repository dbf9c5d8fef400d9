import type { Path } from "./fault";

/**
 * What the engine puts in the place of a value that preview doesn't know yet, at any depth
 * (pulumi/sdk: resource/plugin/rpc.go, UnknownStringValue).
 */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** The paths of all unknown values in a tree. */
export function unknownPaths(value: unknown, path: Path = []): Path[] {
    if (value === UNKNOWN) return [path];
    if (Array.isArray(value)) return value.flatMap((item, i) => unknownPaths(item, [...path, i]));
    if (value === null || typeof value !== "object") return [];
    return Object.entries(value).flatMap(([key, item]) => unknownPaths(item, [...path, key]));
}

/** A copy of a tree in which the values at the given paths are `undefined`; lists keep their positions. */
export function without(value: unknown, paths: readonly Path[]): unknown {
    if (paths.some((path) => path.length === 0)) return undefined;
    const below = (key: string | number) => paths.filter((path) => path[0] === key).map((path) => path.slice(1));
    if (Array.isArray(value)) return value.map((item, i) => without(item, below(i)));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, without(item, below(key))]));
}
