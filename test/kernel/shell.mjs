// @ts-check
import { spawnSync } from "node:child_process";

/**
 * @param {string} command
 * @param {string[]} args
 * @param {import("node:child_process").SpawnSyncOptions} [options]
 */
export function run(command, args, options = {}) {
    const done = spawnSync(command, args, { maxBuffer: 1 << 28, ...options, encoding: "utf8" });
    if (done.error) throw done.error;
    if (done.status !== 0) {
        const tail = `${done.stdout}${done.stderr}`.trimEnd().split("\n").slice(-30).join("\n");
        throw new Error(`${command} ${args.join(" ")}: exit ${done.status ?? done.signal}\n${tail}`);
    }
    return done.stdout;
}

/**
 * A command in a root, with directories of the host bound into it; the mounts vanish with the command.
 * @param {string} root
 * @param {string[]} command
 * @param {Record<string, string>} binds where in the root, and what of the host
 */
export function inRoot(root, command, binds) {
    const mounts = Object.entries({ "/dev": "/dev", ...binds }).flatMap(([to, from]) => [
        `mkdir -p "${root}${to}"`,
        `mount --bind "${from}" "${root}${to}"`,
    ]);
    const all = ["set -e", ...mounts, `mount -t proc proc "${root}/proc"`, `exec nice -n 2 chroot "${root}" "$@"`];
    return {
        command: "unshare",
        args: ["--mount", "--propagation", "private", "sh", "-c", all.join("\n"), "sh", ...command],
        env: { PATH: process.env.PATH, LC_ALL: "C" },
    };
}

/**
 * @param {string} root
 * @param {string} script
 * @param {Record<string, string>} [binds]
 */
export function chroot(root, script, binds = {}) {
    const { command, args, env } = inRoot(root, ["/bin/sh", "-c", script], binds);
    return run(command, args, { env });
}
