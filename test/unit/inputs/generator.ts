import type { z } from "zod";
import { hash32 } from "../../../provider/model/names";
import { pathChecks } from "../../../provider/model/path-check";
import { bare, branches, defOf } from "../../e2e/drift-walk";
import { random } from "../model/random";
import { placesIn, put, type Place } from "../resources/places";
import { KINDS, SAMPLES, schemaOf, wire, type Inputs, type Kind } from "../resources/samples";
import { address, HOSTILE, labelName, nicName, numberFor, prefix, shapeOf, STRANGE, textFor, type Random } from "./values";

/*
 * Inputs of every kind by the number, the same in every run: some grown from the schemas, some made of the samples, most of
 * them with something done to them afterwards.
 */

export interface Generated {
    /** `seed 1, input 4711` */
    title: string;
    kind: Kind;
    /** As check gets them from the engine. */
    inputs: Inputs;
}

/** The more a kind can be given, the more of it. */
const WEIGHTED = KINDS.flatMap((kind) => Array<Kind>({ router: 1, interface: 1, "ingress-mark": 1, "route-table": 3, "nat-stage": 3, "two-stage-nat": 3 }[kind]).fill(kind));

export function generated(seed: number, n: number): Generated {
    const r = random(hash32(`${seed} ${n}`));
    const kind = r.pick(WEIGHTED);
    const maker = new Maker(r);
    const own = maker.mutated(schemaOf(kind), maker.sound(kind)) as Inputs;
    return { title: `seed ${seed}, input ${n} (${kind})`, kind, inputs: maker.wired(kind, own) };
}

class Maker {
    /** Few, so that what names them meets. */
    private readonly labels: string[];
    private readonly nics: string[];
    private readonly families: readonly (4 | 6)[];
    private nic = 0;

    constructor(private readonly r: Random) {
        this.labels = [...new Set(Array.from({ length: 1 + r.below(3) }, () => labelName(r)))];
        this.nics = [...new Set(Array.from({ length: 30 }, () => nicName(r)))];
        this.families = r.pick([[4], [6], [4], [6], [4, 6]] as const);
    }

    sound(kind: Kind): unknown {
        const schema = schemaOf(kind);
        return this.r.below(2) === 0 ? this.grown(schema) : this.varied(schema, this.r.pick(SAMPLES[kind]));
    }

    /** What all kinds have beside their own. */
    wired(kind: Kind, own: Inputs): Inputs {
        if (kind === "router") return own;
        const wired = { ...wire(kind, own), owner: `organization/project/stack/${this.r.below(4) === 0 ? this.r.pick(HOSTILE) : "office"}` };
        return {
            ...wired,
            ...(this.r.below(10) === 0 ? { router: this.varied(schemaOf("router"), this.r.pick(SAMPLES.router)) } : {}),
            ...(this.r.below(5) === 0 ? { checks: this.grown(pathChecks) } : {}),
            ...(this.r.below(20) === 0 ? { adopt: this.r.pick([true, false, "yes"]) } : {}),
        };
    }

    /** A value made by the schema alone. */
    private grown(schema: z.ZodType): unknown {
        if (["optional", "default"].includes(defOf(schema).type) && this.r.below(2) === 0) return undefined;
        const inner = bare(schema);
        const { type, shape, element, valueType, entries, values } = defOf(inner);
        switch (type) {
            case "object": return defined(Object.entries(shape!).map(([key, child]) => [key, this.grown(child)]));
            case "array": return unique(Array.from({ length: this.r.below(40) === 0 ? 60 : 1 + this.r.below(3) }, () => this.grown(element!)));
            case "record": return defined((shapeOf(defOf(inner).keyType!) === "label" ? this.labels : [textFor(this.r, shapeOf(defOf(inner).keyType!), 4)]).map((key) => [key, this.grown(valueType!)]));
            case "union": return this.grown(this.r.pick(branches(inner)).option);
            case "enum": return this.r.pick(Object.values(entries!));
            case "literal": return values![0];
            case "boolean": return this.r.below(2) === 0;
            case "number": return numberFor(this.r, inner);
            default: return this.text(inner, this.r.pick(this.families));
        }
    }

    private text(leaf: z.ZodType, family: 4 | 6): string {
        const shape = shapeOf(leaf);
        if (shape === "label") return this.r.pick(this.labels);
        if (shape === "nic") {
            const name = this.r.below(20) === 0 ? this.r.pick(this.nics) : this.nics[this.nic++ % this.nics.length]!;
            return leaf.safeParse(name).success ? name : "lan7";
        }
        // The device's own address is one of a host.
        if (shape === "prefix" && (leaf.meta()?.examples as string[]).every((example) => example.endsWith("/32"))) return this.r.pick(["169.254.77.2/32", "169.254.78.9/32", "10.255.255.1/32", `${address(this.r, 4)}/32`]);
        // Free text of a connection is given as it is; most of it is sound.
        if (shape === "text" && this.r.below(4) > 0) return "edge.example.net";
        return textFor(this.r, shape, family);
    }

    /** A sample with other values in many places: still sound, for the most part. */
    private varied(schema: z.ZodType, sample: Inputs): Inputs {
        let inputs: Inputs = sample;
        for (const { path, type, schema: leaf, isLeaf } of placesIn(schema, sample)) {
            const old = valueAt(inputs, path);
            if (old === undefined || this.r.below(3) > 0) continue;
            if (isLeaf && type === "string") inputs = put(inputs, path, this.another(leaf, String(old))) as Inputs;
            else if (type === "number") inputs = put(inputs, path, numberFor(this.r, leaf)) as Inputs;
            else if (["enum", "boolean"].includes(type) && path.at(-1) !== "kind") inputs = put(inputs, path, this.grown(leaf)) as Inputs;
            else if (this.r.below(6) === 0) inputs = withoutAt(inputs, path) as Inputs;
        }
        return inputs;
    }

    /** Of the same family, and a label that there is. */
    private another(leaf: z.ZodType, old: string): string {
        const shape = shapeOf(leaf);
        return shape === "label" || shape === "text" ? old : this.text(leaf, old.includes(":") ? 6 : 4);
    }

    /** Nothing is done to nearly half, up to five things to the others. */
    mutated(schema: z.ZodType, inputs: unknown): unknown {
        const count = this.r.pick([0, 0, 0, 0, 1, 1, 1, 2, 3, 5]);
        for (let i = 0; i < count; i++) inputs = this.mutation(schema, inputs);
        return inputs;
    }

    private mutation(schema: z.ZodType, inputs: unknown): unknown {
        const places = placesOf(schema, inputs);
        if (places.length === 0) return inputs;
        const { path, schema: leaf, type } = this.r.pick(places);
        const old = valueAt(inputs, path);
        const family = typeof old === "string" && old.includes(":") ? 6 : 4;
        switch (this.r.below(12)) {
            case 0: return put(inputs, path, this.r.pick(HOSTILE));
            case 1: return put(inputs, path, `${typeof old === "object" ? "" : String(old)}${this.r.pick(HOSTILE)}`);
            case 2: return put(inputs, path, this.r.pick(STRANGE));
            case 3: return withoutAt(inputs, path);
            case 4: return put(inputs, [...path.slice(0, -1), this.r.pick(["surprise", "__proto__", "constructor", "rendered", "toString", this.r.pick(HOSTILE)])], this.r.pick(STRANGE));
            // Another place's value, which may be one that meets its own.
            case 5: return put(inputs, path, valueAt(inputs, this.r.pick(places).path));
            case 6: return put(inputs, path, Array.isArray(old) ? [...(old as unknown[]), ...(old as unknown[])] : [old, old]);
            case 7: return type === "array" && Array.isArray(old) ? put(inputs, path, Array.from({ length: 200 }, () => this.grown(defOf(leaf).element!))) : put(inputs, path, this.grown(leaf));
            case 8: return type === "string" ? put(inputs, path, this.r.below(2) === 0 ? address(this.r, family) : prefix(this.r, family)) : put(inputs, path, this.grown(leaf));
            // Sound in that place, by itself.
            default: return put(inputs, path, type === "string" ? this.text(leaf, family) : this.grown(leaf));
        }
    }
}

/** Where something is that the schema knows; what is unsound already has no places below it. */
function placesOf(schema: z.ZodType, inputs: unknown): Place[] {
    try {
        return placesIn(schema, inputs);
    } catch {
        const shape = defOf(bare(schema)).shape ?? {};
        return typeof inputs !== "object" || inputs === null ? [] : Object.keys(inputs).filter((key) => Object.hasOwn(shape, key)).map((key) => {
            const leaf = bare(shape[key]!);
            return { path: [key], property: key, named: key, schema: leaf, type: defOf(leaf).type, isLeaf: false };
        });
    }
}

const defined = (entries: [string, unknown][]): Inputs => Object.fromEntries(entries.filter(([, value]) => value !== undefined));
const unique = (items: unknown[]): unknown[] => [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];

function valueAt(tree: unknown, path: Place["path"]): unknown {
    return path.reduce<unknown>((at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? (at as Inputs)[key] : undefined), tree);
}

/** An item of a list goes with its position. */
function withoutAt(tree: unknown, path: Place["path"]): unknown {
    const [parent, last] = [path.slice(0, -1), path.at(-1)!];
    const list = valueAt(tree, parent);
    return Array.isArray(list) ? put(tree, parent, (list as unknown[]).filter((_, i) => i !== last)) : put(tree, path, undefined);
}
