import * as fs from "node:fs";
import * as path from "node:path";
import { Child, outcome, until, type ChildOptions, type RunOptions, type RunResult } from "../lab/process";
import { routerEnvironment } from "../lab/node";
import { Control, type Command } from "./control";
import { fileArchive } from "./cpio";
import type { Image } from "./image.mjs";
import { Monitor } from "./qmp";

/** A NIC of the machine, backed by a tap device of the same namespace. */
export interface Nic { name: string; mac: string; tap: string }

export interface MachineOptions {
    image: Image;
    /** For the disk, the sockets and the log. */
    dir: string;
    /** The network namespace in which qemu runs, so that whoever removes the namespace ends it. */
    namespace: string;
    /** A folder that the machine mounts at /etc/ssh/lab. */
    share: string;
    nics?: Nic[];
    /** @default 1 */
    cpus?: number;
    /** @default 768 */
    memoryMegabytes?: number;
    /** Another kernel than the image's; what a disk and ext4 take must be built in. */
    kernel?: string;
    kernelArguments?: string[];
    /** Written to the disk before the first boot; `firstScript` runs after that, with the disk as its root. */
    firstFiles?: Array<{ path: string; content: string; mode?: number }>;
    firstScript?: string;
}

/**
 * What makes an emulated kernel faster, and changes nothing that a router is asked to do. An oops or a warning is on the
 * console; ordinary messages are in its log only.
 */
const fastKernel = [
    "root=/dev/vda", "console=ttyS0", "loglevel=5", "systemd.show_status=0", "mitigations=off", "tsc=reliable", "clocksource=tsc", "nowatchdog",
    "init_on_alloc=0", "hardened_usercopy=off", "randomize_kstack_offset=off", "random.trust_cpu=on", "cryptomgr.notests", "audit=0", "selinux=0", "apparmor=0",
];

/** Debian in an emulated PC. The power can go while the disk stays. */
export class EmulatedMachine {
    private qemu: Child | undefined;
    private control: Control | undefined;
    private monitor: Monitor | undefined;
    private booted = 0;
    private readonly pulled = new Set<string>();

    constructor(readonly options: MachineOptions) {}

    get on(): boolean { return this.qemu?.running ?? false; }
    /** What kernel and systemd printed, of all boots. */
    get serialLog(): string { return fs.existsSync(this.file("serial.log")) ? fs.readFileSync(this.file("serial.log"), "utf8") : ""; }
    private file(name: string): string { return path.join(this.options.dir, name); }

    /** A disk that is the image until something is written on it. */
    async createDisk(): Promise<void> {
        const child = new Child(["qemu-img", "create", "-q", "-f", "qcow2", "-b", this.options.image.disk, "-F", "raw", this.file("disk.qcow2")], { stdin: "" });
        await outcome(child);
        const first = (this.options.firstFiles ?? []).map(file => ({ ...file, path: `first/files/${file.path.replace(/^\//, "")}` }));
        const archive = fileArchive([...first, { path: "first/script", content: this.options.firstScript ?? "" }, { path: "first/files/.keep", content: "" }]);
        fs.writeFileSync(this.file("initrd"), Buffer.concat([fs.readFileSync(this.options.image.initrd), archive]));
    }

    /** Gives the time until systemd has started all that it starts. */
    async powerOn(): Promise<number> {
        const started = performance.now();
        const initrd = this.booted++ === 0 ? this.file("initrd") : this.options.image.initrd;
        for (const socket of ["control", "monitor"]) fs.rmSync(this.file(socket), { force: true });
        const serialBefore = this.serialLog.length;
        this.qemu = new Child(["nsenter", `--net=/run/netns/${this.options.namespace}`, "qemu-system-x86_64", ...this.hardware(initrd)], { stdin: "" });
        unref(this.qemu);
        try {
            await until("qemu to open its sockets", () => this.alive() && fs.existsSync(this.file("monitor")) && fs.existsSync(this.file("control")), 20_000);
            this.monitor = await Monitor.connect(this.file("monitor"));
            this.control = await Control.connect(this.file("control"));
            await withDeadline(this.control.bootId, 120_000, "the machine's agent to report");
            // "degraded" is up as well; what failed is the caller's business.
            await this.run(["systemctl", "is-system-running", "--wait"], { allowFailure: true, timeoutMs: 120_000 });
        } catch (error) {
            const log = this.serialLog.slice(serialBefore);
            await this.powerCut();
            throw new Error(`${(error as Error).message}\nqemu: ${this.qemu.stderr.trim()}\nthe last of the console:\n${log.slice(-3000)}`);
        }
        return Math.round(performance.now() - started);
    }

    spawn(argv: readonly string[], options: ChildOptions = {}): Command {
        if (!this.control || !this.on) throw new Error(`the machine is off: ${argv.join(" ")}`);
        const env = Object.fromEntries(Object.entries({ ...routerEnvironment, ...options.env }).filter(([, value]) => value !== undefined)) as Record<string, string>;
        const command = this.control.start(argv, env, options.onStdout);
        if (options.stdin !== undefined) {
            if (options.stdin.length > 0) command.write(options.stdin);
            command.closeInput();
        }
        return command;
    }

    async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
        return await outcome(this.spawn(argv, { stdin: options.stdin ?? "", env: options.env }), options);
    }

    async sh(script: string, args: string[] = [], options: RunOptions = {}): Promise<RunResult> {
        return await this.run(["sh", "-c", script, "sh", ...args], options);
    }

    /** An orderly end and a new start, as an administrator's `reboot`. */
    async reboot(): Promise<number> {
        await this.shutdown();
        return await this.powerOn();
    }

    /** All services stop, all is written to the disk, the power goes off. */
    async shutdown(): Promise<void> {
        // The answer may get lost in what it starts.
        void this.run(["systemctl", "poweroff", "--no-block"], { allowFailure: true }).catch(() => undefined);
        const code = await this.qemu?.exited(60_000);
        if (code === undefined) throw new Error(`the machine does not shut down\n${this.serialLog.slice(-3000)}`);
        this.forget();
    }

    /** Waits for a restart that the machine has begun by itself (a `reboot` typed on it), and powers it on again. */
    async restarted(timeoutMs = 60_000): Promise<number> {
        if (await this.qemu?.exited(timeoutMs) === undefined) throw new Error("the machine did not restart");
        this.forget();
        return await this.powerOn();
    }

    /** As pulling the plug: what the machine has not written to its disk is lost. */
    async powerCut(): Promise<void> {
        await this.qemu?.stop("SIGKILL");
        this.forget();
    }

    /** Removes a NIC as from a running PC; gives the system time to let go of it. */
    async pull(nic: string): Promise<void> {
        const gone = new Promise<void>(resolve => {
            const off = this.monitor!.on(({ event, data }) => { if (event === "DEVICE_DELETED" && data?.device === `nic-${nic}`) { off(); resolve(); } });
        });
        await this.monitor!.ask("device_del", { id: `nic-${nic}` });
        await withDeadline(gone, 20_000, `${nic} to be let go`);
        await this.monitor!.ask("netdev_del", { id: `net-${nic}` });
        this.pulled.add(nic);
    }

    /** Puts it back; its tap device must be there. Gives when the system has named it. */
    async plug(name: string): Promise<void> {
        const nic = this.options.nics?.find(other => other.name === name);
        if (!nic) throw new Error(`the machine has no NIC ${name}`);
        await this.monitor!.ask("netdev_add", { type: "tap", id: `net-${name}`, ifname: nic.tap, script: "no", downscript: "no" });
        await this.monitor!.ask("device_add", { driver: "virtio-net-pci", id: `nic-${name}`, netdev: `net-${name}`, mac: nic.mac });
        this.pulled.delete(name);
        await until(`${name} to appear`, async () => (await this.run(["test", "-e", `/sys/class/net/${name}`], { allowFailure: true })).code === 0, 20_000, 100);
        await this.run(["udevadm", "settle"]);
    }

    /** Pulls the cable of a NIC, or plugs it in again: the NIC stays, its carrier goes. */
    async cable(nic: string, up: boolean): Promise<void> { await this.monitor!.ask("set_link", { name: `nic-${nic}`, up }); }

    private alive(): true {
        if (!this.on) throw new Error("qemu has ended");
        return true;
    }

    private forget(): void {
        this.control?.close();
        this.monitor?.close();
        this.control = this.monitor = undefined;
    }

    private hardware(initrd: string): string[] {
        const { image, nics = [], share, cpus = 1, memoryMegabytes = 768, kernel = image.kernel, kernelArguments = [] } = this.options;
        const devices = nics.filter(nic => !this.pulled.has(nic.name)).flatMap(nic => [
            "-netdev", `tap,id=net-${nic.name},ifname=${nic.tap},script=no,downscript=no`,
            "-device", `virtio-net-pci,id=nic-${nic.name},netdev=net-${nic.name},mac=${nic.mac},romfile=`,
        ]);
        return [
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            // With i440fx the kernel pulls and plugs NICs by ACPI, without ports that would have to be foreseen.
            "-machine", "pc,i8042=off,smbus=off,vmport=off,usb=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", `${cpus}`, "-m", `${memoryMegabytes}`,
            "-kernel", kernel, "-initrd", initrd, "-append", [...fastKernel, ...kernelArguments].join(" "),
            // "unsafe" ignores a flush to the platter; what was flushed is in this machine's memory then, and outlives qemu.
            "-drive", `file=${this.file("disk.qcow2")},if=none,id=disk,cache=unsafe`, "-device", "virtio-blk-pci,drive=disk",
            "-chardev", `socket,id=control,path=${this.file("control")},server=on,wait=off`, "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control,name=lab",
            "-fsdev", `local,id=share,path=${share},security_model=passthrough,multidevs=remap`, "-device", "virtio-9p-pci,fsdev=share,mount_tag=lab",
            "-chardev", `file,id=serial,path=${this.file("serial.log")},append=on`, "-serial", "chardev:serial",
            "-qmp", `unix:${this.file("monitor")},server=on,wait=off`,
            ...devices,
        ];
    }
}

/** Neither the process nor its pipes keep the tests alive. */
function unref(child: Child): void {
    child.process.unref();
    for (const stream of [child.process.stdout, child.process.stderr]) (stream as { unref?: () => void } | null)?.unref?.();
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    let value: { it: T } | undefined;
    void work.then(it => { value = { it }; });
    return (await until(what, () => value, timeoutMs, 20)).it;
}
