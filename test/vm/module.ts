import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { chroot, run } from "../kernel/shell.mjs";
import { cacheFolder } from "../tools/path.mjs";
import { ensureImage, type Image, type Release } from "./image.mjs";
import { figure } from "../lab/figure";

const SOURCE = path.join(__dirname, "../../provider/kernel/nvi");

/**
 * The kernel module for a release's emulated router, kept in the cache. It is built with the router's own compiler and headers, but
 * by this machine's processor: an emulated one takes minutes. What DKMS does there has a test of its own.
 *
 * @returns the file, by kernel release, as `prebuilt` wants it
 */
export async function prebuiltModule(release: Release): Promise<Record<string, string>> {
    const image = await ensureImage(release);
    const hash = createHash("sha256").update(image.kernelRelease);
    const files = fs.readdirSync(SOURCE).filter(name => /\.[ch]$|^Kbuild$|^Makefile$/.test(name)).sort();
    for (const name of files) hash.update(`${name}\n`).update(fs.readFileSync(path.join(SOURCE, name)));
    const target = path.join(cacheFolder(), `nvi-${image.kernelRelease}-${hash.digest("hex").slice(0, 16)}.ko`);
    if (!fs.existsSync(target)) build(image, files, target);
    return { [image.kernelRelease]: target };
}

/** What of the router a compiler needs; awk is one of the alternatives. */
const NEEDED = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/include", "/usr/src", "/etc/alternatives"];

function build(image: Image, files: string[], target: string): void {
    figure(`building nvi.ko for Debian ${image.release}: ${target}`);
    const root = fs.mkdtempSync(path.join(tmpdir(), "nvi-module-"));
    try {
        for (const folder of ["usr", "etc", "proc", "nvi"]) fs.mkdirSync(path.join(root, folder));
        for (const folder of NEEDED) run("debugfs", ["-R", `rdump ${folder} ${root}${path.dirname(folder)}`, image.disk]);
        for (const folder of ["bin", "sbin", "lib", "lib64"]) fs.symlinkSync(`usr/${folder}`, path.join(root, folder));
        for (const name of files) fs.copyFileSync(path.join(SOURCE, name), path.join(root, "nvi", name));
        chroot(root, `make -s -C /nvi KDIR=/lib/modules/${image.kernelRelease}/build`);
        fs.copyFileSync(path.join(root, "nvi/nvi.ko"), `${target}.${process.pid}`);
        fs.renameSync(`${target}.${process.pid}`, target);
    } finally {
        fs.rmSync(root, { recursive: true, force: true });
    }
}
