import { access } from "node:fs/promises";
import { OpenSSHAgent, type IdentityCallback, type ParsedKey } from "ssh2";
import type { NviError } from "../model/errors";
import type { Credential } from "./credentials";
import { expandHome } from "./files";
import { fingerprint } from "./pins";

/** An agent on this machine answers at once; one that is forwarded, or asks its user, takes longer. */
const ANSWER_MS = 10_000;

/**
 * The agent's keys that ssh2 can use, one credential each, so that the server's answer to each is known.
 *
 * @param fail makes the error from a reason and a cure.
 * @throws what `fail` makes, when the agent cannot be reached or holds no usable key.
 */
export async function agentKeys(
    socket: string,
    fail: (reason: string, cure?: string) => NviError,
): Promise<Credential[]> {
    const path = expandHome(socket);
    await access(path).catch((error: NodeJS.ErrnoException) => {
        throw fail(
            `the agent's socket ${path} cannot be used (${error.code})`,
            "start ssh-agent, or correct `agentSocketPath` or SSH_AUTH_SOCK",
        );
    });
    const keys = await identities(path).catch((error: Error) => {
        throw fail(`the agent at ${path} does not list its keys: ${error.message}`, "try: ssh-add -l");
    });
    if (keys.length === 0) {
        throw fail(
            `the agent at ${path} holds no key that can be used`,
            "add one with ssh-add; FIDO keys and certificates do not count, for the SSH library cannot use them",
        );
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

/** The agent reduced to one key; signing is inherited. */
class OneKeyAgent extends OpenSSHAgent {
    readonly #key: ParsedKey;

    constructor(path: string, key: ParsedKey) {
        super(path);
        this.#key = key;
    }

    override getIdentities(done: IdentityCallback<ParsedKey>): void {
        done(null, [this.#key]);
    }
}
