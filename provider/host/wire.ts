import { createHash } from "node:crypto";
import type { Section } from "./host";

/*
 * What goes to the router-side script and what comes back. Both directions carry their lengths, so that a
 * cut connection can never make half a message look whole.
 */

/** Packs files for the script: an index of names and sizes, an empty line, then the files. */
export function packBundle(files: Readonly<Record<string, string>>): Buffer {
    const parts = Object.entries(files).map(([name, text]) => ({ name, bytes: Buffer.from(text, "utf8") }));
    for (const { name } of parts) if (!/^[A-Za-z0-9_.+~-]+$/.test(name)) throw new Error(`not a bundle file's name: ${name}`);
    const index = parts.map(({ name, bytes }) => `${name} ${bytes.length}\n`).join("");
    return Buffer.concat([Buffer.from(`${index}\n`), ...parts.map(({ bytes }) => bytes)]);
}

export const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** Reads the script's answer: blocks of headers, an empty line, and the bytes that they tell of. Undefined where it is not whole. */
export function parseAnswer(answer: Buffer): Section[] | undefined {
    const sections: Section[] = [];
    let at = 0;
    const take = (length: number): string => answer.toString("utf8", at, (at += length));
    const line = (): string | undefined => {
        const newline = answer.indexOf(0x0a, at);
        if (newline < 0) return undefined;
        const text = answer.toString("latin1", at, newline);
        at = newline + 1;
        return text;
    };
    while (at < answer.length) {
        const headers: RegExpExecArray[] = [];
        for (let text = line(); text !== ""; text = line()) {
            const header = text === undefined ? null : /^@ (\S+) (\d+) (\d+) (\d+)$/.exec(text);
            if (!header) return undefined;
            headers.push(header);
        }
        for (const [, name = "", exit, out, err] of headers) {
            const section = { name, exit: Number(exit), stdout: take(Number(out)), stderr: take(Number(err)) };
            if (at >= answer.length) return undefined;
            if (name === "end") return sections;
            sections.push(section);
        }
        at++;
    }
    return undefined;
}
