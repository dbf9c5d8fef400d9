import { access } from "node:fs/promises";
import { OpenSSHAgent } from "ssh2";
import type { IdentityCallback, ParsedKey, SignCallback, SigningRequestOptions } from "ssh2";
import type { NviError } from "../model/errors";
import { expandHome } from "./files";
import { fingerprint } from "./pins";

/** An agent on this machine answers at once; one that is forwarded, or asks its user, takes longer. */
const ANSWER_MS = 10_000;

type Fail = (reason: string, cure?: string) => NviError;

/** A key that the agent signs with. `name` says which in messages. */
export interface AgentCredential {
    kind: "agent";
    agent: OneKeyAgent;
    name: string;
}

/**
 * The agent's keys that ssh2 can use, one credential each, so that the server's answer to each is known.
 *
 * @param fail makes the error from a reason and a cure.
 * @throws what `fail` makes, when the agent cannot be reached or holds no usable key.
 */
export async function agentKeys(socket: string, fail: Fail): Promise<AgentCredential[]> {
    const path = expandHome(socket);
    await access(path).catch((error: NodeJS.ErrnoException) => {
        const cure = "start ssh-agent, or correct `agentSocketPath` or SSH_AUTH_SOCK";
        throw fail(`the agent's socket ${path} cannot be used (${error.code})`, cure);
    });
    const keys = await identities(path).catch((error: Error) => {
        throw fail(`the agent at ${path} does not list its keys: ${error.message}`, "try: ssh-add -l");
    });
    if (keys.length === 0) {
        const cure = "add one with ssh-add; the SSH library cannot use FIDO keys and certificates";
        throw fail(`the agent at ${path} holds no key that can be used`, cure);
    }
    return keys.map((key) => {
        const name = `agent key ${key.comment} (${fingerprint(key.getPublicSSH())})`;
        return { kind: "agent", agent: new OneKeyAgent(path, key), name };
    });
}

function identities(path: string): Promise<ParsedKey[]> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
        new OpenSSHAgent(path).getIdentities((error, keys) => {
            clearTimeout(timer);
            if (error) reject(error);
            // ssh2 leaves out the keys of types that it does not know.
            else resolve((keys ?? []) as ParsedKey[]);
        });
    });
}

type AnyKey = ParsedKey | Buffer | string;
type Options = SigningRequestOptions;

/** The agent reduced to one key. */
export class OneKeyAgent extends OpenSSHAgent {
    /** Whether the server took the key and asked for a signature. */
    signed = false;
    readonly #key: ParsedKey;

    constructor(path: string, key: ParsedKey) {
        super(path);
        this.#key = key;
    }

    override getIdentities(done: IdentityCallback<ParsedKey>): void {
        done(null, [this.#key]);
    }

    override sign(key: AnyKey, data: Buffer, options?: Options | SignCallback, done?: SignCallback): boolean {
        this.signed = true;
        // ssh2 tells the two forms of the call apart by itself.
        return super.sign(key, data, options as Options, done);
    }
}
