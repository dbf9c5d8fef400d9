import { binary, sources } from "../../kernel/payload";
import { NviError } from "../../model/errors";
import { unable } from "../../model/module";
import type { Module, Rendered } from "../../syntax/artifact";
import { order, type Kind, type Step } from "../kind";
import type { ModuleWay, Snapshot } from "../snapshot";

const LABEL = "module nvi";
const INSTALLED = `${LABEL} installed`;
const installedFor = (release: string): string => `${INSTALLED} for ${release}`;

export const wayOf = ({ prebuilt }: Module): ModuleWay => (prebuilt ? "prebuilt" : "dkms");
export const WAYS: Record<ModuleWay, string> = { dkms: "built by DKMS", prebuilt: "prebuilt" };

export const moduleKind: Kind<Module> = {
    key: () => LABEL,
    requests: ({ prebuilt = {} }) => ({ lines: Object.keys(prebuilt).map((release) => ["kernel", release]) }),

    entries: (module) => ({
        [LABEL]: module.version,
        [INSTALLED]: `${module.version}, ${WAYS[wayOf(module)]}`,
        ...Object.fromEntries(Object.keys(module.prebuilt ?? {}).map((release) => [installedFor(release), module.version])),
    }),

    observed({ version, prebuilt = {} }, { module: found }) {
        const entries: Rendered = {};
        if (found.loaded !== undefined) entries[LABEL] = found.loaded;
        if (found.installed !== undefined) entries[INSTALLED] = `${found.installed.version}, ${WAYS[found.installed.way]}`;
        for (const release of Object.keys(prebuilt)) {
            // A kernel that the router doesn't have needs none: a program may name those of many routers.
            const there = found.kernels.has(release) ? found.kernels.get(release) : version;
            if (there !== undefined) entries[installedFor(release)] = there;
        }
        return entries;
    },

    occupied(module, snapshot) {
        const { module: found, facts } = snapshot;
        const stranger = found.loaded !== undefined && found.installed === undefined ? `a module nvi is loaded that is installed nowhere for kernel ${facts.kernel}: it is not ours` : undefined;
        const isThere = found.installed?.version === module.version && found.installed.way === wayOf(module);
        return (isThere ? undefined : unable(module, facts.kernel ?? "", found)) ?? stranger;
    },

    isMarked: () => true,

    ensure(module, { snapshot, saved }) {
        const entries = moduleKind.entries(module);
        const found = moduleKind.observed(module, snapshot);
        if (!isOurs(snapshot)) Object.assign(saved, withoutAbsent(found, module, snapshot));
        /** What was there before us stays, aside. */
        const isTheirs = (entry: string) => saved[entry] !== undefined && saved[entry] === found[entry];
        const differs = (entry: string) => found[entry] !== entries[entry];
        const [installs, loads] = [differs(INSTALLED), differs(LABEL)];
        const steps: Step[] = [];
        if (installs) steps.push(install(module, snapshot, isTheirs(INSTALLED), loads ? snapshot.module.loaded : undefined));
        const others = Object.keys(module.prebuilt ?? {}).filter((release) => release !== snapshot.facts.kernel && differs(installedFor(release)));
        steps.push(...others.map((release) => installAhead(module, release, snapshot, isTheirs(installedFor(release)))));
        if (loads) steps.push(load(module, snapshot.module.loaded, installs));
        return steps;
    },

    remove(module, { snapshot, saved, held }) {
        if (held.has(LABEL)) return [];
        const { loaded, installed } = snapshot.module;
        const steps: Step[] = [];
        if (loaded !== undefined && !(LABEL in saved)) steps.push({ order: order(module), label: LABEL, do: [["module-unload-unused"]], undo: [["module-load", loaded]] });
        // Its file stays with it: what is loaded and installed nowhere would be a stranger to the next object.
        const verb = LABEL in saved ? "module-remove" : "module-remove-unloaded";
        if (installed !== undefined && !(INSTALLED in saved)) steps.push({ order: order(module), label: INSTALLED, do: [], undo: [], finally: [[verb, installed.version, installed.way]] });
        return steps;
    },
};

/** Whether an object of ours has asked for it before: what was there earlier stays when we go. */
const isOurs = (snapshot: Snapshot): boolean => snapshot.objects.some(({ manifest }) => manifest.artifacts.some(({ kind }) => kind === "module"));

/** For a kernel that the router doesn't have nothing was there before us. */
function withoutAbsent(found: Rendered, { prebuilt = {} }: Module, { module: { kernels } }: Snapshot): Rendered {
    const absent = new Set(Object.keys(prebuilt).filter((release) => !kernels.has(release)).map(installedFor));
    return Object.fromEntries(Object.entries(found).filter(([entry]) => !absent.has(entry)));
}

const installCommand = ({ version, prebuilt, install }: Module, release: string): string[] => (prebuilt ? ["module-install-prebuilt", version, release] : ["module-install", version, install ? "packages" : "as-is"]);

/** @throws NviError where the file that was given can't be read. */
function filesOf({ prebuilt }: Module, release: string, router: string): Record<string, string> {
    const path = prebuilt?.[release];
    if (path === undefined) return sources();
    try {
        return { [`nvi.ko.${release}.base64`]: binary(path) };
    } catch (error) {
        throw new NviError({
            kind: "invalid", operation: "read the prebuilt module", subject: router, reason: `${(error as Error).message}; nothing was changed`,
            cure: `\`prebuilt\` names files of the machine that runs Pulumi: correct the path that it has for kernel ${release}`,
        });
    }
}

/**
 * Another stays, aside, until all is confirmed, so that undoing can go back to it.
 *
 * @param keep whether it is not ours to take away then.
 * @param loaded another version that the same plan unloads: it is loaded again once its file is back.
 */
function install(module: Module, { module: { installed: old }, facts: { kernel = "" }, router }: Snapshot, keep: boolean, loaded: string | undefined): Step {
    const place = old && [old.version, ...placeOf(old.way, kernel)];
    const away = place === undefined || keep ? [] : [["module-remove", ...place]];
    const undo = [["module-remove", module.version, ...placeOf(wayOf(module), kernel)], ...(place === undefined ? [] : [["module-restore", ...place]]), ...(loaded === undefined ? [] : [["module-load", loaded]])];
    return { order: order(module), label: INSTALLED, do: [installCommand(module, kernel)], undo, files: filesOf(module, kernel, router), finally: away };
}

/** For a kernel that the router may be restarted with. */
function installAhead(module: Module, release: string, { module: { kernels }, router }: Snapshot, keep: boolean): Step {
    const old = kernels.get(release);
    const undo = [["module-remove", module.version, "prebuilt", release], ...(old === undefined ? [] : [["module-restore", old, "prebuilt", release]])];
    const away = old === undefined || keep ? [] : [["module-remove", old, "prebuilt", release]];
    return { order: order(module), label: installedFor(release), do: [installCommand(module, release)], undo, files: filesOf(module, release, router), finally: away };
}

const placeOf = (way: ModuleWay, release: string): string[] => (way === "dkms" ? [way] : [way, release]);

/**
 * Another version that is loaded has to go first, and its devices with it.
 *
 * @param isNew whether the same plan installs it: undoing that, which comes later, loads the other one. modprobe finds ours until then.
 */
function load(module: Module, loaded: string | undefined, isNew: boolean): Step {
    const away = loaded === undefined ? [] : [["module-unload"]];
    const back = loaded === undefined || isNew ? [] : [["module-load", loaded]];
    return { order: order(module), label: LABEL, do: [...away, ["module-load", module.version]], undo: [["module-unload"], ...back] };
}
