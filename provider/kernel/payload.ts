import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(__dirname, "nvi");
/** What DKMS needs of it. */
const NEEDED = /\.[ch]$|^(?:Kbuild|Makefile|dkms\.conf)$/;

/** The module's source, by the names under which it goes to the router: `module.main.c`. */
export function sources(): Record<string, string> {
    const files = readdirSync(FOLDER).filter((name) => NEEDED.test(name)).sort();
    return Object.fromEntries(files.map((name) => [`module.${name.toLowerCase()}`, readFileSync(join(FOLDER, name), "utf8")]));
}

/** A module that was built elsewhere, as text. */
export const binary = (path: string): string => readFileSync(path).toString("base64");
