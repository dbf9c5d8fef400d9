import { constants } from "node:os";
import type { Client, ClientChannel } from "ssh2";
import type { ErrorKind, NviError } from "../model/errors";
import { Deadline } from "./deadline";

/** What a command on the router answered. */
export interface ExecResult {
    /** Its exit status; 128 plus the signal's number when a signal ended it. */
    code: number;
    stdout: Buffer;
    stderr: Buffer;
    /** The signal that ended it, e.g. `SIGKILL`, if sshd says so: many login shells make an exit status of it. */
    signal?: string;
}

/** A talk on stdin and stderr before the command proper gets its input; sudo's password prompt. */
export interface Prologue {
    /** Milliseconds that the talk may take. */
    readonly limitMs: number;
    /** Takes what came on stderr. */
    hear(chunk: Buffer): PrologueStep;
    /** The error, when the command did not start: all ended with this exit status (null: by a signal), and this on stdout; or time was up. */
    refusal(code?: number | null, stdout?: Buffer): NviError;
}

/** What to do next: wait, write a line, send the command's input and keep the rest as its stderr, or end the input. */
export type PrologueStep = "wait" | { say: string } | { started: Buffer } | "stop";

/** One command to run, as sent to the login shell. */
export interface Job {
    line: string;
    stdin?: Buffer;
    timeoutMs: number;
    prologue?: Prologue;
    /** Aborted, with the reason as a text, when the connection is lost. */
    lost: AbortSignal;
    /** Makes the error for this command. */
    fail(kind: ErrorKind, reason: string, more?: { cure?: string; output?: string }): NviError;
}

/** The server opened no channel, so the command did not run: most often MaxSessions is reached. */
export class ChannelRefused extends Error {}

/** More than this is no answer of a tool, and would exhaust the memory of the machine that runs Pulumi. */
const MOST_OUTPUT = 256 * 1024 * 1024;

const NO_STATUS = "the channel closed without an exit status: the command may or may not have run";

/**
 * Runs a command on a channel of its own, without a terminal, and collects all that it writes.
 *
 * @throws {@link ChannelRefused} when it certainly did not run; NviError `disconnected` when the connection or the answer
 * was cut short, `timeout`, `protocol`, or the prologue's.
 */
export function runOnChannel(client: Client, job: Job): Promise<ExecResult> {
    return new Promise((resolve, reject) => new Run(client, job, resolve, reject).start());
}

class Run {
    readonly #stdout: Buffer[] = [];
    readonly #stderr: Buffer[] = [];
    #size = 0;
    #channel?: ClientChannel;
    #started: boolean;
    #settled = false;
    #timer?: NodeJS.Timeout;

    constructor(
        private readonly client: Client,
        private readonly job: Job,
        private readonly resolve: (result: ExecResult) => void,
        private readonly reject: (error: Error) => void,
    ) {
        this.#started = job.prologue === undefined;
    }

    start(): void {
        const { job } = this;
        if (job.lost.aborted) return this.#onLost();
        job.lost.addEventListener("abort", this.#onLost, { once: true });
        this.#limit(Math.min(job.timeoutMs, job.prologue?.limitMs ?? Infinity));
        try {
            // ssh2 never calls back when the line is dead: the timer and the keepalive are the ends of that.
            this.client.exec(job.line, (error, channel) => (error ? this.#onRefused(error) : this.#onOpen(channel)));
        } catch (error) {
            this.#fail(job.fail("disconnected", (error as Error).message));
        }
    }

    #limit(ms: number): void {
        clearTimeout(this.#timer);
        this.#timer = new Deadline(ms / 1000).alarm(() => this.#onTimeout());
    }

    #onOpen(channel: ClientChannel): void {
        this.#channel = channel;
        if (this.#settled) return this.#abandon();
        // With data listeners nothing is ever buffered inside ssh2, whose buffers throw when a dead connection is read on.
        channel.on("data", (chunk: Buffer) => this.#keep(this.#stdout, chunk));
        channel.stderr.on("data", (chunk: Buffer) => this.#onStderr(chunk));
        channel.on("error", (error: Error) => this.#fail(this.job.fail("disconnected", error.message)));
        channel.stderr.on("error", () => undefined);

        // "close" waits for stdout only, so stderr's end is waited for separately.
        let open = 2;
        let exit: [code?: number | null, signal?: string] = [];
        const done = () => --open === 0 && this.#onEnd(...exit);
        channel.stderr.once("end", done);
        channel.once("close", (code?: number | null, signal?: string) => {
            exit = [code, signal];
            done();
        });
        if (this.#started) channel.end(this.job.stdin);
    }

    #onStderr(chunk: Buffer): void {
        if (this.#started) return this.#keep(this.#stderr, chunk);
        const step = this.job.prologue!.hear(chunk);
        if (step === "stop") this.#channel?.end();
        else if (step !== "wait" && "say" in step) this.#channel?.write(step.say);
        else if (step !== "wait") this.#onStarted(step.started);
    }

    #onStarted(stderr: Buffer): void {
        this.#started = true;
        this.#limit(this.job.timeoutMs);
        this.#keep(this.#stderr, stderr);
        this.#channel?.end(this.job.stdin);
    }

    #keep(where: Buffer[], chunk: Buffer): void {
        if (this.#settled) return;
        where.push(chunk);
        this.#size += chunk.length;
        if (this.#size <= MOST_OUTPUT) return;
        this.#fail(this.job.fail("protocol", `the command wrote more than ${MOST_OUTPUT / 1024 / 1024} MiB`));
        this.#abandon();
    }

    #onEnd(code: number | null | undefined, signal: string | undefined): void {
        // Without an exit status it is the connection, or sshd's own process, that ended: never a success.
        if (code === undefined) return this.#fail(this.job.fail("disconnected", NO_STATUS));
        const stdout = Buffer.concat(this.#stdout);
        if (!this.#started) return this.#fail(this.job.prologue!.refusal(code, stdout));
        if (!this.#settle()) return;
        const stderr = Buffer.concat(this.#stderr);
        if (code !== null) return this.resolve({ code, stdout, stderr });
        const number = constants.signals[signal as NodeJS.Signals] ?? 0;
        this.resolve({ code: 128 + number, stdout, stderr, signal });
    }

    /** The exec request itself may be refused, too, e.g. by a forced command; then there is no reason code. */
    #onRefused(error: Error & { reason?: unknown }): void {
        if (this.job.lost.aborted) return this.#onLost();
        if (error.reason !== undefined) return this.#fail(new ChannelRefused(error.message));
        if (error.message !== "Unable to exec") return this.#fail(this.job.fail("disconnected", error.message));
        const cure = "see ForceCommand, the key's options in authorized_keys, and the user's shell";
        this.#fail(this.job.fail("protocol", "the server refuses to run commands for this user", { cure }));
    }

    readonly #onLost = (): void => this.#fail(this.job.fail("disconnected", String(this.job.lost.reason)));

    #onTimeout(): void {
        const { timeoutMs, prologue } = this.job;
        this.#fail(this.#started ? this.#slow(timeoutMs) : prologue!.refusal());
        this.#abandon();
    }

    #slow(timeoutMs: number): NviError {
        const reason = `no end after ${timeoutMs / 1000} s; what it did is unknown, and it may still run`;
        const output = Buffer.concat(this.#stderr).toString();
        return this.job.fail("timeout", reason, { output, cure: "see on the router what it waits for" });
    }

    /**
     * The command ends at its next write to the closed channel. A signal would be no help: ssh2 sends none once the input
     * was ended, and sshd passes none to a root login, where it has no privilege separation, or through sudo.
     */
    #abandon(): void {
        try {
            this.#channel?.close();
        } catch {
            // The connection is gone, and the channel with it.
        }
    }

    #fail(error: Error): void {
        if (this.#settle()) this.reject(error);
    }

    #settle(): boolean {
        if (this.#settled) return false;
        this.#settled = true;
        clearTimeout(this.#timer);
        this.job.lost.removeEventListener("abort", this.#onLost);
        return true;
    }
}
