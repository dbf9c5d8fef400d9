import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where a program comes from: a folder of the repository, which is copied, or source text by file name. */
export type Source = { dir: string } | { files: Record<string, string> };

/**
 * Makes `folder` a Pulumi project with the source's program in it, installed as a user's would be: `@pulumi/pulumi` and
 * `pulumi-nvi` (as built in dist) resolve from it.
 */
export function writeProject(folder: string, source: Source): void {
    mkdirSync(folder, { recursive: true });
    if ("dir" in source) {
        cpSync(join(root, source.dir), folder, { recursive: true, filter: (path) => basename(path) !== "node_modules" });
    } else {
        writeFiles(folder, source.files);
    }
    const typescript = existsSync(join(folder, "index.ts"));
    writeMissing(folder, {
        // Without it, Pulumi looks for a package.json further up, and runs that one's main.
        "package.json": JSON.stringify({ name: "nvi-test", main: typescript ? "index.ts" : "index.js" }),
        // Loading the TypeScript compiler takes a second, for nothing in a JavaScript program.
        "Pulumi.yaml": `name: nvi-test\nruntime:\n  name: nodejs\n  options:\n    typescript: ${typescript}\n`,
    });
    link(join(root, "node_modules", "@pulumi"), join(folder, "node_modules", "@pulumi"));
    link(join(root, "node_modules", "@types"), join(folder, "node_modules", "@types"));
    link(join(root, "node_modules", "typescript"), join(folder, "node_modules", "typescript"));
    link(root, join(folder, "node_modules", "pulumi-nvi"));
}

export function writeFiles(folder: string, files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), text);
    }
}

function writeMissing(folder: string, files: Record<string, string>): void {
    const missing = Object.entries(files).filter(([name]) => !existsSync(join(folder, name)));
    writeFiles(folder, Object.fromEntries(missing));
}

function link(target: string, path: string): void {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(target, path, "dir");
}
