import { create, destroy } from "../../provider/pulumi/adapter";
import type { Bag } from "../../provider/pulumi/bag";
import { RESOURCES, type ResourceKind } from "../../provider/resources";
import type { Lab } from "../lab";
import { routerArgs } from "./office";
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

const on = (lab: Lab, { inputs }: Piece): Bag => ({ ...inputs, router: { name: "edge", ...routerArgs(lab) } });

/** What the engine's create and delete do. */
export const createOn = async (lab: Lab, piece: Piece): Promise<unknown> => await create(piece.kind, on(lab, piece));
export const destroyOn = async (lab: Lab, piece: Piece): Promise<void> => await destroy(piece.kind, on(lab, piece));
