import { PROTOCOL, type Rendered, type Route, type Routes } from "../../syntax/artifact";
import { DEFAULT_METRIC, routeCommand, routeKey, routeValue, type ObservedRoute } from "../../syntax/iproute";
import { order, type Kind, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

/** What a route is told from others by, in the kernel: table, destination and metric. */
const identity = (route: Pick<Route, "family" | "table" | "to" | "metric">): string =>
    routeKey({ ...route, metric: route.metric ?? DEFAULT_METRIC[route.family] });

const isOurs = (found: ObservedRoute): boolean => found.protocol === PROTOCOL;

function foundRoutes(routes: Routes, snapshot: Snapshot): Map<string, ObservedRoute> {
    return new Map((snapshot.routes.get(routes.table) ?? []).map((found) => [identity(found), found]));
}

/** As it would be written today, the metric left out where it is the default. */
function keyOf(found: ObservedRoute): string {
    const metric = found.metric === DEFAULT_METRIC[found.family] ? undefined : found.metric;
    return routeKey({ ...found, metric });
}

const valueOf = (found: ObservedRoute): string => (isOurs(found) ? routeValue(found) : `${routeValue(found)} (protocol ${found.protocol})`);

export const routesKind: Kind<Routes> = {
    key: (routes) => `route table ${routes.table}`,
    requests: (routes) => ({ lines: [["route", `${routes.table}`]] }),
    entries: (routes) => Object.fromEntries(routes.routes.map((route) => [routeKey(route), routeValue(route)])),

    observed(routes, snapshot) {
        const found = foundRoutes(routes, snapshot);
        const entries: Rendered = {};
        for (const route of routes.routes) {
            const one = found.get(identity(route));
            if (one) entries[routeKey(route)] = valueOf(one);
            found.delete(identity(route));
        }
        for (const one of found.values()) entries[`FOREIGN ${keyOf(one)}`] = valueOf(one);
        return entries;
    },

    occupied(routes, snapshot) {
        const found = snapshot.routes.get(routes.table) ?? [];
        return found.length === 0 ? undefined : `route table ${routes.table} is in use: it has ${found.length} routes, the first ${keyOf(found[0]!)} ${routeValue(found[0]!)}`;
    },

    ensure(routes, { snapshot }) {
        const found = foundRoutes(routes, snapshot);
        const steps: Step[] = [];
        for (const route of routes.routes) {
            const one = found.get(identity(route));
            found.delete(identity(route));
            if (!one) steps.push(step(routes, routeKey(route), [routeCommand("add", route)], [routeCommand("del", route)]));
            else if (valueOf(one) !== routeValue(route)) {
                steps.push(step(routes, routeKey(route), [routeCommand("replace", route)], [routeCommand("replace", one, one.protocol)]));
            }
        }
        // The table is ours: what somebody put there would decide about our packets.
        for (const one of found.values()) {
            steps.push(step(routes, keyOf(one), [routeCommand("del", one, one.protocol)], [routeCommand("add", one, one.protocol)]));
        }
        return steps;
    },

    remove: (routes, { snapshot }) =>
        (snapshot.routes.get(routes.table) ?? []).filter(isOurs).map((one) => step(routes, keyOf(one), [routeCommand("del", one)], [routeCommand("add", one)])),
};

const step = (routes: Routes, label: string, commands: string[][], undo: string[][]): Step => ({ order: order(routes), label, do: commands, undo });
