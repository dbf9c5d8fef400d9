import { access, readFile } from "node:fs/promises";
import type { ParsedKey } from "ssh2";
import type { NviError } from "../model/errors";
import { agentKeys, type AgentCredential } from "./agent";
import type { Endpoint } from "./endpoint";
import { expandHome } from "./files";
import type { Step } from "./hops";
import { parsePrivateKey } from "./private-key";
import { fingerprint } from "./pins";
import { failure, looksLikeKey } from "./redact";

/** One way to log in. `name` says which in messages, without giving it away. */
export type Credential =
    | { kind: "key"; key: ParsedKey; name: string }
    | AgentCredential
    | { kind: "password"; password: string; name: string };

/**
 * Loads all credentials of a hop, in the order in which they are offered: its key, the agent's keys, its password.
 * The environment's agent serves only when the hop names no credential of its own.
 *
 * @throws NviError `authentication` when one cannot be loaded, or there is none.
 */
export async function loadCredentials(endpoint: Endpoint, step: Step): Promise<Credential[]> {
    const { hop } = step;
    const common = { kind: "authentication", operation: "load the credentials", subject: step.subject } as const;
    const fail: Fail = (reason, cure) => failure(endpoint, { ...common, reason, cure });
    const own = Boolean(hop.privateKey || hop.privateKeyPath || hop.password);
    const socket = hop.agentSocketPath || (own ? undefined : process.env.SSH_AUTH_SOCK);
    const credentials: Credential[] = [];
    if (hop.privateKey) credentials.push(keyFromText(hop.privateKey, hop.privateKeyPassword, "`privateKey`", fail));
    else if (hop.privateKeyPath) credentials.push(await keyFromFile(hop.privateKeyPath, hop.privateKeyPassword, fail));
    if (socket) credentials.push(...(await agentKeys(socket, fail)));
    if (hop.password) credentials.push({ kind: "password", password: hop.password, name: "password" });
    if (credentials.length === 0) {
        const ways = "`privateKeyPath`, `privateKey`, `agentSocketPath` or `password`";
        throw fail("there is no credential to log in with", `give ${ways}, or run ssh-agent and set SSH_AUTH_SOCK`);
    }
    return credentials;
}

type Fail = (reason: string, cure?: string) => NviError;

async function keyFromFile(path: string, passphrase: string | undefined, fail: Fail): Promise<Credential> {
    if (looksLikeKey(path)) {
        throw fail("`privateKeyPath` holds a key's text, not the path of a file", "give the text as `privateKey`");
    }
    const file = expandHome(path);
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
        const cure = "`privateKeyPath` is a path on the machine that runs Pulumi";
        throw fail(`the key file ${path} cannot be read (${error.code})`, cure);
    });
    const credential = keyFromText(text, passphrase, `key ${path}`, fail);
    if (!(await exists(`${file}-cert.pub`))) return credential;
    return { ...credential, name: `${credential.name}, without the certificate beside it` };
}

function keyFromText(text: string, passphrase: string | undefined, name: string, fail: Fail): Credential {
    const key = parsePrivateKey(text, passphrase);
    if ("problem" in key) throw fail(`${name} ${key.problem}`, key.cure);
    return { kind: "key", key, name: `${name} (${fingerprint(key.getPublicSSH())})` };
}

async function exists(path: string): Promise<boolean> {
    return access(path).then(
        () => true,
        () => false,
    );
}
