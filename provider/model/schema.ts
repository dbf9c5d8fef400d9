import { z } from "zod";
import { isNextHop, parseAddress, parsePrefix, parseRange } from "./address";
import type { Fault } from "./fault";
import { interfaceNameFault, objectNameFault } from "./names";
import { parseService } from "./ports";
import { unknownPaths, without } from "./unknown";

/*
 * The leaves of all schemas. Each gives its fault in words that go on from the property's name, and carries
 * examples, from which tests are generated.
 */

export function leaf(fault: (text: string) => string | undefined, examples: string[]) {
    return z.string({ error: "is not a string" }).superRefine((text, context) => {
        const message = fault(text);
        if (message) context.addIssue({ code: "custom", message });
    }).meta({ examples });
}

const reasonOf = (result: unknown): string | undefined => (typeof result === "string" ? result : undefined);

export const interfaceName = (...examples: string[]) => leaf(interfaceNameFault, examples);
export const objectName = () => leaf(objectNameFault, ["main", "branch-7"]);
export const address = (...examples: string[]) => leaf((text) => (parseAddress(text) ? undefined : "is not an IPv4 or IPv6 address"), examples);
/** Of a gateway: one that the kernel sends packets to. */
export const gateway = (...examples: string[]) => leaf((text) => (!parseAddress(text) ? "is not an IPv4 or IPv6 address" : isNextHop(text) ? undefined : "is no address of a gateway"), examples);
export const prefix = (...examples: string[]) => leaf((text) => reasonOf(parsePrefix(text)), examples);
export const range = (...examples: string[]) => leaf((text) => reasonOf(parseRange(text)), examples);
export const service = (...examples: string[]) => leaf((text) => reasonOf(parseService(text)), examples);

/** A name of the program's own: of an uplink. Part of an nft chain's name. */
export const label = (...examples: string[]) => leaf((text) => (/^[a-z][a-z0-9_]{0,23}$/.test(text) ? undefined : "must be 1 to 24 lower-case letters, digits and underscores, beginning with a letter"), examples);

/** A kernel release, as `uname -r` prints it. */
export const release = (...examples: string[]) => leaf((text) => (/^\d+\.\d+[\w.+~-]{0,60}$/.test(text) ? undefined : "is no kernel release, as `uname -r` prints it"), examples);

export function integer(minimum: number, maximum: number, ...examples: number[]) {
    return z.number({ error: "is not a number" }).superRefine((value, context) => {
        if (!Number.isInteger(value) || value < minimum || value > maximum) context.addIssue({ code: "custom", message: `is not a whole number from ${minimum} to ${maximum}` });
    }).meta({ examples });
}

export const flag = () => z.boolean({ error: "is not true or false" });
export const text = (...examples: string[]) => z.string({ error: "is not a string" }).meta({ examples });
export const list = <T extends z.ZodType>(item: T, minimum = 0) => z.array(item, { error: "is not a list" }).min(minimum, { error: "is empty" });
export const choice = <const T extends readonly [string, ...string[]]>(values: T) => z.enum(values, { error: `is none of ${values.map((value) => JSON.stringify(value)).join(", ")}` });

/** One value or a list of them. */
export const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, list(item, 1)]);

/** A tree in which anything may be missing or not yet known. */
export type Partially<T> = T extends (infer E)[] ? (Partially<E> | undefined)[] : T extends object ? { [K in keyof T]?: Partially<T[K]> } : T | undefined;

export interface Checked<T> {
    faults: Fault[];
    /** The inputs less all unknown and faulty values, which are there but undefined: enough for checks across fields. */
    known: Partially<T>;
    /** The inputs as the schema has them, defaults filled in; only where everything is known and sound. */
    value?: T;
}

/** Checks inputs against a schema. All faults are found at once; unknown values fit everywhere. */
export function checkAgainst<T>(schema: z.ZodType<T>, inputs: unknown): Checked<T> {
    const unknowns = unknownPaths(inputs);
    const unheard = prototypePaths(inputs);
    const pruned = without(inputs, unknowns);
    const result = schema.safeParse(pruned);
    if (result.success && unknowns.length === 0 && unheard.length === 0) return { faults: [], known: result.data as Partially<T>, value: result.data };
    const issues = result.success ? [] : result.error.issues;
    const faults = [...issues.flatMap((issue) => toFaults(issue, [], inputs)).filter((fault) => !concerns(fault, unknowns)), ...unheard.map((path) => ({ path, reason: NO_PROPERTY }))];
    const known = without(pruned, faults.map((fault) => fault.path)) as Partially<T>;
    return { faults, known: withDefaults(schema, known) };
}

const NO_PROPERTY = "is no property here";

/** The one key that records and objects of zod pass over in silence, with whatever it has. */
function prototypePaths(value: unknown, path: Fault["path"] = []): Fault["path"][] {
    if (value === null || typeof value !== "object") return [];
    const entries = Array.isArray(value) ? value.map((item, i) => [i, item] as const) : Object.entries(value);
    return entries.flatMap(([key, item]) => (key === "__proto__" ? [[...path, key]] : prototypePaths(item, [...path, key])));
}

/** What was left out has its default, whatever is wrong elsewhere: checks across fields want to know. */
function withDefaults<T>(schema: z.ZodType<T>, known: Partially<T>): Partially<T> {
    if (!(schema instanceof z.ZodObject) || known === null || typeof known !== "object") return known;
    const missing = Object.entries(schema.shape as Record<string, z.ZodType>).filter(([key]) => !(key in known));
    const defaults = missing.map(([key, property]) => [key, property.safeParse(undefined).data] as const).filter(([, value]) => value !== undefined);
    return { ...Object.fromEntries(defaults), ...known };
}

type Issue = z.core.$ZodIssue;

function toFaults(issue: Issue, above: PropertyKey[], inputs: unknown): Fault[] {
    const path = [...above, ...issue.path] as (string | number)[];
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => ({ path: [...path, key], reason: NO_PROPERTY }));
    if (issue.code === "invalid_union") return unionFaults(issue, path, inputs);
    if (issue.code === "invalid_key") return issue.issues.map((inner) => ({ path, reason: inner.message }));
    const missing = issue.code === "invalid_type" && valueAt(inputs, path) === undefined;
    return [{ path, reason: missing ? "is required" : wording(issue) }];
}

function wording(issue: Issue): string {
    if (issue.code === "invalid_type" && ["object", "record"].includes(issue.expected)) return "is not an object";
    return issue.message.replace(/^Invalid input: /, "is wrong: ");
}

/** Of a union's branches that take a value of this type, the one that knows most of its keys knows best what is wrong. */
function unionFaults(issue: Extract<Issue, { code: "invalid_union" }>, path: (string | number)[], inputs: unknown): Fault[] {
    const branches = (issue.errors as Issue[][] | undefined) ?? [];
    // A discriminator has no branches; its message lists the words.
    if (branches.length === 0) return [{ path, reason: issue.message }];
    if (valueAt(inputs, path) === undefined) return [{ path, reason: "is required" }];
    const strange = (issues: Issue[]) => issues.reduce((sum, inner) => sum + (inner.code === "unrecognized_keys" ? inner.keys.length : 0), 0);
    const depth = (issues: Issue[]) => Math.max(0, ...issues.map((inner) => inner.path.length));
    const [best] = branches.filter((issues) => !issues.some(isOfAnotherType)).sort((a, b) => strange(a) - strange(b) || depth(b) - depth(a) || a.length - b.length);
    return best ? best.flatMap((inner) => toFaults(inner, path, inputs)) : [{ path, reason: noneOf(branches) }];
}

const isOfAnotherType = (issue: Issue): boolean => issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_value");

/** Says which types would do: "is neither a string nor a list". */
function noneOf(branches: readonly Issue[][]): string {
    const forms = branches.map((issues) => issues.find(isOfAnotherType)!).map((issue) => (issue.code === "invalid_value" ? issue.values.map((value) => JSON.stringify(value)).join(", ") : wording(issue).replace(/^is not /, "")));
    const [last, ...others] = [...new Set(forms)].reverse();
    return others.length === 0 ? `is not ${last}` : `is neither ${others.reverse().join(", ")} nor ${last}`;
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
    return path.reduce<unknown>((at, key) => (at as Record<string | number, unknown> | undefined)?.[key], value);
}

/** A fault at, above or below something unknown is no fault yet. */
function concerns(fault: Fault, unknowns: readonly (readonly (string | number)[])[]): boolean {
    return unknowns.some((path) => {
        const shorter = Math.min(path.length, fault.path.length);
        // A parent's fault may come from the missing child; a sibling's cannot.
        return path.slice(0, shorter).every((key, i) => key === fault.path[i]);
    });
}
