import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Client, type ConnectConfig } from "ssh2";
import type { ErrorKind, NviError } from "../model/errors";
import { Authentication } from "./auth";
import type { Credential } from "./credentials";
import type { Endpoint } from "./endpoint";
import type { HostKeyPolicy } from "./host-key";
import type { Step } from "./hops";
import { failure, redact } from "./redact";
import type { Deadline } from "./deadline";

/** All that a login on one hop needs, loaded before the first packet. */
export interface LoginPlan {
    endpoint: Endpoint;
    step: Step;
    hostKey: HostKeyPolicy;
    credentials: readonly Credential[];
}

/** A TCP connection, or a channel of a bastion that stands for one. */
export type Stream = Socket | Duplex;

/** An SSH connection, logged in. */
export interface LoggedIn {
    client: Client;
    /** The server's identification, e.g. `SSH-2.0-OpenSSH_9.2p1`. */
    banner: string;
}

type Ssh2Error = Error & { level?: string };

/**
 * Speaks SSH on a stream until the server has proven who it is and has let us in.
 *
 * @param attempt bounds the part before the login; only there may the caller dial again.
 * @param total bounds the login itself, which may take as long as the server's PAM and DNS do.
 * @throws NviError `unreachable` while nothing was risked, so that another attempt is harmless; `host-key`;
 * `authentication`; `timeout` and `protocol` are final as well. The stream is the caller's to close.
 */
export function login(plan: LoginPlan, stream: Stream, attempt: Deadline, total: Deadline): Promise<LoggedIn> {
    return new Promise((resolve, reject) => new Login(plan, stream, attempt, total, resolve, reject).start());
}

class Login {
    readonly #client = new Client();
    readonly #auth: Authentication;
    /** Set when the server's key was refused: ssh2 then only says that "verification failed". */
    #refused?: NviError;
    #greeting = "";
    #timer?: NodeJS.Timeout;

    constructor(
        private readonly plan: LoginPlan,
        private readonly stream: Stream,
        private readonly attempt: Deadline,
        private readonly total: Deadline,
        private readonly resolve: (result: LoggedIn) => void,
        private readonly reject: (error: NviError) => void,
    ) {
        this.#auth = new Authentication(plan.step.user, plan.credentials, () => this.#fail(this.#authError()));
    }

    start(): void {
        const late = `no SSH handshake within ${this.attempt.seconds} s`;
        this.#timer = this.attempt.alarm(() => this.#fail(this.#error("unreachable", late, SILENT)));
        this.#client
            .once("handshake", () => this.#onKeysExchanged())
            .once("ready", () => this.#done())
            .on("error", (error: Ssh2Error) => this.#onError(error))
            .once("close", () => this.#fail(this.#lost("the server closed the connection")))
            .once("change password", () => this.#fail(this.#authError("the password has expired")));
        try {
            this.#client.connect(this.#config());
        } catch (error) {
            this.#fail(this.#error("internal", (error as Error).message));
        }
        // After connect(), which pauses the stream: an earlier listener would swallow the server's first bytes.
        this.stream.once("data", (data: Buffer) => (this.#greeting = firstLine(data)));
    }

    #config(): ConnectConfig {
        const { hostKey, step } = this.plan;
        return {
            sock: this.stream,
            username: step.user,
            algorithms: { serverHostKey: hostKey.algorithms },
            // Called again at each new key exchange of a long connection.
            hostVerifier: (key: Buffer) => (this.#refused = hostKey.check(key)) === undefined,
            authHandler: this.#auth.next,
            // ssh2's own timers cannot be unreferenced, and would keep an idle process alive: see keepalive.ts.
            readyTimeout: 0,
            keepaliveInterval: 0,
            debug: debugPrinter(this.plan.endpoint, step),
        };
    }

    #onKeysExchanged(): void {
        clearTimeout(this.#timer);
        const late = `the login was not done within ${this.total.seconds} s from the first attempt`;
        this.#timer = this.total.alarm(() => this.#fail(this.#error("timeout", late, SLOW)));
    }

    #onError(error: Ssh2Error): void {
        if (this.#refused) return this.#fail(this.#refused);
        // Not the end: ssh2 goes on to the next credential.
        if (error.level === "agent") return this.#auth.note(`agent: ${error.message}`);
        if (error.level === "client-authentication") return this.#fail(this.#authError());
        if (error.level === "handshake" || /^(Invalid|Max|Header|Protocol|Bad packet)/.test(error.message)) {
            const reason = `no SSH handshake is possible: ${error.message}${this.#said()}`;
            return this.#fail(this.#error("protocol", reason, error.message.startsWith("Bad packet") ? TOO_LONG : INCOMPATIBLE));
        }
        this.#fail(this.#lost(error.message));
    }

    /** A connection that ended before "ready". Once a credential was out, to try again could lock the account. */
    #lost(why: string): NviError {
        if (this.#auth.begun) return this.#authError(`the connection ended during the login: ${why}`);
        const penalty = PENALTY.test(this.#greeting);
        const kept = penalty ? `; it keeps this address out for a while (PerSourcePenalties)` : "";
        return this.#error("unreachable", `${why}${this.#said()}${kept}`, penalty ? KEPT_OUT : SILENT);
    }

    #authError(why = "the server refused the login"): NviError {
        const { user } = this.plan.step;
        const cure = `see the server's log, and whether ${user} may log in so (authorized_keys, PermitRootLogin). ${ONCE}`;
        return this.#error("authentication", `${why}; ${this.#auth.explain()}`, cure, `log in as ${user}`);
    }

    /** What came in place of an SSH banner, e.g. "Exceeded MaxStartups". */
    #said(): string {
        return this.#greeting === "" || this.#greeting.startsWith("SSH-") ? "" : `; it said: ${this.#greeting}`;
    }

    #error(kind: ErrorKind, reason: string, cure?: string, operation = "dial"): NviError {
        const { endpoint, step } = this.plan;
        return failure(endpoint, { kind, operation, subject: step.subject, reason, cure });
    }

    #done(): void {
        this.#release();
        this.resolve({ client: this.#client, banner: this.#greeting });
    }

    #fail(error: NviError): void {
        this.#release();
        this.reject(error);
    }

    /** The error listener stays: an "error" event without one would end the process. */
    #release(): void {
        clearTimeout(this.#timer);
        this.#client.removeAllListeners().on("error", () => undefined);
    }
}

const SILENT =
    "see whether sshd runs there and takes new connections (MaxStartups, PerSourcePenalties, a firewall, fail2ban)";
/** Of sshd since 9.8: for logins that failed, and connections that never logged in. Its patience is that of an address, not of a user. */
const PENALTY = /^Not allowed at this time/;
const KEPT_OUT =
    "the next run may get in: a penalty lasts from 15 s to 10 minutes, by sshd's defaults. What earned it is in the server's log " +
    "(`penalty:`). `PerSourcePenaltyExemptList ADDRESS` in its sshd_config exempts the address that Pulumi dials from";
const SLOW = "raise `dialTimeout`, or see why the server is slow (its log, its DNS)";
const INCOMPATIBLE = "see whether this port is SSH, and which algorithms the server allows";
/** ssh2 takes 35000 bytes, as much as RFC 4253 demands. */
const TOO_LONG = "shorten what `Banner` shows in its sshd_config to 32 KiB at most; otherwise, something on the way damages packets";
const ONCE = "It is not tried again, lest the account be locked";

function firstLine(data: Buffer): string {
    const line = data.toString("latin1").split(/\r?\n/, 1)[0] ?? "";
    return line.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);
}

/** With NVI_SSH_DEBUG=1, ssh2's trace on stderr, in which no secret may appear even if ssh2 changes its mind. */
function debugPrinter(endpoint: Endpoint, step: Step): ((message: string) => void) | undefined {
    if (process.env.NVI_SSH_DEBUG !== "1") return undefined;
    return (message) => process.stderr.write(`ssh ${step.address}: ${redact(message, endpoint)}\n`);
}
