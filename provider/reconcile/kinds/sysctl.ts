import type { Sysctl } from "../../syntax/artifact";
import { order, waitingFor, type Kind, type PlanContext, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

const IPV4_FORWARD = "net/ipv4/ip_forward";
const IPV6_FORWARD = "net/ipv6/conf/all/forwarding";

const label = (path: string): string => `sysctl ${path.replace(/^net\//, "")}`;
const satisfied = (sysctl: Sysctl, value: string | undefined): boolean =>
    value === sysctl.value || (value !== undefined && (sysctl.accept?.includes(value) ?? false));

export const sysctlKind: Kind<Sysctl> = {
    key: (sysctl) => `sysctl ${sysctl.path}`,
    requests: (sysctl) => ({ lines: [["sysctl", sysctl.path]] }),
    entries: (sysctl) => ({ [label(sysctl.path)]: wanted(sysctl) }),

    observed(sysctl, snapshot) {
        const value = snapshot.sysctls.get(sysctl.path);
        const entry = label(sysctl.path);
        const shown = satisfied(sysctl, value) ? wanted(sysctl) : (value ?? (sysctl.device && waitingFor(sysctl.device)));
        return { ...(shown === undefined ? {} : { [entry]: shown }), ...droppedAcceptRa(sysctl, snapshot) };
    },

    occupied: () => undefined,
    isMarked: () => true,

    ensure(sysctl, context) {
        const { snapshot, saved } = context;
        const now = snapshot.sysctls.get(sysctl.path);
        const steps = acceptRa(sysctl, context);
        if (!sysctl.transient && now !== undefined && !(sysctl.path in saved)) {
            saved[sysctl.path] = now;
            if (!satisfied(sysctl, now)) Object.assign(saved, sideEffects(sysctl.path, snapshot));
        }
        if (satisfied(sysctl, now) || (now === undefined && sysctl.device !== undefined)) return steps;
        return [...steps, { order: order(sysctl), label: label(sysctl.path), do: [put(sysctl), ...leftovers(sysctl)], undo: asNow(sysctl.path, snapshot) }];
    },

    remove(sysctl, { snapshot, saved, held }) {
        const now = snapshot.sysctls.get(sysctl.path);
        if (now === undefined || held.has(sysctlKind.key(sysctl))) return [];
        // Switching forwarding on purges what was advertised where accept_ra isn't 2.
        const accepts = sysctl.path === IPV6_FORWARD ? Object.keys(saved).filter((path) => ACCEPT_RA.test(path)) : [];
        const again = [...accepts, sysctl.path].flatMap((path) => asNow(path, snapshot));
        const step = (commands: string[][]): Step[] => [{ order: order(sysctl), label: label(sysctl.path), do: commands, undo: again }];
        if (sysctl.transient) return step([]);
        const before = saved[sysctl.path];
        // What was set by hand since then is not ours to undo, unless it is what we set.
        if (before === undefined || before === now || now !== sysctl.value) return [];
        return step([["put", sysctl.path, before], ...restoreSideEffects(sysctl.path, unlessChanged(saved, snapshot))]);
    },
};

/**
 * After a restart nobody knows what is there until it is written, and what does as well is left alone then too. A device of
 * ours has no value that somebody has chosen.
 */
const put = ({ path, value, accept, transient }: Sysctl): string[] => (accept && !transient ? ["put-unless", path, value, ...accept] : ["put", path, value]);

/** Puts back what is there now, with all that the kernel changes along with it. A NIC may have gone by then. */
function asNow(path: string, snapshot: Snapshot): string[][] {
    const now = snapshot.sysctls.get(path);
    return now === undefined ? [] : [["put-if-there", path, now], ...restoreSideEffects(path, sideEffects(path, snapshot))];
}

/** A link-local address that an interface was given meanwhile stays when it is told to have none (net/ipv6/addrconf.c). */
function leftovers({ path, value }: Sysctl): string[][] {
    const device = value === "1" ? /^net\/ipv6\/conf\/([^/]+)\/addr_gen_mode$/.exec(path)?.[1] : undefined;
    return device === undefined ? [] : [["ip", "-6", "address", "flush", "dev", device, "scope", "link"]];
}

function wanted(sysctl: Sysctl): string {
    return sysctl.accept ? [...sysctl.accept, sysctl.value].join(" or ") : sysctl.value;
}

/**
 * What the kernel changes along with a forwarding switch, as it is before: every interface's own switch, and
 * for IPv4 `accept_redirects` (net/ipv4/devinet.c, inet_forward_change; net/ipv6/addrconf.c,
 * addrconf_forward_change).
 */
function sideEffects(path: string, snapshot: Snapshot): Record<string, string> {
    const pattern = sideEffectPattern(path);
    const main = snapshot.sysctls.get(path);
    if (!pattern) return {};
    return Object.fromEntries([...snapshot.sysctls].filter(([key, value]) => {
        if (key === path || !pattern.test(key)) return false;
        return key.endsWith("/accept_redirects") || value !== main;
    }));
}

function sideEffectPattern(path: string): RegExp | undefined {
    if (path === IPV4_FORWARD) return /^net\/ipv4\/conf\/(?:[^/]+\/forwarding|all\/accept_redirects)$/;
    if (path === IPV6_FORWARD) return /^net\/ipv6\/conf\/[^/]+\/forwarding$/;
    return undefined;
}

function restoreSideEffects(path: string, values: Readonly<Record<string, string>>): string[][] {
    const pattern = sideEffectPattern(path);
    const effects = Object.entries(values).filter(([key]) => pattern?.test(key) && key !== path);
    // An interface's accept_ra was raised to 2 for as long as we forward.
    const accepts = path === IPV6_FORWARD ? Object.entries(values).filter(([key]) => ACCEPT_RA.test(key)) : [];
    return [...effects, ...accepts].map(([key, value]) => ["put-if-there", key, value]);
}

/** What a switch of forwarding has made of a sysctl stands until somebody sets it by hand: their value comes back then, not the one from before. */
function unlessChanged(saved: Readonly<Record<string, string>>, { sysctls }: Snapshot): Record<string, string> {
    const made = (path: string) => (ACCEPT_RA.test(path) ? "2" : path.endsWith("/accept_redirects") ? "0" : "1");
    return Object.fromEntries(Object.entries(saved).map(([path, before]) => {
        const now = sysctls.get(path) ?? made(path);
        return [path, now === made(path) ? before : now];
    }));
}

const ACCEPT_RA = /^net\/ipv6\/conf\/[^/]+\/accept_ra$/;

/**
 * A host that forwards ignores router advertisements unless accept_ra is 2, and turning forwarding on purges the
 * default routes learned from them (net/ipv6/route.c, rt6_purge_dflt_routers): so raise it first, on the
 * interfaces that live by them.
 */
function acceptRa(sysctl: Sysctl, { snapshot, saved }: PlanContext): Step[] {
    if (sysctl.path !== IPV6_FORWARD) return [];
    const paths = new Set(Object.keys(droppedAcceptRa(sysctl, snapshot, saved)).map((entry) => entry.replace(/^sysctl /, "net/")));
    if (snapshot.sysctls.get(sysctl.path) === "0") {
        for (const device of snapshot.advertised) {
            const path = `net/ipv6/conf/${device}/accept_ra`;
            if (snapshot.sysctls.get(path) === "1") paths.add(path);
        }
    }
    return [...paths].map((path) => {
        const now = snapshot.sysctls.get(path)!;
        saved[path] ??= now;
        return { order: order(sysctl) - 0.5, label: label(path), do: [["put-if-there", path, "2"]], undo: [["put-if-there", path, now]] };
    });
}

/** Interfaces whose accept_ra we raised, and somebody lowered again. */
function droppedAcceptRa(sysctl: Sysctl, snapshot: Snapshot, saved?: Record<string, string>): Record<string, string> {
    if (sysctl.path !== IPV6_FORWARD) return {};
    const raised = saved ?? Object.assign({}, ...snapshot.objects.filter((object) => holds(object.manifest.artifacts, sysctl.path)).map((object) => object.manifest.saved));
    return Object.fromEntries(
        Object.keys(raised).filter((path) => ACCEPT_RA.test(path))
            .map((path) => [label(path), snapshot.sysctls.get(path)] as const)
            .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "2"),
    );
}

function holds(artifacts: readonly { kind: string }[], path: string): boolean {
    return artifacts.some((artifact) => artifact.kind === "sysctl" && (artifact as Sysctl).path === path);
}
