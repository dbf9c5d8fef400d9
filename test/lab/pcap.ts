import { isIPv6 } from "node:net";

export interface Packet {
    /** Seconds since 1970, with microseconds. */
    time: number;
    sourceMac?: string;
    targetMac?: string;
    /** Only in captures on "any". */
    direction?: "in" | "out";
    family: "ip" | "ip6" | "arp" | "other";
    source: string;
    target: string;
    ttl: number;
    proto: "tcp" | "udp" | "icmp" | "icmp6" | "other";
    /** Length of the IP packet. */
    length: number;
    dontFragment?: boolean;
    /** Set when this is one; ports are only in the first. */
    fragment?: { offset: number; more: boolean };
    sourcePort?: number;
    targetPort?: number;
    /** As tcpdump prints them: S, F, R, P, `.` for ACK. */
    flags?: string;
    /** Of TCP. */
    sequence?: number;
    icmpType?: number;
    icmpCode?: number;
    /** The next hop's MTU in "fragmentation needed" and "packet too big". */
    mtu?: number;
    /** The packet that an ICMP error is about. */
    inner?: Packet;
}

/** Reads what `tcpdump -w -` writes, in pieces of any size. */
export class PcapReader {
    private buffer: Buffer = Buffer.alloc(0);
    private linkType: number | undefined;
    readonly packets: Packet[] = [];

    add(chunk: Buffer): void {
        this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
        if (this.linkType === undefined) {
            if (this.buffer.length < 24) return;
            this.linkType = this.buffer.readUInt32LE(20) & 0xffff;
            this.buffer = this.buffer.subarray(24);
        }
        while (this.buffer.length >= 16) {
            const captured = this.buffer.readUInt32LE(8);
            if (this.buffer.length < 16 + captured) return;
            const time = this.buffer.readUInt32LE(0) + this.buffer.readUInt32LE(4) / 1e6;
            this.packets.push(decodeFrame(this.buffer.subarray(16, 16 + captured), this.linkType, time));
            this.buffer = this.buffer.subarray(16 + captured);
        }
    }
}

const mac = (bytes: Buffer): string => [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join(":");
const sll2 = 276;

function decodeFrame(frame: Buffer, linkType: number, time: number): Packet {
    if (linkType === sll2) {
        return { ...decodeNetwork(frame.readUInt16BE(0), frame.subarray(20)), time, direction: frame[10] === 4 ? "out" : "in" };
    }
    let type = frame.readUInt16BE(12), start = 14;
    if (type === 0x8100) { type = frame.readUInt16BE(16); start = 18; }
    return { ...decodeNetwork(type, frame.subarray(start)), time, targetMac: mac(frame.subarray(0, 6)), sourceMac: mac(frame.subarray(6, 12)) };
}

const nothing = { time: 0, source: "", target: "", ttl: 0, proto: "other" as const, length: 0 };

function decodeNetwork(etherType: number, data: Buffer): Packet {
    try {
        if (etherType === 0x0800) return decodeV4(data);
        if (etherType === 0x86dd) return decodeV6(data);
        if (etherType === 0x0806) return { ...nothing, family: "arp", source: address4(data, 14), target: address4(data, 24) };
    } catch (error) {
        if (!(error instanceof RangeError)) throw error; // shorter than its headers: the router may quote as little as it likes
    }
    return { ...nothing, family: "other" };
}

const address4 = (data: Buffer, at: number): string => [...data.subarray(at, at + 4)].join(".");

/** In the usual short form, as the kernel prints it. */
function address6(data: Buffer, at: number): string {
    const groups = Array.from({ length: 8 }, (_, i) => data.readUInt16BE(at + 2 * i).toString(16));
    const zeros = groups.join(":").match(/\b0(:0)+\b/g)?.sort((a, b) => b.length - a.length)[0];
    if (!zeros) return groups.join(":");
    const short = groups.join(":").replace(new RegExp(`(^|:)${zeros}(:|$)`), "::");
    return isIPv6(short) ? short : groups.join(":");
}

function decodeV4(data: Buffer): Packet {
    const header = (data.readUInt8(0) & 15) * 4, flags = data.readUInt16BE(6);
    const offset = (flags & 0x1fff) * 8, more = (flags & 0x2000) !== 0;
    const packet: Packet = {
        ...nothing, family: "ip", length: data.readUInt16BE(2), ttl: data.readUInt8(8), dontFragment: (flags & 0x4000) !== 0,
        source: address4(data, 12), target: address4(data, 16),
    };
    if (offset > 0 || more) packet.fragment = { offset, more };
    return transport(packet, data.readUInt8(9), data.subarray(header));
}

const extensionHeaders = new Set([0, 43, 60]);

function decodeV6(data: Buffer): Packet {
    const packet: Packet = { ...nothing, family: "ip6", length: data.readUInt16BE(4) + 40, ttl: data.readUInt8(7), source: address6(data, 8), target: address6(data, 24) };
    let next = data.readUInt8(6), at = 40;
    for (;;) {
        if (next === 44) {
            const field = data.readUInt16BE(at + 2);
            packet.fragment = { offset: field & 0xfff8, more: (field & 1) !== 0 };
            next = data.readUInt8(at);
            at += 8;
        } else if (extensionHeaders.has(next)) {
            next = data.readUInt8(at);
            at += (data.readUInt8(at + 1) + 1) * 8;
        } else return transport(packet, next, data.subarray(at));
    }
}

function transport(packet: Packet, proto: number, data: Buffer): Packet {
    packet.proto = ({ 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6" } as const)[proto] ?? "other";
    if (packet.fragment && packet.fragment.offset > 0) return packet;
    if (packet.proto === "tcp" || packet.proto === "udp") {
        if (data.length < 4) return packet;
        packet.sourcePort = data.readUInt16BE(0);
        packet.targetPort = data.readUInt16BE(2);
        if (packet.proto === "tcp" && data.length > 13) {
            packet.flags = tcpFlags(data.readUInt8(13));
            packet.sequence = data.readUInt32BE(4);
        }
    } else if (packet.proto !== "other" && data.length >= 8) icmp(packet, data);
    return packet;
}

const tcpFlags = (bits: number): string => ["F", "S", "R", "P", ".", "U"].filter((_, i) => bits & (1 << i)).join("");

function icmp(packet: Packet, data: Buffer): void {
    packet.icmpType = data.readUInt8(0);
    packet.icmpCode = data.readUInt8(1);
    const isError = packet.proto === "icmp" ? [3, 5, 11, 12].includes(packet.icmpType) : packet.icmpType < 128;
    if (!isError) return;
    if (packet.proto === "icmp" && packet.icmpType === 3 && packet.icmpCode === 4) packet.mtu = data.readUInt16BE(6);
    if (packet.proto === "icmp6" && packet.icmpType === 2) packet.mtu = data.readUInt32BE(4);
    packet.inner = decodeNetwork(packet.proto === "icmp" ? 0x0800 : 0x86dd, data.subarray(8));
}
