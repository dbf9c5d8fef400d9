import * as fs from "node:fs";
import { ignoredFiles, type FileEntry } from "../lab/files";
import type { EmulatedMachine } from "./machine";
import type { Image } from "./image.mjs";

/** A path as recipe/root/opt/lab/list.pl lists it; `names` is what a folder holds. */
type Listed = FileEntry & { names: string[] };
type Listing = Map<string, Listed>;

/** Written by systemd, udev, ifupdown and the lab itself, whatever the tests do. */
const ownFiles: RegExp[] = [
    /^\/run\/(systemd|udev|log|mount|user|lock|network|credentials|shm|sendsigs\.omit\.d|tmpfiles\.d|initctl|sshd|sudo|dbus|blkid|rpc_pipefs|agetty\.reload)(\/|$)/,
    /^\/var\/lib\/(systemd|dhcp|urandom)(\/|$)/, /^\/var\/log\/(journal|wtmp|btmp|lastlog|wtmp\.db)(\/|$)/, /^\/etc\/ssh\/lab(\/|$)/, /^\/opt\/lab(\/|$)/,
    /^\/tmp\/(\.(ICE|X11|XIM|font|Test)-unix|systemd-private-.*)(\/|$)/, /^\/lost\+found$/, /^\/(dev|proc|sys|run|tmp)$/, /^\/etc\/(passwd|group|shadow|gshadow)-$/, /^\/etc\/\.pwd\.lock$/,
];

/** All paths whose inode changed after that second. */
export async function changesSince(machine: EmulatedMachine, seconds: number): Promise<Listing> {
    const { stdout } = await machine.run(["perl", "/opt/lab/list.pl", "", `${seconds}`], { timeoutMs: 60_000 });
    return parse(stdout);
}

/** How the machine's files were when the lab had made it: the image's, and what its first boot changed. */
export class Snapshot {
    private original: Listing | undefined;
    private first: Listing = new Map();

    constructor(private readonly image: Image) {}

    take(changes: Listing): void { this.first = changes; }

    changes(now: Listing): FileEntry[] {
        const entries: FileEntry[] = [];
        for (const entry of now.values()) {
            const was = this.was(entry.path);
            if (!was || shown(was) !== shown(entry)) entries.push(strip(entry));
            if (was?.kind !== "directory" || entry.kind !== "directory") continue;
            const left = new Set(entry.names);
            for (const name of was.names) {
                if (!left.has(name)) entries.push({ path: `${entry.path}/${name}`, kind: "deleted", mode: "", owner: "", content: "" });
            }
        }
        return entries.filter(entry => ![...ignoredFiles, ...ownFiles].some(pattern => pattern.test(entry.path))).sort((a, b) => (a.path < b.path ? -1 : 1));
    }

    private was(path: string): Listed | undefined {
        this.original ??= parse(fs.readFileSync(this.image.manifest, "utf8"));
        return this.first.get(path) ?? this.original.get(path);
    }
}

const strip = ({ path, kind, mode, owner, content }: Listed): FileEntry => ({ path, kind, mode, owner, content });
const shown = (entry: Listed): string => JSON.stringify(strip(entry));
const unescaped = (text: string): string => text.replace(/\\x(..)/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));

function parse(text: string): Listing {
    return new Map(text.split("\n").filter(Boolean).map(line => {
        const [kind, mode, owner, content, escaped] = line.split(" ") as [FileEntry["kind"], string, string, string, string];
        const path = unescaped(escaped);
        const names = kind === "directory" && content !== "-" ? content.split("/").map(unescaped) : [];
        return [path, { path, kind, mode, owner, content: kind === "directory" || content === "-" ? "" : unescaped(content), names }];
    }));
}
