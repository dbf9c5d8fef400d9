import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Section } from "../../provider/host/host";
import type { Family } from "../../provider/model/address";
import { parseSnapshot } from "../../provider/reconcile/answer";
import { devicesOf } from "../../provider/reconcile/devices";
import type { Artifact } from "../../provider/syntax/artifact";
import { run } from "../lab/process";
import { answerOf, sameAsWanted, type Sent } from "../unit/inputs/examine";
import { section } from "../unit/reconcile/fake-router";

/*
 * What was planned for a router on which nothing is, given to the real nft and ip in scratch network namespaces, of many
 * inputs in one call: each is made, listed, read by our parsers, and undone. One that is in any trouble is tried once more by
 * itself, so that none is blamed for another.
 */

/** What they refuse, or list as something else; a line for each of those inputs. */
export async function refusedByTools(all: readonly Sent[]): Promise<string[]> {
    const found: string[] = [];
    for (const batch of batches(all)) {
        const trouble = await refusedOf(batch);
        for (const [sent, first] of trouble) {
            const alone = batch.length === 1 ? first : (await refusedOf([sent])).get(sent);
            if (alone !== undefined) found.push(`${sent.title}: ${alone}`);
        }
    }
    return found;
}

const BATCH = 60;
/** What is on the router; sysctls, settings of the module and files are no business of nft and ip. */
const SHOWN: readonly Artifact["kind"][] = ["link", "address", "neighbour", "rule", "routes", "table"];

const madeBy = ({ artifacts }: Sent): string[] => artifacts.filter(({ kind }) => kind === "link").flatMap(devicesOf);
const neighboursOf = ({ artifacts }: Sent): string[] => artifacts.flatMap((one) => (one.kind === "neighbour" ? [one.device] : []));

/** A device that one makes is no NIC of another in the same batch. */
function batches(all: readonly Sent[]): Sent[][] {
    const open: { sent: Sent[]; made: Set<string>; nics: Set<string> }[] = [];
    for (const sent of all) {
        const [made, nics] = [madeBy(sent), neighboursOf(sent)];
        let batch = open.find((one) => one.sent.length < BATCH && !made.some((name) => one.nics.has(name)) && !nics.some((name) => one.made.has(name)));
        if (!batch) open.push((batch = { sent: [], made: new Set(), nics: new Set() }));
        batch.sent.push(sent);
        for (const name of made) batch.made.add(name);
        for (const name of nics) batch.nics.add(name);
    }
    return open.map(({ sent }) => sent);
}

/** A line for `ip -batch`: a command of the plan's, or one that shows what is there. */
interface Line {
    words: readonly string[];
    sent: Sent;
    /** The section of an observation that its output belongs to. */
    shows?: string;
}

type Part = "devices" | "ipv4" | "ipv6";

async function refusedOf(batch: readonly Sent[]): Promise<Map<Sent, string>> {
    const folder = mkdtempSync(join(tmpdir(), "nvi-inputs-"));
    try {
        const lines = Object.fromEntries((["devices", "ipv4", "ipv6"] as const).map((part) => [part, batch.flatMap((sent) => linesOf(sent, part))])) as Record<Part, Line[]>;
        const tables = batch.flatMap((sent, i) => sent.artifacts.flatMap((one) => (one.kind === "table" ? [{ sent, name: one.name, as: `${one.name}_${i}`, text: sent.files[`${one.name}.nft`] ?? "" }] : [])));
        const file = (name: string, text: string) => writeFileSync(join(folder, name), text);
        for (const [part, all] of Object.entries(lines)) file(part, all.map(({ words }) => `${words.join(" ")}\n`).join(""));
        file("neighbours.setup", bridges(batch.flatMap(neighboursOf)));
        const nics = [...new Set(batch.flatMap(({ desired, artifacts }) => [...desired.nics, ...artifacts.flatMap(devicesOf)]))];
        file("routes.setup", bridges(nics));
        // So that every next hop is on a link, by any device.
        for (const [family, scope] of [["ipv4", " scope link"], ["ipv6", ""]] as const) file(`${family}.setup`, nics.filter((nic) => nic !== "lo").map((nic, i) => `route add default dev ${nic}${scope} metric ${i + 1}\n`).join(""));
        file("nft", tables.map(({ name, as, text }) => text.replace(new RegExp(`(table inet ${name})(?=\\s)`, "g"), `table inet ${as}`)).join(""));
        await run(["unshare", "-n", "sh", "-c", DEVICES, "sh", folder], { timeoutMs: 300_000 });
        await run(["unshare", "-n", "sh", "-c", ROUTES, "sh", folder], { timeoutMs: 300_000 });

        const read = (name: string) => readFileSync(join(folder, name), "utf8");
        const trouble = new Map<Sent, string>();
        const blame = (sent: Sent, text: string) => trouble.set(sent, [trouble.get(sent), text].filter(Boolean).join("\n"));
        const shown = new Map(batch.map((sent) => [sent, [] as Section[]]));
        for (const part of ["devices", "ipv4", "ipv6"] as const) told(lines[part], read(`${part}.out`), read(`${part}.err`), blame, shown);
        const listings = new Map([...read("nft.out").matchAll(/^table inet (\S+) (\{[^]*?^\})$/gm)].map(([, name, body]) => [name!, body!]));
        for (const { sent, name, as } of tables) {
            const body = listings.get(as);
            if (body === undefined) blame(sent, `nft: ${read("nft.err").slice(0, 2000)}`);
            else for (const what of ["nft", "canonical"]) shown.get(sent)!.push(section(`${what}/${name}`, `table inet ${name} ${body}\n`));
        }
        for (const sent of batch) if (!trouble.has(sent)) await compare(sent, shown.get(sent)!, blame);
        return trouble;
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

/** A bridge without ports is a device of which ip and the kernel know nothing special. */
const bridges = (names: readonly string[]): string => [...new Set(names)].filter((name) => name !== "lo").map((name) => `link add name ${name} type bridge\nlink set dev ${name} up\n`).join("");

const DEVICES = `cd "$1" && { ip -force -batch neighbours.setup; :; } && ip -N -j -d -force -batch devices >devices.out 2>devices.err; :`;
const ROUTES = `cd "$1" && ip link set dev lo up && {
    ip -force -batch routes.setup; ip -4 -force -batch ipv4.setup; ip -6 -force -batch ipv6.setup
    ip -4 -N -j -force -batch ipv4 >ipv4.out 2>ipv4.err
    ip -6 -N -j -force -batch ipv6 >ipv6.out 2>ipv6.err
    nft -f nft 2>nft.err
    nft -a -s list ruleset >nft.out
}`;

/** What is done for one input, shown, and undone from the last step to the first. */
function linesOf(sent: Sent, part: Part): Line[] {
    const steps = sent.files.steps!.split("step\t").slice(1).map((step) => step.split("\n").slice(1).map((line) => line.split("\t")));
    const commands = (step: string[][], what: string) => step.filter(([one]) => one === what).flatMap(([, ...words]) => wordsIn(words, part) ?? []).map((words) => ({ words, sent }));
    const done = steps.flatMap((step) => commands(step, "do"));
    const undone = [...steps].reverse().flatMap((step) => commands(step, "undo"));
    return done.length === 0 ? [] : [...done, ...showing(sent, part), ...undone];
}

/** As `ip -batch` wants them, where the command belongs there. No kernel of a test has the module's devices. */
function wordsIn([tool, ...words]: readonly string[], part: Part): string[][] {
    if (tool !== "ip") return [];
    const family = words[0] === "-4" ? "ipv4" : words[0] === "-6" && words[1] !== "address" ? "ipv6" : "devices";
    if (family !== part) return [];
    const bare = words[0]!.startsWith("-") ? words.slice(1) : words;
    return [bare.slice(0, 2).join(" ") === "link add" && bare.at(-1) === "nvi" ? [...bare.slice(0, -1), "bridge"] : bare];
}

function showing(sent: Sent, part: Part): Line[] {
    const show = (shows: string, ...words: string[]): Line => ({ words, sent, shows });
    const family: Family = part === "ipv4" ? 4 : 6;
    if (part !== "devices") return [show(`rules${family}`, "rule", "show"), ...sent.artifacts.flatMap((one) => (one.kind === "routes" ? [show(`route${family}/${one.table}`, "route", "show", "table", `${one.table}`)] : []))];
    return [...madeBy(sent).map((name) => show("devices", "address", "show", "dev", name)), show("neighbours", "neighbour", "show", "proxy")];
}

/** Hands what ip said to those whose lines it was said of. */
function told(lines: readonly Line[], out: string, err: string, blame: (sent: Sent, text: string) => void, shown: ReadonlyMap<Sent, Section[]>): void {
    const said = err.split(/^Command failed \S+:(\d+)\n/m);
    const failed = new Map(Array.from({ length: (said.length - 1) / 2 }, (_, i) => [Number(said[2 * i + 1]) - 1, said[2 * i]!.trim()]));
    for (const [at, text] of failed) if (lines[at]) blame(lines[at].sent, `ip ${lines[at].words.join(" ")}: ${text}`);
    const outputs = out.split("\n").filter(Boolean);
    const shows = lines.filter((line, at) => line.shows !== undefined && !failed.has(at));
    if (outputs.length !== shows.length) for (const { sent } of lines) blame(sent, `ip said ${outputs.length} things of ${shows.length}: ${said.at(-1)!.slice(0, 500)}`);
    shows.forEach(({ sent, shows: name }, i) => shown.get(sent)!.push(section(name!, outputs[i] ?? "")));
}

/** Through the same parsers, and the same comparison, as an observation of a router, which knows the NICs besides. */
async function compare(sent: Sent, shown: readonly Section[], blame: (sent: Sent, text: string) => void): Promise<void> {
    const { desired, artifacts } = sent;
    const isOfModule = artifacts.some(({ kind }) => kind === "module");
    const all = new Map((await answerOf(desired, { requests: "" })).map((one) => [one.name, one.stdout]));
    // A batch that has once shown links shows no addresses any more; with -d these have all of the links.
    const devices = shown.filter(({ name }) => name === "devices").flatMap(({ stdout }) => JSON.parse(isOfModule ? stdout.replace('"info_kind":"bridge"', '"info_kind":"nvi"') : stdout) as unknown[]);
    all.set("links", JSON.stringify([...JSON.parse(all.get("links")!) as unknown[], ...devices]));
    all.set("addresses", JSON.stringify(devices));
    for (const { name, stdout } of shown) if (name !== "devices") all.set(name, stdout);
    try {
        sameAsWanted(artifacts.filter(({ kind }) => SHOWN.includes(kind)), parseSnapshot("edge", [...all].map(([name, text]) => section(name, text))));
    } catch (error) {
        blame(sent, (error as Error).message);
    }
}
