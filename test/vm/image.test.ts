import * as fs from "node:fs";
import * as path from "node:path";
import { expect, test } from "vitest";
import { ensureImage, type Release } from "./image.mjs";

const release = process.env.NVI_TEST_ROUTER as Release;

test("a disk is built once, and two who want it at the same time get the same one", async () => {
    const [one, two] = await Promise.all([ensureImage(release), ensureImage(release)]);
    expect(one).toEqual(two);
    for (const file of [one.kernel, one.initrd, one.disk, one.manifest]) expect(fs.statSync(file).size, file).toBeGreaterThan(100_000);
    const cache = path.dirname(path.dirname(one.disk));
    expect(fs.readdirSync(cache).filter(name => name.startsWith(path.basename(path.dirname(one.disk))))).toEqual([path.basename(path.dirname(one.disk))]);
});

test("the list of its files has them all", async () => {
    const { manifest, kernelRelease } = await ensureImage(release);
    const lines = fs.readFileSync(manifest, "utf8").split("\n");
    expect(lines.filter(line => / (\/usr)?\/s?bin\/nft$/.test(line))).toEqual([expect.stringMatching(/^file 755 0:0 [0-9a-f]{64} /)]);
    expect(lines.some(line => line.endsWith(`/boot/vmlinuz-${kernelRelease}`))).toBe(true);
});

test("what there is no recipe for is refused", async () => {
    await expect(ensureImage("buster" as Release)).rejects.toThrow("there is no recipe for buster, only for bullseye, bookworm, trixie");
});
