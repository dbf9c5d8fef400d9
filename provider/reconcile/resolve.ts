import type { Artifact, Rendered, Routes, Rule, Table } from "../syntax/artifact";
import { OWN_ADDRESS } from "../syntax/own-address";
import { kindOf } from "./kinds";
import type { ObservedAddress, Snapshot } from "./snapshot";

/** Whether anything in these artifacts waits for the router's addresses. */
export const hasTokens = (artifacts: readonly Artifact[]): boolean => OWN_ADDRESS.test(JSON.stringify(artifacts));

/** The first global address of a NIC; the kernel lists the primary one first. */
function lookup(addresses: readonly ObservedAddress[], family: number, device: string): string | undefined {
    return addresses.find((one) => one.device === device && one.family === family && one.scope === "global")?.local;
}

function fill(text: string, addresses: readonly ObservedAddress[]): string | undefined {
    let missing = false;
    const filled = text.replace(new RegExp(OWN_ADDRESS, "g"), (_, family: string, device: string) => {
        const address = lookup(addresses, Number(family), device);
        missing ||= address === undefined;
        return address ?? "";
    });
    return missing ? undefined : filled;
}

/**
 * The artifact with addresses for tokens; what needs an address that the router doesn't have is left out, and what is
 * IPv6's where its kernel has none.
 */
export function resolve(artifact: Artifact, { addresses, ipv6 }: Pick<Snapshot, "addresses" | "ipv6">): Artifact | undefined {
    if (!ipv6 && isIpv6(artifact)) return undefined;
    if (artifact.kind === "rule") return resolveRule(artifact, addresses);
    if (artifact.kind === "table") return resolveTable(artifact, addresses);
    if (artifact.kind === "routes" && !ipv6) return { ...artifact, routes: artifact.routes.filter(({ family }) => family === 4) } satisfies Routes;
    return artifact;
}

/** Tables of nft are of both families, and routes are told apart one by one. */
export function isIpv6(artifact: Artifact): boolean {
    switch (artifact.kind) {
        case "rule": return artifact.family === 6;
        case "sysctl": return artifact.path.startsWith("net/ipv6/");
        case "address": return artifact.prefix.includes(":");
        case "neighbour": return artifact.address.includes(":");
        default: return false;
    }
}

function resolveRule(rule: Rule, addresses: readonly ObservedAddress[]): Rule | undefined {
    if (!rule.from) return rule;
    const from = fill(rule.from, addresses);
    return from === undefined ? undefined : { ...rule, from };
}

function resolveTable(table: Table, addresses: readonly ObservedAddress[]): Table {
    const chains = table.chains.map((chain) => ({
        ...chain,
        rules: chain.rules.flatMap((rule) => {
            const text = fill(rule.text, addresses);
            return text === undefined ? [] : [{ ...rule, text }];
        }),
    }));
    return { ...table, chains };
}

/** All entries that a list of artifacts stands for, tokens and all: what is reviewed in preview. */
export function render(artifacts: readonly Artifact[]): Rendered {
    return Object.assign({}, ...artifacts.map((artifact) => kindOf(artifact).entries(artifact)));
}

/** The same entries as the router has them; an entry that is as wanted reads exactly as it was written. */
export function renderObserved(artifacts: readonly Artifact[], snapshot: Snapshot): Rendered {
    return Object.assign({}, ...artifacts.map((artifact) => observedEntries(artifact, snapshot)));
}

function observedEntries(artifact: Artifact, snapshot: Snapshot): Rendered {
    const kind = kindOf(artifact);
    const written = kind.entries(artifact);
    const resolved = resolve(artifact, snapshot);
    const wanted = resolved ? kind.entries(resolved) : {};
    const found = resolved ? { ...kind.observed(resolved, snapshot) } : {};
    const entries: Rendered = {};
    for (const [key, value] of Object.entries(written)) {
        const key2 = artifact.kind === "rule" && resolved ? kind.key(resolved) : key;
        const asWanted = !(key2 in wanted) || found[key2] === wanted[key2];
        if (asWanted) entries[key] = value;
        else if (key2 in found) entries[key] = found[key2]!;
        delete found[key2];
    }
    return { ...entries, ...found };
}
