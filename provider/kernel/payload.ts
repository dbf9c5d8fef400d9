import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What DKMS needs, by the names under which it goes to the router. */
const SOURCES = { "nvi.c": "nvi.c", "kbuild": "Kbuild", "makefile": "Makefile", "dkms.conf": "dkms.conf" } as const;

/** The module's source. */
export function sources(): Record<string, string> {
    return Object.fromEntries(Object.entries(SOURCES).map(([name, file]) => [name, readFileSync(join(__dirname, "nvi", file), "utf8")]));
}

/** A module that was built elsewhere, as text. */
export const binary = (path: string): string => readFileSync(path).toString("base64");
