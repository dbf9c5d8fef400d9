import * as fs from "node:fs";
import * as path from "node:path";
import { randomUUID } from "node:crypto";
import { Child, run } from "./process";

export interface User {
    name: string;
    /** What sudo asks of this user. With "password" it is `labPassword`. */
    sudo: "none" | "nopasswd" | "password";
    /** @default "/bin/sh" */
    shell?: string;
}

/** The password of every user of the lab's routers; root has none. Only ever valid inside a lab. */
export const labPassword = "lab-pass word'1";
export const labPasswordHash = "$6$nvilab$uyGgMV4JWAcvdGH1bfl54nrRedaq3jj3foCxihRvzmhxMo2.Z1/Wjib.1SdDFjO3NXjzbMTeZckR/hFX8bMCJ/";

/** What the router takes from the test's machine. All else (homes, the work tree, /tmp, /run) does not exist on it. */
const shared = ["bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "var"];

/**
 * The router's own files and processes. Its root is an overlay over the machine's, with every change in a tmpfs, so
 * that labs don't share files, nothing reaches the machine, and what a test left behind can be listed. It has its own pid,
 * host name and mount namespaces: `reboot` typed on it, or a pid that it kills, means nothing outside.
 *
 * Two processes hold it: the keeper owns the tmpfs (the disk), pid 1 owns the rest, so that power can go while the disk stays.
 */
export class Machine {
    private keeper: Child | undefined;
    private init: Child | undefined;
    private initPid = 0;

    /**
     * @param keeperNamespace one that lives as long as the lab, which the router's own does not (it reboots)
     * @param programs a folder whose files go before the machine's; see `newer`
     */
    constructor(private readonly dir: string, private readonly namespace: string, private readonly keeperNamespace: string, private readonly users: User[], private readonly programs?: string) {}

    /** Where the disk is seen from inside the keeper; from outside, see `disk`. */
    private get mountPoint(): string { return path.join(this.dir, "disk"); }
    private get disk(): string { return `/proc/${this.keeper!.pid}/root${this.mountPoint}`; }
    /** What was written on the router, and nothing else. */
    get upper(): string { return path.join(this.disk, "upper"); }
    /** The router's root as it sees it. */
    get root(): string { return `/proc/${this.initPid}/root`; }
    /** A folder that the router sees as /etc/ssh/lab, on none of its disks. */
    get sshDir(): string { return path.join(this.dir, "router-ssh"); }

    async createDisk(): Promise<void> {
        fs.mkdirSync(this.mountPoint);
        fs.mkdirSync(this.sshDir, { recursive: true, mode: 0o755 });
        this.keeper = new Child(["nsenter", `--net=/run/netns/${this.keeperNamespace}`, "unshare", "--mount", "sh", "-c",
            'mount -t tmpfs -o mode=755 tmpfs "$1" && cd "$1" && mkdir base mask upper work root && echo ready && exec sleep infinity', "sh", this.mountPoint], { stdin: "" });
        await this.keeper.waitFor(/^ready/m);
        release(this.keeper);
        const base = path.join(this.disk, "base");
        this.writeBase(base);
        // Overlayfs takes no two layers of which one is inside the other, as the cache folder is inside the machine's root.
        if (this.programs) await run(["cp", "-a", this.programs, path.join(this.disk, "programs")], { timeoutMs: 60_000 });
        // A device 0:0 is overlayfs's mark for "gone": whatever the machine has there does not shine through.
        const masked = fs.readdirSync("/").filter(name => !shared.includes(name));
        await run(["nsenter", `--mount=/proc/${this.keeper.pid}/ns/mnt`, "sh", "-c", 'cd "$1" && shift && for name; do mknod "$name" c 0 0; done', "sh", path.join(this.mountPoint, "mask"), ...masked]);
    }

    /** Starts pid 1 in the router's network namespace, which must exist. */
    async powerOn(): Promise<void> {
        fs.writeFileSync(path.join(this.disk, "boot_id"), `${randomUUID()}\n`);
        this.init = new Child(["nsenter", `--net=/run/netns/${this.namespace}`, `--mount=/proc/${this.keeper!.pid}/ns/mnt`,
            "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", bootScript, "sh", this.mountPoint, this.sshDir, this.programs ? `${path.join(this.mountPoint, "programs")}:` : ""], { stdin: "" });
        const started = await this.init.waitFor(/^pid (\d+)\n(?:.*\n)*ready$/m);
        this.initPid = Number(started[1]);
        release(this.init);
    }

    /** As pulling the plug: nothing on the router gets to run another instruction. /run and /tmp are empty afterwards. */
    async powerOff(): Promise<void> {
        process.kill(this.initPid, "SIGKILL");
        await this.init?.exited();
        for (const name of ["run", "tmp"]) fs.rmSync(path.join(this.upper, name), { recursive: true, force: true });
    }

    /** What to put before a command for it to run on the router. */
    enter(): string[] {
        return ["nsenter", "-t", `${this.initPid}`, "-m", "-u", "-n", "-p"];
    }

    /** Lets the router write this many more bytes; undefined for no limit. */
    async limitDisk(freeBytes: number | undefined): Promise<void> {
        const { blocks, bfree, bsize } = fs.statfsSync(this.disk);
        const size = freeBytes === undefined ? "50%" : `${(blocks - bfree) * bsize + freeBytes}`;
        await run(["nsenter", `--mount=/proc/${this.keeper!.pid}/ns/mnt`, "mount", "-o", `remount,size=${size}`, this.mountPoint]);
    }

    /** The path that a router's file had before anything was written, or undefined where there was none. */
    original(file: string): { path: string; stat: fs.Stats } | undefined {
        for (const candidate of this.layers(file)) {
            const stat = fs.lstatSync(candidate, { throwIfNoEntry: false });
            if (stat) return { path: candidate, stat };
        }
        return undefined;
    }

    /** Names in a folder before anything was written. */
    originalNames(dir: string): string[] {
        const names = new Set<string>();
        for (const layer of this.layers(dir)) if (fs.existsSync(layer)) for (const name of fs.readdirSync(layer)) names.add(name);
        return [...names];
    }

    /** Where a path may be that the router has from its start. */
    private layers(file: string): string[] {
        const relative = file.replace(/^\//, "");
        const layers = ["base", ...this.programs ? ["programs"] : []].map(layer => path.join(this.disk, layer, relative));
        return shared.includes(relative.split("/")[0] ?? "") ? [...layers, path.join("/", relative)] : layers;
    }

    private writeBase(base: string): void {
        const dir = (name: string, mode: number): void => { fs.mkdirSync(path.join(base, name), { recursive: true }); fs.chmodSync(path.join(base, name), mode); };
        const file = (name: string, text: string, mode: number): void => { fs.writeFileSync(path.join(base, name), text); fs.chmodSync(path.join(base, name), mode); };
        for (const name of ["proc", "sys", "dev", "run", "run/sshd", "run/lock", "mnt", "home", "etc", "etc/ssh", "etc/ssh/lab", "etc/sudoers.d"]) dir(name, 0o755);
        dir("root", 0o700);
        dir("tmp", 0o1777);
        file("etc/hostname", "router\n", 0o644);
        file("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 router\n::1 localhost ip6-localhost\n", 0o644);
        file("etc/resolv.conf", "", 0o644);
        const system = fs.readFileSync("/etc/passwd", "utf8").trim().split("\n").filter(line => Number(line.split(":")[2]) < 1000);
        const own = this.users.map((user, i) => `${user.name}:x:${2000 + i}:${2000 + i}::/home/${user.name}:${user.shell ?? "/bin/sh"}`);
        file("etc/passwd", `${[...system, ...own].join("\n")}\n`, 0o644);
        const locked = system.map(line => `${line.split(":")[0]}:*:19000:0:99999:7:::`);
        file("etc/shadow", `${[...locked, ...this.users.map(user => `${user.name}:${labPasswordHash}:19000:0:99999:7:::`)].join("\n")}\n`, 0o600);
        const groups = fs.readFileSync("/etc/group", "utf8").trim();
        file("etc/group", `${[groups, ...this.users.map((user, i) => `${user.name}:x:${2000 + i}:`)].join("\n")}\n`, 0o644);
        const sudoers = this.users.filter(user => user.sudo !== "none").map(user => `${user.name} ALL=(ALL:ALL) ${user.sudo === "nopasswd" ? "NOPASSWD: " : ""}ALL\n`);
        file("etc/sudoers.d/lab", sudoers.join(""), 0o440);
        this.users.forEach((user, i) => { dir(`home/${user.name}`, 0o755); fs.chownSync(path.join(base, "home", user.name), 2000 + i, 2000 + i); });
    }
}

/** A holder must neither keep the test process alive nor fill a pipe. */
function release(child: Child): void {
    child.process.unref();
    for (const stream of [child.process.stdout, child.process.stderr]) (stream as { unref?: () => void } | null)?.unref?.();
}

/**
 * Runs as pid 1. /proc/sys is read-only except net: those knobs are the whole machine's. The same for sysrq.
 * The shell stays to reap what its children leave, as an init does.
 */
const bootScript = `set -e
disk=$1 ssh=$2 root=$1/root
read -r pid rest </proc/self/stat
echo "pid $pid"
mount -t overlay overlay -o "lowerdir=$disk/base:$disk/mask:$3/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
# As initramfs-tools mounts it.
mount --bind "$root/run" "$root/run" && mount -o remount,bind,nosuid,nodev,noexec "$root/run"
mount --bind "$ssh" "$root/etc/ssh/lab"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount --bind "$disk/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -o remount,bind,ro "$root/proc/sys"
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind /dev/null "$root/proc/sysrq-trigger"
hostname router
cd "$root"
pivot_root . .
umount -l .
cd /
echo ready
exec >/dev/null 2>&1 chroot . sh -c 'sleep infinity & while :; do wait; done'
`;
