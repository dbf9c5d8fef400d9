import type { Chain, Table } from "./artifact";

/*
 * The grammar of nft tables, as far as ours go: writing one as a file for `nft -f`, and reading what
 * `nft -a -s list table` prints. Rules are opaque text: the router's own nft says what is equal, by listing
 * the wanted table from a scratch namespace (see the router-side script's `observe`).
 */

/** nft has no escapes in strings: a quote or a newline cannot be written, so it must not get here. */
export function quote(text: string): string {
    if (!/^[\x20-\x7e]*$/.test(text) || /["\\]/.test(text)) throw new Error(`not representable in nft: ${JSON.stringify(text)}`);
    return `"${text}"`;
}

/** An anonymous set, or its only element by itself. */
export function set(elements: readonly string[]): string {
    return elements.length === 1 ? elements[0]! : `{ ${elements.join(", ")} }`;
}

export const ruleText = (rule: { id: string; text: string }): string => `${rule.text} comment ${quote(rule.id)}`;

/** A table as nft's own syntax. */
export function renderTable(table: Table): string {
    return `table inet ${table.name} {\n${orderChains(table.chains).map(renderChain).join("")}}\n`;
}

/** One transaction that is refused where a table of that name has come meanwhile: it is somebody else's. */
export function createTable(name: string, table: string): string {
    return `create table inet ${name}\n${table}`;
}

/** One transaction after which exactly this table is there, whatever was before. */
export function replaceTable(name: string, table: string): string {
    return `table inet ${name}\ndelete table inet ${name}\n${table}`;
}

function renderChain(chain: Chain): string {
    const hook = chain.hook ? `\t\t${chain.hook}; policy accept;\n` : "";
    const rules = chain.rules.map((rule) => `\t\t${ruleText(rule)}\n`).join("");
    return `\tchain ${chain.name} {\n${hook}${rules}\t}\n`;
}

/** nft wants a chain to be there before a rule that jumps to it. */
function orderChains(chains: readonly Chain[]): Chain[] {
    return [...chains.filter((chain) => !chain.hook), ...chains.filter((chain) => chain.hook)];
}

export interface ListedRule {
    handle: number;
    /** The comment, which in our tables is the rule's id. */
    id?: string;
    /** Without comment and handle. */
    text: string;
}

export interface ListedChain {
    name: string;
    /** The lines before the first rule, e.g. `type nat hook postrouting priority srcnat; policy accept;`. */
    header: string;
    rules: ListedRule[];
}

export interface ListedTable {
    name: string;
    chains: ListedChain[];
    /** Sets, maps, flowtables and other things, which our tables never have; flags, too: `flags dormant` switches a table off. */
    others: string[];
    /** As nft printed it, which nft takes: handles are comments to it, and it knows a file's chains before the rules that jump to them. */
    listing: string;
}

/**
 * Parses `nft -a -s list table`.
 *
 * @throws Error where the text isn't a whole listing: half a listing must never look like a small table.
 */
export function parseTable(listing: string): ListedTable {
    const lines = listing.split("\n");
    const head = /^table inet (\S+) \{/.exec(lines[0] ?? "");
    if (!head) throw new Error(`not the listing of a table: ${JSON.stringify(lines[0]?.slice(0, 80))}`);
    const table: ListedTable = { name: head[1]!, chains: [], others: [], listing };
    let chain: ListedChain | undefined;
    let other = false;
    for (const line of lines.slice(1)) {
        const opening = /^\t(chain|set|map|flowtable|counter|quota|limit|secmark|synproxy|ct \w+) (\S+) \{/.exec(line);
        if (opening) {
            if (opening[1] === "chain") table.chains.push((chain = { name: opening[2]!, header: "", rules: [] }));
            else table.others.push(`${opening[1]} ${opening[2]}`);
            other = opening[1] !== "chain";
        } else if (line === "\t}") {
            chain = undefined;
            other = false;
        } else if (line === "}") {
            return table;
        } else if (chain && line.startsWith("\t\t")) {
            addLine(chain, line.trim());
        } else if (/^\tflags /.test(line)) {
            table.others.push(line.trim());
        } else if (line.trim() !== "" && !other && !/^\tcomment /.test(line)) {
            throw new Error(`line of a table that is not understood: ${JSON.stringify(line.slice(0, 200))}`);
        }
    }
    throw new Error("the listing of a table ends in its middle");
}

function addLine(chain: ListedChain, line: string): void {
    const handle = / # handle (\d+)$/.exec(line);
    if (!handle) {
        chain.header = chain.header ? `${chain.header} ${line}` : line;
        return;
    }
    const body = line.slice(0, handle.index);
    const comment = / comment "([^"]*)"$/.exec(body);
    chain.rules.push({ handle: Number(handle[1]), id: comment?.[1], text: comment ? body.slice(0, comment.index) : body });
}
