import type { BootHooks, RouterBody } from "./body";
import { changedFiles, type FileEntry } from "./files";
import type { Machine } from "./machine";
import type { LabNode } from "./node";
import { together, until } from "./process";
import { processesIn } from "./registry";
import type { Sshd } from "./sshd";
import type { Wiring } from "./wiring";

/** A router in namespaces, with the files of this machine under its own. */
export class NamespaceBody implements RouterBody {
    constructor(private readonly router: LabNode, private readonly machine: Machine, private readonly wiring: Wiring, private readonly sshd: Sshd) {}

    async prepare(): Promise<void> { /* the wires end in its namespace as they are */ }

    async boot(): Promise<void> {
        await this.machine.createDisk();
        await together([this.machine.powerOn(), this.sshd.createHostKeys()]);
        await this.sshd.start();
    }

    async reboot(hooks: BootHooks): Promise<void> {
        await this.powerOff();
        await this.powerOn(hooks);
    }

    async powerOff(): Promise<void> {
        await this.machine.powerOff();
        this.router.stopAgent();
        const { namespace } = this.router;
        await until("the router's processes to end", () => {
            for (const pid of processesIn([namespace])) process.kill(pid, "SIGKILL");
            return processesIn([namespace]).length === 0;
        });
        // Before the namespace, which takes its NICs along only some time later.
        for (const end of this.wiring.wiresOf("router").flatMap(wire => wire.ends)) {
            if (end.node === "router") await this.wiring.deleteNic("router", end.nic).catch(() => undefined); // it may be pulled
        }
        await this.wiring.deleteNamespace("router");
    }

    async powerOn(hooks: BootHooks): Promise<void> {
        await this.wiring.createNamespaces(["router"]);
        await this.machine.powerOn();
        await hooks.beforeNics?.();
        await this.wiring.connect(this.wiring.wiresOf("router"));
        await this.wiring.addRoutes("router");
        await hooks.beforeSshd?.();
        await this.sshd.start();
    }

    async pull(nic: string): Promise<void> { await this.wiring.deleteNic("router", nic); }

    async plug(nic: string, configure: boolean): Promise<void> {
        await this.wiring.connect(this.wiring.wiresOf("router", nic));
        if (configure) await this.wiring.addRoutes("router", nic);
        else await this.router.observe(["ip", "addr", "flush", "dev", nic, "scope", "global"]);
    }

    async files(): Promise<FileEntry[]> { return changedFiles(this.machine); }
    async limitDisk(freeBytes: number | undefined): Promise<void> { await this.machine.limitDisk(freeBytes); }
}
