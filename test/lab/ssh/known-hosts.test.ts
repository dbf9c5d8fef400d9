import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { sampled } from "../../e2e/sample";
import { Server, type KeyType } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* What proves a server, and what doesn't, at each place of a chain of two bastions and a router. */

const PLACES = ["bastion 1", "bastion 2", "the router"] as const;
const SUBJECTS = [/^edge: bastion 1 of 2 \(root@/, /^edge: bastion 2 of 2 \(root@/, /^edge \(root@\S+ via root@\S+, root@/];

let chain: Server[];
let hops: (Hop & { privateKeyPath: string })[];
beforeAll(async () => {
    // Three keys each, so that which one is asked for makes a difference.
    chain = await Promise.all(PLACES.map(() => Server.start({ hostKeys: ["ed25519", "ecdsa", "rsa"] })));
    hops = await Promise.all(chain.map((server) => server.hop()));
});
afterAll(() => Promise.all((chain ?? []).map((server) => server.stop())));

/** What a case is made of: the server in question, and one whose keys it does not have. */
interface At {
    own(type?: KeyType): string;
    other(type?: KeyType): string;
    port: number;
    /** `[127.0.0.1]:port` */
    name: string;
    /** A file of known_hosts. */
    file(text: string): string;
    hashed(text: string): string;
    dir: string;
}

interface Case {
    name: string;
    /** What the hop itself has. */
    pin?: (at: At) => string | string[];
    /** The text of known_hosts. */
    known?: (at: At) => string;
    /** Another path than that of such a file. */
    path?: (at: At) => string;
    insecure?: boolean;
}

const accepted: Case[] = [
    { name: "its line", known: ({ name, own }) => `${name} ${own()}\n` },
    { name: "its line, hashed", known: ({ name, own, hashed }) => hashed(`${name} ${own()}\n`) },
    { name: "its line among hashed lines of others", known: ({ name, own, other, hashed }) => hashed(`edge ${other()}\n[127.0.0.1]:1 ${other()}\n${name} ${own()}\ncore ${other()}\n`) },
    { name: "CRLF, comments, blank and damaged lines around", known: ({ name, own }) => `# ours\r\n\r\n|1|damaged| ssh-rsa AAAA\r\n  ${name}\t${own()} since 2024\r\n` },
    { name: "no line break at the end", known: ({ name, own }) => `${name} ${own()}` },
    { name: "a wildcard", known: ({ port, own }) => `[127.*]:${port} ${own()}\n` },
    { name: "question marks", known: ({ port, own }) => `[127.0.?.?]:${port} ${own()}\n` },
    { name: "a list of names", known: ({ name, own }) => `edge,${name},192.0.2.7 ${own()}\n` },
    { name: "a negation of another", known: ({ own }) => `*,!edge ${own()}\n` },
    { name: "a negation of itself in another line", known: ({ name, own, other }) => `*,!${name} ${other()}\n${name} ${own()}\n` },
    { name: "the name without a port", known: ({ own }) => `127.0.0.1 ${own()}\n` },
    { name: "its ecdsa key only", known: ({ name, own }) => `${name} ${own("ecdsa")}\n` },
    { name: "its rsa key only", known: ({ name, own }) => `${name} ${own("rsa")}\n` },
    { name: "an old key, then its own", known: ({ name, own, other }) => `${name} ${other()}\n${name} ${own()}\n` },
    { name: "all three of its keys", known: ({ name, own }) => (["rsa", "ecdsa", "ed25519"] as const).map((type) => `${name} ${own(type)}\n`).join("") },
    { name: "an authority beside its line", known: ({ name, own, other }) => `@cert-authority * ${other()}\n${name} ${own()}\n` },
    { name: "another key of its name that is revoked", known: ({ name, own, other }) => `@revoked ${name} ${other()}\n${name} ${own()}\n` },
    { name: "its key, revoked for another name", known: ({ name, own }) => `@revoked edge ${own()}\n${name} ${own()}\n` },
    { name: "a pin, whatever known_hosts says", pin: ({ own }) => own(), known: ({ name, other }) => `${name} ${other()}\n` },
    { name: "a pin, and a file that isn't there", pin: ({ own }) => own(), path: () => "/nowhere/known_hosts" },
    { name: "one of two pins", pin: ({ own, other }) => [other(), own()] },
    { name: "a pin of its rsa key", pin: ({ own }) => own("rsa") },
    { name: "a line of known_hosts as a pin", pin: ({ name, own }) => `${name} ${own()}` },
    { name: "nothing, with the opt-out", insecure: true, known: () => "" },
    { name: "another key on file, with the opt-out", insecure: true, known: ({ name, other }) => `${name} ${other()}\n` },
];

const refused: (Case & { says: RegExp; kind?: string })[] = [
    { name: "an empty file", known: () => "", says: /UNKNOWN: the server presented ssh-ed25519 SHA256:\S+, and \S+ does not know \[127\.0\.0\.1\]:\d+/ },
    { name: "another key", known: ({ name, other }) => `${name} ${other()}\n`, says: /CHANGED: expected ssh-ed25519 SHA256:\S+ \(\S+ line 1\); presented ssh-ed25519/ },
    { name: "another key, hashed", known: ({ name, other, hashed }) => hashed(`edge ${other("rsa")}\n${name} ${other()}\n`), says: /CHANGED: .* line 2\)/ },
    { name: "another rsa key, when that is asked for", known: ({ name, other }) => `${name} ${other("rsa")}\n`, says: /CHANGED: expected ssh-rsa SHA256:\S+ .*; presented ssh-rsa/ },
    { name: "another port", known: ({ own }) => `[127.0.0.1]:1 ${own()}\n`, says: /UNKNOWN/ },
    { name: "another host", known: ({ port, own }) => `[127.0.0.2]:${port} ${own()}\n`, says: /UNKNOWN/ },
    { name: "a wildcard that is too short", known: ({ port, own }) => `[127.0.0.??]:${port} ${own()}\n`, says: /UNKNOWN/ },
    { name: "a negation of itself", known: ({ name, port, own }) => `[*]:${port},!${name} ${own()}\n`, says: /UNKNOWN/ },
    { name: "its key, revoked", known: ({ name, own }) => `${name} ${own()}\n@revoked * ${own()}\n`, says: /REVOKED host key: .* line 2 marks/ },
    { name: "its key, revoked by its hashed name", known: ({ name, own, hashed }) => `${name} ${own()}\n@revoked ${hashed(`${name} ${own()}\n`)}`, says: /REVOKED/ },
    { name: "its key, pinned and revoked", pin: ({ own }) => own(), known: ({ own }) => `@revoked * ${own()}\n`, says: /REVOKED/ },
    { name: "its key, revoked, with the opt-out", insecure: true, known: ({ own }) => `@revoked * ${own()}\n`, says: /REVOKED/ },
    { name: "an authority only", known: ({ other }) => `@cert-authority * ${other()}\n`, says: /line 1 trusts a certificate authority, but the SSH library cannot verify certificates/ },
    { name: "a line that is cut short", known: ({ name, own }) => `${name} ${own().slice(0, 60)}\n`, says: /line 1 was skipped: its key is cut short/ },
    { name: "a marker that nobody knows", known: ({ name, own }) => `@trusted ${name} ${own()}\n`, says: /line 1 was skipped: its marker is unknown/ },
    { name: "the key of SSH version 1", known: ({ name }) => `${name} 1024 35 1234567890\n`, says: /line 1 was skipped: its key is for SSH version 1/ },
    { name: "another pin, whatever known_hosts says", pin: ({ other }) => other(), known: ({ name, own }) => `${name} ${own()}\n`, says: /NOT THE PINNED one: expected ssh-ed25519/ },
    { name: "another pin, with the opt-out", pin: ({ other }) => other(), insecure: true, says: /NOT THE PINNED/ },
    { name: "a pinned fingerprint of another key", pin: () => `SHA256:${"A".repeat(43)}`, says: /NOT THE PINNED one: expected SHA256:A/ },
    { name: "a pin that is no key", pin: () => "hunter2", says: /the pinned host key cannot be read/, kind: "invalid" },
    { name: "a file that isn't there", path: () => "/nowhere/known_hosts", says: /cannot be read \(ENOENT\)/ },
    { name: "a folder in the place of the file", path: ({ dir }) => `${dir}/folder`, says: /cannot be read \(EISDIR\)/ },
    { name: "a file behind a file", path: () => "/etc/passwd/known_hosts", says: /cannot be read \(ENOTDIR\)/ },
    { name: "a file that links to itself", path: ({ dir }) => `${dir}/loop`, says: /cannot be read \(ELOOP\)/ },
];

describe.each(PLACES.map((place, i) => [place, i] as const))("%s is", (_, place) => {
    let at: At;
    beforeAll(() => {
        const own = chain[place]!;
        // Not a stranger's: that of the next hop, as where two are mixed up.
        const other = chain[(place + 1) % PLACES.length]!;
        mkdirSync(`${own.dir}/folder`);
        symlinkSync("loop", `${own.dir}/loop`);
        at = {
            own: (type) => own.hostKey(type), other: (type) => other.hostKey(type), port: own.port, name: `[127.0.0.1]:${own.port}`, dir: own.dir,
            file: (text) => own.file("known_hosts", text),
            hashed: (text) => {
                const file = own.file("to-hash", text);
                execFileSync("ssh-keygen", ["-H", "-f", file], { stdio: "ignore" });
                return execFileSync("cat", [file], { encoding: "utf8" });
            },
        };
    });

    function endpoint({ pin, known, path, insecure }: Case): Endpoint {
        const pinned = hops.map((hop, i): Hop => ({ ...hop, hostKey: i === place ? pin?.(at) : chain[i]!.hostKey() }));
        const knownHosts = path?.(at) ?? at.file(known?.(at) ?? "");
        return { name: "edge", knownHosts, insecureIgnoreHostKey: insecure, connection: { ...pinned[2]!, proxy: pinned.slice(0, 2) } };
    }

    test.each(sampled(accepted, (__, i) => i % PLACES.length === place))("proven by $name", async (row) => {
        const session = await connect(endpoint(row));
        expect((await session.exec("echo ok")).stdout.toString()).toBe("ok\n");
        session.close();
    });

    test.each(refused)("not proven by $name", async (row) => {
        const logins = () => chain[place]!.count(/^Accepted publickey/);
        const before = logins();
        const error = await connect(endpoint(row)).then(() => expect.fail("it connected"), (reason: unknown) => reason as NviError);
        expect(error).toMatchObject({ kind: row.kind ?? "host-key", reason: expect.stringMatching(row.says) as string, cure: expect.stringMatching(/\S/) as string });
        expect(error.message).toMatch(SUBJECTS[place]!);
        expect(logins()).toBe(before);
    });
});
