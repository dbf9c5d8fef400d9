import type { NviError } from "../model/errors";
import type { Endpoint } from "./endpoint";
import type { Step } from "./hops";
import { keyType, knownHostsName, type KnownHost, type KnownHosts, type Verdict } from "./known-hosts";
import { fingerprint, publicKeyLine, type Pin } from "./pins";
import { shellQuote } from "./quote";
import { failure } from "./redact";

/** What a refused key was measured against. */
export interface Refusal {
    /** The key that the server presented. */
    key: Buffer;
    pins: readonly Pin[];
    known: KnownHosts;
    verdict: Verdict;
}

/** The error for a host key that must not be trusted: expected and presented, where it says so, and the way out. */
export function hostKeyError(endpoint: Endpoint, step: Step, refusal: Refusal): NviError {
    const [reason, cure] = explain(step, refusal);
    return failure(endpoint, {
        kind: "host-key",
        operation: "check the host key",
        subject: step.subject,
        reason,
        cure,
    });
}

function explain(step: Step, { key, pins, known, verdict }: Refusal): [reason: string, cure: string] {
    const presented = `${keyType(key) ?? "?"} ${fingerprint(key)}`;
    if (verdict.status === "revoked") return revoked(presented, verdict.entry);
    if (pins.length > 0) return notPinned(presented, pins, key);
    if (verdict.status === "changed") return changed(step, presented, verdict.expected);
    return unknown(step, presented, { key, pins, known, verdict });
}

const SUSPECTS =
    "Either the server was installed anew, or its address now leads to another machine, or somebody sits in between";

function revoked(presented: string, entry: KnownHost): [string, string] {
    return [
        `REVOKED host key: the server presented ${presented}, which ${at(entry)} marks as @revoked`,
        "do not connect: whoever holds the stolen key can pose as this server. Give the server a new host key",
    ];
}

function notPinned(presented: string, pins: readonly Pin[], key: Buffer): [string, string] {
    const expected = pins.map((pin) => `${pin.type ? `${pin.type} ` : ""}${pin.fingerprint}`).join(" or ");
    const typeless = pins.every((pin) => pin.type === undefined);
    return [
        `the host key is NOT THE PINNED one: expected ${expected}; presented ${presented}. ${SUSPECTS}`,
        typeless
            ? `a server has several keys, and a bare fingerprint does not say which to ask for: write the type before it, \`hostKey: "ssh-rsa SHA256:..."\`. If the key did change, compare it on the server's console first (${showKey(key)})`
            : `compare the key on the server's console (${showKey(key)}); only if it is the same, set \`hostKey: "${publicKeyLine(key)}"\``,
    ];
}

function changed(step: Step, presented: string, expected: readonly KnownHost[]): [string, string] {
    const known = expected.map((entry) => `${entry.type} ${fingerprint(entry.key)} (${at(entry)})`).join(" or ");
    return [
        `the host key has CHANGED: expected ${known}; presented ${presented}. ${SUSPECTS}`,
        `find out why before you go on. If the new key is right, ${forget(step, expected)} and add it as for a new server`,
    ];
}

function unknown(step: Step, presented: string, { key, known, verdict }: Refusal): [string, string] {
    const { others, authorities } = verdict.status === "unknown" ? verdict : { others: [], authorities: [] };
    const name = knownHostsName(step.host, step.port);
    const where =
        known.files.length > 1 ? `none of ${known.files.join(", ")} knows` : `${known.files[0]} does not know`;
    const notes = [
        ...others.map((e) => `${at(e)} has its ${e.type} key, which the server did not present: it may have CHANGED.`),
        ...authorities.map(
            (e) => `${at(e)} trusts a certificate authority, but the SSH library cannot verify certificates.`,
        ),
        ...known.bad.map((bad) => `${bad.file} line ${bad.line} was skipped: ${bad.reason}.`).slice(0, 3),
    ];
    return [
        [`the host key is UNKNOWN: the server presented ${presented}, and ${where} ${name}.`, ...notes].join(" "),
        `compare the fingerprint on the server's console (${showKey(key)}). If it is the same, set \`hostKey: "${publicKeyLine(key)}"\`${scan(step, known.files[0])}`,
    ];
}

function at(entry: KnownHost): string {
    return `${entry.file} line ${entry.line}`;
}

/** The command for the server's console, where nobody can sit in between. */
function showKey(key: Buffer): string {
    const name = (keyType(key) ?? "").replace(/^ssh-|-sha2.*$/g, "");
    return `ssh-keygen -lf /etc/ssh/ssh_host_${name || "*"}_key.pub`;
}

/** From here only the first hop can be scanned. */
function scan(step: Step, file: string | undefined): string {
    if (!step.direct) return "";
    const port = step.port === 22 ? "" : `-p ${step.port} `;
    return `, or run: ssh-keyscan ${port}${shellQuote(step.host)} >> ${shellQuote(file ?? "~/.ssh/known_hosts")}`;
}

function forget(step: Step, entries: readonly KnownHost[]): string {
    const name = shellQuote(knownHostsName(step.host, step.port));
    const files = [...new Set(entries.map((entry) => entry.file))];
    return files.map((file) => `run \`ssh-keygen -R ${name} -f ${shellQuote(file)}\``).join(", ");
}
