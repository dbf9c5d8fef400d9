import type { Boot } from "../../syntax/artifact";
import { order, type Kind } from "../kind";

const ENTRY = "at boot";
const RESTORED = "restored";

export const bootKind: Kind<Boot> = {
    key: () => ENTRY,
    requests: () => ({ lines: [] }),
    entries: () => ({ [ENTRY]: RESTORED }),
    // Where nothing would call us there is nothing that could be missing: `Router.facts.restores` tells.
    observed: (_, { boot }): Record<string, string> => (boot === "missing" ? {} : { [ENTRY]: RESTORED }),
    occupied: () => undefined,
    isMarked: () => true,
    // Other objects may live by it, and with the last one the router-side script takes it away: nothing is to be undone.
    ensure: (boot, { snapshot }) => (snapshot.boot === "missing" ? [{ order: order(boot), label: ENTRY, do: [["boot", "on"]], undo: [] }] : []),
    // The router-side script takes it away with the last object.
    remove: () => [],
};
