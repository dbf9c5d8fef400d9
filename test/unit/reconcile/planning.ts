import type { PlanContext, Step } from "../../../provider/reconcile/kind";
import type { ObservedLink, Snapshot } from "../../../provider/reconcile/snapshot";

/** What kinds of artifacts plan with, where nothing is on the router but an uplink's NIC. */

export const upLink = (name: string, more: Partial<ObservedLink> = {}): [string, ObservedLink] => [name, { name, mtu: 1500, mac: "02:00:00:00:00:01", up: true, noArp: false, ...more }];

const NO_MODULE: Snapshot["module"] = { loadable: true, signed: false, key: false, tools: [], headers: false, apt: false, kernels: new Map() };

export function planning(snapshot: Partial<Snapshot>, more: Partial<PlanContext> = {}): PlanContext {
    const empty = { ipv6: true, links: new Map([upLink("isp1")]), addresses: [], rules: [], routes: new Map(), sysctls: new Map(), settings: new Map(), module: NO_MODULE, boot: "none" as const, objects: [], advertised: [], proxied: [] };
    return { snapshot: { ...empty, ...snapshot } as Snapshot, saved: {}, held: new Set(), made: new Set(), ...more };
}

const words = (commands: readonly (readonly string[])[]): string[] => commands.map((one) => one.join(" "));
export const commandsOf = (steps: readonly Step[]): string[] => steps.flatMap((step) => words(step.do));
export const undoOf = (steps: readonly Step[]): string[] => steps.flatMap((step) => words(step.undo));
export const finallyOf = (steps: readonly Step[]): string[] => steps.flatMap((step) => words(step.finally ?? []));
