import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { judgeHostKey, keyType, knownHostsName, knownKeyTypes, parseKnownHosts, type Verdict } from "../../../provider/host/known-hosts";

const dir = mkdtempSync(join(tmpdir(), "nvi-known-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** A real public key as `type base64`. */
function generate(name: string, type: string, ...more: string[]): string {
    const file = join(dir, name);
    execFileSync("ssh-keygen", ["-q", "-t", type, ...more, "-N", "", "-C", "", "-f", file]);
    return readFileSync(`${file}.pub`, "utf8").trim();
}

const ed = generate("ed", "ed25519");
const ed2 = generate("ed2", "ed25519");
const ec = generate("ec", "ecdsa");
const rsa = generate("rsa", "rsa", "-b", "2048");
const blob = (line: string): Buffer => Buffer.from(line.split(" ")[1]!, "base64");

/** What `ssh-keygen -H` makes of a file: every name hashed. */
function hashed(text: string): string {
    const file = join(dir, "to-hash");
    writeFileSync(file, text);
    execFileSync("ssh-keygen", ["-H", "-f", file], { stdio: "ignore" });
    return readFileSync(file, "utf8");
}

const judge = (text: string, host = "edge", port = 22, key = ed): Verdict => judgeHostKey(parseKnownHosts(text, "known_hosts").entries, host, port, blob(key));
const status = (...args: Parameters<typeof judge>) => judge(...args).status;

describe("what a file says about edge's ed25519 key", () => {
    const rows: [title: string, text: string, status: string, host?: string, port?: number][] = [
        ["an empty file", "", "unknown"],
        ["comments and blank lines", `# edge ${ed}\n\n   \n`, "unknown"],
        ["the plain name", `edge ${ed}\n`, "known"],
        ["with a comment", `edge ${ed} root@edge, since 2024\n`, "known"],
        ["without a line break at the end", `edge ${ed}`, "known"],
        ["with CRLF", `edge ${ed}\r\n`, "known"],
        ["with tabs and blanks around", `  \tedge\t ${ed.replace(" ", "\t")}  \n`, "known"],
        ["another name", `core ${ed}\n`, "unknown"],
        ["a name that begins the same", `edge2 ${ed}\n`, "unknown"],
        ["in capitals, on file", `EDGE ${ed}\n`, "known"],
        ["in capitals, in the program", `edge ${ed}\n`, "known", "Edge"],
        ["a comma list", `core,edge,192.0.2.7 ${ed}\n`, "known"],
        ["an address", `core,edge,192.0.2.7 ${ed}\n`, "known", "192.0.2.7"],
        ["an IPv6 address", `2001:db8::1 ${ed}\n`, "known", "2001:db8::1"],
        ["an IPv6 address at a port", `[2001:db8::1]:2222 ${ed}\n`, "known", "2001:db8::1", 2222],
        ["an IPv6 address with a zone", `fe80::1%eth0 ${ed}\n`, "known", "fe80::1%eth0"],
        ["another key of the same type", `edge ${ed2}\n`, "changed"],
        ["another key, then the same", `edge ${ed2}\nedge ${ed}\n`, "known"],
        ["the same, then another", `edge ${ed}\nedge ${ed2}\n`, "known"],
        ["only keys of other types", `edge ${rsa}\nedge ${ec}\n`, "unknown"],
        ["other types and the same", `edge ${rsa}\nedge ${ed}\n`, "known"],
        ["at the port", `[edge]:2222 ${ed}\n`, "known", "edge", 2222],
        ["at another port", `[edge]:2222 ${ed}\n`, "unknown", "edge", 2223],
        ["at a port, dialed at 22", `[edge]:2222 ${ed}\n`, "unknown"],
        ["the plain name, dialed at a port: OpenSSH accepts", `edge ${ed}\n`, "known", "edge", 2222],
        ["another key under the plain name, dialed at a port: does not speak of this port", `edge ${ed2}\n`, "unknown", "edge", 2222],
        ["another key at the port, the same under the plain name", `[edge]:2222 ${ed2}\nedge ${ed}\n`, "known", "edge", 2222],
        ["[edge]:22, which ssh never writes", `[edge]:22 ${ed}\n`, "unknown"],
        ["a star", `* ${ed}\n`, "known"],
        ["a domain by star", `*.example.net ${ed}\n`, "known", "edge.example.net"],
        ["a star does not match the domain itself", `*.example.net ${ed}\n`, "unknown", "example.net"],
        ["a star crosses dots", `edge*net ${ed}\n`, "known", "edge.example.net"],
        ["question marks are one letter each", `e??e ${ed}\n`, "known"],
        ["too many question marks", `e???e ${ed}\n`, "unknown"],
        ["a dot is a dot", `192.0.2.7 ${ed}\n`, "unknown", "192x0x2x7"],
        ["brackets are brackets", `[ae]dge ${ed}\n`, "unknown"],
        ["a star at a port", `[*.example.net]:2222 ${ed}\n`, "known", "edge.example.net", 2222],
        ["negation", `*,!edge ${ed}\n`, "unknown"],
        ["negation first", `!edge,* ${ed}\n`, "unknown"],
        ["negation of another", `*,!core ${ed}\n`, "known"],
        ["only negations match nothing", `!core ${ed}\n`, "unknown"],
        ["negation holds for its line only", `*,!edge ${ed2}\nedge ${ed}\n`, "known"],
        ["negated globs", `*,!*.lab.example.net ${ed}\n`, "unknown", "edge.lab.example.net"],
        ["revoked", `@revoked edge ${ed}\n`, "revoked"],
        ["revoked everywhere", `@revoked * ${ed}\n`, "revoked"],
        ["known first, revoked after", `edge ${ed}\n@revoked * ${ed}\n`, "revoked"],
        ["another key revoked", `edge ${ed}\n@revoked * ${ed2}\n`, "known"],
        ["revoked for another host", `edge ${ed}\n@revoked core ${ed}\n`, "known"],
        ["revoked by plain name, dialed at a port", `[edge]:2222 ${ed}\n@revoked edge ${ed}\n`, "revoked", "edge", 2222],
        ["an authority does not vouch for a plain key", `@cert-authority edge ${ed}\n`, "unknown"],
        ["an authority does not make a key changed", `@cert-authority edge ${ed2}\n`, "unknown"],
        ["an unknown marker", `@trusted edge ${ed}\n`, "unknown"],
        ["a marker without a blank", `@revokededge ${ed}\n`, "unknown"],
        ["SSH version 1", `edge 1024 35 1234567890\n`, "unknown"],
        ["a type that is not the key's", `edge ssh-rsa ${ed.split(" ")[1]}\n`, "unknown"],
        ["a key cut short", `edge ${ed.slice(0, 40)}\n`, "unknown"],
        ["rubbish before a good line", `\u0000\u0001 rubbish\nedge ${ed}\n`, "known"],
        ["a line without a key", `edge ssh-ed25519\nedge ${ed}\n`, "known"],
    ];
    test.each(rows)("%s", (_, text, expected, host, port) => expect(status(text, host, port)).toBe(expected));
});

describe("hashed by ssh-keygen -H", () => {
    const text = hashed(`edge,192.0.2.7 ${ed}\n[edge]:2222 ${ed2}\nEDGE.example.net ${rsa}\n`);

    test("no name can be read", () => expect(text.trim().split("\n").map((line) => line.slice(0, 3))).toEqual(["|1|", "|1|", "|1|", "|1|"]));
    test.each<[string, number, string, string]>([
        ["edge", 22, ed, "known"],
        ["192.0.2.7", 22, ed, "known"],
        ["EDGE", 22, ed, "known"],
        ["edge", 22, ed2, "changed"],
        ["edge", 2222, ed2, "known"],
        ["edge", 2222, ed, "known"],
        ["core", 22, ed, "unknown"],
        ["edge.example.net", 22, rsa, "known"],
    ])("%s at %i", (host, port, key, expected) => expect(status(text, host, port, key)).toBe(expected));

    test("revoked, with a hashed name", () => {
        const line = text.split("\n").find((each) => each.endsWith(ed))!;
        expect(status(`edge ${ed}\n@revoked ${line}\n`)).toBe("revoked");
    });
    test.each(["|1|", "|1|x", "|1||", "|2|AAAA|BBBB", "|1|AAAA", "||||"])("a damaged hash %s matches nothing", (hash) => expect(status(`${hash} ${ed}\n`)).toBe("unknown"));
});

test("agrees with ssh-keygen -F on who is meant by a line", () => {
    const patterns = ["edge", "*", "*.net", "e?ge", "!edge,*", "*,!core", "[edge]:2222", "[*]:2222", "core,edge", "EDGE", "edge.example.net", "*.*", "!*", "ed*e,!e?ge"];
    const names: [string, number][] = [["edge", 22], ["core", 22], ["edge", 2222], ["edge.example.net", 22], ["EDGE", 22], ["a.net", 2222]];
    for (const pattern of patterns) {
        const file = join(dir, "oracle");
        writeFileSync(file, `${pattern} ${ed}\n`);
        for (const [host, port] of names) {
            const found = spawnSync("ssh-keygen", ["-F", knownHostsName(host, port), "-f", file]).status === 0;
            const types = knownKeyTypes(parseKnownHosts(`${pattern} ${ed}\n`, file).entries, host, port);
            const plain = port !== 22 && knownKeyTypes(parseKnownHosts(`${pattern} ${ed}\n`, file).entries, host, 22).length > 0;
            expect([pattern, host, port, types.length > 0]).toEqual([pattern, host, port, found || plain]);
        }
    }
});

describe("the verdict tells where", () => {
    test("known: file and line", () => expect(judge(`# first\n\nedge ${ed}\n`)).toMatchObject({ entry: { file: "known_hosts", line: 3 } }));
    test("changed: every other key of the type", () => {
        const verdict = judge(`edge ${ed2}\nedge ${rsa}\n* ${ed2}\n`);
        expect(verdict).toMatchObject({ status: "changed", expected: [{ line: 1 }, { line: 3 }] });
    });
    test("unknown: keys of other types, and authorities", () => {
        expect(judge(`edge ${rsa}\n@cert-authority edge ${ec}\n`)).toMatchObject({ others: [{ line: 1, type: "ssh-rsa" }], authorities: [{ line: 2 }] });
    });
});

describe("knownKeyTypes", () => {
    const types = (text: string, port = 22) => knownKeyTypes(parseKnownHosts(text, "f").entries, "edge", port);
    test("in the order of the file, each once", () => expect(types(`edge ${rsa}\nedge ${ed}\n* ${ed2}\ncore ${ec}\n`)).toEqual(["ssh-rsa", "ssh-ed25519"]));
    test("not of revoked keys or authorities", () => expect(types(`@revoked edge ${rsa}\n@cert-authority edge ${ed}\n`)).toEqual([]));
    test("the port's own first", () => expect(types(`edge ${rsa}\n[edge]:2222 ${ec}\n`, 2222)).toEqual(["ecdsa-sha2-nistp256", "ssh-rsa"]));
});

test("bad lines are named, with their reason", () => {
    const { bad } = parseKnownHosts(`edge\n@x edge ${ed}\nedge 1024 35 99\nedge ssh-rsa !!!\nedge ssh-rsa AAAA\n`, "f");
    expect(bad.map((each) => [each.line, each.reason])).toEqual([
        [1, "it is not of the form: hosts type key"],
        [2, "its marker is unknown"],
        [3, "its key is for SSH version 1"],
        [4, "its key is not base64"],
        [5, "its key is cut short, or not of the type ssh-rsa"],
    ]);
});

test("keyType survives rubbish", () => {
    for (const bytes of [[], [0], [0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 9, 1], [0, 0, 0, 1, 0]]) expect(keyType(Buffer.from(bytes))).toBeUndefined();
});
