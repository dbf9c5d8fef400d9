import type { Section } from "../../../provider/host/host";
import { parseAnswer } from "../../../provider/host/wire";
import { NviError } from "../../../provider/model/errors";
import { parseSnapshot } from "../../../provider/reconcile/answer";
import { renderObserved } from "../../../provider/reconcile/resolve";
import { section } from "../reconcile/fake-router";
import { answerOf, type Sent } from "./examine";
import { routesJson, rulesJson } from "./printed";
import { HOSTILE, type Random } from "./values";

/* What a router says, spoilt: cut off, with bytes changed, with other values in its JSON. */

const block = (sections: readonly Section[]): string => [
    ...sections.map(({ name, exit, stdout, stderr }) => `@ ${name} ${exit} ${Buffer.byteLength(stdout)} ${Buffer.byteLength(stderr)}\n`), "\n",
    ...sections.map(({ stdout, stderr }) => stdout + stderr), "\n",
].join("");

/** An answer about a router that has it all, as nft, ip and the script print it. */
async function answer({ desired, artifacts, files }: Sent): Promise<Section[]> {
    const said = await answerOf(desired, { ...files });
    const rules = artifacts.filter((one) => one.kind === "rule");
    const tables = said.filter(({ name }) => name.startsWith("canonical/")).map(({ name, stdout }) => section(name.replace("canonical", "nft"), stdout));
    const routes = artifacts.flatMap((one) => (one.kind === "routes" ? ([4, 6] as const).map((family) => section(`route${family}/${one.table}`, routesJson(one.routes, family))) : []));
    const own = [section("rules4", rulesJson(rules, 4)), section("rules6", rulesJson(rules, 6)), section("objects", `manifest\t${desired.id.kind}.${desired.id.name}\t${files.manifest!.split("\n")[0]}\n`), ...tables, ...routes];
    return [...said.filter(({ name }) => !own.some((one) => one.name === name)), ...own];
}

/** @throws Error where a spoilt answer leads to anything but an answer that is read, or a reported fault. */
export async function examineCorrupted(sent: Sent, r: Random): Promise<void> {
    const whole = await answer(sent);
    for (let i = 0; i < 8; i++) {
        const at = r.below(whole.length);
        const spoilt = whole.map((one, n) => (n === at ? { ...one, ...(r.below(8) === 0 ? { exit: r.pick([1, 2, 134, 255]), stderr: r.pick(HOSTILE) } : { stdout: spoiltText(one.stdout, r) }) } : one));
        survives(() => renderObserved(sent.artifacts, parseSnapshot("edge", spoilt)), `${sent.title}: ${JSON.stringify(spoilt[at]).slice(0, 2000)}`);
    }
    const bytes = Buffer.from(block([section("applied", "")]) + block(whole) + block([section("end", "")]));
    const cut = bytes.subarray(0, r.below(bytes.length - 2));
    if (parseAnswer(cut) !== undefined) throw new Error(`${sent.title}: ${cut.length} of ${bytes.length} bytes were taken for an answer`);
    const changed = Buffer.from(spoiltText(bytes.toString("latin1"), r), "latin1");
    survives(() => parseAnswer(changed) && parseSnapshot("edge", parseAnswer(changed)!), `${sent.title}: ${changed.toString("latin1").slice(0, 2000)}`);
}

function survives(attempt: () => unknown, what: string): void {
    try {
        attempt();
    } catch (error) {
        if (!(error instanceof NviError)) throw new Error(`${(error as Error).stack}\n${what}`, { cause: error });
    }
}

function spoiltText(text: string, r: Random): string {
    const [at, to] = [r.below(text.length + 1), r.below(text.length + 1)].sort((a, b) => a - b) as [number, number];
    switch (r.below(6)) {
        case 0: return text.slice(0, at);
        case 1: return text.slice(0, at) + text.slice(to);
        case 2: return text.slice(0, at) + r.pick(HOSTILE) + text.slice(at);
        case 3: return text.slice(0, to) + text.slice(at, to) + text.slice(to);
        default: return otherValue(text, r);
    }
}

/** JSON that is whole, with another value in the place of one. */
function otherValue(text: string, r: Random): string {
    const values = [...text.matchAll(/(?<=[:[,])(?:"[^"]*"|-?\d+|true|false|null|\{|\[)(?=[,\]}])/g)];
    const found = values.length === 0 ? undefined : r.pick(values);
    return found === undefined ? r.pick(["null", "[]", "{}", "[null]", "[[]]", "0", '""', "[1]", ""]) : text.slice(0, found.index) + r.pick(["null", "[]", "{}", "-1", "1e999", '""', '"x"', "true", "[null]", JSON.stringify(r.pick(HOSTILE))]) + text.slice(found.index + found[0].length);
}
