import type { Host } from "../../provider/host/host";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { resourceOf, type ResourceKind } from "../../provider/resources";
import { diffDumps, Lab, type LabOptions } from "../lab";
import { EXTRA_NICS, type Inputs } from "./cases";
import { routerArgs } from "./office";

/** Whose the objects of core tests are. */
export const OWNER = "organization/nvi-test/core/edge";

/** A lab whose router is driven through the core, without Pulumi. */
export interface Bench {
    lab: Lab;
    host: Host;
    /** A script on the router; what fails throws. */
    sh(script: string): Promise<string>;
    stop(): Promise<void>;
}

/** A lab with every NIC that the cases name. */
export async function labForCases(options: LabOptions = {}): Promise<Lab> {
    const lab = await Lab.start(options);
    for (const nic of EXTRA_NICS) await lab.router.observe(["ip", "link", "add", nic, "type", "veth", "peer", "name", `${nic}x`]);
    return lab;
}

export async function bench(options: LabOptions = {}): Promise<Bench> {
    const lab = await labForCases(options);
    const pool = new Pool();
    return {
        lab, host: new Router({ name: "edge", ...routerArgs(lab) }, pool),
        sh: async (script: string) => (await lab.router.sh(`set -e; ${script}`)).stdout,
        stop: async () => {
            pool.closeAll();
            await lab.stop();
        },
    };
}

/** What the adapter makes of a resource's inputs. */
export function desiredOf(kind: ResourceKind, inputs: Inputs, owner = OWNER): DesiredObject {
    const { schema, render } = resourceOf(kind);
    const value = schema.parse(inputs);
    return { ...render(value), id: { kind, name: value.name }, owner };
}

/** Interfaces that a NAT stage expects to be there. */
export const NVIS: DesiredObject[] = ["nvi0", "nvi1"].map((name, i) => desiredOf("interface", { name, address: `169.254.77.${i + 2}/32` }));

/** How often a transaction has changed the router. */
export const generation = async ({ sh }: Bench): Promise<string> => (await sh("cat /etc/nvi/generation 2>/dev/null || echo none")).trim();

/** What the provider keeps for as long as any object is there, and changes with every transaction. */
const HOUSEKEEPING = /^[-+] files: (?:file|directory) (?:\/run\/nvi\/(?:tx\b|lock\.owner |turn )|\/etc\/nvi\/generation )/;

export const withoutHousekeeping = (lines: readonly string[]): string[] => lines.filter((line) => !HOUSEKEEPING.test(line));

/** The lines in which the router differs from how it was, less the provider's own housekeeping. */
export const leftSince = async (before: string, { lab }: Bench): Promise<string[]> => withoutHousekeeping(diffDumps(before, await lab.dump()));
