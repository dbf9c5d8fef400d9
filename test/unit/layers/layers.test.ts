import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve, dirname } from "node:path";
import { describe, expect, test } from "vitest";

const provider = resolve(__dirname, "../../../provider");

/** What each room may import: packages, and other rooms. Type imports count too: they are dependencies of the reader. */
const ROOMS: Record<string, { packages: string[]; rooms: string[] }> = {
    model: { packages: ["zod"], rooms: [] },
    syntax: { packages: [], rooms: ["model"] },
    resources: { packages: ["zod"], rooms: ["model", "syntax"] },
    reconcile: { packages: ["node:crypto"], rooms: ["model", "syntax", "host/host", "kernel"] },
    kernel: { packages: ["node:fs", "node:path"], rooms: [] },
    host: { packages: ["ssh2", "node:"], rooms: ["model"] },
    pulumi: { packages: ["node:util"], rooms: ["model", "resources", "reconcile", "host"] },
};

function sources(folder: string): string[] {
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts")).map((name) => join(folder, name));
}

/** Imports of a file that its room may not have. */
function strays(room: string, file: string): string[] {
    const { packages, rooms } = ROOMS[room]!;
    const imports = [...readFileSync(file, "utf8").matchAll(/^(?:import|export|\}).*?from "([^"]+)";$/gm)].map((match) => match[1]!);
    return imports.filter((name) => {
        if (!name.startsWith(".")) return !packages.some((allowed) => name === allowed || (allowed.endsWith(":") && name.startsWith(allowed)));
        const target = relative(provider, resolve(dirname(file), name));
        return ![room, ...rooms].some((allowed) => target === allowed || target.startsWith(`${allowed}/`));
    }).map((name) => `${relative(provider, file)} imports ${name}`);
}

describe("rooms import only what is below them", () => {
    test.each(Object.keys(ROOMS))("%s", (room) => {
        const files = sources(join(provider, room));
        expect(files.length).toBeGreaterThan(0);
        expect(files.flatMap((file) => strays(room, file))).toEqual([]);
    });

    test("every room is listed", () => {
        const folders = readdirSync(provider, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
        expect(folders.sort()).toEqual(Object.keys(ROOMS).sort());
    });
});
