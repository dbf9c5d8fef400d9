import type { LabNode } from "./node";
import { Capture } from "./capture";
import type { Packet } from "./pcap";
import { patience } from "./patience";

export interface ProbeTarget {
    to: string;
    port: number;
    /** @default "tcp" */
    proto?: "tcp" | "udp";
    from?: string;
    fromPort?: number;
    /** Send this many bytes besides, and want them all back. @default 0 */
    bytes?: number;
    /** @default 2000 */
    timeoutMs?: number;
}

/** What the echo service saw of us, as it said itself. */
export interface Seen {
    /** Which machine answered. */
    node: string;
    /** Our address as seen there: the translated source. */
    peer: string;
    peerPort: number;
    /** Where the connection arrived; for UDP the address that the service is bound to. */
    local: string;
    localPort: number;
}

export interface Refusal {
    ok: false;
    error: "timeout" | "refused" | "reset" | "unreachable" | "prohibited" | "too big" | "other";
    errno: string;
    message: string;
    ms: number;
    /** ICMP errors that arrived meanwhile; only from `probeWithIcmp`. */
    icmp?: Packet[];
}

export type ProbeResult = ({ ok: true; ms: number } & Seen) | Refusal;

/** One connection from this machine to an echo service. Never throws for what the network does. */
export async function probe(node: LabNode, target: ProbeTarget): Promise<ProbeResult> {
    return await node.agent.ask("probe", patient(target));
}

const patient = (target: Patient<ProbeTarget>): Patient<ProbeTarget> => ({ ...target, timeoutMs: (target.timeoutMs ?? 2000) * patience });
type Patient<T> = Omit<T, "timeoutMs"> & { timeoutMs?: number | undefined };

/** `probe` that must succeed; an error says what happened instead. */
export async function seen(node: LabNode, target: ProbeTarget): Promise<Seen & { ms: number }> {
    const result = await probe(node, target);
    if (result.ok) return result;
    throw new Error(`${node.name} to ${target.proto ?? "tcp"} ${target.to} port ${target.port}: ${result.error} (${result.errno}): ${result.message}`);
}

/** Thousands in one go; results in the order of the targets. */
export async function probeMany(node: LabNode, targets: ProbeTarget[], options: { atOnce?: number; timeoutMs?: number } = {}): Promise<ProbeResult[]> {
    return await node.agent.ask("probeMany", { ...options, targets: targets.map(target => patient({ timeoutMs: options.timeoutMs, ...target })) });
}

/** A probe that also gives the ICMP errors which came back: who sent them and about which packet. A socket tells only half of it. */
export async function probeWithIcmp(node: LabNode, target: ProbeTarget, nic = "eth0"): Promise<ProbeResult & { icmp: Packet[] }> {
    const capture = await Capture.start(node, nic, icmpErrors);
    const result = await probe(node, target);
    return { ...result, icmp: await capture.stop() };
}

export const icmpErrors = "(icmp and (icmp[0] = 3 or icmp[0] = 11 or icmp[0] = 5)) or (icmp6 and ip6[40] < 128)";

/**
 * A packet with a forged source, to UDP or as a TCP connection attempt; nothing comes back. The machine's own nft rewrites
 * the source as the packet leaves, so that its addresses, routes and neighbours stay as they are.
 */
export async function spoof(node: LabNode, packet: { source: string; to: string; port: number; proto?: "udp" | "tcp"; fromPort?: number }): Promise<void> {
    const { source, to, port, proto = "udp", fromPort = 40404 } = packet;
    const ip = source.includes(":") ? "ip6" : "ip";
    await node.observe(["nft", "-f", "-"], { stdin: `
    table ${ip} lab_spoof
    delete table ${ip} lab_spoof
    table ${ip} lab_spoof { chain out { type filter hook postrouting priority 300; ${proto} sport ${fromPort} ${proto} dport ${port} ${ip} daddr ${to} ${ip} saddr set ${source}; }; }` });
    try { await node.agent.ask("fire", { to, port, proto, fromPort }); } finally { await node.observe(["nft", "delete", "table", ip, "lab_spoof"]); }
}

export interface PingOptions {
    /** @default 1 */
    count?: number;
    /** Bytes of payload; the packet has 28 more, 48 in IPv6. */
    size?: number;
    /** Forbid fragmentation. @default false */
    df?: boolean;
    from?: string;
    ttl?: number;
    /** @default 0.05 */
    intervalSeconds?: number;
    /** How long to wait for each answer. @default 1 */
    waitSeconds?: number;
}

export interface PingResult {
    sent: number;
    received: number;
    replies: Array<{ from: string; sequence: number; ttl: number; ms: number }>;
    /** ICMP errors, with who sent them; `local` where our own kernel refused. */
    errors: Array<{ from: string; message: string; mtu?: number }>;
}

export async function ping(node: LabNode, to: string, options: PingOptions = {}): Promise<PingResult> {
    const { count = 1, size, df, from, ttl, intervalSeconds = 0.05, waitSeconds = 1 } = options;
    const argv = ["ping", "-n", "-c", `${count}`, "-i", `${intervalSeconds}`, "-W", `${waitSeconds * patience}`, "-M", df ? "do" : "dont"];
    if (size !== undefined) argv.push("-s", `${size}`);
    if (from) argv.push("-I", from);
    if (ttl) argv.push("-t", `${ttl}`);
    const { stdout, stderr } = await node.observe([...argv, to], { allowFailure: true, timeoutMs: 30_000 + 1000 * (count * intervalSeconds + waitSeconds) });
    return parsePing(stdout + stderr);
}

export function parsePing(text: string): PingResult {
    const result: PingResult = { sent: 0, received: 0, replies: [], errors: [] };
    for (const line of text.split("\n")) {
        const reply = /bytes from (\S+?):? icmp_seq=(\d+) ttl=(\d+) time=([\d.]+) ms$/.exec(line);
        const error = /^From (\S+?):? icmp_seq=\d+ (.+)$/.exec(line) ?? /^(?:ping: )?(local) error: (.+)$/.exec(line);
        const total = /^(\d+) packets transmitted, (\d+) received/.exec(line);
        if (reply) result.replies.push({ from: reply[1]!, sequence: Number(reply[2]), ttl: Number(reply[3]), ms: Number(reply[4]) });
        if (error) {
            const mtu = /mtu ?= ?(\d+)/.exec(error[2]!)?.[1];
            result.errors.push({ from: error[1]!, message: error[2]!, ...(mtu ? { mtu: Number(mtu) } : {}) });
        }
        if (total) Object.assign(result, { sent: Number(total[1]), received: Number(total[2]) });
    }
    if (result.sent === 0 && result.errors.length === 0) throw new Error(`ping did not run: ${text.trim()}`);
    return result;
}
