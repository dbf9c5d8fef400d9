import type { FileEntry } from "./files";

/** What the lab's router runs on: namespaces of this machine's kernel, or a machine of its own. */
export interface RouterBody {
    /** The namespaces exist; nothing is wired yet. */
    prepare(): Promise<void>;
    /** The first start, on a new disk, until sshd is listening. Beside it the wires are laid. */
    boot(): Promise<void>;
    /** As pulling the plug: the disk stays, all else is gone. */
    powerOff(): Promise<void>;
    powerOn(hooks: BootHooks): Promise<void>;
    reboot(hooks: BootHooks): Promise<void>;
    pull(nic: string): Promise<void>;
    plug(nic: string, configure: boolean): Promise<void>;
    files(): Promise<FileEntry[]>;
    /** Lets the router write this many more bytes; undefined for no limit. */
    limitDisk(freeBytes: number | undefined): Promise<void>;
}

/** Stand for what the distribution runs early (there is no NIC yet) and late (NICs are configured, sshd is not up yet). */
export interface BootHooks { beforeNics?: () => Promise<void>; beforeSshd?: () => Promise<void> }
