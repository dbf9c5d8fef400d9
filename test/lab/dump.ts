import type { FileEntry } from "./files";
import type { LabNode } from "./node";

/**
 * What is left out of a dump, because it changes with nobody's doing. Everything else counts: a test that compares two
 * dumps wants to know of a sysctl that nobody thought of.
 */
export const volatileSysctls: RegExp[] = [
    /\.nf_conntrack_count$/, // connections that the tests themselves open
    /\.(tcp_ehash_entries|tcp_child_ehash_entries|udp_hash_entries|udp_child_hash_entries)$/, // sizes, not settings
    /^net\.ipv4\.tcp_fastopen_key$/, // made up at first use
    /^net\.ipv4\.(inet_peer_threshold|tcp_mem|tcp_rmem|tcp_wmem|udp_mem|tcp_max_orphans)$/, // made of the memory that is free at boot
    /\.stable_secret$/, // unreadable until set
];

/**
 * The router's network state and files. Tools of the test's machine read it, so that hiding one on the router hides nothing
 * here, and numbers stand for names. Left out besides `volatileSysctls`: counters, interface numbers and peers (a NIC that
 * is plugged again gets new ones), remaining lifetimes, neighbours learned from traffic, conntrack's entries.
 */
export async function dumpRouter(router: LabNode, files: FileEntry[]): Promise<string> {
    const sections = await rawSections(router);
    const part = (name: string): string[] => (sections.get(name) ?? "").split("\n").filter(line => line.trim() !== "");
    const output: Array<[string, string[]]> = [
        ["links", part("links").map(link).sort()],
        ["addresses", part("addresses").map(link).sort()],
        ["rules v4", part("rules4")],
        ["rules v6", part("rules6")],
        ["routes v4", part("routes4").map(route).sort()],
        ["routes v6", part("routes6").map(route).sort()],
        ["nexthops", part("nexthops").map(route).sort()],
        ["neighbours", part("neighbours").map(line => line.trimEnd()).sort()],
        ["queueing", part("queueing").map(line => line.replace(/^qdisc (\S+) [0-9a-f]+: /, "qdisc $1 ")).sort()],
        ["nft", qualified(part("nft").map(line => line.replace(/ expires \S+/g, "")))],
        ["sysctls", part("sysctls").filter(line => !volatileSysctls.some(pattern => pattern.test(line.split(" = ")[0] ?? ""))).sort()],
        ["files", files.map(file => [file.kind, file.path, file.mode, file.owner, file.content].join(" ").trimEnd())],
    ];
    return output.map(([name, lines]) => [`[${name}]`, ...lines].join("\n")).join("\n\n") + "\n";
}

/**
 * One process for all of it: a dump is taken before and after every step of some tests. `ip link` looks through all named
 * namespaces for the peers' names and complains of those that another lab is just removing, so it gets an empty folder
 * (`ip netns exec` has a mount namespace of its own).
 */
const script = `
[ ! -d /run/netns ] || mount -t tmpfs -o size=4k tmpfs /run/netns
section() { echo "@@ $1"; }
# A kernel may have been started with ipv6.disable=1.
ip6() { [ ! -e /proc/net/if_inet6 ] || ip -6 -N "$@"; }
section links; ip -N -d -o link
section addresses; ip -N -o addr
section rules4; ip -4 -N rule
section rules6; ip6 rule
section routes4; ip -4 -N route show table all
section routes6; ip6 route show table all
section nexthops; ip -N nexthop
section neighbours; ip -N neigh show nud permanent; ip -4 -N neigh show proxy; ip6 neigh show proxy
section queueing; tc qdisc show
section nft; nft -s -n list ruleset
section sysctls; sysctl -a -r '^net\\.' 2>/dev/null
section end
`;

async function rawSections(router: LabNode): Promise<Map<string, string>> {
    const { stdout, stderr } = await router.observe(["sh", "-c", script]);
    if (stderr.trim()) throw new Error(`the router's state can't be read:\n${stderr.trim()}`);
    const sections = new Map<string, string>();
    for (const chunk of stdout.split(/^@@ /m).slice(1)) {
        const end = chunk.indexOf("\n");
        sections.set(chunk.slice(0, end), chunk.slice(end + 1));
    }
    return sections;
}

const lifetime = (line: string): string => line.replace(/(valid_lft|preferred_lft) \d+sec/g, "$1 N").replace(/ expires -?\d+sec/g, "");

const link = (line: string): string => lifetime(line.replace(/^\d+: /, "").replace(/@if\d+/, "").replace(/ link-netnsid \d+| link-netns \S+/g, "")).replace(/\\/g, "").replace(/\s+/g, " ").trim();

const route = (line: string): string => lifetime(line).replace(/\s+/g, " ").trim();

/** Puts the table and chain before each line, so that a line of a difference says where it is. */
function qualified(lines: string[]): string[] {
    const heads: string[] = [];
    const result: string[] = [];
    for (const line of lines.map(text => text.trim())) {
        if (line === "}") heads.pop();
        else if (line.endsWith("{")) { heads.push(line.slice(0, -1).trim()); result.push(heads.join(" / ")); }
        else result.push([...heads, line].join(" / "));
    }
    return result;
}

/**
 * The lines of which `after` has more (+) or fewer (-), each with its section. Empty when the two are the same. Once the kernel
 * has loaded conntrack for somebody, it keeps it: its sysctls are no change where there were none.
 */
export function diffDumps(before: string, after: string): string[] {
    const [a, b] = [parse(before), parse(after)];
    if (!a.get("sysctls")?.some(isOfConntrack)) b.set("sysctls", (b.get("sysctls") ?? []).filter(line => !isOfConntrack(line)));
    const result: string[] = [];
    for (const name of new Set([...a.keys(), ...b.keys()])) {
        const [was, is] = [a.get(name) ?? [], b.get(name) ?? []];
        const changes = [...surplus(was, is).map(line => `- ${name}: ${line}`), ...surplus(is, was).map(line => `+ ${name}: ${line}`)];
        if (changes.length === 0 && was.join("\n") !== is.join("\n")) changes.push(`~ ${name}: the same lines in another order`);
        result.push(...changes);
    }
    return result;
}

/** What is of the log is there without it. */
const isOfConntrack = (line: string): boolean => /^net\.(?:netfilter\.)?nf_(?!log)/.test(line);

function parse(dump: string): Map<string, string[]> {
    const sections = new Map<string, string[]>();
    let lines: string[] = [];
    for (const line of dump.split("\n")) {
        const head = /^\[(.+)\]$/.exec(line);
        if (head) sections.set(head[1]!, lines = []);
        else if (line) lines.push(line);
    }
    return sections;
}

function surplus(list: string[], other: string[]): string[] {
    const left = new Map<string, number>();
    for (const line of other) left.set(line, (left.get(line) ?? 0) + 1);
    return list.filter(line => {
        const count = left.get(line) ?? 0;
        left.set(line, count - 1);
        return count <= 0;
    });
}
