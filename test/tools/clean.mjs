// @ts-check
// node clean.mjs DIR...: removes directories of this repository, and refuses any other.
import { existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { root } from "./path.mjs";

for (const folder of process.argv.slice(2)) {
    const parent = dirname(resolve(folder));
    if (!existsSync(parent)) continue;
    // A symlink on the way may lead out of the repository.
    const target = join(realpathSync(parent), basename(resolve(folder)));
    const [first] = relative(root, target).split(sep);
    if (first === "" || first === ".." || first === ".git") {
        console.error(`clean: refused: ${folder} is ${target}, which is not a directory inside of ${root}`);
        process.exit(1);
    }
    rmSync(target, { recursive: true, force: true });
}
