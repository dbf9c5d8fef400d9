import { readFileSync, writeFileSync } from "node:fs";
import { MODULE_VERSION } from "../../../provider/model/module";

/** The prebuilt module of the project `vm-module`: the kernel release of its router, and the file. */
export function prebuilt(): { release: string; file: string } {
    const [[release, file] = []] = Object.entries(JSON.parse(process.env.NVI_TEST_MODULES ?? "{}") as Record<string, string>);
    if (release === undefined || file === undefined) throw new Error("these tests are of the project vm-module, which builds the module first");
    return { release, file };
}

/** A copy of a module that says something else of itself, of the same length: the kernel goes by what it says. */
export function altered(from: string, to: string, changes: Record<string, string>): string {
    let text = readFileSync(from, "latin1");
    for (const [old, replacement] of Object.entries(changes)) {
        if (old.length !== replacement.length || !text.includes(old)) throw new Error(`${from} has no ${old} to be replaced by ${replacement}`);
        text = text.replaceAll(old, replacement);
    }
    writeFileSync(to, text, "latin1");
    return to;
}

export const OLDER = "0.0.9";
/** The module as an earlier release of it. */
export const older = (from: string, to: string): string => altered(from, to, { [MODULE_VERSION]: OLDER });
