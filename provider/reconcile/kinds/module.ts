import { binary, sources } from "../../kernel/payload";
import { unable } from "../../model/module";
import type { Module, Rendered } from "../../syntax/artifact";
import { order, type Kind, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

const LABEL = "module nvi";

/** How the module that the running kernel would load came there. */
const wayOf = ({ prebuilt }: Module): string => (prebuilt ? "prebuilt" : "built by DKMS");

export const moduleKind: Kind<Module> = {
    key: () => LABEL,
    requests: () => ({ lines: [] }),

    entries: (module) => ({
        [LABEL]: module.version,
        [`${LABEL} installed`]: `${module.version}, ${wayOf(module)}`,
        [`${LABEL} at boot`]: "loaded",
    }),

    observed(_, { module: found }) {
        const entries: Rendered = {};
        if (found.loaded !== undefined) entries[LABEL] = found.loaded;
        if (found.installed !== undefined) entries[`${LABEL} installed`] = `${found.installed}, ${found.dkms.includes(found.installed) ? "built by DKMS" : "prebuilt"}`;
        if (found.boot) entries[`${LABEL} at boot`] = "loaded";
        return entries;
    },

    occupied(module, snapshot) {
        const { module: found, facts } = snapshot;
        const reason = unable(module, facts.kernel ?? "", found);
        if (reason !== undefined) return reason;
        return found.loaded !== undefined && !snapshot.objects.some(({ manifest }) => manifest.artifacts.some(({ kind }) => kind === "module")) && found.dkms.length === 0 && found.installed === undefined
            ? `a module nvi is loaded on kernel ${facts.kernel} that is installed nowhere: it is not ours` : undefined;
    },

    isMarked: () => true,

    ensure(module, { snapshot }) {
        const entries = moduleKind.entries(module);
        const found = moduleKind.observed(module, snapshot);
        const differs = (entry: string) => found[entry] !== entries[entry];
        const steps: Step[] = [];
        if (differs(`${LABEL} installed`)) steps.push(...install(module, snapshot));
        if (differs(LABEL)) steps.push(load(module, found[LABEL]));
        if (differs(`${LABEL} at boot`)) steps.push({ order: order(module), label: `${LABEL} at boot`, do: [["module-boot", "on"]], undo: [["module-boot", "off"]] });
        return steps;
    },

    remove(module, { snapshot, held }) {
        if (held.has(LABEL)) return [];
        const found = snapshot.module;
        const step = (label: string, commands: string[], undo: string[], files?: Record<string, string>): Step => ({ order: order(module), label, do: [commands], undo: [undo], files });
        return [
            ...(found.boot ? [step(`${LABEL} at boot`, ["module-boot", "off"], ["module-boot", "on"])] : []),
            ...(found.loaded === undefined ? [] : [step(LABEL, ["module-unload"], ["module-load", found.loaded])]),
            ...(found.installed === undefined ? [] : [step(`${LABEL} installed`, ["module-remove", found.installed], installCommand(module), filesOf(module, snapshot))]),
        ];
    },
};

const installCommand = ({ version, prebuilt, install }: Module): string[] => (prebuilt ? ["module-install-prebuilt", version] : ["module-install", version, install ? "packages" : "as-is"]);

/** A file that can't be read is told of in the step that needs it, and nothing has changed by then. */
function filesOf({ prebuilt }: Module, { facts }: Snapshot): Record<string, string> {
    const path = prebuilt?.[facts.kernel ?? ""];
    return path === undefined ? sources() : { "nvi.ko.base64": binary(path) };
}

/** Another version stays until everything else has been done, so that undoing can go back to it. */
function install(module: Module, snapshot: Snapshot): Step[] {
    const label = `${LABEL} installed`;
    const old = snapshot.module.installed;
    const isOther = old !== undefined && old !== module.version;
    const undo = [["module-remove", module.version], ...(isOther ? [["module-restore", old]] : [])];
    const first: Step = { order: order(module), label, do: [installCommand(module)], undo, files: filesOf(module, snapshot) };
    return isOther ? [first, { order: LAST, label, do: [["module-remove", old]], undo: [] }] : [first];
}

/** After all that may fail. */
const LAST = 99;

/** Another version that is loaded has to go first, and its devices with it. */
function load({ version }: Module, loaded: string | undefined): Step {
    const first = loaded === undefined ? [] : [["module-unload"]];
    const module = { kind: "module", phase: "device" } as Module;
    const back = loaded === undefined ? [] : [["module-load", loaded]];
    return { order: order(module), label: LABEL, do: [...first, ["module-load", version]], undo: [["module-unload"], ...back] };
}
