import type { Address } from "../../syntax/artifact";
import { order, type Kind } from "../kind";
import type { Snapshot } from "../snapshot";

const command = (verb: "add" | "del", address: Address): string[] => ["ip", "address", verb, address.prefix, "dev", address.device];

function isThere(address: Address, snapshot: Snapshot): boolean {
    return snapshot.addresses.some((found) => found.device === address.device && `${found.local}/${found.length}` === address.prefix);
}

export const addressKind: Kind<Address> = {
    key: (address) => `address ${address.device} ${address.prefix}`,
    requests: () => ({ lines: [] }),
    entries: (address) => ({ [`address ${address.device}`]: address.prefix }),

    observed(address, snapshot) {
        const found = snapshot.addresses.filter((one) => one.device === address.device && one.scope !== "link");
        const all = found.map((one) => `${one.local}/${one.length}`).sort();
        return all.length === 0 ? {} : { [`address ${address.device}`]: all.join(" ") };
    },

    occupied: () => undefined,
    isMarked: () => true,

    ensure(address, { snapshot }) {
        const label = addressKind.key(address);
        const others = snapshot.addresses.filter((one) => one.device === address.device && one.scope !== "link" && `${one.local}/${one.length}` !== address.prefix);
        const steps = others.map((one) => {
            const other = { ...address, prefix: `${one.local}/${one.length}` };
            return { order: order(address), label, do: [command("del", other)], undo: [command("add", other)] };
        });
        if (isThere(address, snapshot)) return steps;
        return [{ order: order(address), label, do: [command("add", address)], undo: [command("del", address)] }, ...steps];
    },

    // Its device goes, and takes it along; a device that comes back gets it back.
    remove: (address, { snapshot }) =>
        isThere(address, snapshot) ? [{ order: order(address), label: addressKind.key(address), do: [], undo: [command("add", address)] }] : [],
};
