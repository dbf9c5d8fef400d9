import { NviError } from "../model/errors";
import { formatPath, type Fault } from "../model/fault";
import type { Bag } from "./bag";

export interface CheckFailure {
    property: string;
    reason: string;
}

/**
 * A fault as `check` gives it. The engine prints the whole value of a property that is the resource's own, secret or not, and
 * `{<nil>}` for one further in (pkg/resource/deploy/step_generator.go, issueCheckFailures): a failure that names no property is
 * printed without a value.
 */
export const failure = ({ path, reason }: Fault): CheckFailure => ({ property: "", reason: `property ${formatPath(path)} ${reason}` });

/** What the engine knows about an object that may exist although its creation failed. */
export interface Partial {
    id: string;
    /** With `__provider`: without it, refresh and destroy of the resource die. */
    properties: Bag;
}

/** An error as the engine prints it best: `reasons` for partial creations, and no stack, which it would print whole. */
export function failed(error: unknown, partial?: Partial): Error {
    const shown = error instanceof NviError ? new Shown(error) : fault(error);
    return partial ? Object.assign(shown, { ...partial, reasons: [shown.message] }) : shown;
}

/**
 * The engine prints the message with the resource. For check, diff, read and delete the runtime besides logs `${error}:
 * ${error.stack}` (@pulumi/pulumi, cmd/dynamic-provider): one line of that is enough.
 */
class Shown extends Error {
    readonly #brief: string;

    constructor({ message, subject, operation }: NviError) {
        super(message);
        this.#brief = `${subject}: ${operation} failed`;
        this.stack = "the resource itself says why";
    }

    override toString(): string {
        return this.#brief;
    }
}

function fault(error: unknown): Error {
    const known = error instanceof Error;
    const shown = new Error(`a fault of pulumi-nvi itself: ${known ? error.message : String(error)}`);
    shown.stack = known ? error.stack : "";
    return shown;
}

/** Runs what needs no router; its errors are ours, and shown like the others. */
export function quietly<T>(action: () => T): T {
    try {
        return action();
    } catch (error) {
        throw failed(error);
    }
}
