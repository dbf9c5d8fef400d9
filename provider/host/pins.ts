import { createHash } from "node:crypto";
import { decodeKey, keyType } from "./known-hosts";

/** A host key that the program names itself. */
export interface Pin {
    /** The key's type; undefined when only a fingerprint was given. */
    type?: string;
    /** `SHA256:...`, as `ssh-keygen -l` prints it. */
    fingerprint: string;
}

/** `SHA256:...`, as `ssh-keygen -l` prints it, of a key in wire format. */
export function fingerprint(key: Buffer): string {
    return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** `type base64`, as in a `.pub` file, of a key in wire format. */
export function publicKeyLine(key: Buffer): string {
    return `${keyType(key) ?? "?"} ${key.toString("base64")}`;
}

/**
 * The pins in a text, one a line:
 * - `ssh-ed25519 AAAA... [comment]`, or only `AAAA...`
 * - a line of known_hosts or of ssh-keyscan (whose host is not looked at: the pin belongs to this server)
 * - `SHA256:...`, best with its type before it: `ssh-ed25519 SHA256:...`
 * - a line of `ssh-keygen -l`: `256 SHA256:... comment (ED25519)`
 *
 * @returns the pins, or what is wrong with the text, without repeating it: it may be a secret pasted by mistake.
 */
export function parsePins(text: string): Pin[] | string {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    const pins: Pin[] = [];
    for (const line of lines.filter((l) => l !== "" && !l.startsWith("#"))) {
        const pin = parsePin(line);
        if (typeof pin === "string") return pin;
        pins.push(pin);
    }
    return pins.length > 0 ? pins : "it is empty";
}

/** Whether a pin means this key. */
export function pinMatches(pin: Pin, key: Buffer): boolean {
    return pin.fingerprint === fingerprint(key) && (pin.type === undefined || pin.type === keyType(key));
}

function parsePin(line: string): Pin | string {
    if (line.includes("PRIVATE KEY")) return "it is a private key: give the server's public host key";
    if (line.startsWith("@")) return "it starts with a marker: a pin is one key, without @revoked or @cert-authority";
    const words = line.split(/\s+/);
    if (words.some((word) => /^(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2}$/i.test(word))) {
        return "it is an MD5 fingerprint, which can be forged: give SHA256:... (ssh-keygen -l -E sha256)";
    }
    const hash = words.findIndex((word) => word.startsWith("SHA256:"));
    return hash >= 0 ? parseFingerprint(words, hash) : parseKey(words);
}

function parseFingerprint(words: string[], at: number): Pin | string {
    const [, digest = ""] = words[at]!.split(":");
    if (!/^[A-Za-z0-9+/]{43}=?$/.test(digest)) return "its SHA256 fingerprint is not 43 characters of base64";
    const type = listedType(words) ?? words.slice(0, at).find((word) => /^(ssh|ecdsa|sk)-/.test(word));
    return { type, fingerprint: `SHA256:${digest.replace(/=$/, "")}` };
}

function parseKey(words: string[]): Pin | string {
    const at = words.findIndex((word) => word.startsWith("AAAA"));
    if (at < 0) return "it is neither a public key (ssh-ed25519 AAAA...) nor a fingerprint (SHA256:...)";
    const base64 = words[at]!;
    const inside = keyType(Buffer.from(base64, "base64"));
    if (!inside) return "its key is cut short";
    if (inside.includes("-cert-v01@")) return "it is a certificate, which the SSH library cannot verify: give the key";
    const key = decodeKey(words[at - 1] ?? inside, base64);
    return typeof key === "string" ? key : { type: inside, fingerprint: fingerprint(key) };
}

/** The type in a line of `ssh-keygen -l`, which starts with the length and ends with a name such as `(ECDSA)`. */
function listedType(words: string[]): string | undefined {
    switch (words.at(-1)) {
        case "(ED25519)":
            return "ssh-ed25519";
        case "(RSA)":
            return "ssh-rsa";
        case "(ECDSA)":
            return `ecdsa-sha2-nistp${words[0]}`;
        default:
            return undefined;
    }
}
