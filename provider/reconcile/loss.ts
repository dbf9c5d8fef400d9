import type { Artifact } from "../syntax/artifact";
import { deviceOfSysctl, devicesOf } from "./devices";
import { order, type PlanContext, type Step } from "./kind";
import { kindOf } from "./kinds";
import { isReplaced } from "./kinds/link";
import type { Snapshot } from "./snapshot";

/*
 * Devices that a plan takes away to make them anew: of another backend, of a module that is loaded in another version, or
 * made something else by hand. What the kernel takes along with them (addresses, routes, their sysctls) is planned as absent.
 */

export interface Loss {
    devices: ReadonlySet<string>;
    /** The router without them. */
    snapshot: Snapshot;
    /** Takes them away; undoing it brings back what `previous` says of them. */
    steps: Step[];
}

/** Before a device goes, and after the module was built. */
const EARLIER = 0.25;
const BEFORE_MODULE = -1;

/** Packets wait for as long as a device is away: what does not need it is done before that, and stage 2's rules do without. */
export function ahead(artifact: Artifact, steps: Step[], { devices }: Pick<Loss, "devices">): Step[] {
    const isAhead = devices.size > 0 && artifact.kind === "rule" && artifact.phase === "stage2";
    return isAhead ? steps.map((step) => ({ ...step, order: EARLIER })) : steps;
}

export function lossOf(wanted: readonly Artifact[], previous: readonly Artifact[], context: PlanContext): Loss {
    const { snapshot } = context;
    const replaced = wanted.filter((one) => one.kind === "link" && isReplaced(one, snapshot));
    const reloaded = wanted.some((one) => one.kind === "module" && snapshot.module.loaded !== undefined && snapshot.module.loaded !== one.version);
    const ofModule = reloaded ? [...snapshot.links.values()].filter(({ kind }) => kind === "nvi").map(({ name }) => name) : [];
    const devices = new Set([...replaced.flatMap((link) => withPeer(link, snapshot)), ...ofModule]);
    if (devices.size === 0) return { devices, snapshot, steps: [] };

    const without = withoutDevices(snapshot, devices);
    const undo = rebuilding(previous, devices, { ...context, snapshot: without, saved: {}, made: devices });
    const steps = replaced.map((link, i): Step => {
        const { name } = link as { name: string };
        // At the last moment: before the new one is made, after a module has been built.
        return { order: order(link) - 0.5, label: `link ${name} goes`, do: [["ip", "link", "del", "dev", name]], undo: i === 0 && !reloaded ? undo : [] };
    });
    // Before the module's own steps, so that undoing comes after theirs: until the old module is back its devices can't be, and
    // unloading the new one would take along what is there by then.
    if (reloaded) steps.unshift({ order: BEFORE_MODULE, label: "devices of the module go", do: [], undo });
    return { devices, snapshot: without, steps };
}

function withPeer(artifact: Artifact, snapshot: Snapshot): string[] {
    const { name } = artifact as { name: string };
    const peer = snapshot.links.get(name)?.peer;
    return peer === undefined ? [name] : [name, peer];
}

const concerns = (artifact: Artifact, devices: ReadonlySet<string>): boolean => devicesOf(artifact).some((device) => devices.has(device));

/** The commands that make anew what was there. */
function rebuilding(previous: readonly Artifact[], devices: ReadonlySet<string>, context: PlanContext): string[][] {
    const steps = previous.filter((artifact) => concerns(artifact, devices)).flatMap((artifact) => kindOf(artifact).ensure(artifact, context));
    return steps.sort((a, b) => a.order - b.order).flatMap((step) => step.do);
}

function withoutDevices(snapshot: Snapshot, devices: ReadonlySet<string>): Snapshot {
    return {
        ...snapshot,
        links: new Map([...snapshot.links].filter(([name]) => !devices.has(name))),
        addresses: snapshot.addresses.filter(({ device }) => !devices.has(device)),
        sysctls: new Map([...snapshot.sysctls].filter(([path]) => !devices.has(deviceOfSysctl(path) ?? ""))),
        settings: new Map([...snapshot.settings].filter(([path]) => !devices.has(path.split("/")[2] ?? ""))),
        routes: new Map([...snapshot.routes].map(([table, routes]) => [table, routes.filter((route) => !route.hops.some(({ dev }) => devices.has(dev ?? "")))])),
    };
}
