import { kindOf } from "../../provider/reconcile/kinds";
import type { Artifact } from "../../provider/syntax/artifact";
import type { Lab } from "../lab";
import type { Case, Inputs } from "./cases";
import { desiredOf } from "./drift-core";
import { routerArgs } from "./office";

/*
 * Many cases on few routers, in one program. A router has room for a case where nothing of it has a key that something
 * there has already.
 */
export type Placed = Case & { router: number; resource: string };

/** The interface and mark that each router has for its single resources. */
const HOST: Case[] = [{ kind: "interface", inputs: { name: "nvi9" } }, { kind: "ingress-mark", inputs: { name: "host", interface: "nvi9", nics: ["lan0"] } }];

export function place(cases: readonly Case[]): Placed[] {
    const taken: Set<string>[] = [];
    return cases.map((one, i) => {
        const moved = { ...one, inputs: moveAside(one, i) };
        const keys = keysOf(moved);
        let router = taken.findIndex((there) => !keys.some((key) => there.has(key)));
        if (router < 0) router = taken.push(new Set(HOST.flatMap(keysOf))) - 1;
        keys.forEach((key) => taken[router]!.add(key));
        return { ...moved, router, resource: `${one.kind}-${i}` };
    });
}

/** Names, numbers and devices that no other case has; all else stays. */
function moveAside({ kind, inputs }: Case, i: number): Inputs {
    const name = `${inputs.name ?? "main"}-${i}`;
    if (kind === "interface") return { ...inputs, name: `nvi1${i}` };
    if (kind === "two-stage-nat") return { ...inputs, name, interface: `nvi1${i}`, table: 8000 + 300 * i };
    if (kind === "nat-stage") return { ...inputs, name, interface: "nvi9", table: 7600 + i, priority: 2200 + 10 * i };
    if (kind === "ingress-mark" || inputs.table === "main") return { ...inputs, name, interface: "nvi9" };
    return { ...inputs, name, interface: "nvi9", table: 7101 + i };
}

function keysOf({ kind, inputs }: Case): string[] {
    const isShared = (artifact: Artifact) => artifact.kind === "sysctl";
    const artifacts = desiredOf(kind, inputs).artifacts.filter((artifact) => !isShared(artifact));
    return [`${kind}.${inputs.name}`, ...artifacts.map((artifact) => kindOf(artifact).key(artifact))];
}

/** A program of placed cases; `labs` are the routers, in order. */
export function placedProgram(labs: readonly Lab[], placed: readonly Placed[]): string {
    return `const nvi = require("pulumi-nvi");
const edges = ${JSON.stringify(labs.map(routerArgs))}.map((args, i) => {
    const router = new nvi.Router("edge" + i, args);
    const nvi9 = new nvi.Interface("nvi9-" + i, { router, name: "nvi9" });
    return { router, nvi9, mark: new nvi.IngressMark("host-" + i, { router, name: "host", interface: nvi9, nics: ["lan0"] }) };
});
const make = {
    "interface": (name, args) => new nvi.Interface(name, args),
    "ingress-mark": (name, args, { nvi9 }) => new nvi.IngressMark(name, { ...args, interface: nvi9 }),
    "route-table": (name, args, { nvi9 }) => new nvi.RouteTable(name, { ...args, interface: nvi9 }),
    "nat-stage": (name, args, { nvi9, mark }) => new nvi.NatStage(name, { ...args, interface: nvi9, mark, routeTables: [] }),
    "two-stage-nat": (name, args) => new nvi.TwoStageNat(name, args),
};
for (const { kind, resource, router, inputs } of ${JSON.stringify(placed)}) make[kind](resource, { ...inputs, router: edges[router].router }, edges[router]);
`;
}
