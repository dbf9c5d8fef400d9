export type Family = 4 | 6;

/** An inclusive range of addresses of one family; a single address and a prefix are ranges too. */
export interface Range {
    family: Family;
    first: bigint;
    last: bigint;
}

const BITS = { 4: 32, 6: 128 } as const;

/** Both families, for what has to exist once in each. */
export const FAMILIES: readonly Family[] = [4, 6];

/** Parses an IPv4 address in dotted decimal (no leading zeros) or an IPv6 address (RFC 4291, no zone). */
export function parseAddress(text: string): { family: Family; value: bigint } | undefined {
    const value4 = parse4(text);
    if (value4 !== undefined) return { family: 4, value: value4 };
    const value6 = parse6(text);
    return value6 === undefined ? undefined : { family: 6, value: value6 };
}

/** Writes an address as the kernel does (RFC 5952 for IPv6). */
export function formatAddress(family: Family, value: bigint): string {
    return family === 4 ? format4(value) : format6(value);
}

/** The addresses that begin with the same `length` bits. */
export interface Prefix extends Range {
    length: number;
}

/**
 * Parses `address/length`, or a bare address as a host prefix.
 *
 * @returns a reason in words where the text is no prefix, host bits included.
 */
export function parsePrefix(text: string): Prefix | string {
    const [host, length, ...rest] = text.split("/");
    const address = parseAddress(host ?? "");
    if (!address || rest.length > 0) return "is not an IPv4 or IPv6 prefix";
    const bits = BITS[address.family];
    const size = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
    if (!(size <= bits)) return `has a prefix length that is not between 0 and ${bits}`;
    const hostMask = (1n << BigInt(bits - size)) - 1n;
    const first = address.value & ~hostMask;
    if (first !== address.value) {
        return `has bits set beyond the prefix length; the prefix is ${formatAddress(address.family, first)}/${size}`;
    }
    return { family: address.family, first, last: first | hostMask, length: size };
}

/** Parses an address, a prefix or `first-last` as a range; a reason in words where it is none. */
export function parseRange(text: string): Range | string {
    const dash = text.indexOf("-");
    if (dash < 0) return parsePrefix(text);
    const first = parseAddress(text.slice(0, dash));
    const last = parseAddress(text.slice(dash + 1));
    if (!first || !last) return "is not an address range such as 198.51.100.8-198.51.100.15";
    if (first.family !== last.family) return "mixes IPv4 and IPv6";
    if (first.value > last.value) return "is upside down: the first address is above the last";
    return { family: first.family, first: first.value, last: last.value };
}

/** The shortest form that `ip` and `nft` print: no `/32` or `/128`, and `default` for length 0. */
export function canonicalPrefix(text: string): string {
    const prefix = parsePrefix(text);
    if (typeof prefix === "string") return text;
    if (prefix.length === 0) return "default";
    const host = formatAddress(prefix.family, prefix.first);
    return prefix.length === BITS[prefix.family] ? host : `${host}/${prefix.length}`;
}

/** Writes a range as nft does: an address, or `first-last`. */
export function formatRange(range: Range): string {
    const first = formatAddress(range.family, range.first);
    return range.first === range.last ? first : `${first}-${formatAddress(range.family, range.last)}`;
}

/** Nobody is reached by way of these: "this host", loopback, multicast and broadcast. */
const NO_NEXT_HOP = ["0.0.0.0", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::/127", "ff00::/8"].map((text) => parsePrefix(text) as Range);

/** Whether an address can be that of a router or a host next to us. */
export function isNextHop(text: string): boolean {
    const range = parsePrefix(text);
    return typeof range !== "string" && !NO_NEXT_HOP.some((one) => contains(one, range));
}

/** Whether an address means nothing without the link that it is on (RFC 4291, section 2.5.6). */
export const isLinkLocal6 = (text: string): boolean => familyOf(text) === 6 && contains(parsePrefix("fe80::/10") as Range, parsePrefix(text) as Range);

export function overlaps(a: Range, b: Range): boolean {
    return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

export function contains(outer: Range, inner: Range): boolean {
    return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** The family of a valid address, prefix or range. */
export function familyOf(text: string): Family {
    return text.includes(":") ? 6 : 4;
}

function parse4(text: string): bigint | undefined {
    const parts = text.split(".");
    if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return undefined;
    return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function format4(value: bigint): string {
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

function parse6(text: string): bigint | undefined {
    const halves = text.split("::");
    if (halves.length > 2) return undefined;
    const groups = halves.map((half, i) => groups6(half, i === halves.length - 1));
    if (groups.some((group) => group === undefined)) return undefined;
    const [head, tail] = groups as [number[], number[] | undefined];
    const missing = 8 - head.length - (tail?.length ?? 0);
    if (tail ? missing < 1 : missing !== 0) return undefined;
    const all = [...head, ...Array<number>(tail ? missing : 0).fill(0), ...(tail ?? [])];
    return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** @param isTail whether the address ends here: only then its last 32 bits may be written as IPv4 */
function groups6(half: string, isTail: boolean): number[] | undefined {
    if (half === "") return [];
    const out: number[] = [];
    const parts = half.split(":");
    for (const [i, part] of parts.entries()) {
        const embedded = isTail && i === parts.length - 1 ? parse4(part) : undefined;
        if (embedded !== undefined) out.push(Number(embedded >> 16n), Number(embedded & 0xffffn));
        else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(parseInt(part, 16));
        else return undefined;
    }
    return out;
}

function format6(value: bigint): string {
    const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
    let best = { at: -1, size: 1 };
    for (let at = 0; at < 8; at++) {
        let size = 0;
        while (at + size < 8 && groups[at + size] === 0) size++;
        if (size > best.size) best = { at, size };
    }
    const hex = groups.map((group) => group.toString(16));
    // glibc's inet_ntop, which nft and ip print by, writes IPv4-compatible and IPv4-mapped addresses with a dotted tail.
    if (best.at === 0 && best.size === 6) return `::${format4(value & 0xffffffffn)}`;
    if (best.at === 0 && best.size === 5 && groups[5] === 0xffff) return `::ffff:${format4(value & 0xffffffffn)}`;
    if (best.at < 0) return hex.join(":");
    return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.size).join(":")}`;
}
