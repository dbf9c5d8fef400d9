// @ts-check
// On this machine's own kernel: in namespaces that end with the processes in them, whatever becomes of us.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ended } from "../tools/run.mjs";

// Nothing outside sees these mounts, and the product's script finds an /etc and a /run of its own.
const ISOLATED = `
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
exec sh "$1/paths.sh" "$@"`;

/**
 * @param {string} files the folder with all that paths.sh needs
 * @param {{ repetitions: number, packets: number, tcp: string, variants: readonly string[] }} what
 * @param {(line: string) => void} print
 */
export async function onHost(files, { repetitions, packets, tcp, variants }, print) {
    const namespaces = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"];
    const args = ["--pdeathsig", "KILL", ...namespaces, "sh", "-euc", ISOLATED, "sh", files, `${repetitions}`, `${packets}`, ...variants];
    const child = spawn("setpriv", args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, TCP: tcp, CLOCK: "" } });
    for (const stream of [child.stdout, child.stderr]) byLine(stream, print);
    const { code, signal } = await ended(child);
    if (code !== 0) throw new Error(`${join(files, "paths.sh")} ended with ${signal ?? code}`);
}

/** @param {import("node:stream").Readable} stream @param {(line: string) => void} print */
function byLine(stream, print) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        lines.forEach(print);
    });
}
