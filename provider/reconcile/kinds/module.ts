import { binary, sources } from "../../kernel/payload";
import { NviError } from "../../model/errors";
import { unable } from "../../model/module";
import type { Module, Rendered } from "../../syntax/artifact";
import { order, type Kind, type Step } from "../kind";
import type { ModuleWay, Snapshot } from "../snapshot";

const LABEL = "module nvi";
const INSTALLED = `${LABEL} installed`;

export const wayOf = ({ prebuilt }: Module): ModuleWay => (prebuilt ? "prebuilt" : "dkms");
const WAYS: Record<ModuleWay, string> = { dkms: "built by DKMS", prebuilt: "prebuilt" };

export const moduleKind: Kind<Module> = {
    key: () => LABEL,
    requests: () => ({ lines: [] }),

    entries: (module) => ({
        [LABEL]: module.version,
        [INSTALLED]: `${module.version}, ${WAYS[wayOf(module)]}`,
    }),

    observed(_, { module: found }) {
        const entries: Rendered = {};
        if (found.loaded !== undefined) entries[LABEL] = found.loaded;
        if (found.installed !== undefined) entries[INSTALLED] = `${found.installed.version}, ${WAYS[found.installed.way]}`;
        return entries;
    },

    occupied(module, snapshot) {
        const { module: found, facts } = snapshot;
        const stranger = found.loaded !== undefined && found.installed === undefined ? `a module nvi is loaded that is installed nowhere for kernel ${facts.kernel}: it is not ours` : undefined;
        return unable(module, facts.kernel ?? "", found) ?? stranger;
    },

    isMarked: () => true,

    ensure(module, { snapshot, saved }) {
        const entries = moduleKind.entries(module);
        const found = moduleKind.observed(module, snapshot);
        if (!isOurs(snapshot)) Object.assign(saved, found);
        const differs = (entry: string) => found[entry] !== entries[entry];
        const steps: Step[] = [];
        if (differs(INSTALLED)) steps.push(install(module, snapshot));
        if (differs(LABEL)) steps.push(load(module, snapshot.module.loaded));
        return steps;
    },

    remove(module, { snapshot, saved, held }) {
        if (held.has(LABEL)) return [];
        const { loaded, installed } = snapshot.module;
        const steps: Step[] = [];
        if (loaded !== undefined && !(LABEL in saved)) steps.push({ order: order(module), label: LABEL, do: [["module-unload"]], undo: [["module-load", loaded]] });
        if (installed !== undefined && !(INSTALLED in saved)) steps.push({ order: order(module), label: INSTALLED, do: [], undo: [], finally: [["module-remove", installed.version, installed.way]] });
        return steps;
    },
};

/** Whether an object of ours has asked for it before: what was there earlier stays when we go. */
const isOurs = (snapshot: Snapshot): boolean => snapshot.objects.some(({ manifest }) => manifest.artifacts.some(({ kind }) => kind === "module"));

const installCommand = ({ version, prebuilt, install }: Module): string[] => (prebuilt ? ["module-install-prebuilt", version] : ["module-install", version, install ? "packages" : "as-is"]);

/** @throws NviError where the file that was given can't be read. */
function filesOf({ prebuilt }: Module, { facts, router }: Snapshot): Record<string, string> {
    const path = prebuilt?.[facts.kernel ?? ""];
    if (path === undefined) return sources();
    try {
        return { "nvi.ko.base64": binary(path) };
    } catch (error) {
        throw new NviError({
            kind: "invalid", operation: "read the prebuilt module", subject: router, reason: `${(error as Error).message}; nothing was changed`,
            cure: `\`prebuilt\` names files of the machine that runs Pulumi: correct the path that it has for kernel ${facts.kernel}`,
        });
    }
}

/** Another stays, aside, until all is confirmed, so that undoing can go back to it. */
function install(module: Module, snapshot: Snapshot): Step {
    const old = snapshot.module.installed;
    const [restore, away] = old === undefined ? [[], []] : [[["module-restore", old.version, old.way]], [["module-remove", old.version, old.way]]];
    const undo = [["module-remove", module.version, wayOf(module)], ...restore];
    return { order: order(module), label: INSTALLED, do: [installCommand(module)], undo, files: filesOf(module, snapshot), finally: away };
}

/** Another version that is loaded has to go first, and its devices with it. */
function load(module: Module, loaded: string | undefined): Step {
    const [away, back] = loaded === undefined ? [[], []] : [[["module-unload"]], [["module-load", loaded]]];
    return { order: order(module), label: LABEL, do: [...away, ["module-load", module.version]], undo: [["module-unload"], ...back] };
}
