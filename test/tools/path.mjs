// @ts-check
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

// A user's PATH often lacks them, and sshd, nft and ip live there.
const SYSTEM = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** PATH with the folders of the system's tools. */
export function toolPath(path = process.env.PATH ?? "") {
    const folders = path.split(delimiter).filter(Boolean);
    return [...folders, ...SYSTEM.filter((folder) => !folders.includes(folder))].join(delimiter);
}

/**
 * @param {string} name
 * @param {string} [path]
 * @returns {string | undefined} the executable's path
 */
export function which(name, path = process.env.PATH ?? "") {
    return path.split(delimiter).filter(Boolean).map((folder) => join(folder, name)).find(isExecutable);
}

/** @param {string} file */
export function isExecutable(file) {
    try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
    } catch {
        return false;
    }
}

/** PATH on which `node` is the one that runs us: the language host and the dynamic provider start it by name. */
export function nodeFirst(path = process.env.PATH ?? "") {
    const found = which("node", path);
    if (found && realpathSync(found) === realpathSync(process.execPath)) return path;
    return [dirname(process.execPath), path].join(delimiter);
}

/** Where what takes long to build is kept, for all work trees of this user. */
export function cacheFolder() {
    return process.env.NVI_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-nvi");
}
