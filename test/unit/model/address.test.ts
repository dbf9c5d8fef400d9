import { isIPv4, isIPv6 } from "node:net";
import { describe, expect, it } from "vitest";
import { canonicalPrefix, contains, familyOf, formatAddress, formatRange, overlaps, parseAddress, parsePrefix, parseRange, type Family, type Range } from "../../../provider/model/address";
import { asPrefixes } from "../../../provider/resources/two-stage-nat/render";
import { random } from "./random";

const ROUNDS = 1000;
const BITS = { 4: 32, 6: 128 } as const;
const FAMILIES: Family[] = [4, 6];

const range = (text: string): Range => {
    const parsed = parseRange(text);
    if (typeof parsed === "string") throw new Error(`${text} ${parsed}`);
    return parsed;
};

describe.each(FAMILIES)("IPv%i addresses", (family) => {
    it("come back from their own text, which Node takes for one of the family too", () => {
        const { bits } = random(family);
        for (let i = 0; i < ROUNDS; i++) {
            const value = bits(BITS[family]);
            const text = formatAddress(family, value);
            expect(parseAddress(text), text).toEqual({ family, value });
            expect(familyOf(text)).toBe(family);
            expect(family === 4 ? isIPv4(text) : isIPv6(text), text).toBe(true);
        }
    });

    it("are those that Node takes, too: letters changed, left out and put in", () => {
        const { bits, below, pick } = random(10 + family);
        const accepts = family === 4 ? isIPv4 : isIPv6;
        for (let i = 0; i < ROUNDS; i++) {
            const text = formatAddress(family, bits(BITS[family]));
            const at = below(text.length + 1);
            const changed = `${text.slice(0, at)}${pick(["", ":", "::", ".", "0", "f", "1", "25", " ", "g", "/"])}${text.slice(at + below(2))}`;
            expect(parseAddress(changed)?.family === family, changed).toBe(accepts(changed));
        }
    });
});

describe("IPv6 text", () => {
    it.each([
        // RFC 5952, sections 4 and 5.
        ["2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"],
        ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
        ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
        ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
        ["2001:DB8::A", "2001:db8::a"],
        ["0:0:0:0:0:0:0:0", "::"],
        ["0:0:0:0:0:0:0:1", "::1"],
        ["1:0:0:0:0:0:0:0", "1::"],
        ["::ffff:c000:201", "::ffff:192.0.2.1"],
        ["0:0:0:0:0:ffff:1.2.3.4", "::ffff:1.2.3.4"],
        ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
        // As glibc's inet_ntop, which ip and nft print by.
        ["::102:304", "::1.2.3.4"],
        ["::1.2.3.4", "::1.2.3.4"],
        ["::0.1.2.3", "::0.1.2.3"],
        ["::0.0.1.2", "::102"],
        ["::ffff:0:1.2.3.4", "::ffff:0:102:304"],
    ])("%s is %s", (text, canonical) => {
        const { value } = parseAddress(text)!;
        expect(formatAddress(6, value)).toBe(canonical);
        expect(parseAddress(canonical)).toEqual({ family: 6, value });
    });

    it.each(["", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::1.2.3", "::1.2.3.4.5", "1.2.3.4::", "::01.2.3.4", "fe80::1%eth0", "::1/128", "[::1]", "::g", " ::1", "::1\n", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7::8:9"])("%j is none", (text) => {
        expect(parseAddress(text)).toBeUndefined();
        expect(isIPv6(text) && !text.includes("%")).toBe(false);
    });
});

describe("IPv4 text", () => {
    it.each(["1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.-4", "1.2.3.4 ", "0x1.2.3.4", "1.2.3.", "١.2.3.4", "16909060"])("%j is none", (text) => expect(parseAddress(text)).toBeUndefined());
});

describe.each(FAMILIES)("IPv%i prefixes", (family) => {
    it("come back from their canonical form, and name their host bits' cure", () => {
        const { bits, below } = random(20 + family);
        for (let i = 0; i < ROUNDS; i++) {
            const [value, length] = [bits(BITS[family]), below(BITS[family] + 1)];
            const text = `${formatAddress(family, value)}/${length}`;
            const parsed = parsePrefix(text);
            if (typeof parsed !== "string") {
                const canonical = canonicalPrefix(text);
                expect(length === 0 ? canonical : parsePrefix(canonical)).toEqual(length === 0 ? "default" : parsed);
                expect([parsed.first, parsed.last - parsed.first + 1n]).toEqual([value, 1n << BigInt(BITS[family] - length)]);
                continue;
            }
            const cure = /the prefix is (\S+)$/.exec(parsed)?.[1];
            expect(typeof parsePrefix(cure ?? ""), `${text} ${parsed}`).toBe("object");
        }
    });
});

describe.each(FAMILIES)("IPv%i ranges", (family) => {
    const some = (seed: number) => {
        const { bits, below, pick } = random(seed);
        const top = (1n << BigInt(BITS[family])) - 1n;
        return () => {
            const first = pick([0n, top, bits(BITS[family])]);
            const last = first + pick([0n, BigInt(below(5)), BigInt(below(5000)), bits(BITS[family])]);
            return { family, first, last: last > top ? top : last };
        };
    };

    it("come back from their text", () => {
        const next = some(30 + family);
        for (let i = 0; i < ROUNDS; i++) {
            const one = next();
            expect(range(formatRange(one))).toMatchObject(one);
        }
    });

    it("are covered exactly, in order, and by the fewest prefixes", () => {
        const next = some(40 + family);
        for (let i = 0; i < ROUNDS; i++) {
            const one = next();
            const parts = asPrefixes(formatRange(one)).map((text) => range(text === "default" ? (family === 4 ? "0.0.0.0/0" : "::/0") : text));
            expect(parts[0]!.first).toBe(one.first);
            expect(parts.at(-1)!.last).toBe(one.last);
            for (const [at, part] of parts.entries()) if (at > 0) expect(part.first).toBe(parts[at - 1]!.last + 1n);
            // Fewest: no more than two of each size, and no two of one size that are halves of one.
            for (const [at, part] of parts.entries()) {
                const before = parts[at - 1];
                const size = part.last - part.first + 1n;
                if (before && before.last - before.first + 1n === size) expect(before.first % (2n * size), formatRange(one)).not.toBe(0n);
            }
        }
    });

    it("overlap and contain each other as their numbers do, within the family only", () => {
        const next = some(50 + family);
        const other: Family = family === 4 ? 6 : 4;
        for (let i = 0; i < ROUNDS; i++) {
            const [a, b] = [next(), next()];
            const disjoint = a.last < b.first || b.last < a.first;
            expect(overlaps(a, b)).toBe(!disjoint);
            expect(contains(a, b)).toBe(a.first <= b.first && b.last <= a.last);
            expect([overlaps(a, { ...b, family: other }), contains(a, { ...a, family: other })]).toEqual([false, false]);
        }
    });
});
