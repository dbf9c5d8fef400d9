import { expect } from "vitest";
import { Capture, destination4, destination6, office, probeMany, type FlowReport, type Lab, type LabNode, type Packet, type ProbeResult } from "../lab";
import type { Stack } from "./pulumi";

const { client, server, internet, router, gw1, gw2 } = office;

/** The same words for both families, so that each point is made twice. */
export const families = [
    {
        family: "IPv4", ip: "ip", icmp: "icmp", client: client.v4, server: server.v4, internet: internet.v4, lan: router.lan4, inside: "10.0.0.0/24", ttl: "ip ttl",
        isp1: router.isp1v4, isp2: router.isp2v4, gw1: gw1.v4, gw2: gw2.v4, destination: destination4, icmpTooBig: { icmpType: 3, icmpCode: 4 }, icmpExceeded: { icmpType: 11, icmpCode: 0 },
    },
    {
        family: "IPv6", ip: "ip6", icmp: "icmp6", client: client.v6, server: server.v6, internet: internet.v6, lan: router.lan6, inside: "2001:db8:a::/64", ttl: "ip6 hoplimit",
        isp1: router.isp1v6, isp2: router.isp2v6, gw1: gw1.v6, gw2: gw2.v6, destination: destination6, icmpTooBig: { icmpType: 2 }, icmpExceeded: { icmpType: 3, icmpCode: 0 },
    },
] as const;

export type FamilyWords = (typeof families)[number];
export const uplinks = ["isp1", "isp2"] as const;
export type UplinkName = (typeof uplinks)[number];

/**
 * Packets of inside hosts, on whatever link they are seen. The router's own errors are none: a late reply that finds its stage
 * broken is answered with one, from whatever address the kernel takes for near.
 */
export const insideSources = `(src net 10.0.0.0/24 or src net 2001:db8:a::/64) and not src host ${router.lan4} and not src host ${router.lan6}`;

export interface Seen {
    isp1: Packet[];
    isp2: Packet[];
}

/** What passes the router's uplinks while `work` runs, in both directions unless the filter says otherwise. */
export async function onUplinks<T>(lab: Lab, filter: string, work: () => Promise<T>): Promise<{ result: T; seen: Seen }> {
    const [one, two] = await Promise.all(uplinks.map((nic) => Capture.start(lab.router, nic, filter)));
    try {
        const result = await work();
        return { result, seen: { isp1: await one!.stop(), isp2: await two!.stop() } };
    } catch (error) {
        await Promise.allSettled([one!.stop(), two!.stop()]);
        throw error;
    }
}

/** New connections of both families go out by both uplinks, each with that uplink's source, and come back. */
export async function expectBothUplinks(lab: Lab): Promise<void> {
    for (const words of families) {
        const targets = Array.from({ length: 40 }, (_, i) => ({ to: words.destination(i + 1), port: 443 }));
        const { result, seen } = await onUplinks(lab, `${words.ip} and dst port 443`, async () => await unspoofed(lab, async () => await probeMany(lab.node("client"), targets)));
        const { [words.isp1]: first = 0, [words.isp2]: second = 0, ...others } = tally(result);
        expect(others, words.family).toEqual({});
        expect([first > 0, second > 0, first + second], words.family).toEqual([true, true, 40]);
        expect([sources(seen.isp1), sources(seen.isp2)]).toEqual([[words.isp1], [words.isp2]]);
    }
}

/** What connections that were held over a change have lost, in words. */
export function costOf(reports: readonly FlowReport[]): string {
    const sum = (of: (report: FlowReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
    return `${sum(({ ping }) => ping.lost)} of ${sum(({ ping }) => ping.sent)} pings lost, longest TCP stall ${Math.max(...reports.map(({ longestStallMs }) => longestStallMs))} ms`;
}

/** The packets that a machine's NIC sees while `work` runs. */
export async function during<T>(node: LabNode, nic: string, filter: string, work: () => Promise<T>): Promise<{ result: T; packets: Packet[] }> {
    const capture = await Capture.start(node, nic, filter);
    try {
        const result = await work();
        return { result, packets: await capture.stop() };
    } catch (error) {
        await capture.stop().catch(() => undefined);
        throw error;
    }
}

/** No ISP sees a source that isn't its own while `work` runs. */
export async function unspoofed<T>(lab: Lab, work: () => Promise<T>): Promise<T> {
    const [before, known] = [await lab.spoofed(), await lab.spoofedPackets()];
    const result = await work();
    const after = await lab.spoofed();
    const packets = after.isp1 + after.isp2 === before.isp1 + before.isp2 ? [] : (await lab.spoofedPackets()).filter((packet) => !known.includes(packet));
    expect({ ...after, packets }, "packets with another's source that the ISPs dropped").toEqual({ ...before, packets: [] });
    return result;
}

/** With a table of the test's own on a machine. It is named `inet traffic`. */
export async function withTable<T>(node: LabNode, chains: string, work: () => Promise<T>): Promise<T> {
    await node.observe(["nft", "-f", "-"], { stdin: `table inet traffic {\n${chains}\n}` });
    try {
        return await work();
    } finally {
        await node.observe(["nft", "delete", "table", "inet", "traffic"]);
    }
}

/** The packets that each rule with a comment has counted, in the test's own table. */
export async function counted(node: LabNode): Promise<Record<string, number>> {
    const { stdout } = await node.observe(["nft", "list", "table", "inet", "traffic"]);
    return Object.fromEntries([...stdout.matchAll(/counter packets (\d+) .*comment "(.+)"/g)].map(([, packets, name]) => [name!, Number(packets)]));
}

/** How many connections each source made; those without an answer are under the name of their error. */
export function tally(results: readonly ProbeResult[]): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const result of results) {
        const key = result.ok ? result.peer : result.error;
        counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
}

export const sources = (packets: readonly Packet[]): string[] => [...new Set(packets.map((packet) => packet.source))].sort();

/** Connection attempts, once each. */
export const opened = (packets: readonly Packet[]): number => new Set(packets.filter((packet) => packet.flags === "S").map((packet) => `${packet.source} ${packet.sourcePort} ${packet.target}`)).size;

/** What a refresh prints as different: the keys of `rendered`, and how each was and is. */
export async function drift(stack: Stack): Promise<Record<string, string>> {
    const { all } = await stack.refresh(["--diff"]);
    const lines = all.split("\n").map((line) => /^ *[-+~] ((?:address|ipv[46]|link|module|neighbour|nft|sysctl) .*?|at boot) *: (".*)$/.exec(line));
    return Object.fromEntries(lines.filter((match) => match !== null).map(([, key, value]) => [key!, value!]));
}
