import type { z } from "zod";
import { familyOf } from "../../provider/model/address";
import { RESOURCES, resourceOf, type ResourceKind } from "../../provider/resources";
import { ABSENT, bare, branches, defOf, leavesIn, leavesOf, named, pathOf, smallest, type Leaf } from "./drift-walk";
import { officeInputs } from "./office";

/*
 * Inputs of every resource, made from the schemas: every property, with every example, every word and every branch, is in
 * some case. A new property is in a case by itself, or fails here until it is told below what it needs beside it.
 */
export interface Case {
    kind: ResourceKind;
    inputs: Inputs;
}

export type Inputs = Record<string, unknown> & { name?: string; interface?: string };

/** NICs that the cases name beside the lab's own. */
export const EXTRA_NICS = ["lan1"];

/** What a case is built on: the office's router, with nothing in it that can be left out. */
const BASES: Record<ResourceKind, Inputs> = {
    interface: {},
    "ingress-mark": { nics: ["lan0"] },
    "route-table": { name: "main", table: 7101 },
    "nat-stage": { inside: ["lan0"], uplinks: uplinksOf("addresses") },
    "two-stage-nat": { inside: ["lan0"], uplinks: uplinksOf("addresses", "gateway", "gateway6") },
};

function uplinksOf(...keys: string[]): Record<string, object> {
    const only = (uplink: object) => Object.fromEntries(Object.entries(uplink).filter(([key]) => keys.includes(key)));
    return Object.fromEntries(Object.entries(officeInputs.uplinks).map(([name, uplink]) => [name, only(uplink)]));
}

type Item = Record<string, unknown>;
/** What an item of a list needs beside the leaf that it was made for (its `steps` below the item), as the `n`-th of its case. */
type Fit = (item: Item, steps: readonly string[], n: number, value: unknown) => Item;

const VIA = { 4: "198.51.100.1", 6: "2001:db8:1::1" } as const;
/** 1:1 translations need both sides of one family and length. */
const PAIRS = [["10.0.0.20", "198.51.100.5"], ["10.0.0.32/29", "198.51.100.8/29"], ["2001:db8:a::20", "2001:db8:1::5"]] as const;

const FITS: Record<string, Fit> = {
    "routes[]": (item, [chosen = ""], n, value) => {
        // Only one route of a table can have a destination.
        const to = chosen === "to" ? String(item.to) : item.via === VIA[6] ? `2001:db8:7:${n}::/64` : `192.0.2.${n}/32`;
        if (item.type === "blackhole" || item.type === "unreachable") return { ...item, to };
        const { [value === ABSENT ? chosen : ""]: _, ...hop } = { via: VIA[familyOf(to)], device: "isp1" } as Item;
        return { ...hop, ...item, to };
    },
    "routes[]nextHops": (item, steps, n, value) => {
        const [hop] = item.nextHops as Item[];
        const family = hop!.via === VIA[6] ? 6 : 4;
        const { [value === ABSENT ? steps.at(-1)! : ""]: _, ...first } = { via: VIA[family], device: "isp1", ...hop } as Item;
        const second = { via: family === 4 ? "203.0.113.1" : "2001:db8:2::1", device: "isp2" };
        return { to: family === 4 ? `192.0.2.${n}/32` : `2001:db8:7:${n}::/64`, nextHops: [first, second] };
    },
    "rules[]": (item) => (["ingress", "from", "to"].some((key) => key in item) ? item : { ...item, from: "198.51.100.0/24" }),
    // One uplink alone leaves nothing to spread.
    "translations[]<snat>": (item, steps) => (steps.at(-1) === "spread" ? { ...item, to: { ...(item.to as Item), uplinks: ["isp1", "isp2"] } } : item),
    "translations[]<dnat>": (item, [chosen], n) => (chosen === "port" ? item : { ...item, port: `tcp/${9000 + n}` }),
    "translations[]<static>": (item, [chosen]) => {
        const side = chosen === "outside" ? 1 : 0;
        const [inside, outside] = PAIRS.find((pair) => pair[side] === item[chosen ?? ""]) ?? PAIRS[0];
        return { ...item, inside, outside };
    },
};

/** The uplink that a value of the office belongs to. */
const uplinkOf = (value: unknown): string => (/^(203\.|2001:db8:2:|isp2$)/.test(String(value)) || value === false ? "isp2" : "isp1");

/** The first example of keys that are no uplinks. */
const keyFor = (keys: z.ZodType, value: unknown): string => (keys.safeParse(uplinkOf(value)).success ? uplinkOf(value) : String(smallest(keys)));

/** A value with one more leaf set. */
export function put(schema: z.ZodType, current: unknown, steps: readonly string[], value: unknown, path = ""): unknown {
    const [step, ...rest] = steps;
    if (step === undefined) return value;
    const inner = bare(schema);
    const { type, shape, element, keyType, valueType } = defOf(inner);
    const below = pathOf([path, step].filter(Boolean));
    if (type === "object") return putKey(shape![step]!, (current ?? smallest(inner)) as Item, step, rest, value, below);
    if (type === "array") return putItem(element!, (current ?? []) as unknown[], rest, value, below);
    if (type === "record" && step === "{key}") return { ...(current as Item), [String(value)]: (current as Item | undefined)?.[String(value)] ?? smallest(valueType!) };
    if (type === "record") return putKey(valueType!, (current ?? {}) as Item, keyFor(keyType!, value), rest, value, below);
    const { option } = branches(inner).find(({ name }) => name === step)!;
    const kept = option.safeParse(current).success ? current : undefined;
    return put(option, kept, rest, value, below);
}

function putKey(schema: z.ZodType, current: Item, key: string, rest: readonly string[], value: unknown, path: string): Item {
    const { [key]: old, ...others } = current;
    const next = put(schema, old, rest, value, path);
    return next === ABSENT ? others : { ...current, [key]: next };
}

function putItem(element: z.ZodType, current: readonly unknown[], rest: readonly string[], value: unknown, path: string): unknown[] {
    const item = put(element, undefined, rest, value, path);
    const [branch, ...inside] = rest[0]?.startsWith("<") ? rest : ["", ...rest];
    const fit = FITS[`${path}${inside[0] === "nextHops" ? inside[0] : branch}`];
    const fitted = fit ? fit(item as Item, inside, current.length + 1, value) : item;
    return current.some((one) => JSON.stringify(one) === JSON.stringify(fitted)) ? [...current] : [...current, fitted];
}

/** What is wrong with inputs, by schema and across fields; undefined where nothing is. */
export function fault(kind: ResourceKind, inputs: Inputs): string | undefined {
    const resource = resourceOf(kind);
    const parsed = resource.schema.safeParse(inputs);
    if (!parsed.success) return JSON.stringify(parsed.error.issues);
    const found = resource.faults(parsed.data as never);
    return found.length === 0 ? undefined : JSON.stringify(found);
}

/** Values that no case has, and why. */
const ELSEWHERE: Record<string, string> = { 'backend="module"': "the lab's kernel loads no modules; those of emulated machines do" };

export const leavesOfKind = (kind: ResourceKind): Leaf[] => leavesOf(resourceOf(kind).schema).filter((leaf) => !(named(leaf) in ELSEWHERE));
export const coverage = (kind: ResourceKind, inputs: Inputs): Set<string> => new Set(leavesIn(resourceOf(kind).schema, inputs).map(named));

/** The base with one leaf set, by itself. */
export function caseOf(kind: ResourceKind, leaf: Leaf): Case {
    const inputs = put(resourceOf(kind).schema, BASES[kind], leaf.steps, leaf.value) as Inputs;
    const wrong = fault(kind, inputs);
    if (wrong) throw new Error(`${kind}: no valid inputs with ${named(leaf)}: ${wrong}\n${JSON.stringify(inputs)}\nsay in cases.ts what else it needs`);
    return { kind, inputs };
}

/** As many leaves in one case as go together. What a case is counted on for stays in it. */
function packed(kind: ResourceKind): Case[] {
    const cases: (Case & { claims: Set<string> })[] = [];
    for (const leaf of leavesOfKind(kind)) {
        const home = cases.find((one) => coverage(kind, one.inputs).has(named(leaf))) ?? cases.find((one) => take(one, leaf));
        if (home) home.claims.add(named(leaf));
        else cases.push({ ...caseOf(kind, leaf), claims: new Set([named(leaf)]) });
    }
    return cases.map(({ inputs }) => ({ kind, inputs }));
}

/** Sets a leaf more in a case, unless that is wrong or takes a claim away. */
function take(one: Case & { claims: Set<string> }, leaf: Leaf): boolean {
    const inputs = put(resourceOf(one.kind).schema, one.inputs, leaf.steps, leaf.value) as Inputs;
    if (fault(one.kind, inputs)) return false;
    const after = coverage(one.kind, inputs);
    if (![...one.claims, named(leaf)].every((claim) => after.has(claim))) return false;
    one.inputs = inputs;
    return true;
}

/** Combinations that no property by itself leads to. */
const COMBINED: Case[] = [
    {
        kind: "route-table",
        inputs: {
            name: "hops", table: 4294967295, errors: "isp2",
            routes: [
                { to: "0.0.0.0/0", via: "203.0.113.1" }, { to: "::/0", device: "isp2" }, { to: "0.0.0.0/0", device: "isp1", metric: 7 },
                { to: "::/0", via: "2001:db8:2::1", metric: 7 }, { to: "192.0.2.0/24", nextHops: [{ device: "isp1" }, { device: "isp2", weight: 256 }] },
            ],
            rules: [{ ingress: "lan0", from: "0.0.0.0/0", to: "192.0.2.0/24" }, { ingress: "isp1", to: "::/0", priority: 1899 }],
        },
    },
    {
        kind: "nat-stage",
        inputs: {
            name: "spread", inside: ["lan0"], uplinks: { isp1: { weight: 3 }, isp2: { weight: 2 } },
            translations: ["connection", "source", "source-destination"].map((spread) => ({ kind: "snat", from: ["10.0.0.0/24", "2001:db8:a::/64", "::/0"], to: { uplinks: ["isp1", "isp2"], spread } })),
        },
    },
    { kind: "two-stage-nat", inputs: { name: "dialled", inside: ["lan0"], uplinks: { isp1: {}, isp2: { device: "isp2", gateway: "203.0.113.1" } }, translations: officeInputs.translations } },
    { kind: "two-stage-nat", inputs: { name: "office", ...officeInputs } },
];

export const KINDS = Object.keys(RESOURCES) as ResourceKind[];
export const CASES: Case[] = [...KINDS.flatMap(packed), ...COMBINED];
