import type { Host, Section } from "../host/host";
import { NviError } from "../model/errors";
import type { Artifact, Rendered } from "../syntax/artifact";
import { parseSnapshot } from "./answer";
import type { DesiredObject } from "./desired";
import { isShared, isWaiting, type PlanContext, type Request, type Step } from "./kind";
import { kindOf } from "./kinds";
import { madeDevices } from "./devices";
import { ahead, lossOf, type Loss } from "./loss";
import { objectKey, type Manifest, type ObjectId, type StoredObject } from "./objects";
import { preflight, preflightRequests, surroundings } from "./preflight";
import { hasTokens, render, renderObserved, resolve } from "./resolve";
import type { Snapshot } from "./snapshot";
import { applyTransaction, lockWait, STALE, type Transaction } from "./transaction";

/** What an object is on its router. */
export interface Observed {
    /** Only false with proof: neither its manifest nor any of its artifacts is there. */
    exists: boolean;
    rendered: Rendered;
    snapshot: Snapshot;
}

/** The entry that says whose an object is. */
const OWNER = "owner";

/** How often another stack may come in between observing and applying, at least: as long as one waits for the lock, there is hope. */
const STALE_TRIES = 5;

/** Everything that will stand on the router for an object. */
export function renderedOf(desired: Pick<DesiredObject, "owner" | "artifacts">): Rendered {
    return { [OWNER]: desired.owner, ...render(desired.artifacts) };
}

/**
 * Observes an object, changing nothing. What others have put in its way since is one entry each, which nobody wants: that is drift, and
 * what would repair it is refused with the cure.
 */
export async function read(host: Host, desired: DesiredObject): Promise<Observed> {
    const snapshot = await observe(host, desired.artifacts, (seen) => preflightRequests(desired, seen));
    const { exists, rendered } = observedIn(desired, snapshot);
    const inTheWay = surroundings(desired, snapshot).map(({ reason, cure }) => [`in the way: ${reason}`, `cure: ${cure}`]);
    return { exists, rendered: { ...rendered, ...Object.fromEntries(inTheWay) }, snapshot };
}

function observedIn(desired: DesiredObject, snapshot: Snapshot): Observed {
    const own = ownObject(desired.id, snapshot);
    const found = renderObserved(desired.artifacts, snapshot);
    const rendered = { ...(own ? { [OWNER]: own.manifest.owner } : {}), ...found };
    const exists = own !== undefined || ownArtifacts(desired.artifacts, snapshot).length > 0;
    return { exists, rendered, snapshot };
}

/** Artifacts of which something is there. What others may have wanted too proves nothing. */
function ownArtifacts(artifacts: readonly Artifact[], snapshot: Snapshot): Artifact[] {
    return artifacts.filter((artifact) => {
        const resolved = isShared(artifact) ? undefined : resolve(artifact, snapshot);
        return resolved !== undefined && Object.values(kindOf(resolved).observed(resolved, snapshot)).some((value) => !isWaiting(value));
    });
}

const ownObject = (id: ObjectId, snapshot: Snapshot): StoredObject | undefined => snapshot.objects.find((object) => object.key === objectKey(id));

/**
 * Makes the router have exactly this object: observes, checks, plans the difference and applies it in one
 * transaction. Writes nothing where nothing differs.
 *
 * @param options.known whether the object is known to have been there, so that what is left of it is taken over
 *   where its manifest is lost.
 * @throws NviError; the router is as it was, except for kinds `disconnected` and `timeout`, after which only the
 *   next observation knows, and where the message says that undoing failed.
 */
export function ensure(host: Host, desired: DesiredObject, { known = false } = {}): Promise<Observed> {
    return retryStale(async () => {
        const extra: Extra = (seen) => preflightRequests(desired, seen);
        const first = await observe(host, desired.artifacts, extra);
        const own = ownObject(desired.id, first);
        const previous = own?.manifest.artifacts ?? [];
        const snapshot = await observeMore(host, desired.artifacts, previous, first, extra(first));
        const artifacts = resolveAll(desired.artifacts, snapshot);
        preflight(desired, artifacts, snapshot, known || desired.adopt === true);
        const saved = { ...inheritedValues(snapshot), ...own?.manifest.saved };
        const context: PlanContext = { snapshot, saved, held: heldByOthers(desired.id, snapshot), made: madeDevices(artifacts) };
        const loss = lossOf(artifacts, previous, context);
        const steps = plan(artifacts, previous, { ...context, snapshot: loss.snapshot }, loss);
        const manifest: Manifest = { version: 1, object: objectKey(desired.id), owner: desired.owner, artifacts, nics: knownNics(desired, own, snapshot), saved: keepSaved(artifacts, saved), since: own?.manifest.since ?? snapshot.generation };
        if (steps.length === 0 && own && !own.pending && JSON.stringify(own.manifest) === JSON.stringify(manifest)) return observedIn(desired, snapshot);
        const gone = without(previous, artifacts);
        const faults = (after: Snapshot) => [...differences(desired, after), ...remains(gone, context.held, after, (found, entry) => found === entry)];
        const after = observedIn(desired, await applyTransaction(host, { ...transaction(desired, [...artifacts, ...gone], manifest, steps, snapshot), faults }));
        // It was looked at while the manifest was pending, beside the one before, which may have been another owner's.
        return { ...after, rendered: { ...after.rendered, [OWNER]: desired.owner } };
    });
}

/** Takes an object away: what its manifest on the router lists, else what its inputs say. */
export function remove(host: Host, desired: DesiredObject): Promise<void> {
    return retryStale(async () => {
        const first = await observe(host, desired.artifacts);
        const own = ownObject(desired.id, first);
        if (own && ![desired.owner, desired.formerOwner].includes(own.manifest.owner)) throw notOurs(host, desired, own);
        const previous = own?.manifest.artifacts ?? resolveAll(desired.artifacts, first);
        const snapshot = await observeMore(host, desired.artifacts, previous, first, []);
        const context: PlanContext = { snapshot, saved: { ...own?.manifest.saved }, held: heldByOthers(desired.id, snapshot), made: new Set() };
        const going = own ? previous : unclaimed(previous, snapshot);
        const steps = plan([], going, context);
        // What may still be there, should the removal be cut short.
        const manifest = own?.manifest ?? { version: 1 as const, object: objectKey(desired.id), owner: desired.owner, artifacts: previous, nics: [], saved: {} };
        const faults = (after: Snapshot) => remains(going, context.held, after, (found) => found !== undefined && !isWaiting(found));
        if (own || steps.length > 0) await applyTransaction(host, { ...transaction(desired, going, manifest, steps, snapshot), remove: true, faults });
        else await host.call("clean");
    });
}

function notOurs(host: Host, desired: DesiredObject, own: StoredObject): NviError {
    return new NviError({
        kind: "foreign",
        operation: `delete of ${objectKey(desired.id)}`,
        subject: host.label,
        reason: `it belongs to ${own.manifest.owner} now; nothing was changed`,
        cure: "if that is right, take this resource out of the state only: pulumi state delete <urn>",
    });
}

/** Without a manifest to go by, what another object claims is not to be touched. */
function unclaimed(artifacts: readonly Artifact[], snapshot: Snapshot): Artifact[] {
    const claimed = new Set(snapshot.objects.flatMap((object) => object.manifest.artifacts.map((one) => kindOf(one).key(one))));
    // A device that somebody else has made in the meantime has ours' name, but not its mark.
    const isForeign = (artifact: Artifact) => artifact.kind === "link" && !kindOf(artifact).isMarked(artifact, snapshot);
    return artifacts.filter((artifact) => !claimed.has(kindOf(artifact).key(artifact)) && !isForeign(artifact));
}

/** Creation upwards through the phases, then removal downwards: what is new works before what is old goes. */
function plan(wanted: readonly Artifact[], previous: readonly Artifact[], context: PlanContext, loss: Pick<Loss, "devices" | "steps"> = { devices: new Set(), steps: [] }): Step[] {
    // From the last, so that undoing it brings them back in their order: among ip rules of one priority the first decides.
    const gone = without(previous, wanted).reverse();
    const added = wanted.map((artifact) => ({ artifact, steps: ahead(artifact, kindOf(artifact).ensure(artifact, context), loss) }));
    // What the tool would take for a new one goes right before that: for this instant its packets go by the next rule. So it is undone, too.
    const turn = (old: Artifact) => Math.min(...added.filter(({ artifact }) => kindOf(old).disturbs?.(old, artifact)).flatMap(({ steps }) => steps.map(({ order }) => order)));
    const going = gone.flatMap((artifact) => kindOf(artifact).remove(artifact, context).map((step) => ({ step, turn: turn(artifact) })));
    const before = going.filter(({ turn }) => turn < Infinity).map(({ step, turn }) => ({ ...step, order: turn }));
    const additions = [...before, ...added.flatMap(({ steps }) => steps)];
    const removals = going.filter(({ turn }) => turn === Infinity).map(({ step }) => step);
    const rising = (a: Step, b: Step) => a.order - b.order;
    return [...[...loss.steps, ...additions].sort(rising), ...removals.sort((a, b) => b.order - a.order)];
}

/** Those that are no longer wanted. */
function without(previous: readonly Artifact[], wanted: readonly Artifact[]): Artifact[] {
    const keys = new Set(wanted.map((artifact) => kindOf(artifact).key(artifact)));
    return previous.filter((artifact) => !keys.has(kindOf(artifact).key(artifact)));
}

function resolveAll(artifacts: readonly Artifact[], snapshot: Snapshot): Artifact[] {
    return artifacts.flatMap((artifact) => resolve(artifact, snapshot) ?? []);
}

/** Values that other objects saved before us are from before any of us. */
function inheritedValues(snapshot: Snapshot): Record<string, string> {
    return Object.assign({}, ...snapshot.objects.map((object) => object.manifest.saved));
}

function keepSaved(artifacts: readonly Artifact[], saved: Record<string, string>): Record<string, string> {
    const keys = new Set(artifacts.flatMap((artifact) => (artifact.kind === "sysctl" ? [artifact.path] : artifact.kind === "module" ? Object.keys(kindOf(artifact).entries(artifact)) : [])));
    const forwarding = [...keys].some((key) => /forward/.test(key));
    const kept = Object.entries(saved).filter(([key]) => keys.has(key) || (forwarding && /\/(forwarding|accept_redirects|accept_ra)$/.test(key)));
    return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}


function knownNics(desired: DesiredObject, own: StoredObject | undefined, snapshot: Snapshot): string[] {
    const before = new Set(own?.manifest.nics);
    return desired.nics.filter((nic) => snapshot.links.has(nic) || before.has(nic));
}

function heldByOthers(id: ObjectId, snapshot: Snapshot): Set<string> {
    const others = snapshot.objects.filter((object) => object.key !== objectKey(id));
    return new Set(others.flatMap((object) => object.manifest.artifacts.filter(isShared).map((one) => kindOf(one).key(one))));
}

/** @param asked what the router is to be looked at for, once it is applied */
function transaction(desired: DesiredObject, asked: readonly Artifact[], manifest: Manifest, steps: Step[], snapshot: Snapshot): Omit<Transaction, "faults"> {
    const { lines, files } = requestsFor(asked);
    return { id: desired.id, owner: desired.owner, manifest, steps, generation: snapshot.generation, turn: snapshot.turn, requests: lines, files, remove: false, checks: desired.checks ?? [] };
}

/** What was asked for must be what is there. */
function differences(desired: DesiredObject, after: Snapshot): string[] {
    const found = observedIn(desired, after).rendered;
    const wanted = renderedOf(desired);
    // Until it is confirmed the manifest is only pending.
    const keys = new Set([...Object.keys(wanted), ...Object.keys(found)].filter((key) => key !== OWNER));
    return [...keys].filter((key) => wanted[key] !== found[key] && !isWaiting(found[key])).map((key) => `${key}: wanted ${wanted[key] ?? "nothing"}, found ${found[key] ?? "nothing"}`);
}

/** What was to be taken away must be gone; its device may not be there to ask. After an update something else may be in its place. */
function remains(previous: readonly Artifact[], held: ReadonlySet<string>, after: Snapshot, isLeft: (found: string | undefined, entry: string) => boolean): string[] {
    const own = previous.filter((artifact) => !isShared(artifact) && !held.has(kindOf(artifact).key(artifact)));
    return own.flatMap((artifact) => {
        const found = kindOf(artifact).observed(artifact, after);
        return Object.entries(kindOf(artifact).entries(artifact)).filter(([key, entry]) => isLeft(found[key], entry)).map(([key]) => `${key}: wanted nothing, found ${found[key]}`);
    });
}

function requestsFor(artifacts: readonly Artifact[]): { lines: Request[]; files: Record<string, string> } {
    const all = artifacts.map((artifact) => kindOf(artifact).requests(artifact));
    return { lines: all.flatMap((one) => one.lines), files: Object.assign({}, ...all.map((one) => one.files ?? {})) };
}

/** What else is to be observed, by what was seen of the router already. */
type Extra = (seen?: Snapshot) => Request[];

/** One observation, or two where what is on the router decides what to ask for. */
async function observe(host: Host, artifacts: readonly Artifact[], extra: Extra = () => []): Promise<Snapshot> {
    const asked = extra();
    const isOpen = hasTokens(artifacts);
    const first = await (isOpen ? observeOnce(host, [], []) : observeOnce(host, artifacts, asked));
    const all = extra(first);
    return isOpen || all.length > asked.length ? observeOnce(host, resolveAll(artifacts, first), all) : first;
}

/** Asks again where the manifest lists things that the program no longer knows of. */
async function observeMore(host: Host, artifacts: readonly Artifact[], previous: readonly Artifact[], first: Snapshot, extra: readonly Request[]): Promise<Snapshot> {
    const wanted = resolveAll(artifacts, first);
    const more = without(previous, wanted);
    return requestsFor(more).lines.length === 0 ? first : observeOnce(host, [...wanted, ...more], extra);
}

async function observeOnce(host: Host, artifacts: readonly Artifact[], extra: readonly Request[]): Promise<Snapshot> {
    const { lines, files } = requestsFor(artifacts);
    const requests = [...lines, ...extra].map((line) => `${line.join("\t")}\n`).join("");
    const sections = await host.call("observe", { requests, ...files });
    return snapshotOf(host, sections);
}

function snapshotOf(host: Host, sections: readonly Section[]): Snapshot {
    return parseSnapshot(host.label, sections);
}

/** Another stack's transaction in between means: look again, plan again. */
async function retryStale<T>(attempt: () => Promise<T>): Promise<T> {
    const since = performance.now();
    for (let tries = 0; ; tries++) {
        try {
            return await attempt();
        } catch (error) {
            const mayTry = tries < STALE_TRIES || performance.now() - since < lockWait() * 1000;
            if (!(error instanceof NviError && error.operation === STALE) || !mayTry) throw error;
        }
    }
}

