import type { z } from "zod";
import { formatAddress } from "../../../provider/model/address";
import type { random } from "../model/random";

/* Values for the leaves of schemas: sound ones by what a leaf takes, those at the edges, and text that is more than text. */

export type Random = ReturnType<typeof random>;

/** Strings that a shell, nft, ip or a parser of ours would take for more than a string. */
export const HOSTILE = [
    '"', "'", "`touch /tmp/pwned`", "$(touch /tmp/pwned)", "${IFS}", ";touch /tmp/pwned", "|cat", "&", "#", "\\", "*", "?", "{ drop }", "\n", "\r\n", "\t", "\0", "\x1b[2J", "\u2028",
    "%s%n", "../../etc/passwd", "é", "🐙", "\ud800", "１", "a b", " ", "a".repeat(10_240), "$".repeat(10_240), "\nundo\tip\tlink\tdel\tdev\tlan0", "@ end 0 0 0\n",
];

/** What a leaf is for, found by what it takes: the first whose probe it accepts. */
const PROBES = {
    text: "a\nb", line: "a; b", source: "2001:db8::1%lan0", nic: "wan@1", label: "a_b", object: "a-b", release: "6.1.0-1-amd64", range: "10.0.0.1-10.0.0.2", prefix: "10.0.0.0/8", address: "10.0.0.1", service: "tcp/443",
} as const;
export type Shape = keyof typeof PROBES;

const shapes = new WeakMap<z.ZodType, Shape | undefined>();

export function shapeOf(leaf: z.ZodType): Shape | undefined {
    if (!shapes.has(leaf)) {
        const accepts = (text: string) => leaf.safeParse(text).success;
        const found = (Object.keys(PROBES) as Shape[]).find((shape) => accepts(PROBES[shape]));
        shapes.set(leaf, found === "nic" && accepts("2001:db8::1") ? "source" : found);
    }
    return shapes.get(leaf);
}

/** Names that are words of tools as well, and of every character that names may have. */
const NICS = ["lan0", "lan1", "isp1", "isp2", "eth0.100", "wan@1", "ppp0", "br-lan", "dev", "via", "table", "main", "local", "iif", "counter", "drop", "0", "1500", "if7", "10.0.0.1", "a", "_", "@", "nvi1p", "x.y-z_0@1", "constructor"];
const FIRST = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_.@";

export function nicName(r: Random): string {
    if (r.below(3) > 0) return r.pick(NICS);
    const name = Array.from({ length: 1 + r.below(15) }, (_, i) => (i > 0 && r.below(9) === 0 ? "-" : FIRST[r.below(FIRST.length)])).join("");
    return /^\.\.?$/.test(name) ? "lan9" : name;
}

const lower = (r: Random, more: string, most: number): string => "abcdefghijklmnopqrstuvwxyz"[r.below(26)] + Array.from({ length: r.below(most) }, () => `abcxyz0189${more}${more}`[r.below(10 + 2 * more.length)]).join("");
export const labelName = (r: Random): string => (r.below(3) > 0 ? r.pick(["isp1", "isp2", "dsl", "constructor", "to_string", "drop"]) : lower(r, "_", 24));
export const objectName = (r: Random): string => (r.below(3) > 0 ? r.pick(["main", "office", "branch-7", "constructor"]) : lower(r, "-", 31));

/** Where formats and kernels have their corners. */
const SPECIAL = {
    4: [0n, 1n, 0x7f000001n, 0xa9fe4d01n, 0xa9fe4d02n, 0xe0000001n, 0xf0000001n, 0xffffffffn, 0x64400001n],
    6: [0n, 1n, 0xfe80n << 112n | 1n, 0xfe80n << 112n | 0x77n, 0xff02n << 112n | 1n, 0xffffc6336402n, 0xc6336402n, 0x64ff9bn << 96n | 1n, (1n << 128n) - 1n],
} as const;
const BASES = { 4: [0x0a000000n, 0xc6336400n, 0xcb007100n, 0xc0a80000n], 6: [0x20010db8n << 96n, 0xfd00n << 112n] } as const;
const BITS = { 4: 32, 6: 128 } as const;

/** Mostly what networks have, at times a corner, or anything. */
function addressValue(r: Random, family: 4 | 6): bigint {
    const way = r.below(20);
    if (way === 0) return r.pick(SPECIAL[family]);
    if (way === 1) return r.bits(BITS[family]);
    return r.pick(BASES[family]) + BigInt(r.below(0xffff)) * (family === 4 ? 1n : 1n << BigInt(16 * r.below(5)));
}

function addressText(r: Random, family: 4 | 6, value: bigint): string {
    const text = formatAddress(family, value & ((1n << BigInt(BITS[family])) - 1n));
    if (family === 4 || r.below(4) > 0) return text;
    return r.below(2) === 0 ? text.toUpperCase() : Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16).padStart(r.pick([1, 4]), "0")).join(":");
}

export const address = (r: Random, family: 4 | 6): string => addressText(r, family, addressValue(r, family));

export function prefix(r: Random, family: 4 | 6): string {
    const bits = BITS[family];
    const length = r.below(12) === 0 ? r.pick([0, 1, bits - 1]) : r.below(3) === 0 ? bits : r.pick(family === 4 ? [8, 16, 24, 28, 29, 30] : [32, 48, 56, 64, 112, 125]);
    const value = (addressValue(r, family) >> BigInt(bits - length)) << BigInt(bits - length);
    if (length === bits && r.below(2) === 0) return addressText(r, family, value);
    return `${addressText(r, family, value)}/${r.below(20) === 0 ? `${length}`.padStart(3, "0") : length}`;
}

function range(r: Random, family: 4 | 6): string {
    if (r.below(3) === 0) return prefix(r, family);
    const first = addressValue(r, family);
    return `${formatAddress(family, first)}-${formatAddress(family, [first + BigInt(r.pick([0, 1, 7, 300])), (1n << BigInt(BITS[family])) - 1n].sort((a, b) => (a < b ? -1 : 1))[0]!)}`;
}

function service(r: Random): string {
    const first = r.pick([1, 80, 443, 1024, 65535, 1 + r.below(65535)]);
    // Each port of a range is an element of a map: most ranges are short.
    const last = Math.min(65535, first + r.pick([0, 1, 10, r.below(12) === 0 ? 65535 : 100]));
    return `${r.pick(["tcp", "udp", "sctp", "dccp"])}/${first === last && r.below(2) === 0 ? first : `${first}-${last}`}`;
}

/** A sound text for a leaf. */
export function textFor(r: Random, shape: Shape | undefined, family: 4 | 6): string {
    switch (shape) {
        case "text": return r.pick([...HOSTILE, "~/.ssh/edge", "192.0.2.7", "edge.example.net"]);
        case "line": return r.pick(["the gateway answers", "a; b", "$(reboot) `id` 'x' \"y\" \\ é % * #", " x ", "@ end 0 0 0", "check", "-n"]);
        case "nic": return nicName(r);
        case "source": return r.below(2) === 0 ? nicName(r) : address(r, family);
        case "label": return labelName(r);
        case "object": return objectName(r);
        case "range": return range(r, family);
        case "prefix": return prefix(r, family);
        case "address": return address(r, family);
        case "service": return service(r);
        case "release": return r.pick(["6.1.0-56-amd64", "5.10.0", "6.12.1+deb13-amd64~x", "0.0"]);
        default: return r.pick(HOSTILE);
    }
}

const NUMBERS = [-1, 0, 1, 2, 8, 10, 16, 17, 100, 252, 253, 254, 255, 256, 257, 600, 990, 1000, 1001, 1100, 1279, 1280, 1500, 2000, 3600, 7700, 7701, 9000, 31000, 31001, 32000, 32001, 65535, 65536, 4294967040, 4294967294, 4294967295, 4294967296];

const taken = new WeakMap<z.ZodType, readonly number[]>();

/** A number that a leaf takes; leaves don't tell their limits. */
export function numberFor(r: Random, leaf: z.ZodType): number {
    if (!taken.has(leaf)) taken.set(leaf, NUMBERS.filter((value) => leaf.safeParse(value).success));
    const other = 1 + r.below(2 ** r.below(33));
    return r.below(2) === 0 && leaf.safeParse(other).success ? other : r.pick(taken.get(leaf)!);
}

/** What is no value of that leaf, or hardly. */
export const STRANGE: readonly unknown[] = [
    ...NUMBERS, 0.5, -0, 1e999, -1e999, NaN, 2 ** 53, null, true, false, [], {}, [[]], [null], [[[[[[]]]]]], { surprise: 1 }, JSON.parse('{ "__proto__": { "uplinks": 1 } }'), "", "null", "0", "default", "any", "all", "lo", ".", "..",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "::1", "ff02::1", "fe80::1", "::ffff:198.51.100.2", "0.0.0.0/0", "::/0", "0.0.0.0/32", "::/128", "224.0.0.0/4", "10.0.0.1/24", "01.2.3.4", "1.2.3", "fe80::1%lan0",
    "10.0.0.9-10.0.0.1", "0.0.0.0-255.255.255.255", "tcp/0", "tcp/65536", "tcp/9-8", "icmp/1", "TCP/443", "main", "-x", "a".repeat(15), "a".repeat(16),
];
