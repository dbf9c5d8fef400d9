import { renderedOf } from "../../provider/reconcile/engine";
import { resourceOf, type ResourceKind } from "../../provider/resources";
import { CASES, caseOf, fault, leavesOfKind, type Inputs } from "./cases";
import { desiredOf } from "./drift-core";
import { defOf, replaced, type Leaf } from "./drift-walk";

/** Properties that nothing on the router stands for, so that no drift of theirs can be, and why. */
export const WITHOUT_STATE: Record<string, string> = {
    "interface backend": "there is one backend so far, and the link says which it is",
    "two-stage-nat backend": "there is one backend so far, and the link says which it is",
};

/** All of `router`, which every resource has: it says how the router is reached. */
export const ROUTER_WITHOUT_STATE = "where to dial and who to be there; nothing on the router stands for it, and another name replaces the resource";

/** Values to try a property with beside those that its schema names. */
const OTHERS = ["nvi7", "lan1", "isp2", "dsl", "edge-7", "10.3.0.0/24", "10.3.0.80", "192.0.2.32/27", "198.51.100.6", "203.0.113.6", "2001:db8:3::/64", "2001:db8:1::6", "169.254.7.7/32", "tcp/444", "198.51.100.13"];

/** Whether a property, changed by itself, ever changes what is rendered. */
export function hasState(kind: ResourceKind, leaf: Leaf): boolean {
    const values = leavesOfKind(kind).filter(({ path }) => path === leaf.path).map(({ value }) => value);
    const numbers = values.flatMap((value) => (typeof value === "number" ? [value + 1] : []));
    const starts = [caseOf(kind, leaf), ...CASES.filter((one) => one.kind === kind)];
    return starts.some(({ inputs }) => [...values, ...numbers, ...OTHERS].some((value) => changes(kind, inputs, leaf, value)));
}

function changes(kind: ResourceKind, inputs: Inputs, leaf: Leaf, value: unknown): boolean {
    const other = replaced(resourceOf(kind).schema, inputs, leaf.steps, value) as Inputs | undefined;
    if (other === undefined || fault(kind, other)) return false;
    const rendered = (one: Inputs) => JSON.stringify(Object.entries(renderedOf(desiredOf(kind, one))).sort());
    return rendered(inputs) !== rendered(other);
}

/** Words that say which branch of a union is meant are no properties of their own. */
export const isWord = (kind: ResourceKind, leaf: Leaf): boolean => {
    const same = leavesOfKind(kind).filter(({ path }) => path === leaf.path);
    return same.length === 1 && /<[^>]+>(\.kind)?$/.test(leaf.path) && typeof leaf.value === "string" && !caseHasOther(kind, leaf);
};

const caseHasOther = (kind: ResourceKind, leaf: Leaf): boolean => OTHERS.some((value) => replaced(resourceOf(kind).schema, caseOf(kind, leaf).inputs, leaf.steps, value) !== undefined && !fault(kind, replaced(resourceOf(kind).schema, caseOf(kind, leaf).inputs, leaf.steps, value) as Inputs));
void defOf;
