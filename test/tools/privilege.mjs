// @ts-check
import { spawnSync } from "node:child_process";
import { toolPath } from "./path.mjs";

/** @returns {string[] | undefined} the command to put in front of what needs root: nothing for root itself */
export function becomeRoot() {
    if (process.getuid?.() === 0) return [];
    return works(["sudo", "-n", "true"]) ? ["sudo", "-n"] : undefined;
}

/** @returns {string | undefined} why network namespaces cannot be made here */
export function namespaceTrouble() {
    const become = becomeRoot();
    if (!become) return "this user is not root, and sudo -n (without a password) does not work";
    // Root of a container may lack CAP_SYS_ADMIN.
    if (works([...become, "unshare", "--net", "--mount", "true"])) return undefined;
    return "even root may not make network namespaces here (a container? it has to be a privileged one)";
}

/** @param {string[]} command */
function works([command = "", ...args]) {
    return spawnSync(command, args, { stdio: "ignore", env: { ...process.env, PATH: toolPath() } }).status === 0;
}
