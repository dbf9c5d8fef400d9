import type { z } from "zod";
import { formatPath, type Path } from "../../../provider/model/fault";
import { bare, branches, defOf, pathOf } from "../../e2e/drift-walk";

/** One value in a tree of inputs, and what the schema says of it. */
export interface Place {
    path: Path;
    /** `translations[1].port` */
    property: string;
    /** The same without the tree: `translations[]<dnat>.port`. */
    named: string;
    /** The schema below `optional` and `default`. */
    schema: z.ZodType;
    type: string;
    /** Without properties or items of its own. */
    isLeaf: boolean;
}

/** All values in a tree of inputs, from the outside in; the whole is not among them. */
export function placesIn(schema: z.ZodType, value: unknown, path: Path = [], steps: readonly string[] = []): Place[] {
    if (value === undefined) return [];
    const inner = bare(schema);
    const { type } = defOf(inner);
    if (type === "union") {
        const fitting = branches(inner).find(({ option }) => option.safeParse(value).success);
        if (!fitting) throw new Error(`${formatPath(path)} fits no branch`);
        return placesIn(fitting.option, value, path, [...steps, fitting.name]);
    }
    const below = children(inner, value);
    const here = { path, property: formatPath(path), named: pathOf(steps), schema: inner, type, isLeaf: below.length === 0 };
    return [...(path.length > 0 ? [here] : []), ...below.flatMap(({ key, step, child, item }) => placesIn(child, item, [...path, key], [...steps, step]))];
}

interface Child {
    key: string | number;
    step: string;
    child: z.ZodType;
    item: unknown;
}

function children(schema: z.ZodType, value: unknown): Child[] {
    const { type, shape, element, valueType } = defOf(schema);
    if (type === "array") return (value as unknown[]).map((item, key) => ({ key, step: "[]", child: element!, item }));
    if (type !== "record" && type !== "object") return [];
    const entries = Object.entries(value as object);
    if (type === "record") return entries.map(([key, item]) => ({ key, step: "{}", child: valueType!, item }));
    return entries.map(([key, item]) => ({ key, step: key, child: shape![key]!, item }));
}

/** A copy of a tree with another value at a path; `undefined` takes the property away. */
export function put(tree: unknown, [key, ...rest]: Path, value: unknown): unknown {
    if (key === undefined) return value;
    if (Array.isArray(tree)) return tree.map((item, i) => (i === key ? put(item, rest, value) : item));
    const entries = Object.entries(tree as object);
    const changed = put(entries.find(([name]) => name === key)?.[1], rest, value);
    // In its place, where it has one: of two that collide, the later is to blame.
    const all = entries.some(([name]) => name === key) ? entries.map(([name, item]) => [name, name === key ? changed : item] as const) : [...entries, [key, changed] as const];
    return Object.fromEntries(all.filter(([, item]) => item !== undefined));
}

/** Reads `translations[1].port` back into a path. */
export function parsePath(property: string): Path {
    return [...property.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)].map(([, index, quoted, key]) => (index !== undefined ? Number(index) : quoted !== undefined ? (JSON.parse(quoted) as string) : key!));
}
