import { describe, expect, it } from "vitest";
import { tableKind } from "../../../provider/reconcile/kinds/table";
import type { Snapshot } from "../../../provider/reconcile/snapshot";
import type { Table } from "../../../provider/syntax/artifact";
import { parseTable, type ListedRule, type ListedTable } from "../../../provider/syntax/nft";

interface Line {
    id: string;
    text: string;
}

const HEADER = "type filter hook prerouting priority -150; policy accept;";
const table = (rules: readonly Line[]): Table => ({ kind: "table", phase: "stage1", name: "t", chains: [{ name: "c", hook: "type filter hook prerouting priority -150", rules: [...rules] }] });
const listed = (rules: readonly ListedRule[], others: string[] = [], header = HEADER): ListedTable => ({ name: "t", listing: "", others, chains: [{ name: "c", header, rules: [...rules] }] });
const withHandles = (rules: readonly (Line | { text: string })[], first: number): ListedRule[] => rules.map((rule, i) => ({ ...rule, handle: first + i }));

function steps(wanted: readonly Line[], found: ListedTable | undefined) {
    const snapshot = { router: "edge", tables: new Map([["t", found]]), canonical: new Map([["t", listed(withHandles(wanted, 1))]]) } as unknown as Snapshot;
    return tableKind.ensure(table(wanted), { snapshot, saved: {}, held: new Set(), made: new Set() });
}

/** What nft makes of the lines, one after the other, in one transaction. */
function carriedOut(lines: readonly string[], found: readonly ListedRule[]): ListedRule[] {
    const rules = [...found];
    let handle = 1000;
    for (const line of lines) {
        const [, verb, position, text = "", id] = /^(insert|add|delete) rule inet t c(?: (?:position|handle) (\d+))?(?: (.*?)(?: comment "(.*)")?)?$/.exec(line)!;
        const at = rules.findIndex((rule) => rule.handle === Number(position));
        if (position && at < 0) throw new Error(`no rule with the handle that this names: ${line}`);
        if (verb === "delete") rules.splice(at, 1);
        else rules.splice(verb === "insert" ? 0 : at + 1, 0, { handle: handle++, id, text });
    }
    return rules;
}

const linesOf = (made: ReturnType<typeof steps>): string[] => made[0]!.files!["t.nft"]!.trimEnd().split("\n");
const plain = (rules: readonly ListedRule[]) => rules.map(({ id, text }) => ({ id, text }));

/** By brute force: the most rules that two lists have in common, in one order. */
function mostKept(wanted: readonly Line[], found: readonly ListedRule[]): number {
    const [first, ...rest] = wanted;
    if (!first) return 0;
    const at = found.findIndex((rule) => rule.id === first.id && rule.text === first.text);
    return Math.max(mostKept(rest, found), at < 0 ? 0 : 1 + mostKept(rest, found.slice(at + 1)));
}

/** A generator that gives the same numbers each time. */
function numbers(seed: number): (below: number) => number {
    let state = seed;
    return (below) => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % below;
}

function tampered(wanted: readonly Line[], random: (below: number) => number): (Line | { text: string })[] {
    const found: (Line | { text: string })[] = [...wanted];
    for (let i = random(4); i >= 0; i--) {
        const at = random(found.length + 1);
        const what = random(5);
        if (what === 0) found.splice(at, 1);
        else if (what === 1) found.splice(at, 0, { text: `foreign ${i}` });
        else if (what === 2 && found[at]) found[at] = { ...found[at], text: "changed" };
        else if (what === 3 && found[at]) found.splice(random(found.length), 0, found.splice(at, 1)[0]!);
        else if (found[at]) found.push({ ...found[at] });
    }
    return found;
}

describe("the change of a table", () => {
    it("makes what is found what is wanted, and keeps as many rules as can be kept, whatever was done to them", () => {
        const random = numbers(20260101);
        for (let round = 0; round < 500; round++) {
            const wanted = Array.from({ length: random(7) }, (_, i) => ({ id: `rule ${i}`, text: `text ${random(3)}` }));
            const found = withHandles(tampered(wanted, random), 50);
            const made = steps(wanted, listed(found));
            if (made.length === 0) {
                expect(plain(found)).toEqual(wanted);
                continue;
            }
            const lines = linesOf(made);
            const told = `wanted ${JSON.stringify(wanted)}\nfound ${JSON.stringify(found)}\n${lines.join("\n")}`;
            const after = carriedOut(lines, found);
            expect(plain(after), told).toEqual(wanted);
            expect(after.filter(({ handle }) => handle < 1000).length, told).toBe(mostKept(wanted, found));
        }
    });

    const [one, two, three] = ["one", "two", "three"].map((id) => ({ id, text: id })) as [Line, Line, Line];

    it.each<[string, (Line | { text: string })[], string[]]>([
        ["nothing", [one, two, three], []],
        ["a rule that is gone", [one, three], ['add rule inet t c position 50 two comment "two"']],
        ["a first rule that is gone", [two, three], ['insert rule inet t c one comment "one"']],
        ["a changed rule", [one, { id: "two", text: "other" }, three], ["delete rule inet t c handle 51", 'add rule inet t c position 50 two comment "two"']],
        ["a foreign rule", [one, { text: "drop" }, two, three], ["delete rule inet t c handle 51"]],
        ["a rule that is there twice", [one, two, two, three], ["delete rule inet t c handle 52"]],
        ["a rule at another place", [two, three, one], ["delete rule inet t c handle 52", 'insert rule inet t c one comment "one"']],
        ["no rule at all", [], ['insert rule inet t c three comment "three"', 'insert rule inet t c two comment "two"', 'insert rule inet t c one comment "one"']],
    ])("for %s is no more than needed", (_what, found, lines) => {
        const made = steps([one, two, three], listed(withHandles(found, 50)));
        expect(made.length === 0 ? [] : linesOf(made)).toEqual(lines);
    });

    it.each([
        ["the table isn't there", undefined, { do: [["nft", "-f", "t.nft"]], undo: [["nft", "delete", "table", "inet", "t"]] }],
        ["it has a set", listed(withHandles([one], 50), ["set few"]), { undo: [["nft", "-f", "t.undo"]] }],
        ["a chain has another hook", listed(withHandles([one], 50), [], HEADER.replace("-150", "0")), { undo: [["nft", "-f", "t.undo"]] }],
        ["it has another chain", { ...listed(withHandles([one], 50)), chains: [...listed(withHandles([one], 50)).chains, { name: "more", header: "", rules: [] }] }, { undo: [["nft", "-f", "t.undo"]] }],
    ])("is the whole table where %s", (_what, found, parts) => {
        const [made] = steps([one], found);
        expect(made).toMatchObject(parts);
        expect(made!.files!["t.nft"]).toContain("table inet t {\n\tchain c {");
        if (found) expect(made!.files!["t.nft"]).toContain("delete table inet t\n");
    });

    it("is undone by the table as it was found, with all that somebody has added; so is its removal", () => {
        const listing = `table inet t { # handle 3\n\tset few { # handle 4\n\t\ttype ipv4_addr\n\t}\n\n\tchain c { # handle 1\n\t\t${HEADER}\n\t\ttwo comment "two" # handle 7\n\t\tip saddr @few drop # handle 8\n\t}\n}\n`;
        const found = parseTable(listing);
        const snapshot = { tables: new Map([["t", found]]) } as unknown as Snapshot;
        const removed = tableKind.remove(table([one]), { snapshot, saved: {}, held: new Set(), made: new Set() });
        for (const [made] of [steps([one], found), removed]) expect(made!.files!["t.undo"]).toBe(`table inet t\ndelete table inet t\n${listing}`);
    });

    it("is not made where the router's nft refuses the table, and says why", () => {
        const snapshot = { router: "edge", tables: new Map(), canonical: new Map([["t", { refused: "Error: syntax error" }]]) } as unknown as Snapshot;
        expect(() => tableKind.ensure(table([one]), { snapshot, saved: {}, held: new Set(), made: new Set() })).toThrow(/the router's nft refuses the table[\s\S]*Error: syntax error/);
    });
});
