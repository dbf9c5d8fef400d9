import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { loadCredentials } from "../../../provider/host/credentials";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { stepsTo } from "../../../provider/host/hops";
import { parsePrivateKey } from "../../../provider/host/private-key";

const dir = mkdtempSync(join(tmpdir(), "nvi-keys-"));
afterAll(() => rmSync(dir, { recursive: true }));

function make(name: string, ...options: string[]): string {
    const file = join(dir, name);
    execFileSync("ssh-keygen", ["-q", "-C", "", ...options, "-f", file]);
    return readFileSync(file, "utf8");
}
const plain = make("plain", "-t", "ed25519", "-N", "");
const locked = make("locked", "-t", "ed25519", "-N", "open sesame");
const pemLocked = make("pem2", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame");

describe("forms that can be read", () => {
    test.each<[string, string, string?]>([
        ["ed25519", plain],
        ["ed25519 with CRLF", plain.replaceAll("\n", "\r\n")],
        ["ed25519 with blanks around", `\n\n  ${plain}\n\n`],
        ["ed25519, passphrase given though not needed", plain, "unused"],
        ["ed25519, encrypted", locked, "open sesame"],
        ["ecdsa", make("ecdsa", "-t", "ecdsa", "-b", "384", "-N", "")],
        ["rsa", make("rsa", "-t", "rsa", "-b", "2048", "-N", "")],
        ["rsa, PEM", make("pem", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "")],
        ["rsa, PEM, encrypted", pemLocked, "open sesame"],
        ["ecdsa, PEM", make("ecpem", "-t", "ecdsa", "-m", "PEM", "-N", "")],
    ])("%s", (_, text, passphrase) => expect(parsePrivateKey(text, passphrase)).not.toHaveProperty("problem"));
});

/** The clear head of a FIDO key's file; the rest cannot be made without a token. */
function fidoKey(): string {
    const field = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
    const publicKey = Buffer.concat([field("sk-ssh-ed25519@openssh.com"), field("k".repeat(32)), field("ssh:")]);
    const body = Buffer.concat([Buffer.from("openssh-key-v1\0"), field("none"), field("none"), field(""), Buffer.from([0, 0, 0, 1]), Buffer.from([0, 0, 0, publicKey.length]), publicKey, field("x".repeat(64))]);
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

const pkcs8 = execFileSync("openssl", ["genpkey", "-algorithm", "ed25519"]).toString();
const refused: [string, string, string | undefined, RegExp][] = [
    ["encrypted, no passphrase", locked, undefined, /no passphrase is given/],
    ["encrypted, empty passphrase", locked, "", /no passphrase is given/],
    ["encrypted, wrong passphrase", locked, "wrong", /is the passphrase right/],
    ["PEM, wrong passphrase", pemLocked, "wrong", /is the passphrase right/],
    ["PEM, no passphrase", pemLocked, undefined, /no passphrase is given/],
    ["cut in half", plain.slice(0, plain.length / 2), undefined, /damaged/],
    ["a body cut short", plain.split("\n").filter((_, i) => i !== 2).join("\n"), undefined, /damaged/],
    ["rubbish", "hunter2", undefined, /unknown form/],
    ["empty", " ", undefined, /unknown form/],
    ["a public key", readFileSync(join(dir, "plain.pub"), "utf8"), undefined, /public key/],
    ["a public key, RFC 4716", execFileSync("ssh-keygen", ["-e", "-f", join(dir, "plain.pub")]).toString(), undefined, /public key/],
    ["damaged, with a passphrase", plain.split("\n").filter((_, i) => i !== 2).join("\n"), "x", /damaged/],
    ["PKCS#8", pkcs8, undefined, /PKCS#8/],
    ["a FIDO key", fidoKey(), undefined, /FIDO/],
    ["a FIDO public key", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5", undefined, /FIDO/],
    ["a certificate", "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQ", undefined, /certificate/],
    ["line breaks written out", plain.replaceAll("\n", "\\n"), undefined, /`\\n` written out/],
];

describe("forms that cannot", () => {
    test.each(refused)("%s", (_, text, passphrase, problem) => {
        const answer = parsePrivateKey(text, passphrase);
        expect(answer).toHaveProperty("problem", expect.stringMatching(problem));
        for (const word of JSON.stringify(answer).split(/[\s"]+/)) if (word.length > 12) expect(text).not.toContain(word);
    });
});

describe("loadCredentials", () => {
    beforeEach(() => void vi.stubEnv("SSH_AUTH_SOCK", undefined));
    afterEach(() => void vi.unstubAllEnvs());
    const load = (hop: Partial<Hop>) => {
        const endpoint: Endpoint = { name: "edge", connection: { host: "h", ...hop } };
        return loadCredentials(endpoint, stepsTo(endpoint)[0]!);
    };
    const names = async (hop: Partial<Hop>) => (await load(hop)).map((each) => each.name);
    const fingerprint = execFileSync("ssh-keygen", ["-lf", join(dir, "plain.pub")]).toString().split(" ")[1]!;

    test("a key by path, named with its fingerprint", async () => expect(await names({ privateKeyPath: join(dir, "plain") })).toEqual([`key ${join(dir, "plain")} (${fingerprint})`]));
    test("the text goes before the path, the key before the password", async () => {
        expect(await names({ privateKey: plain, privateKeyPath: "/nowhere", password: "x" })).toEqual([`\`privateKey\` (${fingerprint})`, "password"]);
    });
    test("~/ is the home", async () => {
        vi.stubEnv("HOME", dir);
        expect(await names({ privateKeyPath: "~/plain" })).toEqual([`key ~/plain (${fingerprint})`]);
    });
    test("a certificate beside the key is mentioned", async () => {
        writeFileSync(join(dir, "certified"), plain, { mode: 0o600 });
        writeFileSync(join(dir, "certified-cert.pub"), "");
        expect((await names({ privateKeyPath: join(dir, "certified") }))[0]).toMatch(/without the certificate beside it/);
    });
    test("the environment's agent is left alone when there is a credential", async () => {
        vi.stubEnv("SSH_AUTH_SOCK", "/nowhere/agent");
        expect(await names({ password: "x" })).toEqual(["password"]);
    });

    test.each<[string, Partial<Hop>, RegExp]>([
        ["none at all", {}, /no credential/],
        ["a missing file", { privateKeyPath: "/nowhere/key" }, /key file \/nowhere\/key cannot be read \(ENOENT\)/],
        ["a folder", { privateKeyPath: dir }, /EISDIR/],
        ["a key in the path's place", { privateKeyPath: plain }, /holds a key's text/],
        ["a locked key", { privateKeyPath: join(dir, "locked") }, /locked is encrypted, and no passphrase/],
        ["a missing agent", { agentSocketPath: "/nowhere/agent" }, /\/nowhere\/agent cannot be used \(ENOENT\)/],
        ["a file that is no socket", { agentSocketPath: join(dir, "plain") }, /does not list its keys/],
    ])("%s", async (_, hop, message) => {
        const error = await load(hop).catch((each) => each);
        expect(error).toMatchObject({ kind: "authentication", message: expect.stringMatching(message) });
        expect(error.message).toContain("edge (root@h:22)");
        expect(error.message).not.toContain(plain.split("\n")[1]);
    });
});
