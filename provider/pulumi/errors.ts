import { NviError } from "../model/errors";
import type { Bag } from "./bag";

/** What the engine knows about an object that may exist although its creation failed. */
export interface Partial {
    id: string;
    /** With `__provider`: without it, refresh and destroy of the resource die. */
    properties: Bag;
}

/** An error as the engine prints it best: `reasons` for partial creations, and no stack, which it would print whole. */
export function failed(error: unknown, partial?: Partial): Error {
    const known = error instanceof NviError;
    const message = known ? error.message : `a fault of pulumi-nvi itself: ${error instanceof Error ? error.message : String(error)}`;
    const shown = new Error(message);
    shown.stack = known || !(error instanceof Error) ? "" : error.stack;
    return partial ? Object.assign(shown, { ...partial, reasons: [message] }) : shown;
}

/** Runs what needs no router; its errors are ours, and shown like the others. */
export function quietly<T>(action: () => T): T {
    try {
        return action();
    } catch (error) {
        throw failed(error);
    }
}
