import type { Artifact } from "../syntax/artifact";
import { renderTable, replaceTable } from "../syntax/nft";
import { deviceOfSysctl, devicesOf, madeDevices } from "./devices";
import type { PlanContext, Step } from "./kind";
import { kindOf } from "./kinds";
import { wayOf } from "./kinds/module";
import type { Manifest } from "./objects";
import type { Snapshot } from "./snapshot";
import { packWords } from "./words";

/*
 * How the router brings an object back by itself after a restart: the steps that would make it where nothing of it is
 * there. The router keeps them behind the manifest, in the same file, so that both change at the same moment; the
 * router-side script reads them, one a line:
 *
 *   file NAME                    the lines that follow, each behind a +, are this file
 *   do ORDER SINCE WHEN WORD...  a command, in the order of both numbers over all objects. WHEN is `early`, before there is
 *                                any network, or `late`: it needs a NIC; tried early, and once more when the network is up
 */
export function restoration({ artifacts, saved, since = 0 }: Manifest): string {
    const context = afterRestart(artifacts, saved);
    const ours = madeDevices(artifacts);
    return artifacts.filter(({ kind }) => kind !== "boot").flatMap((artifact) => {
        return kindOf(artifact).ensure(artifact, context).map((step) => {
            const when = [...devicesOf(artifact), ...devicesSet(step)].every((device) => ours.has(device)) ? "early" : "late";
            return filesOf(step, artifact) + commandsOf(step, since, when);
        });
    }).join("");
}

/** The switch of forwarding is there without any NIC, the accept_ra that goes with it isn't. */
const devicesSet = (step: Step): string[] => step.do.flatMap(([verb = "", path = ""]) => (verb.startsWith("put") ? (deviceOfSysctl(path) ?? []) : []));

const commandsOf = (step: Step, since: number, when: string): string => step.do.map((words) => packWords(["do", `${step.order}`, `${since}`, when, ...overRemains(words)])).join("");

/** An IPv6 route that has lost one of its next hops with a NIC is still there, and could not be added. */
const overRemains = (words: string[]): string[] => (words.slice(0, 4).join(" ") === "ip -6 route add" && words.includes("nexthop") ? [...words.slice(0, 3), "replace", ...words.slice(4)] : words);

/** Where the unit is started a second time, the table is there already. */
function filesOf({ files = {} }: Step, artifact: Artifact): string {
    return Object.entries(files).map(([name, text]) => {
        const whole = artifact.kind === "table" ? replaceTable(artifact.name, renderTable(artifact)) : text;
        return packWords(["file", name]) + whole.replace(/\n$/, "").split("\n").map((line) => `+${line}\n`).join("");
    }).join("");
}

/** What the kernel forgets is gone; files, such as those of the module, are where they were. */
function afterRestart(artifacts: readonly Artifact[], saved: Manifest["saved"]): PlanContext {
    const paths = [...Object.keys(saved), ...artifacts.flatMap((artifact) => (artifact.kind === "sysctl" ? [artifact.path] : []))];
    const module = artifacts.find((artifact) => artifact.kind === "module");
    const tables = artifacts.flatMap((artifact) => (artifact.kind === "table" ? [artifact.name] : []));
    const snapshot: Snapshot = {
        router: "", facts: {}, generation: 0, turn: "none", managers: [], ipv6: true, objects: [], links: new Map(), addresses: [], proxied: [], rules: [], routes: new Map(), defaults: new Map(), advertised: [],
        // Whatever it is by then: every value is written.
        sysctls: new Map(paths.map((path) => [path, ""])),
        settings: new Map(), tableNames: new Set(), tables: new Map(), canonical: new Map(tables.map((name) => [name, { name, chains: [], others: [], listing: "" }])), foreign: [], legacy: [],
        module: { loadable: true, signed: false, key: false, tools: [], headers: false, apt: false, installed: module && { version: module.version, way: wayOf(module) }, kernels: new Map() },
        boot: "there",
    };
    return { snapshot, saved: { ...saved }, held: new Set(), made: new Set(artifacts.flatMap(devicesOf)) };
}
