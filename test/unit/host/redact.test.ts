import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import type { Endpoint } from "../../../provider/host/endpoint";
import { shellQuote } from "../../../provider/host/quote";
import { failure, redact } from "../../../provider/host/redact";

const dir = mkdtempSync(join(tmpdir(), "nvi-redact-"));
afterAll(() => rmSync(dir, { recursive: true }));
execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, "key")]);
const key = readFileSync(join(dir, "key"), "utf8");

const password = 'pa"ss\'w$rd\\1';
const endpoint: Endpoint = {
    name: "edge",
    connection: {
        host: "192.0.2.7",
        password,
        privateKey: key,
        privateKeyPassword: "open sesame",
        proxy: [{ host: "b1", password: "bastion-secret" }, { host: "b2", privateKeyPassword: "second-secret" }],
    },
    sudoPassword: "su-do-secret",
};

describe("redact", () => {
    test.each([
        ["plain", password],
        ["JSON", JSON.stringify(password)],
        ["a shell's quotes", shellQuote(password)],
        ["base64", Buffer.from(password).toString("base64")],
        ["a URL", encodeURIComponent(password)],
    ])("a password as %s", (_, spelt) => {
        expect(redact(`before ${spelt} after`, endpoint)).toMatch(/^before ['"]?\[redacted\]['"]? after$/);
    });

    test.each(["open sesame", "bastion-secret", "second-secret", "su-do-secret"])("%s", (secret) => {
        expect(redact(`<${secret}>`, endpoint)).toBe("<[redacted]>");
    });

    test("a private key, whole, by lines, and with line breaks written out", () => {
        const body = key.split("\n").slice(1, -2);
        expect(redact(key, endpoint)).toBe("[redacted]");
        for (const text of [body.join("\r\n"), body[1]!, JSON.stringify(key), key.replaceAll("\n", " ")]) {
            const clean = redact(text, endpoint);
            for (const line of body.filter((each) => each.length >= 16)) expect(clean).not.toContain(line);
        }
    });

    test("a key given where its path belongs", () => {
        const slip: Endpoint = { name: "edge", connection: { host: "h", privateKeyPath: key } };
        expect(redact(`ENOENT: open '${key}'`, slip)).toBe("ENOENT: open '[redacted]'");
    });

    test("the longer secret first", () => {
        const nested: Endpoint = { name: "edge", connection: { host: "h", password: "secret" }, sudoPassword: "secret-two" };
        expect(redact("secret-two secret", nested)).toBe("[redacted] [redacted]");
    });

    test("leaves the rest alone, and does not garble for one letter", () => {
        const short: Endpoint = { name: "edge", connection: { host: "h", password: "e", privateKeyPath: "~/.ssh/edge" } };
        expect(redact("edge: key ~/.ssh/edge refused", short)).toBe("edge: key ~/.ssh/edge refused");
        expect(redact("text", { name: "edge", connection: { host: "h", password: "" } })).toBe("text");
    });
});

test("an error tells no secret, however it is printed", () => {
    const text = `x ${password} ${key} su-do-secret`;
    const error = failure(endpoint, { kind: "tool", operation: "run", subject: text, reason: text, cure: text, command: text, output: text });
    for (const shown of [error.message, String(error.stack), inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error)]) {
        for (const secret of [password, "su-do-secret", key.split("\n")[1]!]) expect(shown).not.toContain(secret);
    }
});
