import type { Neighbour } from "../../syntax/artifact";
import { awaited, order, waitingFor, type Kind } from "../kind";
import type { Snapshot } from "../snapshot";

const command = (verb: "add" | "del", one: Neighbour): string[] => ["ip", "neighbour", verb, "proxy", one.address, "dev", one.device];
const key = (one: Neighbour): string => `neighbour ${one.address} dev ${one.device}`;
const isThere = (one: Neighbour, snapshot: Snapshot): boolean => snapshot.proxied.some((found) => found.address === one.address && found.device === one.device);

export const neighbourKind: Kind<Neighbour> = {
    key,
    requests: () => ({ lines: [] }),
    entries: (one) => ({ [key(one)]: "proxy" }),
    observed(one, snapshot) {
        if (isThere(one, snapshot)) return { [key(one)]: "proxy" };
        return awaited([one.device], snapshot) === undefined ? {} : { [key(one)]: waitingFor(one.device) };
    },
    // Two who want the same answer given don't stand in each other's way; who was first keeps it.
    occupied: (one, snapshot) => (isThere(one, snapshot) ? `somebody else has the router answer for ${one.address} on ${one.device} already (ip neighbour show proxy)` : undefined),
    isMarked: () => true,
    ensure: (one, { snapshot, made }) => (isThere(one, snapshot) || awaited([one.device], snapshot, made) !== undefined ? [] : [{ order: order(one), label: key(one), do: [command("add", one)], undo: [command("del", one)] }]),
    remove: (one, { snapshot }) => (isThere(one, snapshot) ? [{ order: order(one), label: key(one), do: [command("del", one)], undo: [command("add", one)] }] : []),
};
