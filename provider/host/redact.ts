import { NviError, type ErrorParts } from "../model/errors";
import type { Endpoint, Hop } from "./endpoint";
import { shellQuote } from "./quote";

/** What stands in the place of a secret. */
export const REDACTED = "[redacted]";

/** Replacing one or two letters would garble every message, and tell them by the gaps. */
const SHORTEST_SECRET = 3;

/** A line of a key's body has 64 or 70 characters, and the last one less: too few to be worth a garbled message. */
const SHORTEST_KEY_LINE = 16;

/**
 * `text` without the endpoint's passwords, passphrases and private keys, be they plain, in JSON, in a shell's
 * quotes, in base64 or in a URL, and without any single line of a key.
 */
export function redact(text: string, endpoint: Endpoint): string {
    return secretsOf(endpoint).reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
}

/** The error for an endpoint, with its secrets taken out of everything that is printed. */
export function failure(endpoint: Endpoint, parts: ErrorParts): NviError {
    const clean = (text: string | undefined) => (text === undefined ? undefined : redact(text, endpoint));
    return new NviError({
        ...parts,
        subject: redact(parts.subject, endpoint),
        reason: redact(parts.reason, endpoint),
        cure: clean(parts.cure),
        command: clean(parts.command),
        output: clean(parts.output),
    });
}

/** Longest first, so that a secret which contains another one goes as a whole. */
function secretsOf(endpoint: Endpoint): string[] {
    const proxies = endpoint.connection.proxy ?? [];
    const hops: Hop[] = [endpoint.connection, ...(Array.isArray(proxies) ? proxies : [proxies])];
    const plain = [endpoint.sudoPassword, ...hops.flatMap(hopSecrets)];
    const known = plain.filter((secret): secret is string => (secret?.length ?? 0) >= SHORTEST_SECRET);
    return [...new Set(known.flatMap(spellings))].sort((a, b) => b.length - a.length);
}

function hopSecrets(hop: Hop): (string | undefined)[] {
    // A key pasted where its path belongs is a common slip, and file system errors quote the path.
    const keys = [hop.privateKey, looksLikeKey(hop.privateKeyPath) ? hop.privateKeyPath : undefined];
    return [hop.password, hop.privateKeyPassword, ...keys, ...keys.flatMap(keyLines)];
}

/** Whether a text that should be a path is a private key itself. */
export function looksLikeKey(text: string | undefined): boolean {
    return text !== undefined && (text.includes("PRIVATE KEY-----") || text.includes("\n"));
}

function keyLines(key: string | undefined): string[] {
    const lines = (key ?? "").split(/\r?\n|\\n/);
    return lines.filter((line) => line.length >= SHORTEST_KEY_LINE && !line.startsWith("-----"));
}

function spellings(secret: string): string[] {
    const quoted = secret.includes("\0") ? secret : shellQuote(secret).replace(/^'|'$/g, "");
    return [
        secret,
        JSON.stringify(secret).slice(1, -1),
        quoted,
        Buffer.from(secret).toString("base64"),
        encodeURIComponent(Buffer.from(secret).toString()),
    ].filter((text) => text.length >= SHORTEST_SECRET);
}
