import { spawnSync } from "node:child_process";

export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    const tail = `${done.stdout}${done.stderr}`.trimEnd().split("\n").slice(-30).join("\n");
    throw new Error(`${command} ${args.join(" ")}: exit ${done.status ?? done.signal}\n${tail}`);
  }
  return done.stdout;
}

// Runs a script in a root, with directories of the host bound into it; the mounts vanish with the script.
export function chroot(root, script, binds = {}) {
  const mounts = Object.entries({ "/dev": "/dev", ...binds }).flatMap(([to, from]) => [`mkdir -p "${root}${to}"`, `mount --bind "${from}" "${root}${to}"`]);
  const all = ["set -e", ...mounts, `mount -t proc proc "${root}/proc"`, `exec nice chroot "${root}" /bin/sh -c "$SCRIPT"`].join("\n");
  return run("unshare", ["--mount", "--propagation", "private", "sh", "-c", all], { env: { PATH: process.env.PATH, SCRIPT: script, LC_ALL: "C" } });
}
