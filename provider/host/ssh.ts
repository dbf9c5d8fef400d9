import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { Client } from "ssh2";
import { Channels } from "./channels";
import { dial, type Way } from "./dial";
import type { Endpoint } from "./endpoint";
import { ChannelRefused, runOnChannel, type ExecResult, type Job } from "./exec";
import { labelOf } from "./hops";
import { watch } from "./keepalive";
import { loginShellLine } from "./quote";
import { failure } from "./redact";
import { SudoGate, sudoCall, type SudoTalk } from "./sudo";

export type { ExecResult } from "./exec";
export { shellQuote } from "./quote";
export { redact } from "./redact";

/** Options of one command. */
export interface ExecOptions {
    /** The command's standard input; it is ended after this, so that no command waits for more. */
    stdin?: Buffer;
    /** Milliseconds that the command may take once it runs. @default 120000 */
    timeoutMs?: number;
    /** The command as messages show it, where it says more than the one that is sent. */
    shown?: string;
    /** What is being done, for messages. @default "run a command" */
    operation?: string;
}

/** A connection to a router, logged in. */
export interface Session {
    /** The router in messages, e.g. `edge (root@192.0.2.7:22 via ops@bastion:22)`. */
    readonly label: string;
    /** Whether the connection still stands, as far as is known. */
    readonly alive: boolean;
    /**
     * Runs a POSIX shell command as the login user, without a terminal, with LC_ALL=C. An exit status other than 0 is an
     * answer, not an error.
     *
     * @throws NviError `disconnected` when the connection or the answer is cut short: the command may or may not have run;
     * `timeout`; `protocol`; `preflight` when the server opens no channel.
     */
    exec(command: string, options?: ExecOptions): Promise<ExecResult>;
    /**
     * The same as root: by sudo when the login user is not root.
     *
     * @throws as {@link exec}; NviError `privilege` when sudo does not let the command run.
     */
    execAsRoot(command: string, options?: ExecOptions): Promise<ExecResult>;
    /** Ends the connection; running commands fail with `disconnected`. */
    close(): void;
}

/** How a connection is used. */
export interface ConnectOptions {
    /** Commands that run at once, at most; the rest waits. sshd allows 10 (MaxSessions). @default 4, and 1 for dropbear */
    channels?: number;
}

const TIMEOUT_MS = 120_000;
const CHANNELS = 4;
const KEEPALIVE_S = 10;

/** What a server may take to say goodbye. */
const GOODBYE_MS = 1000;

/**
 * Dials a router through its bastions, and logs in. Always a new connection; see {@link Pool} for shared ones.
 * While no command runs, the connection does not keep the process alive.
 *
 * @throws NviError with the hop as its subject: `unreachable`, `host-key`, `authentication`, `privilege`, `invalid`,
 * `timeout`, `protocol`, or `disconnected` when a bastion was lost meanwhile.
 */
export async function connect(endpoint: Endpoint, options: ConnectOptions = {}): Promise<Session> {
    return new SshSession(endpoint, await dial(endpoint), options);
}

/** Everything is private to the runtime, so that printing a session prints no credential. */
class SshSession implements Session {
    readonly label: string;
    readonly #endpoint: Endpoint;
    readonly #clients: readonly Client[];
    readonly #client: Client;
    readonly #socket: Socket;
    readonly #channels: Channels;
    readonly #sudo = new SudoGate();
    readonly #lost = new AbortController();
    readonly #unwatch: () => void;
    #plainPrompt = false;

    constructor(endpoint: Endpoint, way: Way, options: ConnectOptions) {
        this.label = labelOf(endpoint);
        this.#endpoint = endpoint;
        this.#clients = way.clients;
        this.#client = way.clients.at(-1)!;
        this.#socket = way.socket;
        // dropbear 2022.83 (OpenWrt) mixes up commands that run side by side, and dies of it, under OpenSSH's client, too.
        this.#channels = new Channels(way.banner.includes("dropbear") ? 1 : (options.channels ?? CHANNELS));
        // One listener a running command is no leak, however many channels there are.
        setMaxListeners(0, this.#lost.signal);
        for (const client of this.#clients) {
            const who = client === this.#client ? "the connection" : "the connection to a bastion";
            client.on("error", (error: Error) => this.#lose(`${who} was lost: ${error.message}`));
            client.on("close", () => this.#lose(`${who} was closed by the other side`));
        }
        const dead = (reason: string): void => this.#lose(reason);
        this.#unwatch = watch(this.#client, way.stream, endpoint.keepalive ?? KEEPALIVE_S, dead);
        this.#socket.unref();
    }

    get #user(): string {
        return this.#endpoint.connection.user || "root";
    }

    get alive(): boolean {
        return !this.#lost.signal.aborted;
    }

    async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
        return this.#run(this.#job(loginShellLine(command), command, options));
    }

    async execAsRoot(command: string, options: ExecOptions = {}): Promise<ExecResult> {
        if (this.#user === "root") return this.exec(command, options);
        return this.#sudo.pass((started) => this.#execBySudo(command, options, started));
    }

    close(): void {
        if (!this.alive) return;
        this.#lost.abort("the session was closed");
        this.#unwatch();
        this.#leave(this.#clients.length - 1);
        setTimeout(() => this.#socket.destroy(), GOODBYE_MS).unref();
    }

    /** The inner connection first, and whole: a bastion drops what it has yet to pass on when its own connection ends. */
    #leave(hop: number): void {
        this.#clients[hop]?.once("close", () => this.#leave(hop - 1)).end();
    }

    async #execBySudo(command: string, options: ExecOptions, started: () => void): Promise<ExecResult> {
        const job = this.#job("", command, options);
        const refused: SudoTalk["refused"] = (kind, reason, cure, output) => job.fail(kind, reason, { cure, output });
        const talk: SudoTalk = { user: this.#user, password: this.#endpoint.sudoPassword || undefined, started, refused };
        const { line, prologue } = sudoCall(command, talk, this.#plainPrompt);
        try {
            return await this.#run({ ...job, line, prologue });
        } catch (error) {
            if (this.#plainPrompt || !prologue.lacksPrompt) throw error;
            this.#plainPrompt = true;
            return this.#execBySudo(command, options, started);
        }
    }

    #job(line: string, command: string, options: ExecOptions): Job {
        const { stdin, timeoutMs = TIMEOUT_MS, operation = "run a command", shown = command } = options;
        const common = { operation, subject: this.label, command: shorten(shown) };
        const fail: Job["fail"] = (kind, reason, more) => failure(this.#endpoint, { kind, reason, ...common, ...more });
        return { line, stdin, timeoutMs, lost: this.#lost.signal, fail };
    }

    async #run(job: Job): Promise<ExecResult> {
        this.#socket.ref();
        try {
            return await this.#channels.run(() => runOnChannel(this.#client, job));
        } catch (error) {
            if (!(error instanceof ChannelRefused)) throw error;
            const cure = "set MaxSessions to 1 or more in its sshd_config; 10 is the default";
            throw job.fail("preflight", `the server opens no channel for a command (${error.message})`, { cure });
        } finally {
            if (!this.#channels.busy) this.#socket.unref();
        }
    }

    /** All rests on the first hop's socket: without it every channel on it closes by itself, in order. */
    #lose(reason: string): void {
        if (!this.alive) return;
        this.#lost.abort(reason);
        this.#unwatch();
        this.#socket.destroy();
    }
}

function shorten(command: string): string {
    const line = command.split("\n", 1)[0] ?? "";
    return line.length < command.length || line.length > 200 ? `${line.slice(0, 200)} ...` : line;
}
