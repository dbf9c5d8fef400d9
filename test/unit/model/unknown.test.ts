import { describe, expect, it } from "vitest";
import { formatPath, type Path } from "../../../provider/model/fault";
import { UNKNOWN, unknownPaths, without } from "../../../provider/model/unknown";
import { parsePath } from "../resources/places";
import { random } from "./random";

type Random = ReturnType<typeof random>;

/** A tree of lists and objects with an unknown here and there. */
function tree(chance: Random, depth: number): unknown {
    const kind = depth === 0 ? chance.below(3) : chance.below(6);
    if (kind === 0) return UNKNOWN;
    if (kind < 3) return chance.pick(["text", 7, true, null, "", 0]);
    const size = chance.below(4);
    if (kind === 3) return Array.from({ length: size }, () => tree(chance, depth - 1));
    return Object.fromEntries(Array.from({ length: size }, (_, i) => [`${chance.pick(["a", "b-c", "d e", "é", '"'])}${i}`, tree(chance, depth - 1)]));
}

const at = (value: unknown, path: Path): unknown => path.reduce<unknown>((here, key) => (here as Record<string | number, unknown>)[key], value);

/** Everything in a tree that is neither list nor object, with its way. */
function leaves(value: unknown, path: Path = []): { path: Path; value: unknown }[] {
    if (value === null || typeof value !== "object") return [{ path, value }];
    return (Array.isArray(value) ? [...value.entries()] : Object.entries(value)).flatMap(([key, item]) => leaves(item, [...path, key]));
}

const trees = (seed: number, count: number): unknown[] => {
    const chance = random(seed);
    return Array.from({ length: count }, () => tree(chance, 4));
};

describe("unknownPaths", () => {
    it("names each unknown, and nothing else", () => {
        for (const value of trees(1, 2000)) {
            const expected = leaves(value).filter((leaf) => leaf.value === UNKNOWN).map(({ path }) => path);
            expect(unknownPaths(value)).toEqual(expected);
        }
    });
});

describe("without", () => {
    it("takes away what it is told to and leaves the rest in its place", () => {
        for (const value of trees(2, 2000)) {
            const before = structuredClone(value);
            const pruned = without(value, unknownPaths(value));
            expect(unknownPaths(pruned)).toEqual([]);
            for (const leaf of leaves(value)) expect(at(pruned, leaf.path)).toBe(leaf.value === UNKNOWN ? undefined : leaf.value);
            expect(value).toEqual(before);
        }
    });

    it("keeps the keys, so that unknown can be told from absent", () => {
        expect(Object.keys(without({ a: UNKNOWN, b: 1 }, [["a"]]) as object)).toEqual(["a", "b"]);
        expect(without([UNKNOWN, 1], [[0]])).toEqual([undefined, 1]);
        expect(without({ a: 1 }, [[]])).toBeUndefined();
        expect(without({ a: 1 }, [["b"], ["a", "c"]])).toEqual({ a: 1 });
    });
});

describe("formatPath", () => {
    it("can be read back", () => {
        for (const value of trees(3, 500)) for (const { path } of leaves(value)) expect(parsePath(formatPath(path))).toEqual(path);
    });

    it.each<[Path, string]>([
        [["uplinks", "isp1", "addresses", 0], "uplinks.isp1.addresses[0]"],
        [["translations", 1, "port"], "translations[1].port"],
        [["uplinks", "my isp", "device"], 'uplinks["my isp"].device'],
        [[], ""],
    ])("%j is %s", (path, text) => expect(formatPath(path)).toBe(text));
});
