import type { Link, Rendered } from "../../syntax/artifact";
import { devicesOf } from "../devices";
import { order, type Kind, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

/** Written to the device's alias, so that `ip link` tells whose it is. */
export const ALIAS = "pulumi-nvi";

const ends = (link: Link): string[] => devicesOf(link);

function setCommands(link: Link): Record<string, string[]> {
    const set = (device: string, what: string, value: string): [string, string[]] => [`link ${device} ${what}`, ["ip", "link", "set", "dev", device, what, value]];
    return Object.fromEntries(ends(link).flatMap((device) => [
        set(device, "mtu", `${link.mtu}`),
        set(device, "address", link.mac),
        ...(device === link.name ? [set(device, "arp", "off")] : []),
        set(device, "alias", ALIAS),
    ]));
}

/** The far end first, so that nothing is sent into a pair that isn't whole. */
const upCommands = (link: Link): Record<string, string[]> => Object.fromEntries(ends(link).reverse().map((device) => [`link ${device} state`, ["ip", "link", "set", "dev", device, "up"]]));

/** The kinds of devices that we make, as `ip -d link` calls them. */
const whatIs = ({ peer }: Link): string => (peer === undefined ? "nvi" : `veth, peer ${peer}`);

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
        [`link ${link.name}`]: whatIs(link),
        ...Object.fromEntries(ends(link).flatMap((device) => [
            [`link ${device} mtu`, `${link.mtu}`],
            [`link ${device} address`, link.mac],
            ...(device === link.name ? [[`link ${device} arp`, "off"]] : []),
            [`link ${device} alias`, ALIAS],
            [`link ${device} state`, "up"],
        ])) as Rendered,
    }),

    observed(link, snapshot) {
        const found: Rendered = {};
        const near = snapshot.links.get(link.name);
        if (near) {
            found[`link ${link.name}`] = near.peer ? `${near.kind ?? "device"}, peer ${near.peer}` : (near.kind ?? "device");
            found[`link ${link.name} arp`] = near.noArp ? "off" : "on";
        }
        for (const end of ends(link).flatMap((device) => snapshot.links.get(device) ?? [])) {
            found[`link ${end.name} mtu`] = `${end.mtu}`;
            found[`link ${end.name} address`] = end.mac;
            found[`link ${end.name} state`] = end.up ? "up" : "down";
            if (end.alias !== undefined) found[`link ${end.name} alias`] = end.alias;
        }
        return found;
    },

    occupied(link, snapshot) {
        for (const name of ends(link)) {
            const found = snapshot.links.get(name);
            if (found) return `a network device ${name} (${found.kind ?? "physical"}) is there already and is not ours`;
        }
        return undefined;
    },

    isMarked: (link, snapshot) => ends(link).some((name) => snapshot.links.get(name)?.alias === ALIAS),

    ensure(link, { snapshot }) {
        const found = linkKind.observed(link, snapshot);
        const wanted = linkKind.entries(link);
        const isThere = found[`link ${link.name}`] !== undefined;
        const steps: Step[] = isThere ? [] : [{ order: order(link), label: `link ${link.name}`, do: [addCommand(link)], undo: [removeCommand(link)] }];
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
            { order: order(link), label: `link ${link.name}`, do: [removeCommand(link)], undo: again },
        ];
    },
};

/**
 * With its address from the start (NET_ADDR_SET of linux/netdevice.h): to one that the kernel has made up udev gives another,
 * a moment later (MACAddressPolicy=persistent, systemd.link(5)).
 */
function addCommand({ name, peer, mac }: Link): string[] {
    return ["ip", "link", "add", "name", name, "address", mac, "type", ...(peer === undefined ? ["nvi"] : ["veth", "peer", "name", peer, "address", mac])];
}

const removeCommand = ({ name }: Link): string[] => ["ip", "link", "del", "dev", name];

/** Whether another device has the name: ours by manifest, but made something else by hand, or of another backend. */
export function isReplaced(link: Link, snapshot: Snapshot): boolean {
    const found = linkKind.observed(link, snapshot)[`link ${link.name}`];
    return found !== undefined && found !== whatIs(link);
}

function undo(entry: string, old: string | undefined): string[][] {
    const [, device, what] = entry.split(" ") as [string, string, string];
    const command = undoCommand[what];
    return command && old !== undefined ? [command(device, old)] : [];
}
