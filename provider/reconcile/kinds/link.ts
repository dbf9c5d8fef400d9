import type { Link, Rendered } from "../../syntax/artifact";
import { order, type Kind, type Step } from "../kind";

/** Written to the device's alias, so that `ip link` tells whose it is. */
const ALIAS = "pulumi-nvi";

const setCommands = (link: Link): Record<string, string[]> => ({
    [`link ${link.name} mtu`]: ["ip", "link", "set", "dev", link.name, "mtu", `${link.mtu}`],
    [`link ${link.name} address`]: ["ip", "link", "set", "dev", link.name, "address", link.mac],
    [`link ${link.name} arp`]: ["ip", "link", "set", "dev", link.name, "arp", "off"],
    [`link ${link.name} alias`]: ["ip", "link", "set", "dev", link.name, "alias", ALIAS],
    [`link ${link.peer} mtu`]: ["ip", "link", "set", "dev", link.peer, "mtu", `${link.mtu}`],
    [`link ${link.peer} address`]: ["ip", "link", "set", "dev", link.peer, "address", link.mac],
    [`link ${link.peer} alias`]: ["ip", "link", "set", "dev", link.peer, "alias", ALIAS],
});

const upCommands = (link: Link): Record<string, string[]> => ({
    [`link ${link.peer} state`]: ["ip", "link", "set", "dev", link.peer, "up"],
    [`link ${link.name} state`]: ["ip", "link", "set", "dev", link.name, "up"],
});

/** Works for any state in between: each value is written over what is there. */
const undoCommand: Record<string, (device: string, old: string) => string[]> = {
    mtu: (device, old) => ["ip", "link", "set", "dev", device, "mtu", old],
    address: (device, old) => ["ip", "link", "set", "dev", device, "address", old],
    arp: (device, old) => ["ip", "link", "set", "dev", device, "arp", old],
    state: (device, old) => ["ip", "link", "set", "dev", device, old],
};

export const linkKind: Kind<Link> = {
    key: (link) => `link ${link.name}`,
    requests: () => ({ lines: [] }),

    entries: (link) => ({
        [`link ${link.name}`]: `veth, peer ${link.peer}`,
        [`link ${link.name} mtu`]: `${link.mtu}`,
        [`link ${link.name} address`]: link.mac,
        [`link ${link.name} arp`]: "off",
        [`link ${link.name} alias`]: ALIAS,
        [`link ${link.name} state`]: "up",
        [`link ${link.peer} mtu`]: `${link.mtu}`,
        [`link ${link.peer} address`]: link.mac,
        [`link ${link.peer} alias`]: ALIAS,
        [`link ${link.peer} state`]: "up",
    }),

    observed(link, snapshot) {
        const found: Rendered = {};
        const [near, far] = [snapshot.links.get(link.name), snapshot.links.get(link.peer)];
        if (near) {
            found[`link ${link.name}`] = near.peer ? `${near.kind ?? "device"}, peer ${near.peer}` : (near.kind ?? "device");
            found[`link ${link.name} arp`] = near.noArp ? "off" : "on";
        }
        for (const end of [near, far]) {
            if (!end) continue;
            found[`link ${end.name} mtu`] = `${end.mtu}`;
            found[`link ${end.name} address`] = end.mac;
            found[`link ${end.name} state`] = end.up ? "up" : "down";
            if (end.alias !== undefined) found[`link ${end.name} alias`] = end.alias;
        }
        return found;
    },

    occupied(link, snapshot) {
        for (const name of [link.name, link.peer]) {
            const found = snapshot.links.get(name);
            if (found) return `a network device ${name} (${found.kind ?? "physical"}) is there already and is not ours`;
        }
        return undefined;
    },

    isMarked: (link, snapshot) => [link.name, link.peer].some((name) => snapshot.links.get(name)?.alias === ALIAS),

    ensure(link, { snapshot }) {
        const found = linkKind.observed(link, snapshot);
        const wanted = linkKind.entries(link);
        const pair = `link ${link.name}`;
        const steps: Step[] = [];
        const isThere = found[pair] === wanted[pair];
        if (!isThere) steps.push(...create(link, found[pair] !== undefined));
        const differs = (entry: string) => !isThere || found[entry] !== wanted[entry];
        for (const [entry, words] of Object.entries(setCommands(link))) {
            if (differs(entry)) steps.push({ order: order(link), label: entry, do: [words], undo: isThere ? undo(entry, found[entry]) : [] });
        }
        for (const [entry, words] of Object.entries(upCommands(link))) {
            if (differs(entry)) steps.push({ order: order(link, "up"), label: entry, do: [words], undo: isThere ? undo(entry, found[entry]) : [] });
        }
        return steps;
    },

    remove(link, { snapshot }) {
        if (!snapshot.links.has(link.name)) return [];
        const again = [addCommand(link), ...Object.values(setCommands(link))];
        return [
            { order: order(link, "up"), label: `link ${link.name}`, do: [], undo: Object.values(upCommands(link)) },
            { order: order(link), label: `link ${link.name}`, do: [["ip", "link", "del", "dev", link.name]], undo: again },
        ];
    },
};

const addCommand = (link: Link): string[] => ["ip", "link", "add", "name", link.name, "type", "veth", "peer", "name", link.peer];

function create(link: Link, replaces: boolean): Step[] {
    const label = `link ${link.name}`;
    const away = ["ip", "link", "del", "dev", link.name];
    // Ours by name and manifest, but turned into something else by hand.
    const first = replaces ? [{ order: order(link), label, do: [away], undo: [] }] : [];
    return [...first, { order: order(link), label, do: [addCommand(link)], undo: [away] }];
}

function undo(entry: string, old: string | undefined): string[][] {
    const [, device, what] = entry.split(" ") as [string, string, string];
    const command = undoCommand[what];
    return command && old !== undefined ? [command(device, old)] : [];
}
