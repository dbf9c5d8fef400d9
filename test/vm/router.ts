import * as fs from "node:fs";
import * as path from "node:path";
import type { BootHooks, RouterBody } from "../lab/body";
import type { FileEntry } from "../lab/files";
import type { EmulationOptions } from "../lab/lab";
import type { User } from "../lab/machine";
import { run, together } from "../lab/process";
import type { Sshd } from "../lab/sshd";
import type { Topology } from "../lab/topology";
import { mac, type Wiring } from "../lab/wiring";
import { changesSince, Snapshot } from "./files";
import { firstFiles, firstScript } from "./first-boot";
import { ensureImage, type Image, type Release } from "./image.mjs";
import { EmulatedMachine, type Nic } from "./machine";
import { EmulatedNode } from "./node";

interface RouterOptions { dir: string; namespace: string; topology: Topology; users?: User[] }

/** What a lab needs for its router to be an emulated machine. */
export async function emulation(release: string, options: EmulationOptions = {}): Promise<{ createRouter(options: RouterOptions): EmulatedRouter }> {
    const image = await ensureImage(release as Release);
    return { createRouter: router => new EmulatedRouter(image, { ...options, ...router }) };
}

/**
 * For so little memory the kernel makes a table of 6,144 connections (nf_conntrack_core.c, nf_conntrack_init_start), which some
 * tests' would fill: it then drops some that are alive. With a size given it takes eight for each bucket.
 */
const CONNECTIONS = "nf_conntrack.hashsize=8192";

class EmulatedRouter {
    readonly node: EmulatedNode;
    readonly machine: EmulatedMachine;

    constructor(private readonly image: Image, private readonly options: RouterOptions & EmulationOptions) {
        const { dir, namespace, topology, users = [], cpus, memoryMegabytes, kernel, kernelArguments } = options;
        const nics = nicsOf(topology);
        const spec = topology.nodes.find(node => node.name === "router")!;
        this.machine = new EmulatedMachine({
            image, namespace, nics, dir: path.join(dir, "machine"), share: this.sshDir,
            ...(cpus ? { cpus } : {}), ...(memoryMegabytes ? { memoryMegabytes } : {}), ...(kernel ? { kernel } : {}),
            kernelArguments: [CONNECTIONS, ...(kernelArguments ?? [])],
            firstFiles: firstFiles(spec, topology.wires, nics), firstScript: firstScript(users),
        });
        fs.mkdirSync(this.machine.options.dir);
        this.node = new EmulatedNode("router", namespace, this.machine);
    }

    get sshDir(): string { return path.join(this.options.dir, "router-ssh"); }

    /** The topology as it is outside of the machine: the wires' ends are ports of bridges, each with the machine's NIC behind it. */
    get outside(): Topology {
        const { topology } = this.options;
        return {
            nodes: topology.nodes.map(node => node.name === "router" ? { name: "router", sysctls: [["net.ipv6.conf.all.disable_ipv6", "1"], ["net.ipv6.conf.default.disable_ipv6", "1"]] } : node),
            wires: topology.wires.map((wire, index) => ({
                ...wire,
                // The address itself is the machine's.
                ends: wire.ends.map(end => end.node === "router" ? { node: "router", nic: end.nic, master: bridge(end.nic), mac: `02:00:5e:01:${hex(index)}:01`, mtu: WIDEST } : end) as typeof wire.ends,
            })),
        };
    }

    body(wiring: Wiring, sshd: Sshd): RouterBody { return new EmulatedBody(this.node, this.machine, wiring, sshd, this.image, this.options); }
}

class EmulatedBody implements RouterBody {
    private readonly snapshot: Snapshot;

    constructor(private readonly node: EmulatedNode, private readonly machine: EmulatedMachine, private readonly wiring: Wiring, private readonly sshd: Sshd,
        private readonly image: Image, private readonly options: RouterOptions) {
        this.snapshot = new Snapshot(image);
    }

    async prepare(): Promise<void> {
        const lines = nicsOf(this.options.topology).flatMap(({ name, tap }) => [
            `link add ${bridge(name)} type bridge forward_delay 0 mcast_snooping 0`, `tuntap add dev ${tap} mode tap`,
            `link set ${tap} mtu ${WIDEST}`, `link set ${tap} master ${bridge(name)}`, `link set ${tap} up`, `link set ${bridge(name)} up`,
        ]);
        await run(["ip", "-n", this.options.namespace, "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
    }

    async boot(): Promise<void> {
        await together([this.sshd.createHostKeys(), this.machine.createDisk()]);
        this.sshd.configure();
        await this.start();
        this.snapshot.take(await changesSince(this.machine, this.image.built));
    }

    async powerOff(): Promise<void> {
        await this.machine.powerCut();
        this.node.stopAgent();
    }

    async powerOn(hooks: BootHooks): Promise<void> {
        if (hooks.beforeNics ?? hooks.beforeSshd) throw new Error("an emulated router boots by itself: put what it is to do early or late into units of its systemd");
        await this.start();
    }

    async reboot(hooks: BootHooks): Promise<void> {
        await this.machine.shutdown();
        this.node.stopAgent();
        await this.powerOn(hooks);
    }

    async pull(nic: string): Promise<void> {
        await this.machine.pull(nic);
        await this.wiring.deleteNic("router", nic);
    }

    /** The system knows the NIC as one that is up already, so it has to be told. */
    async plug(nic: string, configure: boolean): Promise<void> {
        await this.wiring.connect(this.wiring.wiresOf("router", nic));
        await this.machine.plug(nic);
        await this.machine.run(configure ? ["ifup", "--force", nic] : ["ip", "link", "set", nic, "up"]);
    }

    async files(): Promise<FileEntry[]> { return this.snapshot.changes(await changesSince(this.machine, this.image.built)); }

    async limitDisk(freeBytes: number | undefined): Promise<void> {
        await this.machine.sh('rm -f /opt/lab/filler; [ -z "$1" ] || fallocate -l $(($(stat -f -c "%a * %S" /) - $1)) /opt/lab/filler', [freeBytes === undefined ? "" : `${freeBytes}`]);
    }

    private async start(): Promise<void> {
        const from = this.sshd.log().length;
        await this.machine.powerOn();
        const failed = (await this.machine.run(["systemctl", "--failed", "--plain", "--no-legend"])).stdout.trim();
        if (failed) throw new Error(`the router has booted, but not all of its services are up:\n${failed}\n${(await this.machine.sh("journalctl -b -p warning | tail -n 20")).stdout}`);
        await this.sshd.listening(from);
    }
}

/**
 * How much a link takes is between the machine's own NIC and the far end, whose MTUs tests change. What lies between them would drop
 * what it has no room for, in silence, unless it is a GSO packet (is_skb_forwardable in net/core/dev.c). A tap takes no more (drivers/net/tun.c).
 */
const WIDEST = 65_521;

const bridge = (nic: string): string => `br-${nic}`;
const hex = (number: number): string => number.toString(16).padStart(2, "0");

function nicsOf(topology: Topology): Nic[] {
    return topology.wires.flatMap((wire, index) => wire.ends.flatMap((end, side) =>
        end.node === "router" ? [{ name: end.nic, mac: end.mac ?? mac(index, side), tap: `tap-${end.nic}` }] : []));
}
