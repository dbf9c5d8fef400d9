import { create, destroy } from "../../provider/pulumi/adapter";
import type { Bag } from "../../provider/pulumi/bag";
import { RESOURCES, type ResourceKind } from "../../provider/resources";
import type { DesiredObject } from "../../provider/reconcile/desired";
import type { Lab } from "../lab";
import type { Inputs } from "./cases";
import { desiredOf } from "./drift-core";
import { officeProgram, piecesProgram, routerArgs } from "./office";
import type { Stack } from "./pulumi";

/** A resource of a program, as the engine hands it to the provider. */
export interface Piece {
    kind: ResourceKind;
    name: string;
    inputs: Bag;
}

interface PreviewStep {
    op: string;
    newState?: { type: string; urn: string; inputs: Bag };
}

/** What a program would create, in the engine's order, without a router being asked. */
export async function piecesOf(stack: Stack): Promise<Piece[]> {
    const { stdout } = await stack.preview(["--json"]);
    const { steps } = JSON.parse(stdout) as { steps: PreviewStep[] };
    return steps.flatMap(({ newState }) => {
        const kind = newState && kindOfType(newState.type);
        return kind ? [{ kind, name: newState.urn.split("::").at(-1)!, inputs: newState.inputs }] : [];
    });
}

/** `nat-stage` for `pulumi-nodejs:dynamic/nvi:NatStage`; undefined for all that is not on a router. */
export function kindOfType(type: string): ResourceKind | undefined {
    const name = type.split(":").at(-1)!.replace(/\B[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
    return (Object.keys(RESOURCES) as ResourceKind[]).find((kind) => kind === name);
}

/** The office of single resources on one router, and as one resource on another. */
export function bothProgram([pieces, whole]: readonly [Lab, Lab]): string {
    const programs = [piecesProgram(pieces), officeProgram(whole).replace('"edge"', '"whole"').replace('"office"', '"whole-office"')];
    return programs.map((text) => `{\n${text}}\n`).join("");
}

/** What the provider makes of the inputs of a resource in the state. */
export function desiredFrom(type: string, inputs: Bag): DesiredObject {
    const { router: _, owner, rendered: __, __provider: ___, ...own } = inputs;
    return desiredOf(kindOfType(type)!, own as Inputs, String(owner));
}

const on = (lab: Lab, { inputs }: Piece): Bag => ({ ...inputs, router: { name: "edge", ...routerArgs(lab) } });

/** What the engine's create and delete do. */
export const createOn = async (lab: Lab, piece: Piece): Promise<unknown> => await create(piece.kind, on(lab, piece));
export const destroyOn = async (lab: Lab, piece: Piece): Promise<void> => await destroy(piece.kind, on(lab, piece));
