import type { Section } from "../host/host";
import { canonicalPrefix } from "../model/address";
import { NviError } from "../model/errors";
import { parseRoutes, parseRules, type ObservedRoute } from "../syntax/iproute";
import { parseTable, type ListedTable } from "../syntax/nft";
import { isKnown, kindOf } from "./kinds";
import { parseNetworkd } from "./networkd";
import type { Manifest, StoredObject } from "./objects";
import type { ForeignTable, LegacyFilter, ModuleFacts, ObservedAddress, ObservedLink, ObservedNeighbour, Snapshot } from "./snapshot";

/** The packages of the tools without which nothing can be observed. */
const TOOLS: Record<string, string> = { nft: "nftables", ip: "iproute2", unshare: "util-linux", flock: "util-linux" };

/** A tool that is missing must be called by its name before its silence is taken for an answer. */
function requireTools(router: string, facts: Readonly<Record<string, string>>): void {
    const missing = Object.keys(TOOLS).filter((tool) => !facts[`tool ${tool}`]);
    if (missing.length === 0) return;
    throw new NviError({
        kind: "preflight",
        operation: "observe",
        subject: router,
        reason: `it has no ${missing.map((tool) => `\`${tool}\``).join(", ")}; nothing was changed, and what is there is unknown`,
        cure: `install ${[...new Set(missing.map((tool) => TOOLS[tool]))].join(" and ")} on the router`,
    });
}

type Json = Record<string, unknown>;

/** ip exits with 2 and this text for a route table that has never had a route. */
const NO_TABLE = /FIB table does not exist/;
const NO_NFT_TABLE = /No such file or directory/;

/**
 * Reads an answer of the script's `observe`.
 *
 * @throws NviError `protocol` where a tool failed or its output can't be read, `preflight` where one is missing: a
 *   crash or half an answer must never pass for "nothing there".
 */
export function parseSnapshot(router: string, sections: readonly Section[]): Snapshot {
    const reader = new Reader(router, sections);
    const facts = reader.pairs("facts");
    requireTools(router, Object.fromEntries(facts));
    const managers = facts.filter(([key]) => key === "manager").map(([, value]) => value);
    const networkd = reader.parse("networkd", parseNetworkd);
    return {
        router,
        facts: Object.fromEntries(facts),
        generation: Number(facts.find(([key]) => key === "generation")?.[1] ?? 0),
        turn: facts.find(([key]) => key === "turn")?.[1] ?? "none",
        managers,
        ipv6: facts.some(([key, value]) => key === "ipv6" && value === "yes"),
        objects: reader.parse("objects", parseObjects),
        links: new Map(reader.parse("links", parseLinks).map((link) => [link.name, link])),
        addresses: reader.parse("addresses", parseAddresses),
        proxied: reader.parse("neighbours", parseNeighbours),
        rules: [...reader.parse("rules4", (text) => parseRules(4, text)), ...reader.parse("rules6", (text) => parseRules(6, text))],
        routes: reader.routes("route"),
        defaults: reader.routes("default"),
        advertised: reader.parse("ra", (text) => parseRoutes(6, 0, text).filter((route) => route.to === "default").flatMap((route) => route.hops.map((hop) => hop.dev ?? ""))),
        sysctls: new Map(reader.pairs("sysctls")),
        settings: new Map(reader.pairs("settings")),
        module: parseModule(reader.pairs("module")),
        boot: reader.parse("boot", parseBoot),
        tableNames: new Set(reader.parse("tables", parseTableNames)),
        tables: reader.tables(),
        canonical: reader.canonical(),
        foreign: reader.foreign(),
        legacy: reader.legacy(),
        networkd: managers.includes("systemd-networkd") ? networkd : undefined,
    };
}

function parseModule(pairs: readonly [string, string][]): ModuleFacts {
    const all = (key: string) => pairs.filter(([one, value]) => one === key && value !== "").map(([, value]) => value);
    const is = (key: string) => all(key)[0] === "yes";
    const [version] = all("installed");
    return {
        loaded: all("loaded")[0], installed: version === undefined ? undefined : { version, way: all("way")[0] === "dkms" ? "dkms" : "prebuilt" },
        kernels: new Map(all("kernel").map((line) => line.split(" ")).map(([release = "", found]) => [release, found || undefined])),
        loadable: is("loadable"), signed: is("signed"), key: is("key"),
        tools: all("tool"), headers: is("headers"), apt: is("apt"),
    };
}

function parseBoot(text: string): Snapshot["boot"] {
    const found = (["there", "missing", "none"] as const).find((one) => one === text.trim());
    if (found === undefined) throw new Error("it is none of there, missing, none");
    return found;
}

class Reader {
    private readonly byName: Map<string, Section>;

    constructor(private readonly router: string, private readonly sections: readonly Section[]) {
        this.byName = new Map(sections.map((section) => [section.name, section]));
    }

    parse<T>(name: string, parse: (text: string) => T): T {
        const section = this.byName.get(name);
        if (!section) throw this.unreadable(name, "is missing from the router's answer");
        if (section.exit !== 0) throw this.unreadable(name, `failed with exit status ${section.exit}`, section);
        return this.guard(name, section, () => parse(section.stdout));
    }

    pairs(name: string): [string, string][] {
        return this.parse(name, (text) => text.split("\n").filter(Boolean).map((line) => {
            const tab = line.indexOf("\t");
            return [line.slice(0, tab), line.slice(tab + 1)];
        }));
    }

    /** By table, from the sections of this kind. */
    routes(kind: "route" | "default"): Map<number, ObservedRoute[]> {
        const routes = new Map<number, ObservedRoute[]>();
        for (const section of this.sections) {
            const match = /^([a-z]+)([46])\/(\d+)$/.exec(section.name);
            if (match?.[1] !== kind) continue;
            const [family, table] = [match[2] === "4" ? 4 : 6, Number(match[3])] as const;
            const empty = section.exit === 2 && NO_TABLE.test(section.stderr);
            const found = empty ? [] : this.parse(section.name, (text) => parseRoutes(family, table, text));
            routes.set(table, [...(routes.get(table) ?? []), ...found]);
        }
        return routes;
    }

    tables(): Map<string, ListedTable | undefined> {
        const tables = new Map<string, ListedTable | undefined>();
        for (const section of this.sections) {
            if (!section.name.startsWith("nft/")) continue;
            const absent = section.exit === 1 && NO_NFT_TABLE.test(section.stderr);
            tables.set(section.name.slice(4), absent ? undefined : this.parse(section.name, parseTable));
        }
        return tables;
    }

    canonical(): Map<string, ListedTable | { refused: string }> {
        const tables = new Map<string, ListedTable | { refused: string }>();
        for (const section of this.sections) {
            if (!section.name.startsWith("canonical/")) continue;
            const name = section.name.slice("canonical/".length);
            // Exit 1 is nft's own verdict on the text; a crash (128 and up) says nothing about it.
            if (section.exit === 1) tables.set(name, { refused: section.stderr.trim() });
            else tables.set(name, this.parse(section.name, parseTable));
        }
        return tables;
    }

    foreign(): ForeignTable[] {
        if (this.byName.has("forward")) this.parse("forward", String);
        return this.sections.filter((section) => section.name.startsWith("foreign/")).map((section) => {
            const [, family, name] = section.name.split("/") as [string, string, string];
            // An older nft crashes on maps that a newer one made. What can't be read can't be judged, and says so.
            return { family, name, listing: section.exit === 0 && section.stdout.endsWith("\n}\n") ? section.stdout : "" };
        });
    }

    legacy(): LegacyFilter[] {
        return (["iptables", "ip6tables"] as const).filter((protocol) => this.byName.has(`legacy/${protocol}`)).flatMap((protocol) => {
            const text = this.parse(`legacy/${protocol}`, String);
            const [tool, ...lines] = text.split("\n");
            if (tool === "") return [];
            return [{ protocol, listing: lines.join("\n"), ...(tool === "none" ? {} : { tool }) }];
        });
    }

    private guard<T>(name: string, section: Section, parse: () => T): T {
        try {
            return parse();
        } catch (cause) {
            throw this.unreadable(name, `answered something that can't be read (${(cause as Error).message})`, section);
        }
    }

    private unreadable(name: string, reason: string, section?: Section): NviError {
        return new NviError({
            kind: "protocol",
            operation: "observe",
            subject: this.router,
            reason: `${describe(name)} ${reason}; nothing was changed`,
            output: section && (section.stderr || section.stdout.slice(0, 2000)),
            cure: "run that command on the router; once it works, repeat the operation",
        });
    }
}

/** The command behind a section, for messages. */
function describe(name: string): string {
    const [what, ...rest] = name.split("/");
    const known: Record<string, string> = {
        links: "`ip -j -d link show`",
        addresses: "`ip -N -j address show`",
        rules4: "`ip -N -j -4 rule show`",
        rules6: "`ip -N -j -6 rule show`",
        ra: "`ip -N -j -6 route show table all proto 9`",
        neighbours: "`ip -N -j neighbour show proxy`",
        tables: "`nft list tables`",
        nft: `\`nft list table inet ${rest[0]}\``,
        canonical: `the listing of the wanted table ${rest[0]} in a scratch namespace (\`unshare -n nft ...\`)`,
        route4: `\`ip -4 route show table ${rest[0]}\``,
        route6: `\`ip -6 route show table ${rest[0]}\``,
        default4: `\`ip -4 route show table ${rest[0]} exact default\``,
        default6: `\`ip -6 route show table ${rest[0]} exact default\``,
        objects: "reading /etc/nvi/objects",
        sysctls: "reading /proc/sys/net",
        settings: "reading /sys/class/net",
        forward: "`nft list chains`",
        legacy: `the listing of legacy ${rest[0]} (\`${rest[0]}-legacy-save -t filter\`)`,
        networkd: "reading networkd.conf and its drop-ins",
        module: "looking for the kernel module",
        boot: "looking for what restores us at boot",
    };
    return known[what!] ?? what!;
}

function parseTableNames(text: string): string[] {
    if (text !== "" && !text.endsWith("\n")) throw new Error("it ends in the middle of a line");
    return text.split("\n").filter(Boolean).map((line) => line.replace(/^table /, ""));
}

function parseObjects(text: string): StoredObject[] {
    const objects = new Map<string, StoredObject>();
    for (const line of text.split("\n").filter(Boolean)) {
        const [state, key, ...json] = line.split("\t") as [string, string, ...string[]];
        const manifest = parseManifest(json.join("\t"));
        // The script lists the manifest of an object before what is pending on it.
        const applied = objects.get(key);
        objects.set(key, applied ? withPending(applied, manifest) : { key, manifest, pending: state === "pending" });
    }
    return [...objects.values()];
}

function parseManifest(text: string): Manifest {
    const { artifacts, owner, object, saved } = (JSON.parse(text) ?? {}) as Partial<Manifest>;
    const isWhole = typeof owner === "string" && typeof object === "string" && typeof saved === "object" && saved !== null && Array.isArray(artifacts) && artifacts.every((one: unknown) => typeof (one as Json | null)?.kind === "string");
    if (!isWhole) throw new Error("an object's manifest is none");
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.version !== 1 || !artifacts.every(isKnown)) throw new Error(`${object} of ${owner} was made by a newer pulumi-nvi than this one, which has to be updated`);
    return manifest;
}

/** A transaction that didn't end may have made any part of what it was to make: all of that is the object's too. */
function withPending(applied: StoredObject, pending: Manifest): StoredObject {
    const keys = new Set(applied.manifest.artifacts.map((artifact) => kindOf(artifact).key(artifact)));
    const more = pending.artifacts.filter((artifact) => !keys.has(kindOf(artifact).key(artifact)));
    const manifest = { ...applied.manifest, artifacts: [...applied.manifest.artifacts, ...more], saved: { ...pending.saved, ...applied.manifest.saved } };
    return { ...applied, manifest, pending: true };
}

function parseLinks(text: string): ObservedLink[] {
    return (JSON.parse(text) as Json[]).map((link) => ({
        name: String(link.ifname),
        kind: (link.linkinfo as Json | undefined)?.info_kind as string | undefined,
        peer: link.link as string | undefined,
        mtu: Number(link.mtu),
        mac: String(link.address ?? ""),
        up: (link.flags as string[]).includes("UP"),
        noArp: (link.flags as string[]).includes("NOARP"),
        alias: link.ifalias as string | undefined,
        master: link.master === undefined ? undefined : { name: String(link.master), kind: String((link.linkinfo as Json | undefined)?.info_slave_kind ?? "device") },
    }));
}

function parseNeighbours(text: string): ObservedNeighbour[] {
    return (JSON.parse(text) as Json[]).map((one) => ({ device: String(one.dev), address: canonicalPrefix(String(one.dst)), protocol: Number(one.protocol ?? 0) }));
}

/** RT_SCOPE_* of linux/rtnetlink.h, as `ip -N` prints them. */
const SCOPES: Record<string, string> = { "0": "global", "253": "link", "254": "host" };

function parseAddresses(text: string): ObservedAddress[] {
    return (JSON.parse(text) as Json[]).flatMap((link) =>
        ((link.addr_info as Json[] | undefined) ?? []).filter((address) => address.local !== undefined).map((address) => ({
            device: String(link.ifname),
            local: String(address.local),
            length: Number(address.prefixlen),
            scope: SCOPES[String(address.scope)] ?? String(address.scope),
            family: address.family === "inet" ? (4 as const) : (6 as const),
        })),
    );
}
