/*
 * Packet filters and translations of others, as far as one has to read them to know what becomes of a packet: what `nft list table`
 * and `iptables-save` print, in one form. Conditions stay nft's text.
 */

export interface FilterRule {
    /** `iifname "lan0" tcp dport 22`; empty where every packet matches. */
    conditions: string;
    /** Other statements decide nothing. */
    verdict?: "accept" | "drop" | "return" | "translate" | { offload: string } | { jump: string; returns: boolean };
}

export interface FilterChain {
    name: string;
    /** Of base chains. */
    hook?: string;
    policy?: string;
    rules: FilterRule[];
}

/** A filter as nft lists its table. */
export function parseFilter(listing: string): FilterChain[] {
    return [...listing.matchAll(/^\tchain (\S+) \{\n((?:\t\t.*\n)*)\t\}/gm)].map(([, name, body]) => {
        // A long set goes on in lines that are further in.
        const lines = body!.trimEnd().split(/\n\t\t(?![\t ])/).map((line) => line.replace(/\s+/g, " ").trim()).filter((line) => line !== "" && !line.startsWith("comment "));
        const [, hook, policy] = /^type \S+ hook (\S+) .*?(?:policy (\w+);)?$/.exec(lines[0] ?? "") ?? [];
        return { name: name!, hook, policy, rules: lines.slice(hook === undefined ? 0 : 1).map(parseRule) };
    });
}

const LOG = /\blog(?: (?:prefix "[^"]*"|(?:level|flags|group|snaplen|queue-threshold) \S+))*/;
const STATEMENT = /(?:^| )(?:(accept)|(drop|reject(?: with .+)?|xt target "REJECT")|(return)|((?:masquerade|snat)(?: .+)?|xt target "(?:MASQUERADE|SNAT)")|(jump|goto) (\S+)|flow (?:add|offload) @(\S+))$/;

function parseRule(line: string): FilterRule {
    const text = line.replace(/ ?comment "[^"]*"$/, "").replace(LOG, "").replace(/\bcounter(?: packets \d+ bytes \d+)?/, "").replace(/ +/g, " ").trim();
    const match = STATEMENT.exec(text);
    if (!match) return { conditions: text };
    const [, accept, drop, , translate, jump, to, flowtable] = match;
    const verdict = accept ? "accept" : drop ? "drop" : translate ? "translate" : flowtable ? { offload: flowtable } : jump ? { jump: to!, returns: jump === "jump" } : "return";
    return { conditions: text.slice(0, match.index).trim(), verdict };
}

/** The NICs of each flowtable of an nft table; a name may end in an asterisk. */
export function parseFlowtables(listing: string): Map<string, string[]> {
    const found = listing.matchAll(/^\tflowtable (\S+) \{\n(?:\t\t.*\n)*?\t\tdevices = \{([^}]*)\}/gm);
    return new Map([...found].map(([, name, devices]) => [name!, devices!.split(",").map((device) => device.trim().replaceAll('"', "")).filter(Boolean)]));
}

/** A filter as `iptables-save -t filter` prints it. */
export function parseSave(listing: string): FilterChain[] {
    const lines = listing.split("\n");
    return lines.flatMap((line) => {
        const [, name, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
        if (name === undefined) return [];
        const base = policy === "-" ? {} : { hook: name.toLowerCase(), policy: policy!.toLowerCase() };
        return [{ name, ...base, rules: lines.filter((one) => one.startsWith(`-A ${name} `)).map((one) => parseSavedRule(one.slice(`-A ${name} `.length))) }];
    });
}

const TARGETS: Record<string, "accept" | "drop" | "return"> = { ACCEPT: "accept", DROP: "drop", REJECT: "drop", RETURN: "return" };

function parseSavedRule(text: string): FilterRule {
    const bare = text.replace(/-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+) ?/, "");
    const [, how, target] = /(?:^| )-([jg]) (\S+)/.exec(bare) ?? [];
    const conditions = bare.replace(/(?:^| )-[jg] .*$/, "").trim()
        .replace(/(^| )(! )?-([io]) (\S+)/g, (_, space: string, not: string | undefined, end: string, name: string) => `${space}${end}ifname ${not ? "!= " : ""}"${name.replace(/\+$/, "*")}"`)
        .replace(/-m (?:conntrack --ctstate|state --state) (\S+)/g, (_, states: string) => `ct state ${states.toLowerCase()}`);
    if (target === undefined) return { conditions };
    // What is no chain, such as LOG, leads nowhere.
    return { conditions, verdict: TARGETS[target] ?? { jump: target, returns: how === "j" } };
}
