import { NviError } from "../model/errors";
import { formatPath, type Fault } from "../model/fault";
import { pathChecks } from "../model/path-check";
import { checkAgainst, flag } from "../model/schema";
import { UNKNOWN, unknownPaths } from "../model/unknown";
import { ensure, read, remove, renderedOf, type Observed } from "../reconcile/engine";
import type { DesiredObject } from "../reconcile/desired";
import { resourceOf, type ResourceKind } from "../resources";
import { endpoint, endpointFaults, type EndpointInputs } from "../resources/endpoint";
import { changedKeys, type Bag } from "./bag";
import { failed, failure, quietly, type CheckFailure } from "./errors";
import { hostOf, inTurn } from "./hosts";

/*
 * One provider for every kind of object on a router. Inputs are the program's own, plus `router` (how to reach it),
 * `owner`, and `rendered`, which check computes: the map of everything that will be on the router. Outputs are the
 * same, with `rendered` as observed, so that a diff names whatever differs.
 */

export interface CheckResult {
    inputs: Bag;
    failures: CheckFailure[];
}

/** Properties that all kinds have beside their own. */
const COMMON = ["router", "owner", "formerOwner", "adopt", "checks", "rendered", "__provider"] as const;

function ownInputs(inputs: Bag): Bag {
    return Object.fromEntries(Object.entries(inputs).filter(([key]) => !COMMON.some((common) => common === key)));
}

function checkKind(kind: ResourceKind, inputs: Bag) {
    const resource = resourceOf(kind);
    const own = checkAgainst(resource.schema, ownInputs(inputs));
    const router = checkAgainst(endpoint, inputs.router);
    const checks = checkAgainst(pathChecks, inputs.checks ?? []);
    const adopt = checkAgainst(flag().default(false), inputs.adopt ?? undefined);
    const faults: Fault[] = [
        ...own.faults,
        ...adopt.faults.map((fault) => ({ ...fault, path: ["adopt"] })),
        ...checks.faults.map((fault) => ({ ...fault, path: ["checks", ...fault.path] })),
        ...resource.faults(own.known as never),
        ...[...router.faults, ...(router.known ? endpointFaults(router.known) : [])].map((fault) => ({ ...fault, path: ["router", ...fault.path] })),
    ];
    return { resource, own, adopt: adopt.value, checks: [...(router.value?.checks ?? []), ...(checks.value ?? [])], faults };
}

export async function check(kind: ResourceKind, inputs: Bag): Promise<CheckResult> {
    return quietly(() => {
        const { resource, own, faults } = checkKind(kind, inputs);
        const failures = faults.map(failure);
        if (failures.length > 0) return { inputs, failures };
        const owner = inputs.owner;
        const isKnown = own.value !== undefined && typeof owner === "string" && owner !== UNKNOWN;
        const rendered = isKnown ? renderedOf({ owner, artifacts: resource.render(own.value as never).artifacts }) : UNKNOWN;
        return { inputs: { ...inputs, rendered }, failures };
    });
}

export interface DiffResult {
    changes: boolean;
    replaces: string[];
    deleteBeforeReplace: boolean;
}

export async function diff(kind: ResourceKind, olds: Bag, news: Bag): Promise<DiffResult> {
    return quietly(() => {
        const resource = resourceOf(kind);
        const changed = changedKeys(olds, news);
        const replaces = resource.replacedBy.filter((key) => changed.includes(key) && !sameByDefault(kind, key, olds, news)) as string[];
        // The same router under another name is another router: its objects' ids begin with the name.
        if (nameOf(olds) !== nameOf(news) && nameOf(news) !== UNKNOWN) replaces.push("router");
        // Device names and table ids are unique in a kernel: the old one goes first.
        return { changes: changed.length > 0, replaces, deleteBeforeReplace: replaces.length > 0 };
    });
}

/** The engine asks what becomes of it where all of `router` is unknown: when something that it is made of has to be replaced. */
const nameOf = ({ router }: Bag): unknown => (router === UNKNOWN ? UNKNOWN : (router as Bag | undefined)?.name);

/** Writing a default out makes nothing anew. It is an update all the same: what the state doesn't have, programs can't read from it. */
function sameByDefault(kind: ResourceKind, key: string, olds: Bag, news: Bag): boolean {
    const value = (inputs: Bag) => (checkAgainst(resourceOf(kind).schema, ownInputs(inputs)).value as Bag | undefined)?.[key];
    const [before, after] = [value(olds), value(news)];
    return before !== undefined && before === after;
}

export async function create(kind: ResourceKind, inputs: Bag): Promise<{ id: string; outs: Bag }> {
    let id = "";
    try {
        const desired = desiredOf(kind, inputs);
        id = idOf(desired, inputs);
        const observed = await inTurn(inputs, (host) => ensure(host, desired));
        return { id, outs: outputs(inputs, observed) };
    } catch (error) {
        throw failed(error, id !== "" && mayHaveChanged(error) ? { id, properties: { ...inputs, rendered: {} } } : undefined);
    }
}

export async function update(kind: ResourceKind, id: string, olds: Bag, inputs: Bag): Promise<{ outs: Bag }> {
    const renamed = renaming(olds, inputs);
    try {
        return { outs: outputs(inputs, await inTurn(inputs, (host) => ensure(host, desiredOf(kind, { ...inputs, ...renamed }), { known: true }))) };
    } catch (error) {
        // Nothing that is known of it is what the next `up` would have to compare with; by which name the router knows it, only a look tells.
        throw failed(error, mayHaveChanged(error) ? { id, properties: { ...inputs, ...renamed, rendered: {} } } : undefined);
    }
}

/** Stacks, projects and resources are renamed: what was ours under another name is ours. */
function renaming(olds: Bag, { owner }: Bag): { formerOwner?: string } {
    const formerOwner = [olds.owner, olds.formerOwner].find((former) => typeof former === "string" && former !== owner);
    return formerOwner === undefined ? {} : { formerOwner: formerOwner as string };
}

export interface ReadResult {
    id: string;
    props: Bag;
    inputs: Bag;
}

/** Only proof of absence gives an empty id, by which the engine drops the resource. */
export async function readResource(kind: ResourceKind, id: string, outs: Bag): Promise<ReadResult> {
    try {
        const desired = desiredOf(kind, outs);
        const observed = await read(hostOf(outs), desired);
        if (!observed.exists) return { id: "", props: {}, inputs: {} };
        const inputs = { ...outs, rendered: observed.rendered };
        return { id, props: outputs(outs, observed), inputs };
    } catch (error) {
        throw failed(error);
    }
}

export async function destroy(kind: ResourceKind, outs: Bag): Promise<void> {
    try {
        await inTurn(outs, (host) => remove(host, desiredOf(kind, outs)));
    } catch (error) {
        throw failed(error instanceof NviError && error.kind === "unreachable" ? goneForGood(error) : error);
    }
}

function goneForGood(error: NviError): NviError {
    const way = "if the router is gone for good, take this resource out of the state: pulumi state delete <urn>";
    return new NviError({ ...error, cure: error.cure ? `${error.cure}; ${way}` : way });
}

/** The outcome is unknown, or undoing failed: the state must know of the object, so that refresh can look. */
function mayHaveChanged(error: unknown): boolean {
    return !(error instanceof NviError) || ["disconnected", "timeout", "died", "half-done"].includes(error.kind) || error.operation.startsWith("clean up");
}

function desiredOf(kind: ResourceKind, inputs: Bag): DesiredObject {
    const { resource, own, adopt, checks, faults } = checkKind(kind, inputs);
    if (own.value === undefined) {
        const what = faults.map((fault) => `${formatPath(fault.path)} ${fault.reason}`).join("; ") || `unknown: ${unknownPaths(inputs).map(formatPath).join(", ")}`;
        throw new NviError({ kind: "invalid", operation: kind, subject: String(nameOf(inputs) ?? "a router"), reason: `stored inputs are not those of this version (${what})`, cure: "use the version of pulumi-nvi that made them, or correct the program and run `pulumi up`" });
    }
    return { ...resource.render(own.value as never), id: { kind, name: own.value.name }, owner: String(inputs.owner), formerOwner: inputs.formerOwner as string | undefined, adopt, checks };
}

/** Says router, kind and name, so that an import can one day work from the id alone. */
const idOf = (desired: DesiredObject, inputs: Bag): string => `${(inputs.router as EndpointInputs).name}/${desired.id.kind}/${desired.id.name}`;

function outputs(inputs: Bag, observed: Observed): Bag {
    return { ...inputs, rendered: observed.rendered };
}
