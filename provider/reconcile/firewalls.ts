import type { Artifact } from "../syntax/artifact";
import { parseFilter, parseFlowtables, parseSave, type FilterChain, type FilterRule } from "../syntax/filter";
import type { DesiredObject } from "./desired";
import type { Finding } from "./finding";
import type { ForeignTable, LegacyFilter, Snapshot } from "./snapshot";

/**
 * Packets of the NVI, as a filter sees them. Stage 1 leaves by it, so `oifname lan0` misses them; in stage 2 they are untracked,
 * so "established accept" misses them too.
 */
interface Passage {
    end: "iifname" | "oifname";
    nic: string;
    /** The condition that they meet, whatever else they are. */
    own: RegExp;
    /** What the base chains of a hook may do to them that is a fault. */
    faults: Readonly<Record<string, readonly End[]>>;
}

type End = "accept" | "drop" | "reverse" | "translate";

function passages({ device, peer }: NonNullable<DesiredObject["crossing"]>, artifacts: readonly Artifact[]): Passage[] {
    const untracked = "ct state (?:\\{[^}]*\\buntracked\\b[^}]*\\}|\\S*\\buntracked\\b\\S*)";
    const both = ["drop", "reverse"] as const;
    return [
        { end: "iifname", nic: peer, own: new RegExp(`${untracked}|${matching("i", peer)}`, "g"), faults: { forward: both, prerouting: both } },
        { end: "oifname", nic: device, own: new RegExp(matching("o", device), "g"), faults: { forward: ["drop"], postrouting: ["translate"] } },
        ...uplinks(artifacts).map((nic): Passage => ({ end: "iifname", nic, own: new RegExp(matching("i", nic), "g"), faults: { prerouting: ["reverse"] } })),
    ];
}

/** Where the kernel's own check has to be loose for IPv4, any other has to be too; the main table's route leads to one of several. */
function uplinks(artifacts: readonly Artifact[]): string[] {
    const nics = artifacts.flatMap((artifact) => (artifact.kind === "sysctl" && !artifact.transient && /^net\/ipv4\/conf\/.*\/rp_filter$/.test(artifact.path) ? artifact.device ?? [] : []));
    return nics.length > 1 ? nics : [];
}

/** A condition on an interface: its name alone, in a set, or as a wildcard. */
function matching(end: "i" | "o", name: string): string {
    const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const wildcards = [...name].map((_, i) => `${escaped(name.slice(0, i + 1))}\\*`);
    const quoted = `"(?:${[escaped(name), ...wildcards].join("|")})"`;
    return `${end}if(?:name)? (?:${quoted}|\\{[^}]*${quoted}[^}]*\\})`;
}

/** Filters of others through which the NVI's packets would not get, ways past it, and translations that would be theirs. */
export function firewalls({ crossing, artifacts, diverted }: DesiredObject, snapshot: Snapshot): Finding[] {
    if (!crossing) return [];
    const all = passages(crossing, artifacts);
    const foreign = snapshot.foreign.filter((table) => !table.name.startsWith("nvi_"));
    return [...foreign.flatMap((table) => tableFindings(table, all, diverted)), ...snapshot.legacy.flatMap((filter) => legacyFindings(filter, all))];
}

function tableFindings(table: ForeignTable, all: readonly Passage[], diverted: readonly string[]): Finding[] {
    const name = `${table.family} ${table.name}`;
    if (table.listing === "") {
        return [{ reason: `the chains of nft table ${name} cannot be read with this router's nft`, cure: `see why \`nft list table ${name}\` fails; a table made by a newer nft is one reason` }];
    }
    const chains = parseFilter(table.listing);
    const ends = deadEnds(chains, all).map(({ chain, fault, stopped }) => {
        const inserts = stopped.map(({ end, nic }) => `nft insert rule ${name} ${doorOf(chain, chains)} ${end} "${nic}" accept`).join("; ");
        if (fault === "translate") return { reason: `chain ${chain.name} of nft table ${name} would translate whatever enters the NVI and isn't translated yet, published servers' connections too`, cure: inserts };
        if (fault === "drop") return { reason: `chain ${chain.name} of nft table ${name} would drop ${chain.hook === "forward" ? "forwarded packets" : "what comes back from the NVI"}`, cure: inserts };
        return {
            reason: `chain ${chain.name} of nft table ${name} checks the reverse path (fib saddr . iif): it would drop what comes in by ${stopped.map(({ nic }) => nic).join(", ")}, as the main table's route back leads elsewhere`,
            cure: table.name === "firewalld" ? "set IPv6_rpfilter=no in /etc/firewalld/firewalld.conf, then: systemctl restart firewalld" : inserts,
        };
    });
    const into = all.filter(({ end }) => end === "oifname");
    return [...ends, ...into.flatMap((passage) => shortcuts(table, chains, passage, diverted))];
}

/**
 * What is offloaded passes POSTROUTING by (net/netfilter/nf_flow_table_ip.c, nf_flow_offload_ip_hook), where packets get the mark that
 * stage 2 wants to see.
 */
function shortcuts({ family, name, listing }: ForeignTable, chains: readonly FilterChain[], { nic: nvi, own }: Passage, diverted: readonly string[]): Finding[] {
    const flowtables = parseFlowtables(listing);
    return chains.filter(({ hook }) => hook === "forward").flatMap((chain) => offloads(chain, chains, own)).flatMap(({ chain, flowtable }) => {
        const nics = diverted.filter((nic) => flowtables.get(flowtable)?.some((device) => device === nic || (device.endsWith("*") && nic.startsWith(device.slice(0, -1)))));
        if (nics.length === 0) return [];
        return [{
            reason: `chain ${chain} of nft table ${family} ${name} offloads connections to flowtable ${flowtable}: what comes in by ${nics.join(", ")} would enter the NVI without its mark, and be dropped`,
            cure: name === "firewalld" ? "set NftablesFlowtable=off in /etc/firewalld/firewalld.conf, then: systemctl restart firewalld" : `have it leave out what goes to the NVI: oifname != "${nvi}" flow add @${flowtable}`,
        }];
    });
}

/** Conditions that connections to be offloaded meet, whatever they are. */
const USUAL = /(?:(?:meta )?l4proto|ip protocol|ip6 nexthdr|meta nfproto|ct state) (?:\{[^}]*\}|\S+)/g;

/** Rules that offload what goes to the NVI, from what is certain. */
function offloads(chain: FilterChain, chains: readonly FilterChain[], own: RegExp): { chain: string; flowtable: string }[] {
    const found = [];
    for (const rule of chain.rules) {
        const { conditions, verdict } = rule;
        if (lessExceptions(conditions, own).replace(own, "").replace(USUAL, "").trim() !== "") continue;
        if (verdict === "accept") break;
        if (typeof verdict === "object" && "offload" in verdict) found.push({ chain: chain.name, flowtable: verdict.offload });
        const target = chains.find(({ name }) => name === targetOf(rule));
        if (target) found.push(...offloads(target, chains, own));
    }
    return found;
}

function legacyFindings({ protocol, tool, listing }: LegacyFilter, all: readonly Passage[]): Finding[] {
    if (tool === undefined) {
        return [{ reason: `it has legacy ${protocol} rules, which nft doesn't list, and no ${protocol}-legacy-save to read them with`, cure: `install iptables; or, if nothing needs those rules, unload their kernel module: rmmod ${protocol.replace("tables", "table")}_filter` }];
    }
    const chains = parseSave(listing);
    return deadEnds(chains, all).map(({ chain, stopped }) => ({
        reason: `chain ${chain.name} of the legacy ${protocol} would drop forwarded packets; nft doesn't list it, \`${tool} -S\` does`,
        cure: stopped.map(({ end, nic }) => `${tool} -I ${doorOf(chain, chains)} -${end[0]} ${nic} -j ACCEPT`).join("; "),
    }));
}

/** Docker keeps this chain for the rules of others, before all of its own. */
const doorOf = (chain: FilterChain, chains: readonly FilterChain[]): string =>
    chain.rules.some((rule) => rule.conditions === "" && targetOf(rule) === "DOCKER-USER") && chains.some(({ name }) => name === "DOCKER-USER") ? "DOCKER-USER" : chain.name;

interface DeadEnd {
    chain: FilterChain;
    /** `reverse`: by a check of the reverse path, not by a rule about where packets go. */
    fault: End;
    stopped: Passage[];
}

/** The base chains in which packets end that should not. */
function deadEnds(chains: readonly FilterChain[], all: readonly Passage[]): DeadEnd[] {
    return chains.flatMap((chain) => (["reverse", "drop", "translate"] as const).flatMap((fault) => {
        const stopped = all.filter((passage) => passage.faults[chain.hook ?? ""]?.includes(fault) && endOf(chain, chains, passage) === fault);
        return stopped.length > 0 ? [{ chain, fault, stopped }] : [];
    }));
}

const endOf = (chain: FilterChain, chains: readonly FilterChain[], passage: Passage): End => walk(chain, chains, passage) ?? (chain.policy === "drop" ? "drop" : "accept");

/** A strict check; the loose one, without `iif`, is content with any route. */
const REVERSE_PATH = /fib saddr(?: \. mark)? \. iif oif (?:missing|0)/;

/** Whoever excepts other NICs means this one. */
const lessExceptions = (conditions: string, own: RegExp): string =>
    conditions.replace(/oif(?:name)? != (?:"[^"]*"|\{[^}]*\})/, (text) => (text.replace("!= ", "").search(own) < 0 ? "" : text));

/**
 * Where packets end, from what is certain: that a rule without conditions meets them, or one with their own. An accept may have
 * more conditions, which whoever wrote it for the NVI has reasons for; a drop with more concerns some packets only. What is
 * translated after some have been let off is so, too.
 */
function walk(chain: FilterChain, chains: readonly FilterChain[], passage: Passage): End | undefined {
    let letOff = false;
    for (const rule of chain.rules) {
        const rest = rule.conditions.replace(passage.own, "").replace(/meta nfproto \S+/, "").trim();
        const isOwn = rule.conditions.search(passage.own) >= 0;
        const all = rule.conditions === "" || isOwn;
        if (rule.verdict === "accept" && all) return "accept";
        if (rule.verdict === "drop" && rest === "") return "drop";
        if (rule.verdict === "drop" && passage.end === "iifname" && rest.replace(REVERSE_PATH, "") === "") return "reverse";
        if (rule.verdict === "translate" && !letOff && lessExceptions(rest, passage.own).trim() === "") return "translate";
        letOff ||= rule.verdict === "accept" || rule.verdict === "return";
        if (rule.verdict === "return" && all && rest === "") return undefined;
        const target = chains.find(({ name }) => name === targetOf(rule));
        if (!target || (rest !== "" && !isOwn)) continue;
        const end = walk(target, chains, passage);
        if (end === "accept" ? all : end !== undefined && rest === "") return end;
        if (rest === "" && typeof rule.verdict === "object" && "jump" in rule.verdict && !rule.verdict.returns) return undefined;
    }
    return undefined;
}

const targetOf = ({ verdict }: FilterRule): string | undefined => (typeof verdict === "object" && "jump" in verdict ? verdict.jump : undefined);
