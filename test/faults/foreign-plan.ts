import type { DesiredObject } from "../../provider/reconcile/desired";
import type { ResourceKind } from "../../provider/resources";
import { CASES, KINDS, type Case } from "../e2e/cases";
import { desiredOf } from "../e2e/drift-core";
import { random as randomOf } from "../unit/model/random";
import { DOINGS, rulesOf, type Doing } from "./foreign-world";

/*
 * A sequence of operations, made of its number alone: what the objects are comes from the cases, which have every property of
 * every resource.
 */

/**
 * `ensure` makes an object or changes it. `fail`: a check of its fails when all is applied; `break`: one of its commands does,
 * somewhere in the middle; `abort`: nobody wants it when it is applied. `forget` takes it over, `lose` takes it away, after its
 * manifest was lost. `other` is what somebody else does.
 */
export type Operation =
    | { what: "ensure" | "read" | "remove" | "fail" | "break" | "abort" | "forget" | "lose"; object: DesiredObject }
    | { what: "other"; doing: Doing }
    | { what: "beside"; object: DesiredObject };

export interface Plan {
    /** By a real login, and confirmed by another. */
    overSsh: boolean;
    /** The router doesn't forward when it begins. */
    closed: boolean;
    /** What is there at the end stays for a last look at all that isn't its. */
    leaves: boolean;
    operations: Operation[];
}

const MOST = 6;
/** One of so many. */
const [OVER_SSH, CLOSED] = [12, 4];

export function planOf(seed: number, number: number): Plan {
    const random = randomOf(seed * 1_000_003 + number);
    const closed = random.below(CLOSED) === 0;
    const length = 1 + Math.min(random.below(MOST), random.below(MOST));
    const there = new Map<string, DesiredObject>();
    const operations: Operation[] = [];
    while (operations.length < length) operations.push(...next());
    return { overSsh: number % OVER_SSH === 0, closed, leaves: random.below(2) === 0, operations };

    function next(): Operation[] {
        const made = [...there.values()];
        const dice = random.below(100);
        if (made.length === 0 ? dice < 15 : dice < 20) return other();
        if (made.length === 0 || dice < 45) return create(random.pick(KINDS));
        const object = random.pick(made);
        if (dice < 60) return [ensured(again(object), "ensure")];
        if (dice < 66) return beside(object);
        if (dice < 70) return [ensured(again(object), "fail")];
        if (dice < 74) return [ensured(again(object), "abort")];
        if (dice < 78) return [{ what: "forget", object }];
        if (dice < 82) return [{ what: "read", object }];
        there.delete(keyOf(object));
        return [{ what: dice < 86 ? "lose" : "remove", object }];
    }

    /** Each does a thing once. */
    function other(): Operation[] {
        const left = DOINGS.filter((doing) => !(closed && doing.links) && !operations.some((one) => one.what === "other" && one.doing === doing));
        return [{ what: "other", doing: random.pick(left) }];
    }

    function beside(object: DesiredObject): Operation[] {
        const again = operations.some((one) => one.what === "beside" && keyOf(one.object) === keyOf(object));
        return again || rulesOf(object).length === 0 ? [] : [{ what: "beside", object }];
    }

    /** With the NVI that it is for, most of the time; else it is refused, or not. */
    function create(kind: ResourceKind): Operation[] {
        const { inputs } = random.pick(CASES.filter((one) => one.kind === kind));
        const object = desiredOf(kind, inputs);
        const roll = random.below(12);
        const what = roll === 0 ? "fail" : roll === 1 ? "abort" : roll === 2 ? "break" : "ensure";
        const name = inputs.interface ?? "nvi0";
        const needs = ["interface", "two-stage-nat"].includes(kind) || there.has(`interface.${name}`) || random.below(5) === 0 ? [] : [ensured(desiredOf("interface", { name }), "ensure")];
        return [...needs, ensured(object, what)];
    }

    function ensured(object: DesiredObject, what: "ensure" | "fail" | "abort" | "break"): Operation {
        if (what === "ensure") there.set(keyOf(object), object);
        return { what, object: what === "break" ? broken(object) : object };
    }

    function again(object: DesiredObject): DesiredObject {
        const kind = object.id.kind as ResourceKind;
        const { inputs } = random.pick(CASES.filter((one): one is Case => one.kind === kind));
        return desiredOf(kind, { ...inputs, name: object.id.name });
    }
}

export const keyOf = ({ id }: DesiredObject): string => `${id.kind}.${id.name}`;

/** Its last route has a next hop that is on no link: the kernel refuses it after all the others. */
function broken(object: DesiredObject): DesiredObject {
    const routes = object.artifacts.flatMap((one) => (one.kind === "routes" ? [one] : []));
    const last = routes.at(-1);
    if (!last) return { ...object, checks: [{ kind: "command", command: "exit 1", within: 0 }] };
    const bad = { family: 4 as const, table: last.table, to: "192.0.2.99/32", type: "unicast" as const, hops: [{ via: "192.0.2.200", dev: "isp1" }] };
    return { ...object, artifacts: object.artifacts.map((one) => (one === last ? { ...last, routes: [...last.routes, bad] } : one)) };
}

export function describe({ operations, ...plan }: Plan): string {
    const said = operations.map((one) => (one.what === "other" ? one.doing.name : `${one.what} ${keyOf(one.object)}`));
    const how = [plan.overSsh ? "over SSH" : "", plan.closed ? "a router that doesn't forward" : "", plan.leaves ? "left there" : ""].filter(Boolean);
    return `${said.join(", ")}${how.length > 0 ? ` (${how.join(", ")})` : ""}`;
}

/** What a sample has to have one of. */
export function features({ operations, ...plan }: Plan): string[] {
    const flags = (["overSsh", "closed", "leaves"] as const).filter((flag) => plan[flag]);
    const made = operations.flatMap((one) => (one.what === "ensure" ? [one.object.id.kind] : []));
    const switched = plan.closed && made.some((kind) => kind === "two-stage-nat") ? ["forwarding is switched"] : [];
    return [...flags, ...operations.map(({ what }) => what), ...made, ...switched];
}
