import { expect } from "vitest";
import type { Endpoint } from "../../provider/host/endpoint";
import type { Applied, Host } from "../../provider/host/host";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { PathCheck } from "../../provider/model/path-check";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { ensure } from "../../provider/reconcile/engine";
import type { Lab } from "../lab";
import { desiredOf } from "./drift-core";
import { officeInputs, routerArgs } from "./office";

/* The core without the engine: for what has to be done many times over. */

/** A router as the provider reaches it. `close` ends its connections. */
export function coreRouter(lab: Lab, more: Partial<Endpoint> = {}): { host: Router; close: () => void } {
    const pool = new Pool();
    const host = new Router({ name: "edge", ...routerArgs(lab), dialTimeout: 10, confirmTimeout: 2, ...more }, pool);
    return { host, close: () => pool.closeAll() };
}

export const OWNER = "organization/nvi-test/dev/office";

export const officeObject = (changes: object = {}, checks: readonly PathCheck[] = []): DesiredObject => ({ ...desiredOf("two-stage-nat", { name: "office", ...officeInputs, ...changes }, OWNER), checks });

/** Makes a change that nobody confirms, as where the provider is killed once it is applied. */
export async function abandon(host: Router, object: DesiredObject, then?: () => Promise<void>): Promise<Applied> {
    let applied: Applied | undefined;
    const apply = host.apply.bind(host);
    host.apply = async (files) => {
        applied = await apply(files);
        await then?.();
        throw new Error("killed");
    };
    await expect(ensure(host, object)).rejects.toThrow("killed");
    return applied!;
}

/** Applied, it is wanted no more. */
export function aborting(host: Host): Host {
    return {
        label: host.label, confirmTimeout: host.confirmTimeout, call: async (verb, files) => await host.call(verb, files),
        apply: async (files) => {
            const applied = await host.apply(files);
            return { ...applied, confirm: async () => ({ sections: await applied.abort() }) };
        },
    };
}
