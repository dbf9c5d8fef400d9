import { run } from "./process";
import type { End, NodeSpec, Topology, Wire } from "./topology";

/** Carries a topology out with iproute2. One process for many commands: a start must take a second, not ten. */
export class Wiring {
    constructor(readonly topology: Topology, private readonly namespaceOf: (node: string) => string) {}

    async createNamespaces(nodes: string[]): Promise<void> {
        await batch(nodes.map(node => `netns add ${this.namespaceOf(node)}`));
        await Promise.all(nodes.map(async node => {
            const spec = this.spec(node);
            await run(this.inside(node, ["sysctl", "-q", "-p", "-"]), { stdin: spec.sysctls.map(([name, value]) => `${name}=${value}\n`).join("") });
            const lines = ["link set lo up", ...(spec.loopback ?? []).map(address => `addr add ${address} dev lo${nodad(address)}`)];
            // Without snooping and delay a bridge passes neighbour discovery from its first second.
            if (spec.bridge) lines.push(`link add ${spec.bridge} type bridge forward_delay 0 mcast_snooping 0`, `link set ${spec.bridge} up`);
            await batch(lines, this.namespaceOf(node));
            if (spec.nft) await run(this.inside(node, ["nft", "-f", "-"]), { stdin: spec.nft });
        }));
    }

    async deleteNamespace(node: string): Promise<void> {
        await run(["ip", "netns", "del", this.namespaceOf(node)]);
    }

    /** Creates these links, with their addresses, both ends up. */
    async connect(wires: Wire[]): Promise<void> {
        if (wires.length === 0) return;
        await batch(wires.map(wire => {
            const [a, b] = wire.ends;
            const mtu = (end: End) => (end.mtu ?? wire.mtu) === undefined ? "" : ` mtu ${end.mtu ?? wire.mtu}`;
            const index = this.topology.wires.indexOf(wire);
            return `link add name ${a.nic}${mtu(a)} address ${a.mac ?? mac(index, 0)} netns ${this.namespaceOf(a.node)} type veth`
                + ` peer name ${b.nic}${mtu(b)} address ${b.mac ?? mac(index, 1)} netns ${this.namespaceOf(b.node)}`;
        }));
        const lines = new Map<string, string[]>();
        for (const end of wires.flatMap(wire => wire.ends)) lines.set(end.node, [...(lines.get(end.node) ?? []), ...endUp(end)]);
        await Promise.all([...lines].map(async ([node, list]) => await batch(list, this.namespaceOf(node))));
    }

    /** A node's own routes, as far as they leave by one of these NICs (all, if not told). */
    async addRoutes(node: string, onlyNic?: string): Promise<void> {
        const routes = (this.spec(node).routes ?? []).filter(route => onlyNic === undefined || route.includes(` dev ${onlyNic}`));
        await batch(routes.map(route => `route add ${route}`), this.namespaceOf(node));
    }

    wiresOf(node: string, nic?: string): Wire[] {
        return this.topology.wires.filter(wire => wire.ends.some(end => end.node === node && (nic === undefined || end.nic === nic)));
    }

    async deleteNic(node: string, nic: string): Promise<void> {
        await run(["ip", "-n", this.namespaceOf(node), "link", "del", nic]);
    }

    private spec(node: string): NodeSpec {
        const found = this.topology.nodes.find(spec => spec.name === node);
        if (!found) throw new Error(`this lab has no node ${node}; it has ${this.topology.nodes.map(spec => spec.name).join(", ")}`);
        return found;
    }

    private inside(node: string, argv: string[]): string[] {
        return ["nsenter", `--net=/run/netns/${this.namespaceOf(node)}`, ...argv];
    }
}

const nodad = (address: string): string => (address.includes(":") ? " nodad" : "");

/** Always the same, so that dumps and captures of two runs can be compared. */
export const mac = (wire: number, end: number): string => `02:00:5e:00:${wire.toString(16).padStart(2, "0")}:0${end + 1}`;

function endUp(end: End): string[] {
    return [
        ...(end.addresses ?? []).map(address => `addr add ${address} dev ${end.nic}${nodad(address)}`),
        ...(end.master ? [`link set ${end.nic} master ${end.master}`] : []),
        `link set ${end.nic} up`,
    ];
}

async function batch(lines: string[], namespace?: string): Promise<void> {
    if (lines.length === 0) return;
    const result = await run(["ip", ...(namespace ? ["-n", namespace] : []), "-batch", "-"], { stdin: `${lines.join("\n")}\n`, allowFailure: true });
    if (result.code === 0) return;
    const line = Number(/Command failed -:(\d+)/.exec(result.stderr)?.[1] ?? 0);
    throw new Error(`ip refused${namespace ? ` in ${namespace}` : ""}: ${lines[line - 1] ?? lines.join("; ")}\n${result.stderr.trim()}`);
}
