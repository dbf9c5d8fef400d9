// @ts-check
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MILLISECONDS = 500;

/**
 * Runs `work` while no other process does so with the same lock file. It saves work and guards nothing: where the
 * processes cannot see each other (containers that share a cache) both go on.
 *
 * @template T
 * @param {string} file
 * @param {{ work: () => Promise<T>, waiting: (pid: number) => void }} options
 * @returns {Promise<T>}
 */
export async function withLock(file, { work, waiting }) {
    let told = false;
    while (!acquire(file)) {
        const holder = livingHolder(file);
        if (holder === undefined) {
            rmSync(file, { force: true });
            continue;
        }
        if (!told) waiting(holder);
        told = true;
        await sleep(POLL_MILLISECONDS);
    }
    try {
        return await work();
    } finally {
        rmSync(file, { force: true });
    }
}

/** @param {string} file */
function acquire(file) {
    // A link appears with its content, so that nobody reads a lock without a holder.
    const own = `${file}.${process.pid}`;
    writeFileSync(own, `${process.pid} ${startOf(process.pid)}`);
    try {
        linkSync(own, file);
        return true;
    } catch (/** @type {any} */ error) {
        if (error.code === "EEXIST") return false;
        throw error;
    } finally {
        rmSync(own, { force: true });
    }
}

/** @param {string} file @returns {number | undefined} the pid in the lock file, if that process still runs */
function livingHolder(file) {
    let text;
    try {
        text = readFileSync(file, "utf8");
    } catch {
        return undefined;
    }
    const [pid, start] = text.split(" ");
    return start !== undefined && startOf(Number(pid)) === start ? Number(pid) : undefined;
}

/**
 * A pid is given to another process sooner or later, in a container at once; with the time of its start it is unique.
 *
 * @param {number} pid
 * @returns {string | undefined}
 */
function startOf(pid) {
    try {
        // The second field is the program's name in parentheses, with any character in it; the start is field 22.
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    } catch {
        return undefined;
    }
}
