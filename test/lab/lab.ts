import * as fs from "node:fs";
import * as path from "node:path";
import type { BootHooks, RouterBody } from "./body";
import { changedFiles, type FileEntry } from "./files";
import { dumpRouter } from "./dump";
import { Machine, type User } from "./machine";
import { LabNode } from "./node";
import { NamespaceBody } from "./namespace-body";
import { run, together, type RunOptions, type RunResult } from "./process";
import { claim, demolish, removeLeftovers, save, type Claim } from "./registry";
import { Relay } from "./relay";
import { keygen, Sshd, type SshdOptions } from "./sshd";
import { echoPorts, office, officeTopology, type OfficeOptions, type Topology } from "./topology";
import { Wiring } from "./wiring";

/**
 * The office. Every box is a network namespace; the router also has its own files, processes and sshd.
 *
 *   client 10.0.0.5 .6 ──┐              ┌──────────── router ────────────┐
 *     2001:db8:a::5      ├─ lan (br0) ──┤ lan0                      isp1 ├─── cust gw1 wan ───┐
 *   server 10.0.0.80   ──┘              │ 10.0.0.1     198.51.100.2/28   │ 198.51.100.1       │
 *     2001:db8:a::80                    │ 2001:db8:a::1  2001:db8:1::2   │ 2001:db8:1::1      │ g1
 *                                       │                                │                 internet
 *   tenant1 10.1.0.5 ───────────────────┤ t1                        isp2 ├─── cust gw2 wan ───┤ g2
 *   tenant2 10.1.0.5 ───────────────────┤ t2           203.0.113.2/28    │ 203.0.113.1        │
 *     both 2001:db8:b::5                │ 10.1.0.1       2001:db8:2::2   │ 2001:db8:2::1      │
 *   (only if asked for)                 │ 2001:db8:b::1                  │                    │
 *                                       └────────────────────────────────┘                    │
 *   internet: 192.0.2.10, 2001:db8:99::10, and every address of 192.0.2.0/24, 100.64.0.0/16, 2001:db8:99::/64
 *
 * With `router: { release }` the router is Debian in an emulated machine, whose NICs are bridged to the wires' ends.
 *
 * The router's own default route is isp1, both families. The gateways drop and count what comes from the customer with a
 * source that isn't the ISP's, so a packet that leaves by the wrong uplink is never answered. client, server, internet and
 * the tenants answer echo on the `echoPorts`. The test itself sits outside of all this, and reaches the router's sshd by a
 * relay that dials from the client (or from the internet).
 */
export class Lab {
    readonly topology: Topology;
    readonly router: LabNode;
    readonly sshd: Sshd;
    private readonly nodes = new Map<string, LabNode>();
    private readonly wiring: Wiring;
    private readonly body: RouterBody;
    private readonly ownMachine: Machine | undefined;
    private readonly relays = new Map<string, Relay>();
    private admin: SshAccess | undefined;
    private stopped = false;

    private constructor(private readonly entry: Claim, readonly options: LabOptions, emulation?: Emulation) {
        this.topology = officeTopology(options);
        const namespaceOf = (node: string): string => `nvi-${entry.id}-${node}`;
        entry.namespaces = this.topology.nodes.map(node => namespaceOf(node.name));
        save(entry);
        const router = emulation?.createRouter({ ...options, dir: entry.dir, namespace: namespaceOf("router"), topology: this.topology });
        this.ownMachine = router ? undefined : new Machine(entry.dir, namespaceOf("router"), namespaceOf("lan"), options.users ?? [], options.programs);
        for (const { name } of this.topology.nodes) {
            this.nodes.set(name, new LabNode(name, namespaceOf(name), name === "router" ? () => this.machine.enter() : undefined));
        }
        if (router) this.nodes.set("router", router.node);
        this.router = this.node("router");
        this.wiring = new Wiring(router?.outside ?? this.topology, namespaceOf);
        this.sshd = new Sshd(this.router, router?.sshDir ?? this.machine.sshDir, { ...options.sshd, service: router !== undefined });
        this.body = router?.body(this.wiring, this.sshd) ?? new NamespaceBody(this.router, this.machine, this.wiring, this.sshd);
    }

    static async start(options: LabOptions = {}): Promise<Lab> {
        if (process.getuid?.() !== 0) throw new Error("the lab makes network namespaces, so it must run as root");
        removeLeftovers();
        const release = options.router?.release ?? process.env.NVI_TEST_ROUTER;
        const emulation = release ? await (await import("../vm/router")).emulation(release, options.router) : undefined;
        const lab = new Lab(claim(), options, emulation);
        try {
            await lab.build();
            return lab;
        } catch (error) {
            await lab.stop();
            throw error;
        }
    }

    get id(): string { return this.entry.id; }
    /** Keys, known_hosts, sshd's configuration and log. Gone after `stop`. */
    get dir(): string { return this.entry.dir; }
    /** The way that the administrator comes in: over the LAN, or as `adminFrom` says. */
    get ssh(): SshAccess { return this.admin!; }
    get relay(): Relay { return this.ssh.relay; }

    node(name: string): LabNode {
        const node = this.nodes.get(name);
        if (!node) throw new Error(`this lab has no node ${name}; it has ${[...this.nodes.keys()].join(", ")}`);
        return node;
    }

    /** Another way in: the same router and key, dialled from another machine or to another of the router's addresses. */
    async sshFrom(from: string, to?: string): Promise<SshAccess> {
        const host = to ?? (from === "internet" ? office.router.isp1v4 : from.startsWith("tenant") ? office.tenant.router4 : office.router.lan4);
        const name = `${from} ${host}`;
        const relay = this.relays.get(name) ?? await Relay.start(this.node(from), host, this.sshd.port);
        this.relays.set(name, relay);
        return { host: "127.0.0.1", port: relay.port, user: this.options.user ?? "root", privateKeyPath: this.keyFile, hostKey: this.sshd.hostKey, knownHosts: this.writeKnownHosts(), relay };
    }

    /** Runs a command on the router by the ssh client of this machine, as a user would. */
    async sshRun(command: string, options: RunOptions & { via?: SshAccess; args?: string[] } = {}): Promise<RunResult> {
        const via = options.via ?? this.ssh;
        return await run(["ssh", ...sshArguments(via), ...options.args ?? [], `${via.user}@${via.host}`, command], options);
    }

    /** Lets a public key in (as the admin's user), or another user. */
    authorize(publicKey: string, user = this.options.user ?? "root"): void { this.sshd.authorize(user, publicKey); }
    revoke(publicKey: string, user?: string): void { this.sshd.revoke(publicKey, user); }

    /** The files of a router in namespaces. */
    get machine(): Machine {
        if (!this.ownMachine) throw new Error("an emulated router has its files on its own disk: read them with lab.router.sh");
        return this.ownMachine;
    }

    /** The router's files that differ from how the lab made it. Only of a router in namespaces; see `changedFiles`. */
    files(): FileEntry[] { return changedFiles(this.machine); }
    /** The same of any router. */
    async changedFiles(): Promise<FileEntry[]> { return await this.body.files(); }
    /** The router's whole network state and files, as text that two moments can be compared by. See dump.ts. */
    async dump(): Promise<string> { return await dumpRouter(this.router, await this.body.files()); }
    async limitDisk(freeBytes: number | undefined): Promise<void> { await this.body.limitDisk(freeBytes); }

    /** Makes a file of the router vanish, as if its package were not installed. */
    async hide(file: string): Promise<void> {
        await this.router.sh('mkdir -p /etc/ssh/lab/hidden && mv "$(readlink -f "$1")" "/etc/ssh/lab/hidden/$(basename "$1")"', [file]);
    }

    async unhide(file: string): Promise<void> {
        await this.router.sh('mv -f "/etc/ssh/lab/hidden/$(basename "$1")" "$(readlink -f "$1")"', [file]);
    }

    /** Replaces a tool of the router by a script, until `unhide`. */
    async fake(file: string, script: string): Promise<void> {
        await this.hide(file);
        await this.router.sh('cat > "$1" && chmod 755 "$1"', [file], { stdin: script });
    }

    /** Packets that the ISPs dropped because their source was not the ISP's own. */
    async spoofed(): Promise<{ isp1: number; isp2: number }> {
        const count = async (gateway: string): Promise<number> => {
            if (this.options.strictIsp === false) return 0;
            const { stdout } = await this.node(gateway).run(["nft", "-j", "list", "counters"]);
            const { nftables } = JSON.parse(stdout) as { nftables: Array<{ counter?: { packets: number } }> };
            return nftables.reduce((sum, item) => sum + (item.counter?.packets ?? 0), 0);
        };
        const [isp1, isp2] = await Promise.all([count("gw1"), count("gw2")]);
        return { isp1, isp2 };
    }

    /** Whence, whither, protocol and ports of what they dropped so, of each ISP the first kinds. */
    async spoofedPackets(): Promise<string[]> {
        const listed = await Promise.all(["gw1", "gw2"].map(async (gateway) => (await this.node(gateway).run(["nft", "-n", "list", "table", "inet", "isp"])).stdout));
        return listed.flatMap((table, i) => [...table.matchAll(/elements = \{([^}]*)\}/g)].flatMap(([, elements]) => elements!.split(",").map((element) => `isp${i + 1}: ${element.trim()}`)));
    }

    /** Removes a NIC of the router, as when a card is pulled or a PPP session ends. */
    async pull(nic: string): Promise<void> { await this.body.pull(nic); }

    /** Brings it back, with a new index. `configure: false` leaves addresses and routes to whoever is asked to react to it. */
    async plug(nic: string, options: { configure?: boolean } = {}): Promise<void> { await this.body.plug(nic, options.configure ?? true); }

    /** A restart: the disk stays, all else starts anew. Of namespaces it is a power cut; a machine of its own is shut down first. */
    async reboot(hooks: BootHooks = {}): Promise<void> { await this.body.reboot(hooks); }

    /** A power cut. */
    async powerOff(): Promise<void> { await this.body.powerOff(); }
    async powerOn(hooks: BootHooks = {}): Promise<void> { await this.body.powerOn(hooks); }

    async stop(): Promise<void> {
        if (this.stopped) return;
        this.stopped = true;
        for (const node of this.nodes.values()) node.stopAgent();
        demolish(this.entry);
    }

    private get keyFile(): string { return path.join(this.dir, "admin_key"); }

    private async build(): Promise<void> {
        const names = this.topology.nodes.map(node => node.name);
        const [publicKey] = await together([keygen(this.keyFile, { comment: "lab admin" }), this.wiring.createNamespaces(names)]);
        for (const user of ["root", ...(this.options.users ?? []).map(user => user.name)]) this.authorize(publicKey, user);
        await this.body.prepare();
        await together([this.wireAndListen(names), this.body.boot()]);
        this.admin = await this.sshFrom(this.options.adminFrom ?? "client");
    }

    private async wireAndListen(names: string[]): Promise<void> {
        const hosts = this.topology.nodes.filter(node => node.answersAt);
        for (const host of hosts) void this.node(host.name).agent; // they start while we wire
        await this.wiring.connect(this.wiring.topology.wires);
        await Promise.all(names.map(async name => await this.wiring.addRoutes(name)));
        await Promise.all(hosts.map(async host => await this.listen(host.name, echoPorts)));
    }

    /** Answers echo at more ports of a machine. UDP is bound to the addresses that the topology gives it. */
    async listen(name: string, ports: number[], proto?: "tcp" | "udp"): Promise<void> {
        const addresses = this.topology.nodes.find(node => node.name === name)?.answersAt ?? [];
        await this.node(name).agent.ask("listen", { name, ports, proto, addresses, ipv6: this.options.ipv6 ?? true });
    }

    private writeKnownHosts(): string {
        const file = path.join(this.dir, "known_hosts");
        const lines = [...this.relays.values()].flatMap(relay => this.sshd.hostKeys.map(key => `[127.0.0.1]:${relay.port} ${key}\n`));
        fs.writeFileSync(file, lines.join(""));
        return file;
    }
}

export interface LabOptions extends OfficeOptions {
    /** Makes the router an emulated machine. @default what NVI_TEST_ROUTER names, else namespaces */
    router?: EmulationOptions;
    /** Which machine the administrator dials from. @default "client" */
    adminFrom?: string;
    /** Who logs in; one of `users`, or root. @default "root" */
    user?: string;
    users?: User[];
    sshd?: SshdOptions;
    /** A folder of programs that go before the machine's own on a router in namespaces; see `newer`. */
    programs?: string;
}

export interface EmulationOptions {
    /** Of Debian: bullseye, bookworm, trixie. */
    release?: string;
    /** @default 1 */
    cpus?: number;
    /** @default 768 */
    memoryMegabytes?: number;
    /** Another kernel than the release's; what a disk and ext4 take must be built in. */
    kernel?: string;
    /** More arguments for the kernel. */
    kernelArguments?: string[];
}

type Emulation = Awaited<ReturnType<typeof import("../vm/router").emulation>>;

export interface SshAccess {
    host: string;
    port: number;
    user: string;
    privateKeyPath: string;
    /** One line, `ssh-ed25519 AAAA...`. */
    hostKey: string;
    /** Path of a known_hosts file that holds exactly this lab's keys. */
    knownHosts: string;
    relay: Relay;
}

/** Options for ssh, scp and sftp that use nothing of the user's own configuration, keys or known hosts. */
export function sshArguments(access: SshAccess): string[] {
    const set = ["IdentitiesOnly=yes", "StrictHostKeyChecking=yes", `UserKnownHostsFile=${access.knownHosts}`, "GlobalKnownHostsFile=/dev/null", "BatchMode=yes", `Port=${access.port}`];
    return ["-F", "/dev/null", "-i", access.privateKeyPath, ...set.flatMap(option => ["-o", option])];
}
