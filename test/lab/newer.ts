import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { withLock } from "../engine/lock.mjs";
import { cacheFolder } from "../tools/path.mjs";
import { aptSources } from "../vm/image.mjs";
import { run } from "./process";

/** OpenSSH 10 with PerSourcePenalties, sudo-rs, and login shells. Their libraries come along. */
const packages = ["openssh-server", "sudo-rs", "fish", "zsh"];

/**
 * Programs of Debian 13, in a folder whose `usr` can be laid over this machine's: what is older runs on the newer libraries
 * as well. Fetched once, kept in the cache folder; a sentence where they can't be had.
 */
export async function newer(): Promise<{ programs: string; missing?: undefined } | { programs?: undefined; missing: string }> {
    const hash = createHash("sha256").update(`${packages.join(" ")} ${process.arch}`).digest("hex").slice(0, 16);
    const programs = path.join(cacheFolder(), `programs-trixie-${hash}`);
    try {
        if (fs.existsSync(programs)) return { programs };
        fs.mkdirSync(path.dirname(programs), { recursive: true });
        await withLock(`${programs}.lock`, { waiting: () => undefined, work: async () => { if (!fs.existsSync(programs)) await fetchInto(programs); } });
        return { programs };
    } catch (error) {
        return { missing: `the programs of Debian 13 could not be fetched: ${(error as Error).message}` };
    }
}

async function fetchInto(target: string): Promise<void> {
    const scratch = fs.mkdtempSync(`${target}.fetching-`);
    try {
        const root = path.join(scratch, "root");
        const stdin = `${(await aptSources("trixie")).join("\n")}\n`;
        await run(["nice", "mmdebstrap", "--mode=root", "--variant=extract", `--include=${packages.join(",")}`, "trixie", root, "-"], { stdin, timeoutMs: 240_000 });
        fs.mkdirSync(path.join(scratch, "programs"));
        fs.renameSync(path.join(root, "usr"), path.join(scratch, "programs", "usr"));
        for (const name of ["doc", "man", "locale"]) fs.rmSync(path.join(scratch, "programs", "usr", "share", name), { recursive: true, force: true });
        for (const folder of [".", "usr"]) fs.chmodSync(path.join(scratch, "programs", folder), 0o755);
        fs.renameSync(path.join(scratch, "programs"), target);
    } finally {
        fs.rmSync(scratch, { recursive: true, force: true });
    }
}
