import { renderedOf } from "../../provider/reconcile/engine";
import { resourceOf, type ResourceKind } from "../../provider/resources";
import { CASES, caseOf, fault, leavesOfKind, type Inputs } from "./cases";
import { desiredOf } from "./drift-core";
import { ABSENT, variants, type Leaf } from "./drift-walk";

/** Properties that nothing on the router stands for, so that no drift of theirs can be, and why. */
export const WITHOUT_STATE: Record<string, string> = {
    "interface installPackages": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
    "interface prebuilt{}": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
    "interface prebuilt{key}": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
    "nat-stage backend": "it tells preflight where packets come back, for the lines that others' firewalls need; no rule of the stage does",
    "route-table name": "it names the object in the ids, and its folder in /etc/nvi; no rule or route bears it",
    "two-stage-nat installPackages": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
    "two-stage-nat prebuilt{}": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
    "two-stage-nat prebuilt{key}": "it is about the kernel module, which no case has: it says how the module gets there, not what it is",
};

/** The inputs that all resources share. */
export const SHARED_WITHOUT_STATE: Record<string, string> = {
    router: "it says how the router is reached; nothing on the router stands for it",
};

/** Values to try a property with beside those that its schema names. */
const OTHERS = ["module", 7105, "nvi7", "lan1", "isp2", "dsl", "edge-7", "10.3.0.0/24", "10.3.0.80", "192.0.2.32/27", "198.51.100.6", "203.0.113.6", "2001:db8:3::/64", "2001:db8:1::6", "169.254.7.7/32", "tcp/444", "198.51.100.13"];

/** Whether a property, changed by itself, ever changes what is rendered. */
export function hasState(kind: ResourceKind, leaf: Leaf): boolean {
    const values = leavesOfKind(kind).filter(({ path }) => path === leaf.path).map(({ value }) => value);
    const numbers = values.flatMap((value) => (typeof value === "number" ? [value + 1] : []));
    const starts = [caseOf(kind, leaf), ...CASES.filter((one) => one.kind === kind)];
    return starts.some(({ inputs }) => [...values, ...numbers, ...OTHERS].some((value) => changes(kind, inputs, leaf, value)));
}

function changes(kind: ResourceKind, inputs: Inputs, leaf: Leaf, value: unknown): boolean {
    const others = variants(resourceOf(kind).schema, inputs, leaf.steps, value) as Inputs[];
    const rendered = (one: Inputs) => JSON.stringify(Object.entries(renderedOf(desiredOf(kind, one))).sort());
    return others.some((other) => !fault(kind, other) && rendered(inputs) !== rendered(other));
}

/** The properties that a value can be given for, less the words that say which branch of a union is meant. */
export function propertiesOf(kind: ResourceKind): Leaf[] {
    const leaves = leavesOfKind(kind).filter(({ path, value }) => value !== ABSENT && !path.endsWith(">.kind"));
    return [...new Map(leaves.map((leaf) => [leaf.path, leaf])).values()];
}
