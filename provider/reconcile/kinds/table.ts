import { NviError } from "../../model/errors";
import type { Chain, Rendered, Table, TableRule } from "../../syntax/artifact";
import { createTable, renderTable, replaceTable, ruleText, type ListedChain, type ListedRule, type ListedTable } from "../../syntax/nft";
import { order, type Kind } from "../kind";
import type { Snapshot } from "../snapshot";

const file = (table: Table): string => `${table.name}.want`;
const chainKey = (table: Table, chain: string): string => `nft ${table.name} ${chain}`;

export const tableKind: Kind<Table> = {
    key: (table) => `nft table inet ${table.name}`,
    requests: (table) => ({ lines: [["nft", table.name, file(table)]], files: { [file(table)]: renderTable(table) } }),

    entries: (table) =>
        Object.fromEntries(table.chains.flatMap((chain) => [
            [chainKey(table, chain.name), chain.hook ?? "chain"],
            ...chain.rules.map((rule) => [`${chainKey(table, chain.name)} ${rule.id}`, rule.text]),
        ])),

    observed(table, snapshot) {
        const found = snapshot.tables.get(table.name);
        if (!found) return {};
        const canonical = wantedListing(table, snapshot);
        const entries: Rendered = {};
        for (const other of found.others) entries[`nft ${table.name} FOREIGN ${other}`] = "present";
        for (const chain of found.chains) {
            const wanted = table.chains.find((one) => one.name === chain.name);
            const listed = canonical.chains.find((one) => one.name === chain.name);
            Object.assign(entries, wanted && listed ? observedChain(table, wanted, listed, chain) : foreignChain(table, chain));
        }
        return entries;
    },

    occupied: (table, snapshot) => (snapshot.tableNames.has(`inet ${table.name}`) ? `an nft table inet ${table.name} is there already and is not ours` : undefined),

    // Nobody else's tables have names like ours.
    isMarked: () => true,

    ensure(table, { snapshot }) {
        const found = snapshot.tables.get(table.name);
        const canonical = wantedListing(table, snapshot);
        const change = found ? changeOf(table, canonical, found) : createTable(table.name, renderTable(table));
        if (change === undefined) return [];
        const undo = found && undoing(table, found);
        return [{
            order: order(table),
            label: tableKind.key(table),
            do: [["nft", "-f", `${table.name}.nft`]],
            undo: [undo ? ["nft", "-f", `${table.name}.undo`] : ["nft", "delete", "table", "inet", table.name]],
            files: { [`${table.name}.nft`]: change, ...undo },
        }];
    },

    remove(table, { snapshot }) {
        const found = snapshot.tables.get(table.name);
        if (!found) return [];
        return [{
            order: order(table),
            label: tableKind.key(table),
            do: [["nft", "delete", "table", "inet", table.name]],
            undo: [["nft", "-f", `${table.name}.undo`]],
            files: undoing(table, found),
        }];
    },
};

/** The wanted table in the words of the router's own nft. */
function wantedListing(table: Table, snapshot: Snapshot): ListedTable {
    const listed = snapshot.canonical.get(table.name);
    if (listed && !("refused" in listed)) return wholeListing(table, listed, snapshot);
    throw new NviError({
        kind: "tool",
        operation: `load nft table inet ${table.name}`,
        subject: snapshot.router,
        reason: listed ? "the router's nft refuses the table (tried in a network namespace of its own; nothing was changed)" : "the router did not say how its nft lists the table",
        command: `nft -f ${file(table)}`,
        output: listed?.refused,
        cure: "nft or the kernel may lack a feature that the table needs: compare `nft --version` and `uname -r` with the requirements in the README",
    });
}

/** Rule by rule, or nothing can be said of what is there: an nft that lists less than it was given is not to be gone by. */
function wholeListing(table: Table, listed: ListedTable, snapshot: Snapshot): ListedTable {
    const partial = listed.chains.find(({ name, rules }) => rules.length !== table.chains.find((one) => one.name === name)?.rules.length);
    if (partial === undefined) return listed;
    throw new NviError({
        kind: "protocol", operation: "observe", subject: snapshot.router, command: `nft -f ${file(table)}`,
        reason: `its nft lists chain ${partial.name} of the wanted table inet ${table.name} with ${partial.rules.length} rules, which are not all of it; nothing was changed`,
        cure: "run it again; if it stays, another nft is needed (compare `nft --version` with the requirements in the README)",
    });
}

/** The router's own words, whatever is in them: a rule of somebody's that uses a set of his would not load without it. */
const undoing = (table: Table, found: ListedTable): Record<string, string> => ({ [`${table.name}.undo`]: replaceTable(table.name, found.listing) });

const sameRule = (a: ListedRule, b: ListedRule): boolean => a.id === b.id && a.text === b.text;

function observedChain(table: Table, wanted: Chain, listed: ListedChain, found: ListedChain): Rendered {
    const key = chainKey(table, wanted.name);
    const entries: Rendered = { [key]: found.header === listed.header ? (wanted.hook ?? "chain") : found.header };
    const known: string[] = [];
    let foreign = 0;
    for (const rule of found.rules) {
        const at = wanted.rules.findIndex((one) => one.id === rule.id);
        if (at < 0 || known.includes(rule.id!)) {
            entries[`${key} FOREIGN ${++foreign}`] = rule.text;
            continue;
        }
        known.push(rule.id!);
        entries[`${key} ${rule.id}`] = sameRule(rule, listed.rules[at]!) ? wanted.rules[at]!.text : rule.text;
    }
    const inOrder = wanted.rules.map((rule) => rule.id).filter((id) => known.includes(id));
    if (inOrder.join() !== known.join()) entries[`${key} order`] = known.join(", ");
    return entries;
}

function foreignChain(table: Table, chain: ListedChain): Rendered {
    return { [`nft ${table.name} FOREIGN chain ${chain.name}`]: [chain.header, ...chain.rules.map((rule) => rule.text)].filter(Boolean).join("; ") };
}

/**
 * The smallest nft transaction from what is there to what is wanted, undefined where nothing differs. Rules
 * that stay are not touched, and keep their counters; chains that differ as such cost the whole table.
 */
function changeOf(table: Table, listed: ListedTable, found: ListedTable): string | undefined {
    const shape = (one: ListedTable) => [...one.others, ...one.chains.map((chain) => `${chain.name} ${chain.header}`)].sort().join("\n");
    if (shape(listed) !== shape(found)) return replaceTable(table.name, renderTable(table));
    const lines = listed.chains.flatMap((chain) => {
        const wanted = table.chains.find((one) => one.name === chain.name)!.rules;
        return chainChange(`inet ${table.name} ${chain.name}`, wanted, chain.rules, found.chains.find((one) => one.name === chain.name)!.rules);
    });
    return lines.length === 0 ? undefined : `${lines.join("\n")}\n`;
}

function chainChange(chain: string, wanted: readonly TableRule[], listed: readonly ListedRule[], found: readonly ListedRule[]): string[] {
    const kept = commonRules(listed, found);
    const deletions = found.filter((_, i) => ![...kept.values()].includes(i)).map((rule) => `delete rule ${chain} handle ${rule.handle}`);
    const additions: string[] = [];
    // From the last to the first, so that each can be put right behind the kept rule before it.
    for (let at = wanted.length - 1; at >= 0; at--) {
        if (kept.has(at)) continue;
        const before = [...kept.keys()].filter((i) => i < at).at(-1);
        const text = ruleText(wanted[at]!);
        additions.push(before === undefined ? `insert rule ${chain} ${text}` : `add rule ${chain} position ${found[kept.get(before)!]!.handle} ${text}`);
    }
    return [...deletions, ...additions];
}

/** Longest common subsequence, as positions in `listed` to positions in `found`. */
function commonRules(listed: readonly ListedRule[], found: readonly ListedRule[]): Map<number, number> {
    const size = Array.from({ length: listed.length + 1 }, () => new Array<number>(found.length + 1).fill(0));
    for (let i = listed.length - 1; i >= 0; i--) {
        for (let j = found.length - 1; j >= 0; j--) {
            size[i]![j] = sameRule(listed[i]!, found[j]!) ? size[i + 1]![j + 1]! + 1 : Math.max(size[i + 1]![j]!, size[i]![j + 1]!);
        }
    }
    const pairs = new Map<number, number>();
    for (let i = 0, j = 0; i < listed.length && j < found.length; ) {
        if (sameRule(listed[i]!, found[j]!)) pairs.set(i++, j++);
        else if (size[i + 1]![j]! >= size[i]![j + 1]!) i++;
        else j++;
    }
    return pairs;
}
