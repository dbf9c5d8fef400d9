import type { Boot } from "../syntax/artifact";
import { ingressMarkResource } from "./ingress-mark";
import { interfaceResource } from "./interface";
import { natStageResource } from "./nat-stage";
import type { Resource } from "./resource";
import { routeTableResource } from "./route-table";
import { twoStageNatResource } from "./two-stage-nat";

/** Every resource that stands for something on a router, by kind. */
export const RESOURCES = {
    interface: interfaceResource,
    "nat-stage": natStageResource,
    "ingress-mark": ingressMarkResource,
    "route-table": routeTableResource,
    "two-stage-nat": twoStageNatResource,
} as const;

export type ResourceKind = keyof typeof RESOURCES;

/** Every object is to come back after a restart. */
const BOOT: Boot = { kind: "boot", phase: "forward" };

export function resourceOf(kind: ResourceKind): Resource<{ name: string }> {
    const resource = RESOURCES[kind] as unknown as Resource<{ name: string }>;
    const render: typeof resource.render = (inputs) => {
        const desired = resource.render(inputs);
        return { ...desired, artifacts: [...desired.artifacts, BOOT] };
    };
    return { ...resource, render };
}
