import { randomBytes } from "node:crypto";
import type { NviError } from "../model/errors";
import type { ExecResult, Prologue, PrologueStep } from "./exec";
import { loginShellLine } from "./quote";
import { explainRefusal } from "./sudo-errors";

/** sudo may look the host's own name up in a dead DNS first, and PAM delays after a wrong password. */
const SUDO_LIMIT_MS = 30_000;

/** How sudo-rs 0.2.2 (Ubuntu 24.04) asks, which knows no `-p`. Later ones put our prompt in the place of `authenticate`. */
const OLD_SUDO_RS_PROMPT = "[sudo: authenticate]";

/** A command's way through sudo. */
export interface SudoCall {
    line: string;
    prologue: SudoPrologue;
}

/**
 * The line that runs `script` as root, and the talk that goes with it.
 *
 * The script's first act is to print a random mark on stderr. Only then is its input sent, because sudo with cached
 * credentials, or without need of a password, reads none: a password line sent blindly would become the script's input,
 * and input sent early would be tried as a password, or swallowed (sudo-rs 0.2.5 of Debian 13 reads more than its line).
 * The password goes out only in answer to a prompt with another random mark.
 *
 * @throws what `talk.refused` makes, when no line can carry the password.
 */
export function sudoCall(script: string, talk: SudoTalk, plainPrompt = false): SudoCall {
    if (talk.password && /[\r\n]/.test(talk.password)) {
        throw talk.refused("privilege", "`sudoPassword` has a line break in it", "take it out: sudo reads one line", "");
    }
    const mark = `nvi-started-${randomBytes(12).toString("hex")}`;
    const prompt = plainPrompt ? OLD_SUDO_RS_PROMPT : `nvi-password-${randomBytes(12).toString("hex")}`;
    const how = talk.password === undefined ? "sudo -n --" : `sudo -S ${plainPrompt ? "" : `-p ${prompt} `}--`;
    return {
        line: loginShellLine(`echo ${mark} >&2; ${script}`, how),
        prologue: new SudoPrologue(mark, prompt, talk),
    };
}

/** What the talk with sudo needs, and whom it tells. */
export interface SudoTalk {
    /** The login user, for messages. */
    user: string;
    /** The password for sudo, if there is one. */
    password?: string;
    /** Called when sudo let the command start. */
    started(): void;
    /** Makes the error from a reason, a cure, and what sudo said; `timeout` when sudo said nothing final. */
    refused(kind: "privilege" | "timeout", reason: string, cure: string, output: string): NviError;
}

/** The talk with sudo; stderr in, what to do out. */
export class SudoPrologue implements Prologue {
    readonly limitMs = SUDO_LIMIT_MS;
    readonly #mark: Buffer;
    readonly #prompt: string;
    readonly #talk: SudoTalk;
    #heard: Buffer = Buffer.alloc(0);
    #answered = 0;

    constructor(mark: string, prompt: string, talk: SudoTalk) {
        this.#mark = Buffer.from(`${mark}\n`);
        this.#prompt = prompt;
        this.#talk = talk;
    }

    hear(chunk: Buffer): PrologueStep {
        this.#heard = Buffer.concat([this.#heard, chunk]);
        const at = this.#heard.indexOf(this.#mark);
        // What came before the mark is sudo's and the login shell's, not the command's.
        if (at >= 0) {
            this.#talk.started();
            return { started: this.#heard.subarray(at + this.#mark.length) };
        }
        const asked = this.#text().split(this.#prompt).length - 1;
        if (asked <= this.#answered) return "wait";
        this.#answered = asked;
        // sudo asks again after a wrong password. At the end of its input it gives up; but sudo-rs takes that for two empty
        // passwords more, and nothing that we can send stops it.
        return asked === 1 && this.#talk.password !== undefined ? { say: `${this.#talk.password}\n` } : "stop";
    }

    /** Whether sudo is one that does not know `-p`; then nothing ran and no password was sent. */
    get lacksPrompt(): boolean {
        return this.#answered === 0 && /^invalid option provided$/m.test(this.#text());
    }

    /** @param stdout where nologin, in the place of a shell, says so */
    refusal(code?: number | null, stdout = Buffer.alloc(0)): NviError {
        const said = this.#text().replaceAll(this.#prompt, "[password prompt]") + stdout.toString();
        const asked = this.#answered;
        const { reason, cure } = explainRefusal({
            user: this.#talk.user,
            said,
            hasPassword: this.#talk.password !== undefined,
            asked,
            code,
        });
        return this.#talk.refused(code === undefined && asked < 2 ? "timeout" : "privilege", reason, cure, said);
    }

    #text(): string {
        return this.#heard.toString();
    }
}

/**
 * Lets one command through sudo alone until sudo is known to work for this connection, and remembers a refusal, so that a
 * wrong password counts once against the account and not once a command.
 */
export class SudoGate {
    #proven = false;
    #refusal?: NviError;
    #trial?: Promise<unknown>;

    /**
     * @param command calls `started` once sudo let it through.
     * @throws what `command` throws, or threw before with the kind `privilege`.
     */
    async pass(command: (started: () => void) => Promise<ExecResult>): Promise<ExecResult> {
        while (!this.#proven && !this.#refusal && this.#trial) await this.#trial;
        if (this.#refusal) throw this.#refusal;
        let started = (): void => undefined;
        const start = new Promise<void>((resolve) => (started = resolve)).then(() => void (this.#proven = true));
        const running = command(started);
        if (!this.#proven)
            this.#trial = Promise.race([start, running.then(noop, (error: NviError) => this.#onError(error))]);
        return running;
    }

    #onError(error: NviError): void {
        this.#trial = undefined;
        if (error.kind === "privilege" && !this.#proven) this.#refusal = error;
    }
}

const noop = (): void => undefined;
