import { createHmac } from "node:crypto";

/** One line of a known_hosts file that names a key. */
export interface KnownHost {
    file: string;
    /** Counted from 1. */
    line: number;
    marker?: "revoked" | "cert-authority";
    /** The names, as written: a comma list of patterns, or one hashed name. */
    hosts: string;
    /** The key's type, e.g. `ssh-ed25519`. */
    type: string;
    /** The key in SSH's wire format. */
    key: Buffer;
}

/** A line that says nothing that we understand. OpenSSH skips these; we skip them too, and can name them. */
export interface BadLine {
    file: string;
    line: number;
    reason: string;
}

/** What was read from known_hosts files. */
export interface KnownHosts {
    /** The files consulted, missing ones included. */
    files: string[];
    entries: KnownHost[];
    bad: BadLine[];
}

/** What known_hosts files say about a server's key. */
export type Verdict =
    | { status: "known"; entry: KnownHost }
    | { status: "revoked"; entry: KnownHost }
    /** Another key of the same type is on file. */
    | { status: "changed"; expected: KnownHost[] }
    /** No key of this type is on file; `others` are the host's keys of other types. */
    | { status: "unknown"; others: KnownHost[]; authorities: KnownHost[] };

/** Reads the text of a known_hosts file; `file` is for messages only. Never throws. */
export function parseKnownHosts(text: string, file: string): { entries: KnownHost[]; bad: BadLine[] } {
    const entries: KnownHost[] = [];
    const bad: BadLine[] = [];
    text.split(/\r?\n/).forEach((raw, i) => {
        const content = raw.trim();
        if (content === "" || content.startsWith("#")) return;
        const parsed = parseLine(content);
        if (typeof parsed === "string") bad.push({ file, line: i + 1, reason: parsed });
        else entries.push({ file, line: i + 1, ...parsed });
    });
    return { entries, bad };
}

/**
 * Judges the key that a server presented, by OpenSSH's rules: a revoked key is refused whatever other lines say, then
 * a line with the same key decides, then a line with another key of its type.
 *
 * @param host as the program names it: a name or an address, without brackets. Letter case does not matter.
 */
export function judgeHostKey(entries: readonly KnownHost[], host: string, port: number, key: Buffer): Verdict {
    const names = lookupNames(host, port);
    const same = (entry: KnownHost) => entry.key.equals(key);

    const revoked = entries.find((e) => e.marker === "revoked" && same(e) && names.some((n) => matches(n, e.hosts)));
    if (revoked) return { status: "revoked", entry: revoked };

    const plain = entries.filter((e) => e.marker === undefined);
    const own = plain.filter((e) => matches(names[0], e.hosts));
    // OpenSSH falls back to the name without a port, but only to accept: behind a forwarded port is often another server.
    const known = own.find(same) ?? plain.find((e) => same(e) && names.some((n) => matches(n, e.hosts)));
    if (known) return { status: "known", entry: known };

    const type = keyType(key);
    const expected = own.filter((e) => e.type === type);
    if (expected.length > 0) return { status: "changed", expected };
    const authorities = entries.filter((e) => e.marker === "cert-authority" && matches(names[0], e.hosts));
    return { status: "unknown", others: own, authorities };
}

/** The types of the keys on file for a server, to be asked for first, so that it presents a key that we can compare. */
export function knownKeyTypes(entries: readonly KnownHost[], host: string, port: number): string[] {
    const plain = entries.filter((e) => e.marker === undefined);
    // The port's own lines first; a server at an odd port may be known by its plain name only.
    const found = lookupNames(host, port).flatMap((name) => plain.filter((e) => matches(name, e.hosts)));
    return [...new Set(found.map((e) => e.type))];
}

/** The name under which OpenSSH files a server: `host`, or `[host]:port` for a port other than 22. */
export function knownHostsName(host: string, port: number): string {
    const name = host.toLowerCase();
    return port === 22 ? name : `[${name}]:${port}`;
}

/** The type inside a key in wire format, or undefined when it is no key. */
export function keyType(key: Buffer): string | undefined {
    if (key.length < 4) return undefined;
    const length = key.readUInt32BE(0);
    if (length === 0 || 4 + length > key.length) return undefined;
    const type = key.toString("latin1", 4, 4 + length);
    return /^[\x21-\x7e]+$/.test(type) ? type : undefined;
}

/** A key from `type base64`, or the reason why it is none. A Buffer decodes any rubbish, hence the strictness. */
export function decodeKey(type: string, base64: string): Buffer | string {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return "its key is not base64";
    const key = Buffer.from(base64, "base64");
    return keyType(key) === type && isWhole(key) ? key : `its key is cut short, or not of the type ${type}`;
}

/** A key is a row of fields, each with its length before it: one that lost its end does not come out even. */
function isWhole(key: Buffer): boolean {
    let at = 0;
    while (at + 4 <= key.length) at += 4 + key.readUInt32BE(at);
    return at === key.length;
}

function lookupNames(host: string, port: number): [string, ...string[]] {
    const name = knownHostsName(host, port);
    return port === 22 ? [name] : [name, host.toLowerCase()];
}

function parseLine(content: string): Omit<KnownHost, "file" | "line"> | string {
    const words = content.split(/\s+/);
    const marker = words[0]?.startsWith("@") ? words.shift()?.slice(1) : undefined;
    if (marker !== undefined && marker !== "revoked" && marker !== "cert-authority") return "its marker is unknown";
    const [hosts, type, base64] = words;
    if (!hosts || !type || !base64) return "it is not of the form: hosts type key";
    if (/^\d+$/.test(type)) return "its key is for SSH version 1";
    const key = decodeKey(type, base64);
    return typeof key === "string" ? key : { marker, hosts, type, key };
}

function matches(name: string, hosts: string): boolean {
    if (hosts.startsWith("|")) return matchesHash(name, hosts);
    let found = false;
    for (const item of hosts.toLowerCase().split(",")) {
        const negated = item.startsWith("!");
        if (!matchesGlob(name, negated ? item.slice(1) : item)) continue;
        if (negated) return false;
        found = true;
    }
    return found;
}

function matchesHash(name: string, hosts: string): boolean {
    const [, version, salt, hash] = hosts.split("|");
    if (version !== "1" || !salt || !hash) return false;
    return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest().equals(Buffer.from(hash, "base64"));
}

/** Only `*` and `?` are special to OpenSSH: the brackets of `[host]:port` stand for themselves. */
function matchesGlob(name: string, pattern: string): boolean {
    const source = pattern
        .replace(/[\\^$.|+()[\]{}]/g, "\\$&")
        .replace(/\*+/g, ".*")
        .replaceAll("?", ".");
    return new RegExp(`^${source}$`, "s").test(name);
}
