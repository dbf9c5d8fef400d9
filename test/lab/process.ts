import { spawn as nodeSpawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { patience } from "./patience";

export interface RunOptions {
    stdin?: string | Buffer;
    /** Return the result whatever the exit code, instead of throwing. A time-out always throws. */
    allowFailure?: boolean;
    /** @default 15000 */
    timeoutMs?: number;
    env?: NodeJS.ProcessEnv;
}

export interface RunResult {
    /** As a shell reports it: 128 + number for a process that died of a signal. */
    code: number;
    stdout: string;
    stderr: string;
}

const signalNumbers: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

export class CommandFailed extends Error {
    constructor(reason: string, readonly command: string, readonly result: RunResult) {
        super(`${reason}: ${command}\n${trimmed("stderr", result.stderr)}${trimmed("stdout", result.stdout)}`.trimEnd());
        this.name = "CommandFailed";
    }
}

function trimmed(label: string, text: string): string {
    const body = text.trimEnd();
    if (!body) return "";
    return `${label}: ${body.length > 4000 ? `${body.slice(0, 4000)} [... ${body.length - 4000} more characters]` : body}\n`;
}

/** As it can be pasted into a shell, except that a long script is cut short. */
export function shown(argv: readonly string[]): string {
    return argv.map(word => {
        const text = word.length > 500 ? `${word.slice(0, 500)} [...]` : word;
        return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
    }).join(" ");
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await outcome(new Child(argv, { env: options.env, stdin: options.stdin ?? "" }), options);
}

/** Waits for the end of a command that was just started. */
export async function outcome(command: Running, options: RunOptions = {}): Promise<RunResult> {
    const { timeoutMs = 15_000, allowFailure = false } = options;
    const code = await command.exited(timeoutMs);
    const result = { code: code ?? -1, stdout: command.stdout, stderr: command.stderr };
    if (code === undefined) {
        command.kill("SIGKILL");
        throw new CommandFailed(`no end after ${timeoutMs * patience} ms, killed`, shown(command.argv), result);
    }
    if (code !== 0 && !allowFailure) throw new CommandFailed(`exit code ${code}`, shown(command.argv), result);
    return result;
}

export interface ChildOptions {
    env?: NodeJS.ProcessEnv | undefined;
    /** Written and closed at once; without it stdin stays open for `child.write`. */
    stdin?: string | Buffer;
    stdio?: StdioOptions;
    /** Keep stdout as chunks for the owner's own parser instead of collecting text. */
    onStdout?: (chunk: Buffer) => void;
}

/** A command under way, on this machine or on an emulated one. */
export abstract class Running {
    stdout = "";
    stderr = "";
    /** Bytes of both. */
    protected heard = 0;
    private done = false;
    private readonly watchers = new Set<() => void>();
    private ended: Promise<number> = Promise.resolve(0);

    constructor(readonly argv: readonly string[], private readonly onStdout?: (chunk: Buffer) => void) {}

    get running(): boolean { return !this.done; }

    abstract write(text: string): void;
    abstract closeInput(): void;
    /** Also reaches what the command forked. */
    abstract kill(signal?: NodeJS.Signals): void;

    /** The exit code, or undefined when it is still running after `timeoutMs`. */
    async exited(timeoutMs = 15_000): Promise<number | undefined> {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<undefined>(resolve => { timer = setTimeout(() => resolve(undefined), timeoutMs * patience); });
        try { return await Promise.race([this.ended, late]); } finally { clearTimeout(timer); }
    }

    async stop(signal: NodeJS.Signals = "SIGTERM", timeoutMs = 3000): Promise<number> {
        this.kill(signal);
        const code = await this.exited(timeoutMs);
        if (code !== undefined) return code;
        this.kill("SIGKILL");
        return await this.ended;
    }

    /** Waits until stdout or stderr, from its beginning, matches. */
    async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpMatchArray> {
        return await new Promise((resolve, reject) => {
            const give = (): void => { this.watchers.delete(look); clearTimeout(timer); };
            const fail = (why: string): void => { give(); reject(new CommandFailed(why, shown(this.argv), { code: -1, stdout: this.stdout, stderr: this.stderr })); };
            const look = (): void => {
                const found = this.stdout.match(pattern) ?? this.stderr.match(pattern);
                if (found) { give(); resolve(found); } else if (this.done) fail(`ended before printing ${String(pattern)}`);
            };
            const timer = setTimeout(() => fail(`did not print ${String(pattern)} within ${timeoutMs * patience} ms`), timeoutMs * patience);
            this.watchers.add(look);
            look();
        });
    }

    protected endsWith(ended: Promise<number>): void {
        this.ended = ended.then(code => { this.done = true; this.notify(); return code; });
        this.ended.catch(() => undefined);
    }

    protected received(stream: "stdout" | "stderr", chunk: Buffer): void {
        this.heard += chunk.length;
        if (stream === "stdout" && this.onStdout) this.onStdout(chunk);
        else this[stream] += chunk.toString();
        this.notify();
    }

    private notify(): void { for (const watcher of [...this.watchers]) watcher(); }
}

/** A process in a session of its own, so that `kill` also reaches what it forked (nsenter and sudo do). */
export class Child extends Running {
    readonly process: ChildProcess;

    constructor(argv: readonly string[], options: ChildOptions = {}) {
        super(argv, options.onStdout);
        const child = nodeSpawn(argv[0]!, argv.slice(1), { stdio: options.stdio ?? "pipe", env: options.env ?? process.env, detached: true });
        this.process = child;
        child.stdout?.on("data", (chunk: Buffer) => this.received("stdout", chunk));
        child.stderr?.on("data", (chunk: Buffer) => this.received("stderr", chunk));
        // A command that exits without reading its input is no fault of ours.
        child.stdin?.on("error", () => undefined);
        if (options.stdin !== undefined) child.stdin?.end(options.stdin);
        this.endsWith(this.whenEnded());
    }

    get pid(): number { return this.process.pid ?? -1; }

    write(text: string): void { this.process.stdin?.write(text); }
    closeInput(): void { this.process.stdin?.end(); }

    kill(signal: NodeJS.Signals = "SIGTERM"): void {
        if (this.pid > 1) try { process.kill(-this.pid, signal); } catch { /* it has ended already */ }
    }

    private async whenEnded(): Promise<number> {
        return await new Promise((resolve, reject) => {
            const finish = (code: number | null, signal: NodeJS.Signals | null): void => resolve(code ?? 128 + (signalNumbers[signal ?? ""] ?? 0));
            this.process.once("error", error => reject(new Error(`cannot start ${shown(this.argv)}: ${error.message}`)));
            this.process.once("close", finish);
            // A daemon left behind may hold our pipes for ever: after the exit, wait for the rest of the output only while there is some. On a
            // busy machine that may be late, but what has been written is read before the next setImmediate.
            this.process.once("exit", (code, signal) => {
                const quiet = (before: number): void => void setTimeout(() => setImmediate(() => (this.heard === before ? finish(code, signal) : quiet(this.heard))), 250).unref();
                quiet(this.heard);
            });
        });
    }
}

/** Promise.all that fails only when all have ended, so that nothing goes on being built while it is taken down. */
export async function together<T extends readonly unknown[]>(work: readonly [...{ [K in keyof T]: Promise<T[K]> }]): Promise<T> {
    await Promise.allSettled(work);
    return await Promise.all(work) as unknown as T;
}

/** Calls `look` until it gives something other than undefined or false. Never a fixed sleep: this is the only wait in the lab. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, timeoutMs = 5000, everyMs = 10): Promise<T> {
    const deadline = performance.now() + timeoutMs * patience;
    for (;;) {
        const seen = await look();
        if (seen !== undefined && seen !== false) return seen;
        if (performance.now() > deadline) throw new Error(`waited ${timeoutMs * patience} ms in vain: ${what}`);
        await new Promise(resolve => setTimeout(resolve, everyMs));
    }
}
