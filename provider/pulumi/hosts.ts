import type { Endpoint } from "../host/endpoint";
import type { Host } from "../host/host";
import { pool } from "../host/pool";
import { Router } from "../host/router";
import type { Bag } from "./bag";

/** One connection a router, for as long as the engine keeps the provider's process. */
export const hostOf = (inputs: Bag): Host => new Router(inputs.router as Endpoint, pool);

const queues = new Map<string, Promise<unknown>>();

/**
 * Runs changes of one router one after the other: the engine starts resources side by side, and each would find the
 * router changed by another between observing and applying.
 */
export function inTurn<T>(inputs: Bag, change: (host: Host) => Promise<T>): Promise<T> {
    const host = hostOf(inputs);
    const before = queues.get(host.label) ?? Promise.resolve();
    const turn = before.then(() => change(host));
    queues.set(host.label, turn.catch(() => undefined));
    return turn;
}
