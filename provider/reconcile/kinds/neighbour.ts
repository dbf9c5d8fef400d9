import { PROTOCOL, type Neighbour } from "../../syntax/artifact";
import { awaited, order, waitingFor, type Kind } from "../kind";
import type { ObservedNeighbour, Snapshot } from "../snapshot";

const words = (one: Neighbour): string[] => ["proxy", one.address, "dev", one.device];
const add = (one: Neighbour, protocol: number): string[] => ["ip", "neighbour", "add", ...words(one), ...(protocol === 0 ? [] : ["protocol", `${protocol}`])];
const del = (one: Neighbour): string[] => ["ip", "neighbour", "del", ...words(one)];
const key = (one: Neighbour): string => `neighbour ${one.address} dev ${one.device}`;
const find = (one: Neighbour, snapshot: Snapshot): ObservedNeighbour | undefined => snapshot.proxied.find((found) => found.address === one.address && found.device === one.device);
/** The kernel has but one entry for an address on a NIC; its protocol tells whose it is (Linux 5.0, NDA_PROTOCOL). */
const isOurs = (one: Neighbour, snapshot: Snapshot): boolean => find(one, snapshot)?.protocol === PROTOCOL;

export const neighbourKind: Kind<Neighbour> = {
    key,
    requests: () => ({ lines: [] }),
    entries: (one) => ({ [key(one)]: "proxy" }),
    observed(one, snapshot) {
        if (isOurs(one, snapshot)) return { [key(one)]: "proxy" };
        return awaited([one.device], snapshot) === undefined ? {} : { [key(one)]: waitingFor(one.device) };
    },
    // Two who want the same answer given don't stand in each other's way; who was first keeps it.
    occupied: (one, snapshot) => (find(one, snapshot) ? `somebody else has the router answer for ${one.address} on ${one.device} already (ip neighbour show proxy)` : undefined),
    isMarked: isOurs,
    ensure(one, { snapshot, made }) {
        if (isOurs(one, snapshot) || awaited([one.device], snapshot, made) !== undefined) return [];
        const before = find(one, snapshot);
        return [{ order: order(one), label: key(one), do: [add(one, PROTOCOL)], undo: [del(one), ...(before ? [add(one, before.protocol)] : [])] }];
    },
    remove: (one, { snapshot }) => (isOurs(one, snapshot) ? [{ order: order(one), label: key(one), do: [del(one)], undo: [add(one, PROTOCOL)] }] : []),
};
