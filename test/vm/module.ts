import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheFolder } from "../tools/path.mjs";
import { ensureImage, type Release } from "./image.mjs";
import { startMachine } from "./standalone";

const SOURCE = path.join(__dirname, "../../provider/kernel/nvi");

/**
 * The kernel module for a release's emulated router, built once on such a machine and kept in the cache: what DKMS does, which
 * has a test of its own, takes minutes of an emulated processor.
 *
 * @returns the file, by kernel release, as `prebuilt` wants it
 */
export async function prebuiltModule(release: Release): Promise<Record<string, string>> {
  const { kernelRelease: kernel } = await ensureImage(release);
  const hash = createHash("sha256").update(kernel);
  const files = fs.readdirSync(SOURCE).filter(name => /\.[ch]$|^Kbuild$|^Makefile$/.test(name)).sort();
  for (const name of files) hash.update(`${name}\n`).update(fs.readFileSync(path.join(SOURCE, name)));
  const target = path.join(cacheFolder(), `nvi-${kernel}-${hash.digest("hex").slice(0, 16)}.ko`);
  if (!fs.existsSync(target)) await build(release, files, target);
  return { [kernel]: target };
}

async function build(release: Release, files: string[], target: string): Promise<void> {
  console.log(`building nvi.ko on Debian ${release}: ${target}`);
  const { machine, stop } = await startMachine(release);
  try {
    const folder = path.join(machine.options.share, "nvi");
    fs.mkdirSync(folder);
    for (const name of files) fs.copyFileSync(path.join(SOURCE, name), path.join(folder, name));
    // On the machine's own disk: the shared folder is slow.
    await machine.sh("cp -r /etc/ssh/lab/nvi /root/nvi && make -s -C /root/nvi && cp /root/nvi/nvi.ko /etc/ssh/lab/nvi/", [], { timeoutMs: 300_000 });
    fs.copyFileSync(path.join(folder, "nvi.ko"), `${target}.${process.pid}`);
    fs.renameSync(`${target}.${process.pid}`, target);
  } finally {
    stop();
  }
}
