import { mkdirSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { connect } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { run, until } from "../process";
import { Server } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A server with one key, one with three, and one whose keys nobody expects. */
let one: Server, three: Server, other: Server;
let hop: Hop, hopThree: Hop;
beforeAll(async () => {
    [one, three, other] = await Promise.all([Server.start(), Server.start({ hostKeys: ["ed25519", "ecdsa", "rsa"] }), Server.start({ hostKeys: ["ed25519", "rsa"] })]);
    hop = await one.hop();
    hopThree = await three.hop();
});
afterAll(() => Promise.all([one, three, other].map((server) => server?.stop())));
afterEach(() => void vi.unstubAllEnvs());

const edge = (rest: Partial<Endpoint>, connection = hop): Endpoint => ({ name: "edge", connection, ...rest });
const enters = async (endpoint: Endpoint) => (await connect(endpoint)).close();
const refused = (endpoint: Endpoint): Promise<NviError> => enters(endpoint).then(() => expect.fail("it connected"), (error) => error as NviError);
const knownHosts = (text: string, name = "known_hosts") => one.file(name, text);
const entry = (key: string, server = one) => `[127.0.0.1]:${server.port} ${key}\n`;

describe("accepts", () => {
    test("a pinned key, on the router or in its connection", async () => {
        await enters(edge({ hostKey: one.hostKey() }));
        await enters(edge({}, { ...hop, hostKey: `${one.hostKey()} some comment` }));
        await enters(edge({ hostKey: [other.hostKey(), one.hostKey()] }));
    });

    test("a pinned fingerprint, as ssh-keygen prints it", async () => {
        const { stdout } = await run(["ssh-keygen", "-lf", `${one.dir}/host_ed25519.pub`]);
        await enters(edge({ hostKey: stdout.split(" ")[1]! }));
        await enters(edge({ hostKey: stdout }));
    });

    test("all that ssh-keyscan prints", async () => {
        const { stdout } = await run(["ssh-keyscan", "-p", `${three.port}`, "127.0.0.1"]);
        await enters(edge({ hostKey: stdout }, hopThree));
        await enters(edge({ knownHosts: knownHosts(stdout) }, hopThree));
    });

    test("a known_hosts line, plain or hashed", async () => {
        const file = knownHosts(entry(one.hostKey()));
        await enters(edge({ knownHosts: file }));
        await run(["ssh-keygen", "-H", "-f", file]);
        await enters(edge({ knownHosts: file }));
    });

    test("the user's own known_hosts, by default", async () => {
        vi.stubEnv("HOME", one.dir);
        mkdirSync(`${one.dir}/.ssh`);
        one.file(".ssh/known_hosts", entry(one.hostKey()));
        await enters(edge({}));
        await enters(edge({ knownHosts: "~/.ssh/known_hosts" }));
    });

    test("any key, by the explicit opt-out only, even beside a known_hosts file that cannot be read", async () => {
        vi.stubEnv("HOME", "/nowhere");
        await enters(edge({ insecureIgnoreHostKey: true }));
        await enters(edge({ insecureIgnoreHostKey: true, knownHosts: "/nowhere/known_hosts" }));
        expect((await refused(edge({ insecureIgnoreHostKey: false }))).kind).toBe("host-key");
    });

    test.each(["ed25519", "ecdsa", "rsa"] as const)("a server with three keys presents the %s key when that is the one we know", async (type) => {
        await enters(edge({ hostKey: three.hostKey(type) }, hopThree));
        await enters(edge({ knownHosts: knownHosts(entry(three.hostKey(type), three)) }, hopThree));
    });

    test("one of three by type and fingerprint", async () => {
        const { stdout } = await run(["ssh-keygen", "-lf", `${three.dir}/host_rsa.pub`]);
        await enters(edge({ hostKey: `ssh-rsa ${stdout.split(" ")[1]}` }, hopThree));
    });
});

describe("refuses, on one connection, before any login", () => {
    const rows: [string, () => Partial<Endpoint>, RegExp, RegExp][] = [
        ["an unknown key", () => ({ knownHosts: knownHosts("") }), /UNKNOWN: the server presented ssh-ed25519 SHA256:\S{43}, and \S+known_hosts does not know \[127/, /hostKey: "ssh-ed25519 AAAA\S+"`, or run: ssh-keyscan -p \d+ 127.0.0.1 >> /],
        ["a changed key", () => ({ knownHosts: knownHosts(`\n${entry(other.hostKey())}`) }), /CHANGED: expected ssh-ed25519 SHA256:\S+ \(\S+known_hosts line 2\); presented ssh-ed25519 SHA256:/, /ssh-keygen -R '\[127\.0\.0\.1\]:\d+' -f \S+known_hosts/],
        ["a key of another type than on file", () => ({ knownHosts: knownHosts(entry(other.hostKey("rsa"))) }), /UNKNOWN: .*line 1 has its ssh-rsa key, which the server did not present: it may have CHANGED/, /console/],
        ["a revoked key", () => ({ knownHosts: knownHosts(`${entry(one.hostKey())}@revoked * ${one.hostKey()}\n`) }), /REVOKED host key: .* line 2 marks/, /do not connect/],
        ["a revoked key, even pinned", () => ({ hostKey: one.hostKey(), knownHosts: knownHosts(`@revoked * ${one.hostKey()}\n`) }), /REVOKED/, /do not connect/],
        ["a revoked key, even with the opt-out", () => ({ insecureIgnoreHostKey: true, knownHosts: knownHosts(`@revoked * ${one.hostKey()}\n`) }), /REVOKED/, /do not connect/],
        ["a pin that is not its key", () => ({ hostKey: other.hostKey() }), /NOT THE PINNED one: expected ssh-ed25519 SHA256:\S+; presented ssh-ed25519 SHA256:/, /ssh-keygen -lf \/etc\/ssh\/ssh_host_ed25519_key\.pub.*Only if it is the same, set `hostKey: "ssh-ed25519 AAAA/],
        ["a pin that is not its key, whatever known_hosts and the opt-out say", () => ({ hostKey: other.hostKey(), knownHosts: knownHosts(entry(one.hostKey())), insecureIgnoreHostKey: true }), /NOT THE PINNED/, /console/],
        ["a pin of a type that it does not have", () => ({ hostKey: other.hostKey("rsa") }), /expected ssh-rsa SHA256:\S+; presented ssh-ed25519/, /console/],
        ["a bare fingerprint of another key", () => ({ hostKey: `SHA256:${"A".repeat(43)}` }), /NOT THE PINNED/, /write the type before it/],
        ["an authority's host", () => ({ knownHosts: knownHosts(`@cert-authority * ${other.hostKey()}\n`) }), /line 1 trusts a certificate authority, but the SSH library cannot verify/, /console/],
        ["a line that cannot be read", () => ({ knownHosts: knownHosts(`[127.0.0.1]:${one.port} ssh-ed25519 AAAA\n`) }), /known_hosts line 1 was skipped: its key is cut short/, /console/],
    ];
    test.each(rows)("%s", async (_, endpoint, reason, cure) => {
        const before = one.count(/^Connection from /);
        const error = await refused(edge(endpoint(), { ...hop, dialErrorLimit: 10 }));
        expect(error).toMatchObject({ kind: "host-key", reason: expect.stringMatching(reason), cure: expect.stringMatching(cure) });
        expect(error.message).toContain(`edge (root@127.0.0.1:${one.port})`);
        await until("sshd to log it", () => one.count(/^Connection from /) > before);
        expect(one.count(/^Connection from /)).toBe(before + 1);
    });

    test("none of these came to a login", async () => {
        const accepted = one.count(/^Accepted publickey/);
        await refused(edge({ knownHosts: knownHosts("") }));
        expect(one.count(/^(Accepted publickey|Failed|Invalid)/)).toBe(accepted);
    });
});

describe("refuses without dialing", () => {
    test.each<[string, () => Partial<Endpoint>, string, RegExp]>([
        ["a file that is not there", () => ({ knownHosts: "/nowhere/known_hosts" }), "host-key", /\/nowhere\/known_hosts cannot be read \(ENOENT\)/],
        ["a file that cannot be read", () => ({ knownHosts: one.dir }), "host-key", /cannot be read \(EISDIR\)/],
        ["a pin that cannot be read", () => ({ hostKey: "hunter2" }), "invalid", /the pinned host key cannot be read/],
        ["an empty pin", () => ({ hostKey: "" }), "invalid", /it is empty/],
    ])("%s", async (_, endpoint, kind, reason) => {
        const before = one.count(/^Connection from /);
        expect(await refused(edge(endpoint()))).toMatchObject({ kind, reason: expect.stringMatching(reason) });
        expect(one.count(/^Connection from /)).toBe(before);
    });

    test("an unreadable file of the default ones fails closed, too", async () => {
        vi.stubEnv("HOME", three.dir);
        mkdirSync(`${three.dir}/.ssh/known_hosts`, { recursive: true });
        expect(await refused(edge({}))).toMatchObject({ kind: "host-key", reason: expect.stringContaining("EISDIR") });
    });
});
