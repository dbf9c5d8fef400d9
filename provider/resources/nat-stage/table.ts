import { FAMILIES, canonicalPrefix, familyOf, parsePrefix, type Family } from "../../model/address";
import { formatPorts, parseService, portCount } from "../../model/ports";
import { ownAddress } from "../../syntax/own-address";
import type { Chain, TableRule } from "../../syntax/artifact";
import { quote, set } from "../../syntax/nft";
import { asList, deviceOf, type Dnat, type NatStageInputs, type Snat, type Static, type Translation } from "./schema";
import { errorMark, ipWord, ofFamily, passedText, rangeText } from "./words";

const nics = (names: readonly string[]): string => set([...new Set(names)].map(quote));

/**
 * The first that nft takes for translation (net/netfilter/nf_tables_api.c, nft_chain_parse_hook). It decides between chains that translate,
 * and nothing else: the first one that translates a connection is the only one (net/netfilter/nf_nat_core.c, nf_nat_inet_fn). Of two
 * with one priority the younger comes first (net/netfilter/core.c, nf_hook_entries_grow), so with a usual one it would be up to whoever loaded his rules last.
 */
const FIRST = -199;

/** The chains of the NAT stage's table. Their rules' ids are the inputs that they come from. */
export function chains(inputs: NatStageInputs): Chain[] {
    const uplinks = Object.keys(inputs.uplinks).map((name) => deviceOf(name, inputs.uplinks[name]));
    const all = nics([...inputs.inside, ...uplinks]);
    return [
        // The first to be made is the first to go when somebody deletes the table, chain by chain (net/netfilter/nf_tables_api.c,
        // nft_flush_table): without translation there is no pass.
        { name: "passed", hook: "type filter hook postrouting priority 2147483647", rules: passed(inputs) },
        ...Object.keys(inputs.uplinks).map((name) => uplinkChain(name, inputs)),
        ...guard(inputs, uplinks),
        { name: "dstnat", hook: `type nat hook prerouting priority ${FIRST}`, rules: [{ id: "elsewhere", text: `iifname != ${all} return` }, ...inputs.translations.flatMap((one, i) => destination(one, `translations[${i}]`, inputs))] },
        { name: "srcnat", hook: `type nat hook postrouting priority ${FIRST}`, rules: srcnat(inputs) },
        { name: "errors", hook: "type route hook output priority mangle", rules: errors(inputs) },
    ];
}

/** The addresses of an uplink that are its own: as listed, or those of its NIC. */
function own(name: string, family: Family, inputs: NatStageInputs): string[] {
    const uplink = inputs.uplinks[name]!;
    if (uplink.addresses === undefined) return [ownAddress(family, deviceOf(name, uplink))];
    return ofFamily(uplink.addresses, family).map(canonicalPrefix);
}

function uplinkChain(name: string, inputs: NatStageInputs): Chain {
    const rules = FAMILIES.flatMap((family) => own(name, family, inputs).slice(0, 1).map((address) => ({ id: `uplinks.${name} IPv${family}`, text: `snat ${ipWord(family)} to ${address}` })));
    return { name: `uplink_${name}`, rules };
}

/**
 * Sources that nobody out there can have. The kernel itself refuses the first kind in IPv4 only. A NIC's name is looked at once:
 * every packet comes by here, and in stage 2 once more.
 */
function guard(inputs: NatStageInputs, uplinks: readonly string[]): Chain[] {
    // The router hears its own broadcasts and multicasts on the NIC that they left by.
    const own = "fib saddr type local fib daddr type != { broadcast, multicast } drop";
    const prefixes = FAMILIES.flatMap((family) => {
        const some = insidePrefixes(inputs, family);
        return some.length === 0 ? [] : [{ id: `inside source IPv${family}`, text: `${ipWord(family)} saddr ${set(some)} drop` }];
    });
    const outside = [{ id: "own source", text: own }, { id: "inside source", text: `fib saddr oifname ${nics(inputs.inside)} drop` }, ...prefixes];
    const jumps = new Map([...inputs.inside.map((nic) => [nic, "from_inside"] as const), ...uplinks.map((nic) => [nic, "from_outside"] as const)]);
    const verdicts = [...jumps].map(([nic, chain]) => `${quote(nic)} : jump ${chain}`);
    return [
        { name: "from_inside", rules: [{ id: "own source", text: own }] },
        ...(uplinks.length === 0 ? [] : [{ name: "from_outside", rules: outside }]),
        { name: "guard", hook: "type filter hook prerouting priority mangle", rules: [{ id: "sources", text: `iifname vmap { ${verdicts.join(", ")} }` }] },
    ];
}

/** Prefixes that are inside: listed ones, and those that translations speak of. */
export function insidePrefixes(inputs: Pick<NatStageInputs, "insidePrefixes" | "translations">, family: Family): string[] {
    const spoken = inputs.translations.flatMap((one) => {
        if (one.kind === "snat") return asList(one.from);
        if (one.kind === "static") return [one.inside];
        return one.kind === "dnat" ? [one.to] : [];
    });
    const prefixes = ofFamily([...inputs.insidePrefixes, ...spoken], family).map(canonicalPrefix).filter((prefix) => prefix !== "default");
    return withoutContained([...new Set(prefixes)]);
}

function withoutContained(prefixes: readonly string[]): string[] {
    const parsed = prefixes.map((text) => ({ text, range: parsePrefix(text) as Exclude<ReturnType<typeof parsePrefix>, string> }));
    return parsed.filter(({ text, range }) => !parsed.some((other) => other.text !== text && other.range.first <= range.first && range.last <= other.range.last)).map(({ text }) => text);
}

function destination(one: Translation, id: string, inputs: NatStageInputs): TableRule[] {
    if (one.kind === "dnat") return forward(one, id, inputs);
    if (one.kind !== "static") return [];
    const ip = ipWord(familyOf(one.outside));
    return [{ id: `${id} in`, text: `${ip} daddr ${canonicalPrefix(one.outside)} dnat ${ip} ${isSingle(one) ? "to" : "prefix to"} ${canonicalPrefix(one.inside)}` }];
}

const isSingle = (one: Static): boolean => !canonicalPrefix(one.outside).includes("/");

function forward(one: Dnat, id: string, inputs: NatStageInputs): TableRule[] {
    const family = familyOf(one.to);
    const service = parseService(one.port) as Exclude<ReturnType<typeof parseService>, string>;
    const sources = [...new Set(asList(one.from ?? []).map(canonicalPrefix))];
    const from = sources.length === 0 || sources.includes("default") ? "" : `${ipWord(family)} saddr ${set(withoutContained(sources))} `;
    const to = target(one, family, service);
    // One rule an uplink: its address may be unknown for as long as it isn't dialled.
    return asList(one.on).flatMap((name) => {
        const addresses = own(name, family, inputs);
        if (addresses.length === 0) return [];
        return [{ id: `${id} ${name}`, text: `${from}${ipWord(family)} daddr ${set(addresses)} ${service.protocol} dport ${formatPorts(service.ports)} dnat ${ipWord(family)} to ${to}` }];
    });
}

function target(one: Dnat, family: Family, { protocol, ports }: Exclude<ReturnType<typeof parseService>, string>): string {
    const host = canonicalPrefix(one.to);
    const { toPort } = one;
    if (toPort === undefined || toPort === ports.first) return host;
    if (portCount(ports) === 1) return `${family === 6 ? `[${host}]` : host}:${toPort}`;
    // Given a range, the kernel takes any port of it: one after the other needs a map.
    const pairs = Array.from({ length: portCount(ports) }, (_, i) => `${ports.first + i} : ${toPort + i}`);
    return `${host} : ${protocol} dport map { ${pairs.join(", ")} }`;
}

/**
 * What is done with. The mark of the NAT stage is for what it translated, or had no reason to: not for what conntrack
 * doesn't know, such as a FIN that comes late, nor for a connection that began while this table was away.
 */
function passed(inputs: NatStageInputs): TableRule[] {
    const mark = { id: "passed", text: passedText(inputs.interface) };
    const inside = `iifname ${nics(inputs.inside)}`;
    const drops = FAMILIES.flatMap((family) => {
        const sources = translatedSources(inputs, family);
        return sources === "" ? [] : [{ id: `inside source IPv${family}`, text: `${inside} ${sources}drop` }];
    });
    if (drops.length === 0) return [mark];
    const neighbours = FAMILIES.flatMap((family) => {
        const prefixes = insidePrefixes(inputs, family);
        return prefixes.length === 0 ? [] : [{ id: `neighbours IPv${family}`, text: `${ipWord(family)} daddr ${set(prefixes)} return` }];
    });
    const exempt = inputs.translations.flatMap((one, i) => (one.kind === "exempt" ? sourceRules(one, `translations[${i}]`, inside, inputs) : []));
    return [
        { id: "elsewhere", text: `oifname != ${quote(inputs.interface)} return` },
        mark,
        { id: "translated", text: "ct status and snat != 0 return" },
        { id: "answers", text: "ct direction reply return" },
        ...neighbours, ...exempt, ...drops,
    ];
}

/** A match of all that gets another source; empty where nothing does. */
function translatedSources({ translations }: NatStageInputs, family: Family): string {
    const sources = ofFamily(translations.flatMap((one) => (one.kind === "snat" ? asList(one.from) : one.kind === "static" ? [one.inside] : [])), family);
    if (sources.length === 0) return "";
    const prefixes = [...new Set(sources.map(canonicalPrefix))];
    return prefixes.includes("default") ? `meta nfproto ipv${family} ` : `${ipWord(family)} saddr ${set(withoutContained(prefixes))} `;
}

function srcnat(inputs: NatStageInputs): TableRule[] {
    const inside = `iifname ${nics(inputs.inside)}`;
    const neighbours = FAMILIES.flatMap((family) => {
        const prefixes = insidePrefixes(inputs, family);
        // A neighbour that was asked for by its public address must answer by the way that it was asked.
        return prefixes.length === 0 ? [] : [{ id: `neighbours IPv${family}`, text: `${inside} ${ipWord(family)} daddr ${set(prefixes)} ct status and dnat == 0 return` }];
    });
    const source = (kind: Translation["kind"]) => inputs.translations.flatMap((one, i) => (one.kind === kind ? sourceRules(one, `translations[${i}]`, inside, inputs) : []));
    return [{ id: "elsewhere", text: `oifname != ${quote(inputs.interface)} return` }, ...neighbours, ...source("exempt"), ...source("static"), ...source("snat")];
}

function sourceRules(one: Translation, id: string, inside: string, inputs: NatStageInputs): TableRule[] {
    if (one.kind === "snat") return sourceNat(one, id, inside, inputs);
    if (one.kind === "exempt") return [{ id, text: `${inside} ${match("saddr", one.from)}${match("daddr", one.to)}return` }];
    if (one.kind !== "static") return [];
    const ip = ipWord(familyOf(one.inside));
    return [{ id: `${id} out`, text: `${inside} ${ip} saddr ${canonicalPrefix(one.inside)} snat ${ip} ${isSingle(one) ? "to" : "prefix to"} ${canonicalPrefix(one.outside)}` }];
}

/** A prefix of length 0 is a match of the family alone. */
function match(which: "saddr" | "daddr", prefix: string): string {
    const canonical = canonicalPrefix(prefix);
    return canonical === "default" ? `meta nfproto ipv${familyOf(prefix)} ` : `${ipWord(familyOf(prefix))} ${which} ${canonical} `;
}

function sourceNat(one: Snat, id: string, inside: string, inputs: NatStageInputs): TableRule[] {
    return asList(one.from).map((prefix, i) => {
        const family = familyOf(prefix);
        const name = Array.isArray(one.from) ? `${id} from[${i}]` : id;
        const verdict = "pool" in one.to ? `snat ${ipWord(family)} to ${rangeText(one.to.pool)}` : choose(one.to, family, inputs);
        return { id: name, text: `${inside} ${match("saddr", prefix)}${verdict}` };
    });
}

/** Fixed, so that a rule that is loaded again sends everybody the same way as before. */
const SEED = "0x6e7669";

/** The translation chooses the uplink; stage 2 only follows the translated source. */
function choose(to: Extract<Snat["to"], { uplinks: string[] }>, family: Family, inputs: NatStageInputs): string {
    const able = to.uplinks.filter((name) => own(name, family, inputs).length > 0);
    if (able.length === 1) return `goto uplink_${able[0]}`;
    const ip = ipWord(family);
    let next = 0;
    const slots = able.map((name) => {
        const first = next;
        next += inputs.uplinks[name]!.weight;
        return `${first === next - 1 ? first : `${first}-${next - 1}`} : goto uplink_${name}`;
    });
    const key = { connection: `numgen random mod ${next}`, source: `jhash ${ip} saddr mod ${next} seed ${SEED}`, "source-destination": `jhash ${ip} saddr . ${ip} daddr mod ${next} seed ${SEED}` }[to.spread];
    return `${key} vmap { ${slots.join(", ")} }`;
}

/**
 * An ICMP error that the router raises about a translated connection gets the uplink's address as its source, in
 * POSTROUTING (net/netfilter/nf_nat_proto.c, nf_nat_icmp_reply_translation). Its route is chosen before that, by the
 * main table, so it would leave by the wrong uplink: these marks choose again. The direction tells errors for the
 * outside from errors for the inside, except where both ends are inside: those keep the main table.
 */
function errors(inputs: NatStageInputs): TableRule[] {
    return Object.entries(inputs.uplinks).flatMap(([name, uplink]) => FAMILIES.flatMap((family) => {
        const addresses = [...own(name, family, inputs), ...ofFamily(outsideOf(name, inputs), family)];
        if (addresses.length === 0) return [];
        const ip = ipWord(family);
        const prefixes = insidePrefixes(inputs, family);
        const outside = (tuple: string) => (prefixes.length === 0 ? "" : `ct ${tuple} ${ip} saddr != ${set(prefixes)} `);
        const mark = errorMark(deviceOf(name, uplink));
        return [
            { id: `${name} IPv${family} in`, text: `ct state related ct direction reply ct status and dnat != 0 ct original ${ip} daddr ${set(addresses)} ${outside("original")}${mark}` },
            { id: `${name} IPv${family} out`, text: `ct state related ct direction original ct status and snat != 0 ct reply ${ip} daddr ${set(addresses)} ${outside("reply")}${mark}` },
        ];
    }));
}

/** Addresses beyond an uplink's own that translations give out through it. */
export function outsideOf(name: string, inputs: Pick<NatStageInputs, "translations">): string[] {
    return inputs.translations.flatMap((one) => {
        if (one.kind === "static" && one.on === name) return [canonicalPrefix(one.outside)];
        return one.kind === "snat" && "pool" in one.to && one.to.uplink === name ? [rangeText(one.to.pool)] : [];
    });
}
