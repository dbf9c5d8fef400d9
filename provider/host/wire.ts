import { createHash } from "node:crypto";
import type { Section } from "./host";

/*
 * What goes to the router-side script and what comes back. Both directions carry their lengths, so that a
 * cut connection can never make half a message look whole.
 */

/** Packs files for the script: an index of names and sizes, an empty line, then the files. */
export function packBundle(files: Readonly<Record<string, string>>): Buffer {
    const parts = Object.entries(files).map(([name, text]) => ({ name, bytes: Buffer.from(text, "utf8") }));
    for (const { name } of parts) if (!/^[A-Za-z0-9_.-]+$/.test(name)) throw new Error(`not a bundle file's name: ${name}`);
    const index = parts.map(({ name, bytes }) => `${name} ${bytes.length}\n`).join("");
    return Buffer.concat([Buffer.from(`${index}\n`), ...parts.map(({ bytes }) => bytes)]);
}

export const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** Reads the script's answer; undefined where it is not whole. */
export function parseAnswer(answer: Buffer): Section[] | undefined {
    const sections: Section[] = [];
    let at = 0;
    while (at < answer.length) {
        const newline = answer.indexOf(0x0a, at);
        const header = newline < 0 ? null : /^@ (\S+) (\d+) (\d+) (\d+)$/.exec(answer.toString("latin1", at, newline));
        if (!header) return undefined;
        const [, name, exit, out, err] = header as unknown as [string, string, string, string, string];
        const middle = newline + 1 + Number(out);
        const close = middle + Number(err);
        if (close >= answer.length) return undefined;
        if (name === "end") return sections;
        sections.push({ name, exit: Number(exit), stdout: answer.toString("utf8", newline + 1, middle), stderr: answer.toString("utf8", middle, close) });
        at = close + 1;
    }
    return undefined;
}
