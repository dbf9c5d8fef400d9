import type { Host } from "../host/host";
import { unable, type Ground } from "../model/module";
import { NviError } from "../model/errors";
import { parseSnapshot } from "./answer";
import { ALIAS } from "./kinds/link";
import { kernel } from "./preflight";

/** What is known of a router, for programs and for people. */
export interface Facts {
    /** As `uname -r` says. */
    kernel: string;
    architecture: string;
    /** The distribution's name for itself. */
    os: string;
    nftables: string;
    iproute2: string;
    /** Other software that manages the network there. */
    managers: string[];
    /** Backends of `Interface` that it can run as it is. */
    backends: ("rules" | "module")[];
    /** What decides whether it can have the kernel module. */
    module: Ground;
    /** What brings our objects back after a restart of the router, and what a NIC took along when it comes back; `nothing`: the next `up` does. */
    restores: "systemd" | "init script" | "nothing";
    /** Network interfaces, less those of ours. */
    interfaces: string[];
}

/** By what the script found the router to start things with. */
const RESTORES: Record<string, Facts["restores"]> = { systemd: "systemd", sysvinit: "init script", openrc: "init script" };

/**
 * Asks a router what it is.
 *
 * @throws NviError `preflight` where it lacks what every backend needs.
 */
export async function facts(host: Host): Promise<Facts> {
    const snapshot = parseSnapshot(host.label, await host.call("observe", { requests: "" }));
    const [tooOld] = kernel(snapshot);
    if (tooOld) throw new NviError({ kind: "preflight", operation: "preflight", subject: host.label, ...tooOld });
    const { kernel: release = "", architecture = "", os = "", nft = "", iproute2 = "" } = snapshot.facts;
    const interfaces = [...snapshot.links.values()].filter((link) => link.alias !== ALIAS && link.name !== "lo").map((link) => link.name);
    const { loadable, signed, key, tools, headers, apt, installed } = snapshot.module;
    const present = installed === undefined ? {} : { present: installed.version };
    const backends: Facts["backends"] = unable({ install: false }, release, snapshot.module) === undefined ? ["rules", "module"] : ["rules"];
    return { kernel: release, architecture, os, nftables: nft, iproute2, managers: snapshot.managers, backends, module: { loadable, signed, key, tools, headers, apt, ...present }, restores: RESTORES[snapshot.facts.init ?? ""] ?? "nothing", interfaces };
}
