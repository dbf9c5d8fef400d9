import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parsePins, pinMatches } from "../../../provider/host/pins";

const dir = mkdtempSync(join(tmpdir(), "nvi-pins-"));
afterAll(() => rmSync(dir, { recursive: true }));

const make = (type: string) => {
    const file = join(dir, type);
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "me@here", "-f", file]);
    const pub = readFileSync(`${file}.pub`, "utf8").trim();
    const listing = execFileSync("ssh-keygen", ["-l", "-f", `${file}.pub`]).toString().trim();
    const [name, base64] = pub.split(" ") as [string, string];
    return { pub, listing, name, base64, key: Buffer.from(base64, "base64"), hash: listing.split(" ")[1]!, file };
};
const ed = make("ed25519");
const ec = make("ecdsa");
const rsa = make("rsa");

describe("forms that mean the ed25519 key, and no other", () => {
    test.each([
        ["a .pub line", ed.pub],
        ["without a comment", `${ed.name} ${ed.base64}`],
        ["only the key", ed.base64],
        ["a known_hosts line", `edge,192.0.2.7 ${ed.pub}`],
        ["a line of ssh-keyscan, with its comments", `# edge:22 SSH-2.0-OpenSSH_9.2\nedge ${ed.name} ${ed.base64}\n`],
        ["a known_hosts line without a type", `edge ${ed.base64}`.replace("edge ", "")],
        ["a fingerprint", ed.hash],
        ["a fingerprint with its padding", `${ed.hash}=`],
        ["type and fingerprint", `ssh-ed25519 ${ed.hash}`],
        ["a line of ssh-keygen -l", ed.listing],
        ["with blanks and CRLF", `  ${ed.pub}\r\n`],
    ])("%s", (_, text) => {
        const pins = parsePins(text);
        if (typeof pins === "string") throw new Error(pins);
        expect(pins).toHaveLength(1);
        expect([ed, ec, rsa].map(({ key }) => pinMatches(pins[0]!, key))).toEqual([true, false, false]);
    });
});

test.each([
    [ed, "ssh-ed25519"],
    [ec, "ecdsa-sha2-nistp256"],
    [rsa, "ssh-rsa"],
])("the type is known from a listing, so that this key can be asked for", ({ listing }, type) => expect(parsePins(listing)).toMatchObject([{ type }]));

test("several lines are several pins", () => expect(parsePins(`${ed.pub}\n${rsa.hash}\n`)).toHaveLength(2));

describe("refused, without repeating the text", () => {
    const cases: [string, string, RegExp][] = [
        ["empty", "", /empty/],
        ["only comments", "# x\n", /empty/],
        ["rubbish", "hunter2", /neither/],
        ["a private key", readFileSync(ed.file, "utf8"), /private key/],
        ["MD5", "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", /MD5/],
        ["MD5 without its name", "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", /MD5/],
        ["a short fingerprint", "SHA256:abc", /43 characters/],
        ["a revoked line", `@revoked edge ${ed.pub}`, /marker/],
        ["an authority", `@cert-authority edge ${ed.pub}`, /marker/],
        ["a key cut to its head", ed.base64.slice(0, 12), /cut short/],
        ["a key without its end", ed.pub.slice(0, 60), /cut short/],
        ["a wrong type", `ssh-rsa ${ed.base64}`, /not of the type/],
    ];
    test.each(cases)("%s", (_, text, reason) => {
        const pins = parsePins(text);
        expect(pins).toMatch(reason);
        if (text.length > 4) expect(pins).not.toContain(text.slice(0, 30));
    });
});
