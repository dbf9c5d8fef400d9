import type { AnyAuthMethod, AuthenticationType, KeyboardInteractiveAuthMethod, NextAuthHandler } from "ssh2";
import type { OneKeyAgent } from "./agent";
import type { Credential } from "./credentials";

/**
 * Offers a hop's credentials to the server, each once, and only those of a kind that the server accepts.
 * One object serves one login; it remembers what was offered, for the error.
 */
export class Authentication {
    readonly #user: string;
    readonly #left: Credential[];
    readonly #tried: string[] = [];
    readonly #notes: string[] = [];
    readonly #stuck: () => void;
    #accepted: readonly string[] = [];
    #lastAgent?: OneKeyAgent;

    /** @param stuck called when the server wants an answer that no credential gives; {@link explain} then says which. */
    constructor(user: string, credentials: readonly Credential[], stuck: () => void) {
        this.#user = user;
        this.#left = [...credentials];
        this.#stuck = stuck;
    }

    /** Whether a credential went to the server: from then on a failure counts against the account. */
    get begun(): boolean {
        return this.#tried.length > 0;
    }

    /** For ssh2's `authHandler`. The first request, "none", only asks what the server accepts; servers do not count it. */
    readonly next = (accepted: AuthenticationType[] | null, _: boolean | null, answer: NextAuthHandler): void => {
        if (accepted === null) return answer({ type: "none", username: this.#user });
        this.#accepted = accepted;
        const at = this.#left.findIndex((credential) => this.#method(credential) !== undefined);
        const [credential] = at < 0 ? [] : this.#left.splice(at, 1);
        // ssh2's type lacks `false`, its word for "nothing more to offer".
        answer((credential ? this.#offer(credential) : false) as AnyAuthMethod);
    };

    /** Adds what went wrong on this side, e.g. an agent that would not sign. */
    note(text: string): void {
        this.#notes.push(text);
    }

    /** What was accepted and what was tried, e.g. `server accepts: publickey; tried: key ~/.ssh/edge (SHA256:...)`. */
    explain(): string {
        const unused = this.#left.map((credential) => credential.name);
        return [
            `server accepts: ${this.#accepted.join(", ") || "(it did not say)"}`,
            `tried: ${this.#tried.join(", ") || "nothing"}`,
            ...(unused.length > 0 ? [`not tried: ${unused.join(", ")}`] : []),
            ...this.#notes,
        ].join("; ");
    }

    #method(credential: Credential): AuthenticationType | undefined {
        const accepts = (method: string) => this.#accepted.includes(method);
        if (credential.kind !== "password") return accepts("publickey") ? "publickey" : undefined;
        if (accepts("password")) return "password";
        // Not both with the same password: a wrong one would count twice against the account.
        if (accepts("keyboard-interactive")) return "keyboard-interactive";
        // When an agent's key was half of the login, ssh2 does not pass on what the server wants as the other half. That
        // it was, shows in the signature that was asked for.
        return this.#lastAgent?.signed ? "password" : undefined;
    }

    #offer(credential: Credential): AnyAuthMethod {
        const method = this.#method(credential);
        const username = this.#user;
        this.#tried.push(credential.name);
        this.#lastAgent = credential.kind === "agent" ? credential.agent : undefined;
        if (credential.kind === "key") return { type: "publickey", username, key: credential.key };
        if (credential.kind === "agent") return { type: "agent", username, agent: credential.agent };
        if (method === "password") return { type: "password", username, password: credential.password };
        return { type: "keyboard-interactive", username, prompt: this.#dialog(credential.password) };
    }

    /** Answers one hidden question with the password. A second one is a refusal, or asks for something else. */
    #dialog(password: string): KeyboardInteractiveAuthMethod["prompt"] {
        let asked = 0;
        return (_name, _text, _language, prompts, finish): void => {
            if (++asked === 1 && prompts.length === 1 && !prompts[0]!.echo) return finish([password]);
            const questions = prompts.map((prompt) => JSON.stringify(prompt.prompt.trim().slice(0, 60))).join(", ");
            this.note(`the server ${asked > 1 ? "then asked" : "asked"}: ${questions}`);
            this.#stuck();
        };
    }
}
