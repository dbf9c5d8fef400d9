/**
 * What went wrong, as far as it decides what happens next: whether the router's state is known, and
 * whether a later login may be tried (never again with a key or credential that was refused: that locks accounts and hides attacks). `unreachable`, `timeout` and `disconnected` never mean "absent".
 */
export type ErrorKind =
    /** The program asks for something that cannot be. */
    | "invalid"
    /** No TCP connection, or no SSH banner. */
    | "unreachable"
    /** The server's host key is unknown, changed or revoked. */
    | "host-key"
    /** The server refused every credential offered, or one could not be loaded. */
    | "authentication"
    /** Logged in, but without the right to do it (no root, no usable sudo). */
    | "privilege"
    /** A deadline passed. */
    | "timeout"
    /** The connection was lost, or a reply was cut short: what happened on the router is unknown. */
    | "disconnected"
    /** The router lacks a tool, a kernel feature, or has a setting that the plan cannot work with. */
    | "preflight"
    /** The object belongs to another stack, or to nobody that we know. */
    | "foreign"
    /** Another transaction holds the router's lock. */
    | "locked"
    /** A tool on the router failed. */
    | "tool"
    /** A transaction was ended on the router by something else: what it did is unknown. */
    | "died"
    /** The router has undone a change that nobody confirmed, or that was found wanting. */
    | "rolled-back"
    /** Undoing failed: the router is neither as it was nor as wanted. */
    | "half-done"
    /** The router's disk is full or read-only. */
    | "storage"
    /** An answer that makes no sense: a tool that crashed, output cut short, unparsable output. */
    | "protocol"
    /** A fault of ours. */
    | "internal";

/** The parts of an error message; see {@link NviError}. */
export interface ErrorParts {
    kind: ErrorKind;
    /** What was being done, e.g. `dial`, `apply`, `read`. */
    operation: string;
    /** On what: a router, a resource, a hop. */
    subject: string;
    /** Why it failed, in plain words. */
    reason: string;
    /** What to do about it. */
    cure?: string;
    /** The command that failed, already redacted. */
    command?: string;
    /** What the tool itself said, already redacted. */
    output?: string;
    cause?: unknown;
}

/** The one error class of the provider. Its message fits a screen and is written for somebody at 3 a.m. */
export class NviError extends Error implements ErrorParts {
    readonly kind: ErrorKind;
    readonly operation: string;
    readonly subject: string;
    readonly reason: string;
    readonly cure?: string;
    readonly command?: string;
    readonly output?: string;

    constructor(parts: ErrorParts) {
        super(compose(parts), { cause: parts.cause });
        this.name = "NviError";
        this.kind = parts.kind;
        this.operation = parts.operation;
        this.subject = parts.subject;
        this.reason = parts.reason;
        this.cure = parts.cure;
        this.command = parts.command;
        this.output = parts.output;
    }
}

const OUTPUT_LINES = 12;

function compose(parts: ErrorParts): string {
    const lines = [`${parts.subject}: ${parts.operation}: ${parts.reason}`];
    if (parts.command) lines.push(`  command: ${parts.command}`);
    if (parts.output?.trim()) {
        const said = parts.output.trimEnd().split("\n");
        const shown = said.slice(-OUTPUT_LINES);
        if (said.length > shown.length) shown.unshift(`(${said.length - shown.length} lines before these)`);
        lines.push(...shown.map((line, i) => `${i === 0 ? "  output:  " : "           "}${line}`));
    }
    if (parts.cure) lines.push(`  cure:    ${parts.cure}`);
    return lines.join("\n");
}
