import type { Artifact, Rendered } from "../syntax/artifact";
import type { Snapshot } from "./snapshot";

/** One change on the router and its undoing. Words are arguments of a process, never text for a shell. */
export interface Step {
    /** Where in the transaction; see `order`. */
    order: number;
    label: string;
    do: string[][];
    /**
     * Run in this order when this step or a later one fails, or when the change is not confirmed. The step may have been cut off
     * before it did anything, and undoing it too: a command that finds nothing to do is no failure, and none may do harm.
     */
    undo: string[][];
    /** Run once the change is confirmed: what a restart of the router would not forget. */
    finally?: string[][];
    /** Files that the commands name, by name. */
    files?: Record<string, string>;
}

/** What a plan may look at and has to remember. */
export interface PlanContext {
    snapshot: Snapshot;
    /** What was there before our first change, by sysctl path or entry of the module; ensure adds to it, remove puts it back or leaves it. */
    saved: Record<string, string>;
    /** Keys of shared artifacts that other objects hold too: not to be put back or taken away. */
    held: ReadonlySet<string>;
    /** Devices that the same plan makes or brings up. */
    made: ReadonlySet<string>;
}

/**
 * The first of some devices that routes can't lead to now: one that is down or away, like a dialled uplink between two
 * calls. What needs it waits; everything else goes on.
 */
export function awaited(devices: readonly (string | undefined)[], snapshot: Snapshot, made?: ReadonlySet<string>): string | undefined {
    return devices.find((device) => device !== undefined && !made?.has(device) && !snapshot.links.get(device)?.up);
}

/** The value of an entry that waits. It is no failure to leave it so, but it differs from what is wanted: the next `up` tries again. */
export const waitingFor = (device: string): string => `waiting for ${device}`;
export const isWaiting = (value: string | undefined): boolean => value?.startsWith("waiting for ") ?? false;

/** Artifacts that several objects may want, if all want the same: the last to go takes them away. */
export const isShared = ({ kind }: Artifact): boolean => kind === "sysctl" || kind === "module" || kind === "boot";

/** One line of the script's `requests`. */
export type Request = readonly string[];

/** The contract of a kind of artifact: everything that the engine needs to know of it. */
export interface Kind<A extends Artifact> {
    /** What nothing else on the router can also be. */
    key(artifact: A): string;
    /** What to observe, and the files that the requests name. */
    requests(artifact: A): { lines: Request[]; files?: Record<string, string> };
    /** The entries that stand for it. */
    entries(artifact: A): Rendered;
    /** The same entries as the router has them; what is absent is left out, what is foreign is added. */
    observed(artifact: A, snapshot: Snapshot): Rendered;
    /** What stands in its place, when nothing of ours is there yet; a reason in words. */
    occupied(artifact: A, snapshot: Snapshot): string | undefined;
    /** Whether what stands in its place bears our mark. Asked where the manifest that told so was lost. */
    isMarked(artifact: A, snapshot: Snapshot): boolean;
    /** Whether the router's tools may take one for the other, though their keys differ: both are never to be there at once. */
    disturbs?(artifact: A, other: Artifact): boolean;
    ensure(artifact: A, context: PlanContext): Step[];
    remove(artifact: A, context: PlanContext): Step[];
}

const STEP_ORDER = { module: 0, link: 1, setting: 2, sysctl: 3, address: 4, up: 5, table: 6, routes: 7, rule: 8, neighbour: 9, boot: 9.5 } as const;
const PHASE_ORDER = { device: 0, stage2: 10, stage1: 20, divert: 30, forward: 40 } as const;

/**
 * Where a step belongs: by phase, within a phase by what needs what. A device's settings come before it is
 * up, routes after that. Creation runs upwards, removal downwards.
 */
export function order(artifact: Artifact, part: keyof typeof STEP_ORDER = artifact.kind): number {
    return PHASE_ORDER[artifact.phase] + STEP_ORDER[part];
}
