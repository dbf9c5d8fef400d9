// @ts-check
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { createProgress, elapsed } from "./progress.mjs";

const TAIL_LINES = 20;

/** A command of the set-up that failed; the message ends with the last lines that it printed. */
export class RunError extends Error {
    /** @param {string} message @param {NodeJS.Signals} [interrupted] set when it was the user who ended it */
    constructor(message, interrupted) {
        super(message);
        this.name = "RunError";
        this.interrupted = interrupted;
    }
}

/**
 * Runs a command without a terminal, and keeps what it prints. What it does for long is told by `status`, called with
 * the output so far.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ label: string, cwd?: string, env?: NodeJS.ProcessEnv, progress?: import("./progress.mjs").Progress,
 *           status?: (output: string) => string }} options
 * @returns {Promise<string>} stdout and stderr, in the order of arrival
 */
export async function run(command, args, { label, cwd, env, progress = createProgress(), status }) {
    const since = Date.now();
    let output = "";
    const stop = progress.every(() => `${label}: ${elapsed(since)}${status ? `, ${status(output)}` : ""}`);
    try {
        const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
        child.stderr.setEncoding("utf8").on("data", (text) => (output += text));
        const { code, signal, interrupted } = await ended(child);
        if (interrupted) throw new RunError(`${label}: interrupted`, interrupted);
        if (code === 0) return output;
        const tail = output.trimEnd().split("\n").slice(-TAIL_LINES).map((line) => `    ${line}`);
        const how = signal ? `was killed by ${signal}` : `ended with ${code}`;
        throw new RunError([`${label}: ${[command, ...args].join(" ")} ${how}`, ...tail].join("\n"));
    } catch (/** @type {any} */ error) {
        if (error instanceof RunError) throw error;
        throw new RunError(`${label}: cannot run ${command}: ${error.message}`);
    } finally {
        stop();
    }
}

/**
 * Waits for a child. A signal to us goes to the child first, so that its end, and our clean-up after it, are orderly.
 *
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null, interrupted?: NodeJS.Signals }>}
 */
export function ended(child) {
    /** @type {NodeJS.Signals | undefined} */
    let interrupted;
    /** @param {NodeJS.Signals} signal */
    const pass = (signal) => {
        interrupted = signal;
        child.kill(signal);
    };
    /** @type {NodeJS.Signals[]} */
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    signals.forEach((signal) => process.on(signal, pass));
    return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => resolve({ code, signal, interrupted }));
    }).finally(() => signals.forEach((signal) => process.off(signal, pass)));
}

/** The exit code that shells give to a process ended by a signal. @param {NodeJS.Signals} signal */
export function signalCode(signal) {
    return 128 + constants.signals[signal];
}
