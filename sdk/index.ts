/** Two-stage NAT routers out of stock Linux routers, over SSH. Start with {@link Router} and {@link TwoStageNat}. */
export { IngressMark, type IngressMarkArgs } from "./ingress-mark";
export { Interface, type InterfaceArgs } from "./interface";
export { NatStage, type NatStageArgs } from "./nat-stage";
export * from "./path-check";
export { OnRouter, type OnRouterArgs } from "./resource";
export { RouteTable, type NextHopArgs, type RouteArgs, type RouteRuleArgs, type RouteTableArgs } from "./route-table";
export { Router, type ConnectionArgs, type Facts, type HopArgs, type RouterArgs } from "./router";
export * from "./translation";
export { TwoStageNat, type FullUplinkArgs, type TwoStageNatArgs } from "./two-stage-nat";
