import { objectKey } from "../../provider/reconcile/objects";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { renderedOf } from "../../provider/reconcile/engine";
import { resolve } from "../../provider/reconcile/resolve";
import type { Address, Artifact, Link, Neighbour, Route, Routes, Rule, Sysctl, Table } from "../../provider/syntax/artifact";
import { routeCommand, routeKey, ruleCommand, ruleKey } from "../../provider/syntax/iproute";
import { office } from "../lab";

/*
 * What hands can do to what stands for an object. Each tamper says which entries of `rendered` it changes, the kernel's
 * doing included, and nothing else may be named for it.
 */
export interface Tamper {
    what: string;
    /** For the router's shell. */
    script: string;
    /** The entries that then differ from what is wanted, are missing, or are there in addition. */
    names: string[];
    /** Two tampers of the same place don't go into one round. */
    places: string[];
    /** nft rules that the repair may write anew: those of a table, of a table's chain, or one by its id. */
    rewrites?: string[];
}

export function tampersOf(desired: DesiredObject): Tamper[] {
    const entries = Object.keys(renderedOf(desired));
    const manifest = { what: "manifest deleted", script: `rm -r /etc/nvi/objects/${objectKey(desired.id)}`, names: ["owner"], places: [EVERYWHERE] };
    return [manifest, ...desired.artifacts.flatMap((artifact, i) => tampersOfArtifact(artifact, i, entries, desired))];
}

function tampersOfArtifact(artifact: Artifact, i: number, entries: readonly string[], desired: DesiredObject): Tamper[] {
    switch (artifact.kind) {
        // For emulated machines: the lab's kernel loads no modules, and its router has no systemd.
        case "module": case "setting": case "boot": return [];
        case "link": return linkTampers({ ...artifact, peer: artifact.peer ?? artifact.name }, entries, desired);
        case "address": return addressTampers(artifact);
        case "sysctl": return [sysctlTamper(artifact)];
        case "table": return tableTampers(artifact);
        case "rule": return ruleTampers(artifact, i);
        case "routes": return routeTampers(artifact);
        case "neighbour": return [neighbourTamper(artifact, i)];
    }
}

/** Everything that the kernel takes along when a device goes. */
type Pair = Link & { peer: string };
const ofDevices = ({ name, peer }: Pair, entries: readonly string[]): string[] =>
    entries.filter((entry) => new RegExp(`^(?:link|address|sysctl ipv[46]/conf/)(?: |)(?:${name}|${peer})(?:[ /]|$)`).test(entry));

/** Routes into a device go when it goes down, and don't come back. */
function routesInto(device: string, { artifacts }: DesiredObject): string[] {
    const routes = artifacts.flatMap((artifact) => (artifact.kind === "routes" ? artifact.routes : []));
    return routes.filter((route) => route.hops.some((hop) => hop.dev === device)).map(routeKey);
}

/** What is done to the device as such is the only one in its round. */
const EVERYWHERE = "everywhere";

function linkTampers(link: Pair, entries: readonly string[], desired: DesiredObject): Tamper[] {
    const { name, peer } = link;
    const routes = routesInto(name, desired);
    const gone = [...ofDevices(link, entries), ...routes];
    const set = (device: string, what: string, words: string): Tamper => ({ what: `${what} changed`, script: `ip link set dev ${device} ${words}`, names: [`link ${device} ${what}`], places: [`link ${device}`] });
    return [
        { what: "deleted", script: `ip link del ${name}`, names: gone, places: [EVERYWHERE] },
        { what: "made something else", script: `ip link del ${name}; ip link add name ${name} type bridge`, names: gone, places: [EVERYWHERE] },
        ...[name, peer].flatMap((device) => [set(device, "mtu", "mtu 9001"), set(device, "address", "address 02:00:00:00:00:99"), set(device, "alias", "alias mine")]),
        set(name, "arp", "arp on"),
        { ...set(name, "state", "down"), names: [`link ${name} state`, ...routes], places: [EVERYWHERE] },
        { ...set(peer, "state", "down"), places: [EVERYWHERE] },
    ];
}

function addressTampers({ device, prefix }: Address): Tamper[] {
    const tamper = (what: string, words: string): Tamper => ({ what, script: `ip address ${words} dev ${device}`, names: [`address ${device}`], places: [`address ${device}`] });
    return [tamper("removed", `del ${prefix}`), tamper("another added", "add 192.0.2.200/32")];
}

function sysctlTamper({ path, value, accept }: Sysctl): Tamper {
    const other = ["1", "0", "3"].find((one) => one !== value && !accept?.includes(one));
    // The switches of all interfaces follow this one.
    const places = /forward/.test(path) ? [EVERYWHERE] : [`sysctl ${path}`];
    return { what: "flipped", script: `echo ${other} > /proc/sys/${path}`, names: [`sysctl ${path.replace(/^net\//, "")}`], places };
}

/** How many of a chain's rules, of all ip rules, and of a table's routes a round may tamper with. */
const AT_ONCE = 6;
const CHAINS_AT_ONCE = 3;
const slots = (place: string): string[] => Array.from({ length: AT_ONCE }, (_, i) => `${place} ${i}`);

const nft = (line: string): string => `echo '${line}' | nft -f -`;

function tableTampers(table: Table): Tamper[] {
    const { name, chains } = table;
    const whole = chains.flatMap((chain) => [`nft ${name} ${chain.name}`, ...chain.rules.map((rule) => `nft ${name} ${chain.name} ${rule.id}`)]);
    const beside = (what: string) => ({ places: [`${name} FOREIGN ${what}`], rewrites: [name] });
    const all = { places: [...["chain", "set"].flatMap((what) => beside(what).places), ...chains.flatMap((chain) => slots(`${name} ${chain.name}`))], rewrites: [name] };
    return [
        { what: "table deleted", script: `nft delete table inet ${name}`, names: whole, ...all },
        { what: "foreign chain added", script: nft(`add chain inet ${name} byhand`), names: [`nft ${name} FOREIGN chain byhand`], ...beside("chain") },
        { what: "foreign set added", script: nft(`add set inet ${name} byhand { type ipv4_addr; }`), names: [`nft ${name} FOREIGN set byhand`], ...beside("set") },
        { what: "table switched off", script: `nft add table inet ${name} '{ flags dormant; }'`, names: [`nft ${name} FOREIGN flags dormant`], places: [EVERYWHERE], rewrites: [name] },
        ...chains.flatMap((chain) => [...chainTampers(table, chain), ...nftRuleTampers(table, chain)]),
    ];
}

type Chain = Table["chains"][number];

function chainTampers({ name: table, chains }: Table, chain: Chain): Tamper[] {
    const key = `nft ${table} ${chain.name}`;
    const places = slots(`${table} ${chain.name}`);
    const rules = chain.rules.map((rule) => `${key} ${rule.id}`);
    const foreign: Tamper = { what: "foreign rules added", script: nft(`add rule inet ${table} ${chain.name} counter\ninsert rule inet ${table} ${chain.name} counter comment "mine"`), names: [`${key} FOREIGN 1`, `${key} FOREIGN 2`], places };
    const flushed: Tamper = { what: "chain flushed", script: `nft flush chain inet ${table} ${chain.name}`, names: rules, places, rewrites: [`${table} ${chain.name}`] };
    const twice: Tamper[] = chain.rules.slice(0, 1).map((rule) => ({ what: "rule doubled", script: copyRule(table, chain.name, rule.id), names: [`${key} FOREIGN 1`], places }));
    // A chain that is jumped to can't be deleted, and has no header.
    if (!chain.hook) return [foreign, ...(rules.length > 0 ? [flushed] : []), ...twice];
    const list = `nft -s list chain inet ${table} ${chain.name}`;
    const remove = `nft flush chain inet ${table} ${chain.name}; nft delete chain inet ${table} ${chain.name}`;
    const whole = (turn: number) => ({ places: [...places, `${table} ${(chains.indexOf(chain) + turn) % CHAINS_AT_ONCE}`], rewrites: [table] });
    return [
        foreign, flushed, ...twice,
        { what: "chain deleted", script: remove, names: [key, ...rules], ...whole(0) },
        { what: "chain moved", script: `chain=$(${list} | sed 's/priority [^;]*;/priority 77;/'); ${remove}; echo "$chain" | nft -f -`, names: [key], ...whole(1) },
    ];
}

const handleOf = (table: string, chain: string, id: string): string => `$(nft -a list chain inet ${table} ${chain} | grep -F 'comment "${id}" #' | sed 's/.*handle //')`;
/** Puts a copy of a rule at the chain's end, comment and all. */
const copyRule = (table: string, chain: string, id: string): string => `{ echo 'add rule inet ${table} ${chain} '; nft -s list chain inet ${table} ${chain} | grep -F 'comment "${id}"'; } | tr -d '\\n' | { cat; echo; } | nft -f -`;

function nftRuleTampers({ name: table }: Table, chain: Chain): Tamper[] {
    const all = slots(`${table} ${chain.name}`);
    const of = (rule: { id: string }, what: string, script: string, place: number): Tamper => ({ what, script, names: [`nft ${table} ${chain.name} ${rule.id}`], places: [all[place % AT_ONCE]!], rewrites: [`${table} ${chain.name} ${rule.id}`] });
    const handle = ({ id }: { id: string }) => handleOf(table, chain.name, id);
    const deleted = chain.rules.map((rule, i) => of(rule, "rule deleted", `nft delete rule inet ${table} ${chain.name} handle ${handle(rule)}`, i));
    // In another place, so that a round deletes some rules of a chain and replaces others.
    const replaced = chain.rules.map((rule, i) => of(rule, "rule replaced", `nft replace rule inet ${table} ${chain.name} handle ${handle(rule)} counter comment '"${rule.id}"'`, i + AT_ONCE / 2));
    const moved = chain.rules.slice(0, -1).slice(0, 1).map((rule) => ({
        ...of(rule, "rule moved", `handle=${handle(rule)}; ${copyRule(table, chain.name, rule.id)}; nft delete rule inet ${table} ${chain.name} handle $handle`, 0),
        names: [`nft ${table} ${chain.name} order`], places: all,
    }));
    return [...deleted, ...replaced, ...moved];
}

/** The rule with the addresses of the lab's NICs, where the program left them to the router. */
export const inFull = (rule: Rule): Rule => resolve(rule, { addresses: OWN_ADDRESSES, ipv6: true }) as Rule;

const OWN_ADDRESSES = (["isp1", "isp2"] as const).flatMap((device) => [
    { device, local: office.router[`${device}v4`], length: 28, scope: "global", family: 4 as const },
    { device, local: office.router[`${device}v6`], length: 64, scope: "global", family: 6 as const },
]);

function ruleTampers(written: Rule, i: number): Tamper[] {
    const rule = inFull(written);
    const elsewhere: Rule = { ...rule, action: { table: 4243 } };
    const [add, del, other] = [ruleCommand("add", rule), ruleCommand("del", rule), ruleCommand("add", elsewhere)].map((words) => words.join(" "));
    const tamper = (what: string, script: string): Tamper => ({ what, script, names: [ruleKey(written)], places: [`rule ${i % AT_ONCE}`] });
    return [tamper("deleted", del!), tamper("pointed elsewhere", `${other}; ${del}`), tamper("doubled", `${other}; ${del}; ${add}`)];
}

function routeTampers({ table, routes }: Routes): Tamper[] {
    const families = [...new Set(routes.map(({ family }) => family))];
    const foreign = families.map((family): Tamper => {
        const route: Route = { family, table, to: family === 4 ? "192.0.2.240/28" : "2001:db8:77::/48", type: "unicast", hops: [{ dev: "lan0" }] };
        return { what: "foreign route added", script: routeCommand("add", route, 4).join(" "), names: [`FOREIGN ${routeKey(route)}`], places: [`route ${table} ${family}`] };
    });
    // What comes to it goes on to the next rule.
    const left = families.map((family): Tamper => {
        const to = family === 4 ? "192.0.2.224/28" : "2001:db8:78::/48";
        return { what: "throw route added", script: `ip -${family} route add throw ${to} table ${table}`, names: [`FOREIGN ${routeKey({ family, table, to })}`], places: [`route ${table} ${family} throw`] };
    });
    return [...foreign, ...left, ...routes.flatMap((route, i) => changedRoute(route, `route ${table} ${i % AT_ONCE}`))];
}

function changedRoute(route: Route, place: string): Tamper[] {
    const tamper = (what: string, script: string): Tamper => ({ what, script, names: [routeKey(route)], places: [place] });
    const other: Route = route.type === "unicast" ? { ...route, type: "unreachable", hops: [] } : { ...route, type: "blackhole" };
    const text = (verb: "del" | "replace" | "append", one: Route, protocol?: number) => routeCommand(verb, one, protocol).join(" ");
    const beside = route.family === 4 ? [tamper("another appended", text("append", { ...route, type: "unicast", hops: [{ dev: "lan0" }] }, 4))] : [];
    // IPv6 takes a deletion without metric for one of any metric.
    return [tamper("deleted", text("del", route.family === 6 ? { metric: 1024, ...route } : route)), tamper("changed", text("replace", other)), tamper("taken over", text("replace", route, 4)), ...beside];
}

const neighbourTamper = ({ device, address }: Neighbour, i: number): Tamper => ({ what: "deleted", script: `ip neighbour del proxy ${address} dev ${device}`, names: [`neighbour ${address} dev ${device}`], places: [`neighbour ${i % AT_ONCE}`] });

/** As few rounds as go, none of them with two tampers of one place. */
export function rounds(tampers: readonly Tamper[]): Tamper[][] {
    const made: Tamper[][] = [];
    for (const tamper of tampers) {
        const round = made.find((others) => others.every((other) => goTogether(tamper, other)));
        if (round) round.push(tamper);
        else made.push([tamper]);
    }
    return made;
}

function goTogether(one: Tamper, other: Tamper): boolean {
    if ([one, other].some(({ places }) => places.includes(EVERYWHERE))) return false;
    if (one.places.some((place) => other.places.includes(place)) || one.names.some((name) => other.names.includes(name))) return false;
    // A repair that writes the whole table would hide how narrow the other one is.
    return tablesOf(one).every((table) => !tablesOf(other).includes(table) || isWhole(one, table) === isWhole(other, table));
}

const tablesOf = ({ names }: Tamper): string[] => names.flatMap((name) => /^nft (\S+)/.exec(name)?.[1] ?? []);
const isWhole = ({ rewrites = [] }: Tamper, table: string): boolean => rewrites.includes(table);

/** One of each sort, as far as they go together and the repair is a narrow one. */
export function assorted(tampers: readonly Tamper[]): Tamper[] {
    const chosen = new Map<string, Tamper>();
    for (const tamper of tampers) {
        const sort = `${tamper.what} ${tamper.names[0]?.split(" ")[0]}`;
        const isNarrow = !tamper.places.includes(EVERYWHERE) && !tablesOf(tamper).some((table) => isWhole(tamper, table));
        if (isNarrow && !chosen.has(sort) && [...chosen.values()].every((other) => goTogether(tamper, other))) chosen.set(sort, tamper);
    }
    return [...chosen.values()];
}

/** What an entry is, whatever it is called and numbered. */
const shape = (entry: string): string => entry.replace(/nvi_(nat|mark|if)_\w+/, "nvi_$1").replace(/0x[0-9a-f]+|\d+(?:[.:][0-9a-f:.]*)?/g, "N");

/** Of each kind of resource everything that can be done to each sort of entry, and something to each single one. */
export function unseen(tampers: readonly Tamper[], kind: string, seen: Set<string>): Tamper[] {
    return tampers.filter(({ what, names }) => {
        const marks = [`${kind}: ${what}: ${names.map(shape).sort().join()}`, ...names.map((name) => `${kind}: ${name}`)];
        const isNew = marks.some((mark) => !seen.has(mark));
        marks.forEach((mark) => seen.add(mark));
        return isNew;
    });
}
