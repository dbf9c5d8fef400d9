import * as fs from "node:fs";
import * as path from "node:path";
import { createHash } from "node:crypto";
import type { Machine } from "./machine";

export interface FileEntry {
    path: string;
    /** A directory is listed only when it is new, or its mode or owner changed. */
    kind: "file" | "directory" | "link" | "deleted" | "other";
    /** Octal, with setuid and sticky bits. */
    mode: string;
    owner: string;
    /** SHA-256 of the content, or a link's target. */
    content: string;
}

/** Written by sshd, sudo and shells, whatever the tests do. */
export const ignoredFiles: RegExp[] = [
    /^\/run\/sudo(\/|$)/, /^\/var\/lib\/sudo(\/|$)/, /^\/run\/(utmp|sshd\.pid|motd.*)$/, /^\/var\/log\/(wtmp|btmp|lastlog|faillog)$/,
    /^\/(root|home\/[^/]+)\/\.(bash|ash|sh)_history$/, /^\/(root|home\/[^/]+)\/\.cache(\/|$)/, /^\/var\/cache\/ldconfig(\/|$)/,
];

/**
 * Everything on the router that differs from how the lab made it. A file that was written and then put back as it was
 * is no difference, although overlayfs keeps a copy.
 */
export function changedFiles(machine: Machine): FileEntry[] {
    const entries: FileEntry[] = [];
    visit(machine, "", entries);
    return entries.filter(entry => !ignoredFiles.some(pattern => pattern.test(entry.path))).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function visit(machine: Machine, dir: string, entries: FileEntry[]): void {
    const seen = new Set(names(path.join(machine.root, dir)));
    for (const name of machine.originalNames(dir)) {
        if (seen.has(name) || dir === "" && isMountPoint(name)) continue;
        entries.push({ path: `${dir}/${name}`, kind: "deleted", mode: "", owner: "", content: "" });
    }
    for (const name of names(path.join(machine.upper, dir))) {
        if (!seen.has(name)) continue;
        const file = `${dir}/${name}`;
        const now = fs.lstatSync(path.join(machine.root, file), { throwIfNoEntry: false });
        if (!now) continue;
        const before = machine.original(file);
        const entry = describe(path.join(machine.root, file), now);
        const was = before && describe(before.path, before.stat);
        if (!was || JSON.stringify(was) !== JSON.stringify(entry)) entries.push({ path: file, ...entry });
        if (now.isDirectory()) visit(machine, file, entries);
    }
}

const isMountPoint = (name: string): boolean => ["proc", "sys", "dev"].includes(name);

function names(dir: string): string[] {
    try { return fs.readdirSync(dir); } catch { return []; }
}

function describe(file: string, stat: fs.Stats): Omit<FileEntry, "path"> {
    const common = { mode: (stat.mode & 0o7777).toString(8), owner: `${stat.uid}:${stat.gid}` };
    if (stat.isDirectory()) return { kind: "directory", ...common, content: "" };
    if (stat.isSymbolicLink()) return { kind: "link", ...common, content: fs.readlinkSync(file) };
    if (!stat.isFile()) return { kind: "other", ...common, content: "" };
    return { kind: "file", ...common, content: createHash("sha256").update(fs.readFileSync(file)).digest("hex") };
}
