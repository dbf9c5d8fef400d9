import { PROTOCOL, type Rendered, type Route, type Routes } from "../../syntax/artifact";
import { DEFAULT_METRIC, routeCommand, routeKey, routeValue, type ObservedRoute } from "../../syntax/iproute";
import { awaited, order, waitingFor, type Kind, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

/** What a route is told from others by, in the kernel: table, destination and metric. */
const identity = (route: Pick<Route, "family" | "table" | "to" | "metric">): string =>
    routeKey({ ...route, metric: route.metric ?? DEFAULT_METRIC[route.family] });

/** IPv6 takes a deletion without metric for one of any metric. */
const exactly = (route: Route): Route => (route.metric === undefined && route.family === 6 ? { ...route, metric: DEFAULT_METRIC[6] } : route);

/**
 * Takes back a route that an addition may not have come to make. IPv4 takes a deletion with metric 0, which can't be named, for one of the lowest metric
 * there is: as long as the route is there, it goes; where it isn't, others that lead the same way are put back, which is nothing where they are still there.
 */
function takingBack(route: Route, snapshot: Snapshot): string[][] {
    const others = (snapshot.routes.get(route.table) ?? []).filter((one) => one.family === 4 && one.to === route.to && one.metric !== 0 && valueFor(route, one) === routeValue(route));
    const isAny = route.family === 4 && !route.metric;
    return [routeCommand("del", exactly(route)), ...(isAny ? others.map((one) => routeCommand("append", one, one.protocol)) : [])];
}

const isOurs = (found: ObservedRoute): boolean => found.protocol === PROTOCOL;

/** Several routes may share an identity: `ip route append` makes such. */
function foundRoutes(routes: Routes, snapshot: Snapshot): Map<string, ObservedRoute[]> {
    const found = new Map<string, ObservedRoute[]>();
    for (const one of snapshot.routes.get(routes.table) ?? []) found.set(identity(one), [...(found.get(identity(one)) ?? []), one]);
    return found;
}

/** As it would be written today, the metric left out where it is the default. */
function keyOf(found: ObservedRoute): string {
    const metric = found.metric === DEFAULT_METRIC[found.family] ? undefined : found.metric;
    return routeKey({ ...found, metric });
}

const valueOf = (found: ObservedRoute): string => (isOurs(found) ? routeValue(found) : `${routeValue(found)} (protocol ${found.protocol})`);

/** The kernel finds the device of a next hop that names none: what wasn't asked for is no difference. */
function valueFor(route: Route, found: ObservedRoute): string {
    const anyDevice = new Set(route.hops.filter((hop) => hop.dev === undefined).map((hop) => hop.via));
    return valueOf({ ...found, hops: found.hops.map((hop) => (anyDevice.has(hop.via) ? { ...hop, dev: undefined } : hop)) });
}

const devices = (route: Route): (string | undefined)[] => route.hops.map((hop) => hop.dev);

export const routesKind: Kind<Routes> = {
    key: (routes) => `route table ${routes.table}`,
    requests: (routes) => ({ lines: [["route", `${routes.table}`]] }),
    entries: (routes) => Object.fromEntries(routes.routes.map((route) => [routeKey(route), routeValue(route)])),

    observed(routes, snapshot) {
        const found = foundRoutes(routes, snapshot);
        const entries: Rendered = {};
        for (const route of routes.routes) {
            const same = found.get(identity(route)) ?? [];
            const device = awaited(devices(route), snapshot);
            if (same.length > 0) entries[routeKey(route)] = same.map((one) => valueFor(route, one)).join(" and ");
            else if (device !== undefined) entries[routeKey(route)] = waitingFor(device);
            found.delete(identity(route));
        }
        for (const same of found.values()) entries[`FOREIGN ${keyOf(same[0]!)}`] = same.map(valueOf).join(" and ");
        return entries;
    },

    occupied(routes, snapshot) {
        const found = snapshot.routes.get(routes.table) ?? [];
        return found.length === 0 ? undefined : `route table ${routes.table} is in use: it has ${found.length} routes, the first ${keyOf(found[0]!)} ${routeValue(found[0]!)}`;
    },

    isMarked: (routes, snapshot) => (snapshot.routes.get(routes.table) ?? []).some(isOurs),

    ensure(routes, { snapshot, made }) {
        const found = foundRoutes(routes, snapshot);
        const steps: Step[] = [];
        for (const route of routes.routes) {
            if (awaited(devices(route), snapshot, made) !== undefined) continue;
            const same = found.get(identity(route)) ?? [];
            const kept = same.find((one) => valueFor(route, one) === routeValue(route)) ?? same[0];
            if (!kept) steps.push(step(routes, routeKey(route), [routeCommand("add", route)], takingBack(route, snapshot)));
            else if (valueFor(route, kept) !== routeValue(route)) {
                steps.push(step(routes, routeKey(route), [routeCommand("replace", route)], [routeCommand("replace", kept, kept.protocol)]));
            }
            found.set(identity(route), same.filter((one) => one !== kept));
        }
        // The table is ours: what somebody put there would decide about our packets.
        for (const one of [...found.values()].flat()) {
            steps.push(step(routes, keyOf(one), [routeCommand("del", one, one.protocol)], [routeCommand("append", one, one.protocol)]));
        }
        return steps;
    },

    remove: (routes, { snapshot }) =>
        (snapshot.routes.get(routes.table) ?? []).filter(isOurs).map((one) => step(routes, keyOf(one), [routeCommand("del", one)], [routeCommand("add", one)])),
};

const step = (routes: Routes, label: string, commands: string[][], undo: string[][]): Step => ({ order: order(routes), label, do: commands, undo });
