import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { spawnSync } from "node:child_process";

/**
 * Labs that are running on this machine, one file each, so that whoever starts next removes what a killed owner left.
 * Every process of a lab runs in one of its namespaces, so the namespaces are all that has to be written down.
 */
const stateDir = path.join(fs.existsSync("/run") ? "/run" : os.tmpdir(), "nvi-lab");

export interface Claim {
    id: string;
    /** A pid alone may have been given to somebody else since: with its start time it can't be mistaken. */
    owner: { pid: number; started: string };
    namespaces: string[];
    dir: string;
}

/** Clock ticks from boot to the start of a process, or undefined when there is none. */
export function startTime(pid: number): string | undefined {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
        const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return afterName[0] === "Z" ? undefined : afterName[19];
    } catch { return undefined; }
}

/** Takes an id that no other lab on this machine has, in this process or another. */
export function claim(): Claim {
    fs.mkdirSync(stateDir, { recursive: true });
    const owner = { pid: process.pid, started: startTime(process.pid) ?? "" };
    for (let n = 1; ; n++) {
        const id = `${process.pid}-${n}`;
        const entry: Claim = { id, owner, namespaces: [], dir: path.join(os.tmpdir(), `nvi-lab-${id}`) };
        try {
            fs.writeFileSync(stateFile(id), JSON.stringify(entry), { flag: "wx" });
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
            throw error;
        }
        fs.rmSync(entry.dir, { recursive: true, force: true });
        fs.mkdirSync(entry.dir, { mode: 0o755 });
        remember(entry);
        return entry;
    }
}

const stateFile = (id: string): string => path.join(stateDir, `${id}.json`);
const live = new Set<Claim>();

/** Call before anything that the entry names is made. */
export function save(entry: Claim): void {
    const fresh = `${stateFile(entry.id)}.new`;
    fs.writeFileSync(fresh, JSON.stringify(entry));
    fs.renameSync(fresh, stateFile(entry.id));
}

/** Removes what labs left whose owners are gone. Two processes may do this at once: every step accepts that it is done already. */
export function removeLeftovers(): string[] {
    const removed: string[] = [];
    for (const file of fs.existsSync(stateDir) ? fs.readdirSync(stateDir) : []) {
        if (!file.endsWith(".json")) continue;
        const entry = read(path.join(stateDir, file));
        if (!entry || startTime(entry.owner.pid) === entry.owner.started) continue;
        demolish(entry);
        removed.push(entry.id);
    }
    return removed;
}

function read(file: string): Claim | undefined {
    try { return JSON.parse(fs.readFileSync(file, "utf8")) as Claim; } catch { return undefined; }
}

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Takes a lab down for good, synchronously, because it also runs while the process exits. */
export function demolish(entry: Claim): void {
    // A dying process may have forked just before: look until there is none.
    for (let round = 0; round < 100; round++) {
        const pids = processesIn(entry.namespaces);
        if (pids.length === 0) break;
        for (const pid of pids) try { process.kill(pid, "SIGKILL"); } catch { /* it was faster */ }
        Atomics.wait(pause, 0, 0, 5);
    }
    const existing = entry.namespaces.filter(name => fs.existsSync(`/run/netns/${name}`));
    if (existing.length > 0) {
        spawnSync("ip", ["-force", "-batch", "-"], { input: existing.map(name => `netns del ${name}\n`).join("") });
    }
    fs.rmSync(entry.dir, { recursive: true, force: true });
    fs.rmSync(stateFile(entry.id), { force: true });
    live.delete(entry);
}

/** Pids of all processes whose network namespace is one of these. Names are ours alone, so whoever is inside was started by the lab. */
export function processesIn(namespaces: readonly string[]): number[] {
    const inodes = new Set<string>();
    for (const name of namespaces) {
        try { inodes.add(`net:[${fs.statSync(`/run/netns/${name}`).ino}]`); } catch { /* not made yet, or gone */ }
    }
    if (inodes.size === 0) return [];
    return fs.readdirSync("/proc").filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
        try { return pid !== process.pid && inodes.has(fs.readlinkSync(`/proc/${pid}/ns/net`)); } catch { return false; }
    });
}

let armed = false;

function remember(entry: Claim): void {
    live.add(entry);
    if (armed) return;
    armed = true;
    const all = (): void => { for (const lab of [...live]) demolish(lab); };
    process.on("exit", all);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        const handler = (): void => {
            all();
            process.removeListener(signal, handler);
            // With no other listener the signal would have ended the process: our listening must not change that.
            if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
        };
        process.on(signal, handler);
    }
    // Whoever runs the tests was killed, and a worker of vitest would go on for nobody.
    process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
}
