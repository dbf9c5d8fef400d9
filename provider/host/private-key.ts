import { utils, type ParsedKey } from "ssh2";

/** Why a private key is of no use, following its name: "cannot be decrypted ...". Never a part of the key. */
export interface KeyProblem {
    problem: string;
    cure?: string;
}

/** Reads a private key of the kinds that ssh2 can use: OpenSSH, the older PEM forms, PuTTY. */
export function parsePrivateKey(text: string, passphrase: string | undefined): ParsedKey | KeyProblem {
    const unusable = unsupported(text);
    if (unusable) return unusable;
    // The type comes from the file's clear head: ssh2 finds a FIDO key out only after decrypting it.
    const parsed = parse(text, passphrase || undefined);
    if (parsed instanceof Error) return explain(text, parsed.message, passphrase);
    return parsed;
}

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
    const type = openSshType(text) ?? head;
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
    if (/^(ssh|ecdsa)-/.test(head))
        return { problem: "is a public key", cure: "give the private key that belongs to it" };
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

function explain(text: string, message: string, passphrase: string | undefined): KeyProblem {
    if (/no passphrase given/.test(message))
        return { problem: "is encrypted, and no passphrase is given", cure: "give it as `privateKeyPassword`" };
    if (passphrase && isEncrypted(text))
        return { problem: "cannot be decrypted: is the passphrase right?", cure: "correct `privateKeyPassword`" };
    return {
        problem: "is not a private key that can be read: it is damaged, or of an unknown form",
        cure: "try: ssh-keygen -y -f FILE",
    };
}

function isEncrypted(text: string): boolean {
    return /^(Proc-Type: 4,ENCRYPTED|Encryption: (?!none))/m.test(text) || text.includes("BEGIN OPENSSH PRIVATE KEY");
}

/** The type in the clear head of an OpenSSH key file, which is there even when the rest is encrypted. */
function openSshType(text: string): string | undefined {
    const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END/.exec(text)?.[1];
    if (!body) return undefined;
    const data = Buffer.from(body, "base64");
    let at = "openssh-key-v1\0".length;
    const next = (): Buffer => {
        const end = at + 4 + (at + 4 <= data.length ? data.readUInt32BE(at) : 0);
        const field = data.subarray(at + 4, end);
        at = end;
        return field;
    };
    // Cipher, key derivation and its options; then the count of keys, four bytes.
    for (let i = 0; i < 3; i++) next();
    at += 4;
    const publicKey = next();
    return publicKey.length > 4 ? publicKey.toString("latin1", 4, 4 + publicKey.readUInt32BE(0)) : undefined;
}
