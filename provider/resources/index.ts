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

export function resourceOf(kind: ResourceKind): Resource<{ name: string }> {
    return RESOURCES[kind] as unknown as Resource<{ name: string }>;
}
