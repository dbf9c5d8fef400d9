import type { Endpoint } from "../../provider/host/endpoint";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { PathCheck } from "../../provider/model/path-check";
import type { DesiredObject } from "../../provider/reconcile/desired";
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
