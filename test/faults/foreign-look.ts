import type { DesiredObject } from "../../provider/reconcile/desired";
import { PROTOCOL, type Artifact, type Rule } from "../../provider/syntax/artifact";
import { resolve } from "../../provider/reconcile/resolve";
import { FAMILIES } from "../../provider/model/address";
import { office, until, volatileSysctls, type Lab, type Running } from "../lab";

/*
 * All that is on a router and isn't of given objects, as two witnesses have it: the tools' own listings, handles and interface
 * numbers included, and the kernel's notifications. What an object owns is told by the names and numbers that it has in the
 * program: whatever else appears, or goes, is somebody else's.
 */

/** Where a line stands, and the line as the tool printed it. */
export interface Line {
    section: string;
    text: string;
}

/** `ip link` looks for peers in all named namespaces, and complains of those that another lab is just removing: see dump.ts. */
const SCRIPT = `
[ ! -d /run/netns ] || mount -t tmpfs -o size=4k tmpfs /run/netns
section() { echo "@@ $1"; }
section link; ip -N -d -o link
section address; ip -N -o address
section rule4; ip -4 -N rule
section rule6; ip -6 -N rule
section route4; ip -4 -N -o route show table all
section route6; ip -6 -N -o route show table all
section nexthop; ip -N -o nexthop
section neighbour; ip -N neigh show nud permanent; ip -4 -N neigh show proxy; ip -6 -N neigh show proxy
section forwarding; bridge fdb show | grep -v -e ^33:33: -e ^01:00:5e:
section queueing; tc qdisc show
section xfrm; ip xfrm policy; ip xfrm state
section nft; nft -a -s -n list ruleset
section sysctl; grep -rsH '' /proc/sys/net | sed 's|^/proc/sys/||; s/:/ = /'
`;

/** Everything, line by line. Counters, lifetimes and a bridge's clocks go on by themselves, and multicast groups have members of the kernel's. */
export async function lookAt(lab: Lab): Promise<Line[]> {
    const { stdout, stderr } = await lab.router.observe(["sh", "-c", SCRIPT]);
    if (stderr.trim()) throw new Error(`the router's state can't be read:\n${stderr.trim()}`);
    const lines = stdout.split(/^@@ /m).slice(1).flatMap((part) => {
        const [section = "", ...rest] = part.split("\n");
        return section === "nft" ? tableLines(rest) : rest.filter(Boolean).map((text) => ({ section, text }));
    });
    const files = (await lab.changedFiles()).map(({ kind, path, mode, owner, content }) => ({ section: "file", text: `${path} ${kind} ${mode} ${owner} ${content}` }));
    const quiet = lines.filter(({ section, text }) => section !== "sysctl" || !volatileSysctls.some((pattern) => pattern.test(text.split(" = ")[0]!.replaceAll("/", "."))));
    return inOrder([...quiet.map(({ section, text }) => ({ section, text: text.replace(/(\w+_timer) +[\d.]+/g, "$1").replace(/ expires \S+/g, "").replace(ABSENT_NVI, "$1") })), ...files]);
}

/** The order of sysctls means nothing. */
export function inOrder(lines: readonly Line[]): Line[] {
    const sysctls = lines.filter(({ section }) => section === "sysctl");
    return [...lines.filter(({ section }) => section !== "sysctl"), ...sysctls.sort((a, b) => (a.text < b.text ? -1 : 1))];
}

/** A rule of somebody else's may name a device that comes and goes with ours. */
const ABSENT_NVI = /(iif nvi\S*) \[detached\]/;

/** Each line behind the head of its table. */
function tableLines(lines: readonly string[]): Line[] {
    let table = "";
    return lines.filter(Boolean).map((text) => {
        table = /^table (\S+ \S+) \{/.exec(text)?.[1] ?? table;
        return { section: `nft ${table}`, text };
    });
}

/** What the lab's router has on its uplinks, for objects that ask for its own addresses. */
const ADDRESSES = (["isp1", "isp2"] as const).flatMap((device) => FAMILIES.map((family) => ({ device, family, local: office.router[`${device}v${family}`], length: 0, scope: "global" })));

/** What is said of given objects, by either witness. */
export class Own {
    private readonly devices: Set<string>;
    private readonly tables: Set<string>;
    private readonly routeTables: Set<string>;
    private readonly rules: Set<string>;
    private readonly proxies: Set<string>;
    private readonly sysctls: Set<string>;

    /** @param switchesForwarding whether the router forwards only since the objects are there: anycast addresses and each NIC's own switch come along */
    constructor(objects: readonly DesiredObject[], private readonly switchesForwarding: boolean) {
        const artifacts = objects.flatMap((object) => object.artifacts.flatMap((one) => resolve(one, { addresses: ADDRESSES, ipv6: true }) ?? []));
        const all = <K extends Artifact["kind"], T>(kind: K, value: (one: Extract<Artifact, { kind: K }>) => T) => artifacts.flatMap((one) => (one.kind === kind ? [value(one as Extract<Artifact, { kind: K }>)] : []));
        this.devices = new Set(all("link", ({ name, peer = name }) => [name, peer]).flat());
        this.tables = new Set(all("table", ({ name }) => `inet ${name}`));
        this.routeTables = new Set(all("routes", ({ table }) => `${table}`));
        this.rules = new Set(all("rule", ruleLine));
        this.proxies = new Set(all("neighbour", ({ address, device }) => `${address} dev ${device}`));
        this.sysctls = new Set(all("sysctl", ({ path }) => path));
    }

    has({ section, text }: Line): boolean {
        switch (section) {
            case "link": return this.devices.has(/^\d+: ([^:@]+)/.exec(text)?.[1] ?? "");
            case "address": return this.devices.has(/^\d+: (\S+)/.exec(text)?.[1] ?? "");
            case "rule4": case "rule6": return this.rules.has(`${section} ${text.replace(" [detached]", "").trim()}`);
            case "route4": case "route6": return this.hasRoute(section, text);
            case "neighbour": return this.proxies.has(text.replace(/ +proxy.*$/, ""));
            case "forwarding": case "queueing": return this.devices.has(/ dev (\S+)/.exec(text)?.[1] ?? "");
            case "sysctl": return this.hasSysctl(text.split(" = ")[0]!);
            // The script and its notes. Nothing of the rest is told apart, but by the objects' own entries.
            case "file": return /^\/(etc|run)\/nvi[/ ]/.test(text);
            default: return section.startsWith("nft ") && this.tables.has(section.slice(4));
        }
    }

    /** The same of a line of `ip monitor label`, or of `nft monitor`. */
    hasEvent(line: string): boolean {
        const [, label, rest = ""] = /^\[(\w+)\](?:Deleted )?(.*)$/.exec(line) ?? [];
        switch (label) {
            case undefined: return this.tables.has(/^(?:add|create|delete|flush|insert|replace|destroy) \w+ (\w+ \w+)/.exec(line)?.[1] ?? "");
            case "LINK": return this.has({ section: "link", text: rest });
            case "ADDR": return this.has({ section: "address", text: rest });
            case "RULE": return ["rule4", "rule6"].some((section) => this.has({ section, text: rest }));
            case "ROUTE": return ["route4", "route6"].some((section) => this.has({ section, text: rest }));
            case "NETCONF": return this.switchesForwarding || this.hasNetconf(rest);
            // Neighbours come and go with traffic.
            case "NEIGH": return !/PERMANENT|proxy/.test(rest) || this.has({ section: "neighbour", text: rest }) || this.devices.has(/ dev (\S+)/.exec(rest)?.[1] ?? "");
            default: return false;
        }
    }

    private hasRoute(section: string, text: string): boolean {
        const table = / table (\d+)/.exec(text)?.[1];
        if (table !== undefined && this.routeTables.has(table)) return true;
        // What the kernel makes of our addresses and links; and a router's anycast addresses (type 4).
        if (table === "255" && this.devices.has(/ dev (\S+)/.exec(text)?.[1] ?? "")) return true;
        return this.switchesForwarding && section === "route6" && /^4 \S+ dev \S+ table 255 proto 2 /.test(text);
    }

    private hasSysctl(path: string): boolean {
        if (this.sysctls.has(path) || this.devices.has(/^net\/\w+\/(?:conf|neigh)\/([^/]+)\//.exec(path)?.[1] ?? "")) return true;
        return this.switchesForwarding && /^net\/(?:ipv[46]\/conf\/[^/]+\/forwarding|ipv4\/conf\/all\/accept_redirects|ipv4\/ip_forward)$/.test(path);
    }

    /** `inet isp1 rp_filter loose`: of our devices, and of NICs that an object has a sysctl of. */
    private hasNetconf(text: string): boolean {
        const device = text.split(" ")[1] ?? "";
        return this.devices.has(device) || [...this.sysctls].some((path) => path.split("/")[3] === device);
    }
}

/** As `ip -N rule` prints it. */
function ruleLine(rule: Rule): string {
    const plain = (prefix: string) => prefix.replace(rule.family === 4 ? /\/32$/ : /\/128$/, "");
    const words = [`${rule.priority}:\tfrom`, rule.from ? plain(rule.from) : "all"];
    if (rule.to) words.push("to", plain(rule.to));
    if (rule.mark) words.push("fwmark", `${hex(rule.mark.value)}/${hex(rule.mark.mask)}`);
    if (rule.iif) words.push("iif", rule.iif);
    words.push(...(rule.action === "unreachable" ? ["7"] : ["lookup", `${rule.action.table}`]));
    if (rule.suppressPrefixLength !== undefined) words.push("suppress_prefixlength", `${rule.suppressPrefixLength}`);
    return `rule${rule.family} ${words.join(" ")} proto ${PROTOCOL}`;
}

const hex = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);

/** What somebody else has more or less of since. */
export function difference(before: readonly Line[], after: readonly Line[]): string[] {
    const text = ({ section, text }: Line) => `${section}: ${text}`;
    const [was, is] = [before.map(text), after.map(text)];
    const found = [...surplus(was, is).map((one) => `- ${one}`), ...surplus(is, was).map((one) => `+ ${one}`)];
    return found.length === 0 && was.join("\n") !== is.join("\n") ? ["~ the same lines in another order"] : found;
}

function surplus(list: readonly string[], other: readonly string[]): string[] {
    const left = new Map<string, number>();
    for (const line of other) left.set(line, (left.get(line) ?? 0) + 1);
    return list.filter((line) => {
        const count = left.get(line) ?? 0;
        left.set(line, count - 1);
        return count <= 0;
    });
}

/** Listens to the kernel. A mark of its own, which both streams have to show, says that all before it has been heard. */
export class Monitor {
    private heard = { ip: "", nft: "" };
    private marks = 0;
    private readonly listeners: Running[];

    constructor(private readonly lab: Lab) {
        const listen = (stream: "ip" | "nft", argv: string[]) => lab.router.watch(["stdbuf", "-oL", ...argv], { onStdout: (chunk) => void (this.heard[stream] += chunk.toString()) });
        this.listeners = [
            listen("ip", ["ip", "-N", "-o", "monitor", "label", "link", "address", "route", "rule", "nexthop", "neigh", "netconf"]),
            listen("nft", ["nft", "-n", "monitor"]),
        ];
    }

    /** What has happened since the last call. */
    async events(): Promise<string[]> {
        const table = `heard_${++this.marks}`;
        const rule = `pref 31999 fwmark ${this.marks} lookup 4242 proto 99`;
        const ended = { ip: `[RULE]Deleted 31999:\tfrom all fwmark 0x${this.marks.toString(16)} `, nft: `delete table ip ${table}\n` };
        const speak = `ip rule add ${rule}; ip rule del ${rule}; nft add table ip ${table}; nft delete table ip ${table}`;
        await this.lab.router.observe(["sh", "-c", speak]);
        await until("the monitors to have heard the mark", () => this.heard.ip.includes(ended.ip) && this.heard.nft.includes(ended.nft)).catch((error: Error) => {
            throw new Error(`${error.message}; ${this.listeners.map(({ running, stderr }) => `${running ? "listening" : "ended"} ${stderr}`).join("; ")}`);
        });
        const lines = (["ip", "nft"] as const).flatMap((stream) => {
            const whole = this.heard[stream].split("\n");
            // nft writes in pieces what comes after the mark.
            this.heard[stream] = whole.pop()!;
            return whole;
        });
        return lines.filter((line) => line !== "" && !line.startsWith("# ") && !/^\[RULE\](Deleted )?31999:/.test(line) && !/^(add|delete) table ip heard_/.test(line));
    }

    /** The first mark that is heard: until then nothing was listening. */
    async ready(): Promise<void> {
        await until("the monitors to listen", async () => await this.events().then(() => true, () => false), 30_000);
    }

    async stop(): Promise<void> {
        await Promise.all(this.listeners.map(async (one) => await one.stop()));
    }
}
