import { check } from "../../../provider";
import type { Files, Section } from "../../../provider/host/host";
import { NviError } from "../../../provider/model/errors";
import { pathChecks } from "../../../provider/model/path-check";
import { MODULE_VERSION } from "../../../provider/model/module";
import { unknownPaths } from "../../../provider/model/unknown";
import type { DesiredObject } from "../../../provider/reconcile/desired";
import { ensure } from "../../../provider/reconcile/engine";
import { kindOf } from "../../../provider/reconcile/kinds";
import { renderObserved } from "../../../provider/reconcile/resolve";
import type { Snapshot } from "../../../provider/reconcile/snapshot";
import { resourceOf } from "../../../provider/resources";
import type { Artifact } from "../../../provider/syntax/artifact";
import { parseRoutes, parseRules } from "../../../provider/syntax/iproute";
import { parseTable, renderTable } from "../../../provider/syntax/nft";
import { FakeRouter, listing, section } from "../reconcile/fake-router";
import { planning } from "../reconcile/planning";
import type { Inputs } from "../resources/samples";
import type { Generated } from "./generator";
import { routesJson, rulesJson } from "./printed";
import { examineBundle } from "./wire";

/** What became of inputs: refused with reasons; taken, with nothing to send; or taken, with all that goes to a router on which nothing is. */
export interface Examined {
    outcome: "refused" | "taken";
    /** Where a router gets something: not of a Router itself, of what isn't known yet, or of what preflight stops. */
    sent?: Sent;
}

export interface Sent {
    title: string;
    desired: DesiredObject;
    /** What stands on the router for it, addresses of NICs resolved. */
    artifacts: Artifact[];
    files: Files;
}

/**
 * Puts inputs through check, render, the plan and the parsers.
 *
 * @throws Error naming the inputs, where anything but a fault with a reason comes of them.
 */
export async function examine({ title, kind, inputs }: Generated): Promise<Examined> {
    try {
        const { failures, inputs: checked } = await check(kind, {}, inputs);
        for (const { property, reason } of failures) if (typeof property !== "string" || !/^\S.+/s.test(reason)) throw new Error(`a fault without words: ${JSON.stringify({ property, reason })}`);
        if (failures.length > 0) return { outcome: "refused" };
        if (kind === "router" || unknownPaths(inputs).length > 0) return { outcome: "taken" };
        const desired = desiredOf(kind, inputs);
        const rendered = checked.rendered as Record<string, unknown>;
        if (!Object.values(rendered).every((value) => typeof value === "string" && value !== "")) throw new Error(`not all of rendered is text: ${JSON.stringify(rendered)}`);
        const sent = await sentFor(title, desired);
        if (!sent) return { outcome: "taken" };
        examineBundle(sent.files);
        examineRoundTrip(sent.artifacts);
        return { outcome: "taken", sent };
    } catch (error) {
        throw new Error(`${title}: ${(error as Error).message}\n${JSON.stringify(inputs).slice(0, 4000)}`, { cause: error });
    }
}

/** As the adapter has it, of inputs that check has taken. */
function desiredOf(kind: Exclude<Generated["kind"], "router">, { router, owner, checks, adopt, rendered: _, ...own }: Inputs): DesiredObject {
    const resource = resourceOf(kind);
    const value = resource.schema.parse(own);
    const all = [...pathChecks.parse((router as Inputs).checks ?? []), ...pathChecks.parse(checks ?? [])];
    return { ...resource.render(value), id: { kind, name: value.name }, owner: String(owner), adopt: adopt === true, checks: all };
}

/** What a router gets that has the NICs, every second with addresses, and nothing of ours; nothing where preflight says why not. */
async function sentFor(title: string, desired: DesiredObject): Promise<Sent | undefined> {
    const router = bareRouter(desired);
    // It answers nothing, so that what it was sent is all that there is.
    router.answers = [[]];
    try {
        await ensure(router, desired);
    } catch (error) {
        if (!(error instanceof NviError)) throw error;
        if (router.applied.length === 0) return undefined;
    }
    const [files = {}] = router.applied;
    return { title, desired, files, artifacts: (JSON.parse(files.manifest!.split("\n")[0]!) as { artifacts: Artifact[] }).artifacts };
}

export function bareRouter({ nics, artifacts }: DesiredObject): FakeRouter {
    const router = new FakeRouter();
    router.links = [...new Set(["lo", ...nics])].map((ifname) => ({ ifname, mtu: 1500, flags: ["UP"], address: "02:00:00:00:00:01" }));
    router.addresses = nics.filter((_, i) => i % 2 === 0).map((ifname, i) => ({ ifname, addr_info: [{ family: "inet", local: `192.0.2.${i % 255}`, prefixlen: 24, scope: "0" }, { family: "inet6", local: `2001:db8:ff::${i + 1}`, prefixlen: 64, scope: "0" }] }));
    for (const artifact of artifacts) if (artifact.kind === "sysctl" && !artifact.transient) router.sysctls.set(artifact.path, "0");
    const module = artifacts.find((artifact) => artifact.kind === "module");
    if (module) {
        const release = Object.keys(module.prebuilt ?? {})[0];
        router.broken = [section("module", `loadable\tyes\ninstalled\t${MODULE_VERSION}\n${release === undefined ? `dkms\t${MODULE_VERSION}\nheaders\tyes\ntool\tdkms\ntool\tmake\ntool\tgcc\n` : ""}`)];
        if (release !== undefined) router.kernel = release;
    }
    return router;
}

/** What nft and ip would print of it is read as what was written. */
function examineRoundTrip(artifacts: readonly Artifact[]): void {
    const rules = artifacts.filter((one) => one.kind === "rule");
    const routes = artifacts.filter((one) => one.kind === "routes");
    const tables = artifacts.filter((one) => one.kind === "table").map((one) => [one.name, parseTable(listing(renderTable(one)))] as const);
    const { snapshot } = planning({
        links: new Map(), tables: new Map(tables), canonical: new Map(tables),
        rules: [...parseRules(4, rulesJson(rules, 4)), ...parseRules(6, rulesJson(rules, 6))],
        routes: new Map(routes.map(({ table, routes: all }) => [table, [...parseRoutes(4, table, routesJson(all, 4)), ...parseRoutes(6, table, routesJson(all, 6))]])),
    });
    for (const [name, table] of tables) {
        const wanted = artifacts.find((one) => one.kind === "table" && one.name === name) as Extract<Artifact, { kind: "table" }>;
        const order = (chains: readonly { name: string; rules: readonly { id?: string; text: string }[] }[]) => JSON.stringify(chains.map((chain) => [chain.name, chain.rules.map(({ id, text }) => [id, text])]).sort());
        if (order(table.chains) !== order(wanted.chains)) throw new Error(`table ${name} is not read as it was written`);
    }
    sameAsWanted([...rules, ...routes, ...artifacts.filter((one) => one.kind === "table")], snapshot);
}

/** @throws Error naming what a router with that snapshot would be said to differ in. */
export function sameAsWanted(artifacts: readonly Artifact[], snapshot: Snapshot): void {
    const wanted = Object.assign({}, ...artifacts.map((artifact) => kindOf(artifact).entries(artifact))) as Record<string, string>;
    const found = renderObserved(artifacts, snapshot);
    const differing = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].filter((key) => wanted[key] !== found[key]);
    if (differing.length > 0) throw new Error(differing.map((key) => `${key}: wanted ${wanted[key] ?? "nothing"}, found ${found[key] ?? "nothing"}`).join("\n"));
}

/** What that router says when it is looked at. */
export const answerOf = (desired: DesiredObject, files: Files): Promise<Section[]> => bareRouter(desired).call("observe", files);
