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
    const operation = "check the host key";
    return failure(endpoint, { kind: "host-key", operation, subject: step.subject, reason, cure });
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
    const reason = `the host key is NOT THE PINNED one: expected ${expected}; presented ${presented}. ${SUSPECTS}`;
    const typeless = pins.every((pin) => pin.type === undefined);
    return [reason, typeless ? `${TYPELESS}. If it did change, ${verify(key)}` : verify(key)];
}

const TYPELESS =
    "a server has several keys, and a bare fingerprint does not say which one to ask for: " +
    'write the type before it, `hostKey: "ssh-rsa SHA256:..."`';

function changed(step: Step, presented: string, expected: readonly KnownHost[]): [string, string] {
    const known = expected.map((entry) => `${entry.type} ${fingerprint(entry.key)} (${at(entry)})`).join(" or ");
    const cure = `find out why before you go on. If the new key is right, ${forget(step, expected)}, and add the new one`;
    return [`the host key has CHANGED: expected ${known}; presented ${presented}. ${SUSPECTS}`, cure];
}

function unknown(step: Step, presented: string, { key, known, verdict }: Refusal): [string, string] {
    const { others, authorities } = verdict.status === "unknown" ? verdict : { others: [], authorities: [] };
    const { files, bad } = known;
    const where = files.length > 1 ? `none of ${files.join(", ")} knows` : `${files[0]} does not know`;
    const reason = [
        `the host key is UNKNOWN: the server presented ${presented}, and ${where} ${knownHostsName(step.host, step.port)}.`,
        ...others.map((e) => `${at(e)} has its ${e.type} key, which the server did not present: it may have CHANGED.`),
        ...authorities.map((e) => `${at(e)} trusts a certificate authority, but ${NO_CERTIFICATES}.`),
        ...bad.slice(0, 3).map((line) => `${line.file} line ${line.line} was skipped: ${line.reason}.`),
    ];
    return [reason.join(" "), `${verify(key)}${scan(step, files[0])}`];
}

const NO_CERTIFICATES = "the SSH library cannot verify certificates";

function at(entry: KnownHost): string {
    return `${entry.file} line ${entry.line}`;
}

/** On the server's console nobody can sit in between. */
function verify(key: Buffer): string {
    const name = (keyType(key) ?? "").replace(/^ssh-|-sha2.*$/g, "");
    const command = `ssh-keygen -lf /etc/ssh/ssh_host_${name || "*"}_key.pub`;
    const pin = `set \`hostKey: "${publicKeyLine(key)}"\``;
    return `compare the fingerprint on the server's console (${command}). Only if it is the same, ${pin}`;
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
