// @ts-check
// A kernel that watches itself, from Debian's source package of 6.12. Built once, kept in the cache.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache, root } from "./root.mjs";
import { chroot } from "./shell.mjs";

const config = join(dirname(fileURLToPath(import.meta.url)), "debug.config");

// Options that the source lacks vanish silently: those that the tests rest on are looked for afterwards.
const NEEDED = ["KASAN", "PROVE_LOCKING", "PROVE_RCU", "DEBUG_KMEMLEAK", "DEBUG_NET", "NET_DEV_REFCNT_TRACKER", "NF_CONNTRACK_MARK", "WIREGUARD", "NET_VRF", "TUN", "PPP_ASYNC"];

const BUILD = `set -e
cd /build
tar -xf /usr/src/linux-source-6.12.tar.xz --strip-components=1 --exclude=*/Documentation/translations --exclude=*/drivers/gpu
# Kconfig and the Makefiles still name what was left out.
mkdir -p drivers/gpu && tar -xf /usr/src/linux-source-6.12.tar.xz --strip-components=1 --wildcards '*/drivers/gpu/*Kconfig*' '*/drivers/gpu/*Makefile*'
make -s KCONFIG_ALLCONFIG=/debug.config allnoconfig
make -s -j2 bzImage modules_prepare
make -s modules
`;

export function debugKernel() {
    const base = root("6.12");
    const id = createHash("sha256").update(BUILD + readFileSync(config)).digest("hex").slice(0, 16);
    const path = join(cache, `kernel-debug-${id}`);
    const done = join(path, ".done");
    if (!existsSync(done)) {
        console.log(`# builds the debug kernel in ${path}: an hour on two processors`);
        rmSync(path, { recursive: true, force: true });
        mkdirSync(path, { recursive: true });
        copyFileSync(config, join(base, "debug.config"));
        chroot(base, BUILD, { "/build": path });
        const got = readFileSync(join(path, ".config"), "utf8");
        const missing = NEEDED.filter((name) => !got.includes(`CONFIG_${name}=y`));
        if (missing.length) throw new Error(`the debug kernel lacks ${missing.join(" ")}`);
        writeFileSync(done, "");
    }
    return path;
}
