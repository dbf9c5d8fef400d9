import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ServerHostKeyAlgorithm } from "ssh2";
import type { NviError } from "../model/errors";
import type { Endpoint } from "./endpoint";
import { expandHome } from "./files";
import type { Step } from "./hops";
import { hostKeyError } from "./host-key-errors";
import { judgeHostKey, knownKeyTypes, parseKnownHosts, type KnownHosts } from "./known-hosts";
import { parsePins, pinMatches, type Pin } from "./pins";
import { failure } from "./redact";

/** How a server must prove who it is. */
export interface HostKeyPolicy {
    /** The host key algorithms to ask for, in order. */
    algorithms: ServerHostKeyAlgorithm[];
    /** Undefined when the key may be trusted. */
    check(key: Buffer): NviError | undefined;
}

/** ssh2's own order; `ssh-rsa` (SHA-1) stays last, for old servers with nothing better. */
const ALGORITHMS: ServerHostKeyAlgorithm[] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];

/**
 * Loads all that decides about a server's host key: its pins, else the known_hosts files, else the explicit opt-out.
 * A key marked `@revoked` in a known_hosts file is refused in every case.
 *
 * @throws NviError `invalid` for a pin that cannot be read; `host-key` for a known_hosts file that cannot, because
 * reading on without it could accept a changed key.
 */
export async function hostKeyPolicy(endpoint: Endpoint, step: Step): Promise<HostKeyPolicy> {
    const pins = readPins(endpoint, step);
    // When something else decides, only the files' @revoked lines matter, and one that cannot be read is no reason to stop.
    const optional = pins.length > 0 || endpoint.insecureIgnoreHostKey === true;
    const known = await readFiles(endpoint, step, optional);
    const pinned = pins.flatMap((pin) => pin.type ?? []);
    const types = pins.length > 0 ? pinned : knownKeyTypes(known.entries, step.host, step.port);
    return { algorithms: preferred(types), check: (key) => check(endpoint, step, pins, known, key) };
}

function check(endpoint: Endpoint, step: Step, pins: Pin[], known: KnownHosts, key: Buffer): NviError | undefined {
    const verdict = judgeHostKey(known.entries, step.host, step.port, key);
    const refuse = () => hostKeyError(endpoint, step, { key, pins, known, verdict });
    if (verdict.status === "revoked") return refuse();
    if (pins.length > 0) return pins.some((pin) => pinMatches(pin, key)) ? undefined : refuse();
    if (endpoint.insecureIgnoreHostKey || verdict.status === "known") return undefined;
    return refuse();
}

/**
 * As OpenSSH does: the types that we know go first, so that a server with several keys presents one that we can
 * compare. The others stay, because "it presented another key" says more than "no common algorithm".
 */
function preferred(types: readonly string[]): ServerHostKeyAlgorithm[] {
    const typeOf = (algorithm: string) => (algorithm.startsWith("rsa-") ? "ssh-rsa" : algorithm);
    const first = ALGORITHMS.filter((algorithm) => types.includes(typeOf(algorithm)));
    return [...first, ...ALGORITHMS.filter((algorithm) => !first.includes(algorithm))];
}

function readPins(endpoint: Endpoint, step: Step): Pin[] {
    return step.pins.flatMap((text) => {
        const pins = parsePins(text);
        if (typeof pins !== "string") return pins;
        throw failure(endpoint, {
            kind: "invalid",
            operation: "read hostKey",
            subject: step.subject,
            reason: `the pinned host key cannot be read: ${pins}`,
            cure: 'give `hostKey: "ssh-ed25519 AAAA..."`, a line of ssh-keyscan, or `"SHA256:..."`',
        });
    });
}

async function readFiles(endpoint: Endpoint, step: Step, optional: boolean): Promise<KnownHosts> {
    const chosen = endpoint.knownHosts ? [expandHome(endpoint.knownHosts)] : undefined;
    const all: KnownHosts = { files: chosen ?? defaultFiles(), entries: [], bad: [] };
    for (const file of all.files) {
        try {
            const { entries, bad } = parseKnownHosts(await readFile(file, "utf8"), file);
            all.entries.push(...entries);
            all.bad.push(...bad);
        } catch (error) {
            const code = (error as NodeJS.ErrnoException).code;
            if (optional || (code === "ENOENT" && !chosen)) continue;
            throw unreadable(endpoint, step, file, code);
        }
    }
    return all;
}

/** Those of OpenSSH. */
function defaultFiles(): string[] {
    const own = ["known_hosts", "known_hosts2"].map((name) => join(homedir(), ".ssh", name));
    return [...own, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
}

function unreadable(endpoint: Endpoint, step: Step, file: string, code: string | undefined): NviError {
    const reason = `${file} cannot be read (${code ?? "unknown error"}), so the server's host key cannot be checked`;
    const cure = `${code === "ENOENT" ? "correct `knownHosts`" : `make ${file} readable`}, or pin the key with \`hostKey\``;
    return failure(endpoint, { kind: "host-key", operation: "read known_hosts", subject: step.subject, reason, cure });
}
