// @ts-check
// An emulated machine: a kernel, an initrd, a serial console. It powers itself off.
import { spawn } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { debugKernel } from "./debug.mjs";
import { cache, digest, root } from "./root.mjs";
import { chroot, inRoot, run } from "./shell.mjs";

/** What this machine needs to make one: names of executables. */
export const MACHINE_TOOLS = ["mmdebstrap", "cpio", "unshare", "setpriv"];

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "../../provider/kernel/nvi");

const TOOLS = ["ip", "tc", "bridge", "ss", "nft", "conntrack", "iperf3", "ping", "ethtool", "kmod", "wg", "socat", "dash", "flock", "timeout"];
const MODULES = ["kernel/net", "kernel/drivers/net", "kernel/lib", "kernel/crypto", "kernel/arch/x86/crypto", "kernel/fs/fuse"];

// The tools with their libraries, and the kernel's modules. A kernel that has all built in comes without.
const COLLECT = `set -e
mkdir -p /out/bin /out/sbin /out/lib /out/proc /out/sys /out/dev /out/run /out/tmp /out/etc /out/root /out/var
cp -L "$(command -v busybox)" /out/bin/busybox
for tool in ${TOOLS.join(" ")} pppd; do
    if ! path=$(command -v $tool); then [ $tool = pppd ] && continue; exit 1; fi
    cp -L $path /out/bin/$tool
    for lib in $(ldd $path | grep -o '/[^ ]*'); do mkdir -p /out\${lib%/*}; cp -L $lib /out$lib; done
done
# iperf3 opens it by itself.
for lib in $(find /lib/ /usr/lib -name libgcc_s.so.1); do mkdir -p /out\${lib%/*}; cp -L $lib /out$lib; done
# Without it pppd 2.5 ends at once: for MD4.
for module in /usr/lib/*/ossl-modules/legacy.so; do
    if [ -e $module ]; then mkdir -p /out\${module%/*}; cp -L $module /out$module; fi
done
# Busybox's own shell prefers its own ip and ping.
cp -L "$(command -v dash)" /out/bin/sh
ln -s /bin/kmod /out/sbin/modprobe
for name in insmod rmmod lsmod modinfo depmod; do ln -s /bin/kmod /out/bin/$name; done
for protocols in /etc/protocols /etc/iproute2 /usr/share/iproute2 /etc/services; do
    if [ -e $protocols ]; then mkdir -p /out\${protocols%/*}; cp -r $protocols /out$protocols; fi
done
if [ -n "$RELEASE" ]; then
    from=/lib/modules/$RELEASE
    mkdir -p /out$from
    cp $from/modules.order $from/modules.builtin* /out$from/
    for dir in ${MODULES.join(" ")}; do
        if [ -d $from/$dir ]; then mkdir -p /out$from/\${dir%/*}; cp -r $from/$dir /out$from/\${dir%/*}; fi
    done
    find /out$from -path '*drivers/net/ethernet*' -delete
    depmod -b /out $RELEASE
fi
`;

/** @param {string} directory @param {string} archive */
function pack(directory, archive) {
    run("sh", ["-c", 'find . | cpio --quiet -o -H newc > "$ARCHIVE"'], { cwd: directory, env: { PATH: process.env.PATH, ARCHIVE: archive } });
}

/** @template T @param {(directory: string) => T} use */
function withDirectory(use) {
    const directory = mkdtempSync(join(tmpdir(), "nvi-kernel-"));
    try {
        return use(directory);
    } finally {
        rmSync(directory, { recursive: true, force: true });
    }
}

/** @param {string} base @param {string} release */
function tools(base, release) {
    const archive = join(cache, `initrd-${digest([base, COLLECT, release])}.cpio`);
    if (existsSync(archive)) return archive;
    withDirectory((out) => {
        chroot(base, `RELEASE=${release}\n${COLLECT}`, { "/out": out });
        pack(out, `${archive}.${process.pid}`);
    });
    renameSync(`${archive}.${process.pid}`, archive);
    return archive;
}

/**
 * @typedef {{ name: string, image: string, base: string, release: string, headers: Record<string, string>, tree: string }} Kernel
 * @param {string} name
 * @returns {Kernel}
 */
export function kernel(name) {
    if (name === "debug") {
        const built = debugKernel();
        return { name, image: join(built, "arch/x86/boot/bzImage"), base: root("6.12"), release: "", headers: { "/build": built }, tree: "/build" };
    }
    const base = root(name);
    const [release] = readdirSync(join(base, "lib/modules"));
    if (!release) throw new Error(`no kernel in ${base}`);
    const tree = `/lib/modules/${release}/build`;
    return { name, image: join(base, `boot/vmlinuz-${release}`), base, release, headers: {}, tree };
}

/**
 * Builds the module for a kernel, in the kernel's own release of Debian.
 * @param {Kernel} kernel
 */
function build({ base, headers, tree }) {
    const sources = readdirSync(source).map((name) => [name, readFileSync(join(source, name), "utf8")]);
    const module = join(cache, `nvi-${digest([base, tree, headers, sources])}.ko`);
    if (!existsSync(module)) {
        withDirectory((directory) => {
            cpSync(source, directory, { recursive: true });
            chroot(base, `make -C /nvi KDIR=${tree} CFLAGS_MODULE=-Werror`, { "/nvi": directory, ...headers });
            copyFileSync(join(directory, "nvi.ko"), `${module}.${process.pid}`);
        });
        renameSync(`${module}.${process.pid}`, module);
    }
    return module;
}

/**
 * The initrd of one run: what the kernel needs, the module, and the tests.
 * @param {Kernel} kernel
 * @param {Record<string, string | Buffer>} settings written to /test/<name>
 */
export function initrd(kernel, settings) {
    const archive = join(mkdtempSync(join(tmpdir(), "nvi-kernel-")), "initrd.cpio");
    withDirectory((out) => {
        mkdirSync(join(out, "test"));
        copyFileSync(build(kernel), join(out, "nvi.ko"));
        copyFileSync(join(here, "init"), join(out, "init"));
        copyFileSync(join(here, "lib.sh"), join(out, "test/lib.sh"));
        cpSync(join(here, "tests"), join(out, "test/tests"), { recursive: true });
        for (const [name, text] of Object.entries(settings)) writeFileSync(join(out, "test", name), text);
        pack(out, `${archive}.tests`);
    });
    writeFileSync(archive, Buffer.concat([readFileSync(tools(kernel.base, kernel.release)), readFileSync(`${archive}.tests`)]));
    return archive;
}

/**
 * The emulated processors run in parallel, which is what the tests are about. QEMU before 8.1 cannot do that: it translates
 * code while another processor writes to it (mended by its commit deba78709ae8), so that breakpoints that the kernel sets for
 * a moment, as it switches a static key, stay. Seen with 7.2 and no module but veth, under its traffic, as rps_cpus was
 * switched: "Oops: int3" in netif_rx_internal() within three seconds, three times of three. With 7.2 and thread=single, and
 * with 10.0 in parallel: 3,000 and 2,000 switches and no oops. So the emulator is not the host's.
 */
const PROCESSORS = ["-cpu", "max", "-accel", "tcg,thread=multi", "-smp", "2"];
/** What the emulator calls itself. */
export const emulatorVersion = () => chroot(root("emulator"), "qemu-system-x86_64 --version").split("\n")[0] ?? "";

const QUIET = ["-nographic", "-no-reboot", "-nic", "none", "-monitor", "none", "-serial", "stdio"];

/**
 * @param {Kernel} kernel @param {string} archive @param {(line: string) => void} print
 * @param {{ seconds: number, processors?: string[], append?: string }} options qemu's arguments for the processors, and more
 *   of the kernel's
 * @returns {Promise<boolean>} whether it powered itself off in time
 */
export function boot(kernel, archive, print, { seconds, processors = PROCESSORS, append = "" }) {
    const command = `console=ttyS0 loglevel=5 panic=-1 oops=panic printk.time=1 net.ifnames=0 ${append}`;
    const files = ["-kernel", `/kernel/${basename(kernel.image)}`, "-initrd", `/initrd/${basename(archive)}`];
    const machine = ["qemu-system-x86_64", "-M", "q35", ...processors, "-m", kernel.name === "debug" ? "2560" : "1280", ...QUIET, ...files, "-append", command];
    const inside = inRoot(root("emulator"), machine, { "/kernel": dirname(kernel.image), "/initrd": dirname(archive) });
    // A machine that nobody reads from any more ends.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", inside.command, ...inside.args], { env: inside.env, stdio: ["ignore", "pipe", "inherit"] });
    return new Promise((resolve, reject) => {
        let timely = true;
        let rest = "";
        const timer = setTimeout(() => {
            timely = false;
            child.kill("SIGKILL");
        }, seconds * 1000);
        const remove = () => rmSync(dirname(archive), { recursive: true, force: true });
        // It is mapped by then, and whatever becomes of us, it is gone.
        child.stdout.once("data", remove);
        child.stdout.setEncoding("latin1").on("data", (/** @type {string} */ text) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop() ?? "";
            for (const line of lines) print(line.replace(/\r/g, ""));
        });
        child.on("error", reject).on("close", () => {
            clearTimeout(timer);
            if (rest) print(rest);
            remove();
            resolve(timely);
        });
    });
}
