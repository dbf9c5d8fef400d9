import type { Artifact } from "../syntax/artifact";
import { deviceOfSysctl, devicesOf, madeDevices } from "./devices";
import { order, type PlanContext, type Step } from "./kind";
import { kindOf } from "./kinds";
import { isReplaced } from "./kinds/link";
import { resolve } from "./resolve";
import type { Snapshot } from "./snapshot";

/*
 * Devices that a plan takes away to make them anew: of another backend, of a module that is loaded in another version, or
 * made something else by hand. What the kernel takes along with them (addresses, routes, their sysctls) is planned as absent; what
 * of it is other objects', devices of the module among it, comes back as their manifests have it.
 */

export interface Loss {
    devices: ReadonlySet<string>;
    /** The router without them. */
    snapshot: Snapshot;
    /** Takes them away, and brings back what others have on them; undoing it brings back what `previous` and others' manifests say of them. */
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
    const others = ofOthers([...wanted, ...previous], snapshot);
    // None of the routes that are to come back is there, and none of what else is in their tables is touched.
    const empty = { ...context, snapshot: { ...without, routes: new Map() }, saved: {} };
    const undo = rebuilding([...previous, ...others], devices, { ...empty, made: devices }).flatMap((step) => step.do);
    const made = new Set([...madeDevices([...wanted, ...others])].filter((device) => devices.has(device)));
    const back = rebuilding(others, made, { ...empty, made });
    const steps = replaced.map((link, i): Step => {
        const { name } = link as { name: string };
        // At the last moment: before the new one is made, after a module has been built.
        return { order: order(link) - 0.5, label: `link ${name} goes`, do: [["ip", "link", "del", "dev", name]], undo: i === 0 && !reloaded ? undo : [] };
    });
    // Before the module's own steps, so that undoing comes after theirs: until the old module is back its devices can't be, and
    // unloading the new one would take along what is there by then.
    if (reloaded) steps.unshift({ order: BEFORE_MODULE, label: "devices of the module go", do: [], undo });
    return { devices, snapshot: without, steps: [...steps, ...back] };
}

function withPeer(artifact: Artifact, snapshot: Snapshot): string[] {
    const { name } = artifact as { name: string };
    const peer = snapshot.links.get(name)?.peer;
    return peer === undefined ? [name] : [name, peer];
}

/** What other objects have, by their manifests, as far as the router can have it now. */
function ofOthers(own: readonly Artifact[], snapshot: Snapshot): Artifact[] {
    const keyOf = (artifact: Artifact) => kindOf(artifact).key(artifact);
    const ours = new Set(own.map(keyOf));
    const theirs = snapshot.objects.flatMap(({ manifest }) => manifest.artifacts.flatMap((artifact) => resolve(artifact, snapshot) ?? [])).filter((artifact) => !ours.has(keyOf(artifact)));
    return [...new Map(theirs.map((artifact) => [keyOf(artifact), artifact])).values()];
}

/** What of an artifact goes with devices. */
function partOn(devices: ReadonlySet<string>, artifact: Artifact): Artifact[] {
    if (!devicesOf(artifact).some((device) => devices.has(device))) return [];
    return [artifact.kind === "routes" ? { ...artifact, routes: artifact.routes.filter(({ hops }) => hops.some(({ dev }) => devices.has(dev ?? ""))) } : artifact];
}

/** The steps that make anew what there was on devices, in their order. */
function rebuilding(artifacts: readonly Artifact[], devices: ReadonlySet<string>, context: PlanContext): Step[] {
    const steps = artifacts.flatMap((artifact) => partOn(devices, artifact)).flatMap((artifact) => kindOf(artifact).ensure(artifact, context));
    return steps.sort((a, b) => a.order - b.order);
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
