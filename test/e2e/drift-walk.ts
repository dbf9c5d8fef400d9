import type { z } from "zod";

/*
 * Schemas as trees of leaves. A leaf is a property with one of the values that its schema names: an example, an
 * enum's word, true and false, or "absent" where it may be left out. Its path says the way there:
 * `translations[]<snat>.to<1>.pool`, with `[]` an item of a list, `{}` an entry of a record, `<...>` the branch of a union.
 */
export interface Leaf {
    path: string;
    steps: readonly string[];
    value: unknown;
}

export const ABSENT = undefined;

/** The leaf as text: what coverage is counted by. */
export const named = ({ path, value }: Pick<Leaf, "path" | "value">): string => `${path}=${value === ABSENT ? "absent" : JSON.stringify(value)}`;

type Schema = z.ZodType;
interface Def {
    type: string;
    shape?: Record<string, Schema>;
    innerType?: Schema;
    element?: Schema;
    keyType?: Schema;
    valueType?: Schema;
    options?: Schema[];
    discriminator?: string;
    entries?: Record<string, string>;
    values?: unknown[];
}

export const defOf = (schema: Schema): Def => (schema as unknown as { _zod: { def: Def } })._zod.def;

/** The schema below `optional` and `default`. */
export function bare(schema: Schema): Schema {
    const { innerType } = defOf(schema);
    return innerType ? bare(innerType) : schema;
}

const isOptional = (schema: Schema): boolean => ["optional", "default"].includes(defOf(schema).type);

/** What a union's branches are called: by the discriminator's value, or by number. */
export function branches(schema: Schema): { name: string; option: Schema }[] {
    const { options = [], discriminator } = defOf(schema);
    return options.map((option, i) => {
        const kind = discriminator === undefined ? undefined : defOf(defOf(option).shape![discriminator]!).values?.[0];
        return { name: `<${kind ?? i}>`, option };
    });
}

/** The values that a schema without properties names; an error where it names none. */
function valuesOf(schema: Schema, path: string): unknown[] {
    const { type, entries, values } = defOf(schema);
    const named = { enum: Object.values(entries ?? {}), literal: values ?? [], boolean: [true, false] }[type];
    const found = named ?? ((schema.meta()?.examples as unknown[] | undefined) ?? []);
    if (found.length === 0) throw new Error(`${path} has no examples (${type}): give its leaf some with .meta({ examples })`);
    return found;
}

/** Every leaf that a schema has. */
export function leavesOf(schema: Schema, steps: readonly string[] = []): Leaf[] {
    const absent = isOptional(schema) ? [leaf(steps, ABSENT)] : [];
    const inner = bare(schema);
    return [...absent, ...childrenOf(inner).flatMap(([step, child]) => leavesOf(child, [...steps, step])), ...ownLeaves(inner, steps)];
}

function childrenOf(schema: Schema): [string, Schema][] {
    const { type, shape, element, valueType } = defOf(schema);
    if (type === "object") return Object.entries(shape!);
    if (type === "array") return [["[]", element!]];
    if (type === "record") return [["{}", valueType!]];
    return branches(schema).map(({ name, option }) => [name, option]);
}

function ownLeaves(schema: Schema, steps: readonly string[]): Leaf[] {
    const { type, keyType } = defOf(schema);
    if (type === "record") return valuesOf(keyType!, pathOf(steps)).map((value) => leaf([...steps, "{key}"], value));
    if (childrenOf(schema).length > 0) return [];
    return valuesOf(schema, pathOf(steps)).map((value) => leaf(steps, value));
}

const leaf = (steps: readonly string[], value: unknown): Leaf => ({ path: pathOf(steps), steps, value });
export const pathOf = (steps: readonly string[]): string => steps.map((step, i) => (i === 0 || /^[[{<]/.test(step) ? step : `.${step}`)).join("");

/** The leaves that a value sets, whatever it was made by. */
export function leavesIn(schema: Schema, value: unknown, steps: readonly string[] = []): Leaf[] {
    if (value === undefined) return isOptional(schema) ? [leaf(steps, ABSENT)] : [];
    const inner = bare(schema);
    const { type, shape, element, valueType } = defOf(inner);
    const at = (step: string, child: Schema, item: unknown) => leavesIn(child, item, [...steps, step]);
    if (type === "object") return Object.entries(shape!).flatMap(([key, child]) => at(key, child, (value as Record<string, unknown>)[key]));
    if (type === "array") return (value as unknown[]).flatMap((item) => at("[]", element!, item));
    if (type === "record") {
        const entries = Object.entries(value as object);
        return [...entries.flatMap(([, item]) => at("{}", valueType!, item)), ...entries.map(([key]) => leaf([...steps, "{key}"], key))];
    }
    if (type !== "union") return [leaf(steps, value)];
    const fitting = branches(inner).find(({ option }) => option.safeParse(value).success);
    return fitting ? at(fitting.name, fitting.option, value) : [];
}

/** The smallest value that a schema takes, of first examples. */
export function smallest(schema: Schema): unknown {
    const inner = bare(schema);
    const { type, shape, element, options } = defOf(inner);
    if (type === "object") {
        const required = Object.entries(shape!).filter(([, child]) => !isOptional(child));
        return Object.fromEntries(required.map(([key, child]) => [key, smallest(child)]));
    }
    if (type === "array") return [smallest(element!)];
    if (type === "record") return {};
    if (type === "union") return smallest(options![0]!);
    return valuesOf(inner, type)[0];
}

/** The value in all its variants in which one place that this path leads to has another one. */
export function variants(schema: Schema, value: unknown, steps: readonly string[], to: unknown): unknown[] {
    const [step, ...rest] = steps;
    if (step === undefined) return [to];
    const inner = bare(schema);
    const { type, shape, element, valueType } = defOf(inner);
    if (type === "union") {
        const fitting = branches(inner).find(({ name, option }) => name === step && option.safeParse(value).success);
        return fitting ? variants(fitting.option, value, rest, to) : [];
    }
    if (value === undefined) return [];
    if (type === "array") return (value as unknown[]).flatMap((item, i) => variants(element!, item, rest, to).map((next) => Object.assign([...(value as unknown[])], { [i]: next })));
    const record = value as Record<string, unknown>;
    if (step === "{key}") return Object.keys(record).map((key) => Object.fromEntries(Object.entries(record).map(([one, item]) => [one === key ? to : one, item])));
    const at = (key: string, child: Schema) => variants(child, record[key], rest, to).map((next) => ({ ...record, [key]: next }));
    return step === "{}" ? Object.keys(record).flatMap((key) => at(key, valueType!)) : at(step, shape![step]!);
}
