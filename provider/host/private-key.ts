import { utils, type ParsedKey } from "ssh2";
import { keyType } from "./known-hosts";

/** Why a private key is of no use, following its name: "cannot be decrypted ...". Never a part of the key. */
export interface KeyProblem {
    problem: string;
    cure?: string;
}

/** Reads a private key of the kinds that ssh2 can use: OpenSSH, the older PEM forms, PuTTY. */
export function parsePrivateKey(text: string, passphrase: string | undefined): ParsedKey | KeyProblem {
    const unusable = unsupported(text);
    if (unusable) return unusable;
    const parsed = parse(text, passphrase || undefined);
    if (parsed instanceof Error) return explain(text, parsed.message);
    return parsed.isPrivateKey() ? parsed : PUBLIC_KEY;
}

const PUBLIC_KEY: KeyProblem = { problem: "is a public key", cure: "give the private key that belongs to it" };

/** ssh2 answers with an error, but Node's own crypto may throw one; and for some formats it answers a list. */
function parse(text: string, passphrase: string | undefined): ParsedKey | Error {
    try {
        const parsed: ParsedKey | ParsedKey[] | Error = utils.parseKey(text, passphrase);
        const key = Array.isArray(parsed) ? parsed[0] : parsed;
        return key ?? new Error("Unsupported key format");
    } catch (error) {
        return error instanceof Error ? error : new Error("Unsupported key format");
    }
}

function unsupported(text: string): KeyProblem | undefined {
    const head = text.trim().split(/\s+/, 1)[0] ?? "";
    // ssh2 finds a FIDO key out only after decrypting it, and then names no reason that helps.
    const type = openSshHead(text)?.type ?? head;
    if (/^sk-|^webauthn-/.test(type)) {
        return {
            problem: "belongs to a FIDO token, which the SSH library cannot use",
            cure: "give another key, e.g. from: ssh-keygen -t ed25519",
        };
    }
    if (type.includes("-cert-v01@")) {
        return {
            problem: "is a certificate, which the SSH library cannot use",
            cure: "give a private key that the server knows by itself (authorized_keys)",
        };
    }
    if (/^(ssh|ecdsa)-/.test(head) || /^---- ?-?BEGIN .*PUBLIC KEY/m.test(text)) return PUBLIC_KEY;
    if (text.includes("-----BEGIN PRIVATE KEY-----") || text.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
        return {
            problem: "is in PKCS#8 form, which the SSH library cannot read",
            cure: "convert a copy of it: ssh-keygen -p -f FILE; from the tls provider, take `privateKeyOpenssh`",
        };
    }
    if (/-----BEGIN [A-Z ]+-----\\n/.test(text)) {
        return {
            problem: "has `\\n` written out in place of line breaks",
            cure: "replace them with line breaks; environment variables and JSON often need that",
        };
    }
    return undefined;
}

function explain(text: string, message: string): KeyProblem {
    if (/no passphrase given/.test(message)) {
        return { problem: "is encrypted, and no passphrase is given", cure: "give it as `privateKeyPassword`" };
    }
    if (isEncrypted(text)) {
        return { problem: "cannot be decrypted: is the passphrase right?", cure: "correct `privateKeyPassword`" };
    }
    const problem = "is not a private key that can be read: it is damaged, or of an unknown form";
    return { problem, cure: "try: ssh-keygen -y -f FILE" };
}

function isEncrypted(text: string): boolean {
    const cipher = openSshHead(text)?.cipher ?? "none";
    return cipher !== "none" || /^(Proc-Type: 4,ENCRYPTED|Encryption: (?!none))/m.test(text);
}

/** The clear head of an OpenSSH key file, which is there even when the rest is encrypted. */
function openSshHead(text: string): { cipher: string; type: string } | undefined {
    const body = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)/.exec(text)?.[1];
    if (!body) return undefined;
    const data = Buffer.from(body, "base64");
    let at = "openssh-key-v1\0".length;
    const next = (): Buffer => {
        const length = at + 4 <= data.length ? data.readUInt32BE(at) : 0;
        const field = data.subarray(at + 4, at + 4 + length);
        at += 4 + length;
        return field;
    };
    const [cipher] = [next(), next(), next()];
    // The count of keys, always 1.
    at += 4;
    return { cipher: cipher.toString("latin1"), type: keyType(next()) ?? "" };
}
