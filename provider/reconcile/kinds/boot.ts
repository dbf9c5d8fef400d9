import type { Boot } from "../../syntax/artifact";
import { order, type Kind, type Step } from "../kind";

const ENTRY = "at boot";
const RESTORED = "restored";

const step = (boot: Boot, to: "on" | "off"): Step => ({ order: order(boot), label: ENTRY, do: [["boot", to]], undo: [["boot", to === "on" ? "off" : "on"]] });

export const bootKind: Kind<Boot> = {
    key: () => ENTRY,
    requests: () => ({ lines: [] }),
    entries: () => ({ [ENTRY]: RESTORED }),
    // Without systemd there is nothing that could be missing: `Router.facts.restores` tells.
    observed: (_, { boot }): Record<string, string> => (boot === "missing" ? {} : { [ENTRY]: RESTORED }),
    occupied: () => undefined,
    isMarked: () => true,
    ensure: (boot, { snapshot }) => (snapshot.boot === "missing" ? [step(boot, "on")] : []),
    remove: (boot, { snapshot, held }) => (snapshot.boot === "there" && !held.has(ENTRY) ? [step(boot, "off")] : []),
};
