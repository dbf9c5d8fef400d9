import * as fs from "node:fs";
import * as path from "node:path";
import type { EmulationOptions } from "../lab/lab";
import { run } from "../lab/process";
import { claim, demolish, removeLeftovers, save } from "../lab/registry";
import { ensureImage, type Release } from "./image.mjs";
import { EmulatedMachine } from "./machine";

/**
 * A machine with no lab around it and no NIC, for what needs only a kernel: run, sh, spawn, reboot, shutdown, powerCut, powerOn.
 * It is powered on. Removed by `stop`, when this process ends, and by the next lab's start if this process was killed.
 */
export async function startMachine(release: Release, options: EmulationOptions = {}): Promise<{ machine: EmulatedMachine; stop(): void }> {
    const image = await ensureImage(release);
    removeLeftovers();
    const entry = claim();
    const namespace = `nvi-${entry.id}-machine`;
    entry.namespaces = [namespace];
    save(entry);
    const stop = (): void => demolish(entry);
    try {
        await run(["ip", "netns", "add", namespace]);
        const share = path.join(entry.dir, "share");
        fs.mkdirSync(share);
        // There is nothing for a sshd to be reached by.
        const masked = 'ln -sf /dev/null /etc/systemd/system/ssh.service\n';
        const { release: _, ...hardware } = options;
        const machine = new EmulatedMachine({ image, dir: entry.dir, namespace, share, firstScript: masked, ...hardware });
        await machine.createDisk();
        await machine.powerOn();
        return { machine, stop };
    } catch (error) {
        stop();
        throw error;
    }
}
