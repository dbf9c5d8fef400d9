import type { z } from "zod";
import { check } from "../../../provider";
import { RESOURCES, type ResourceKind } from "../../../provider/resources";
import { endpoint } from "../../../provider/resources/endpoint";

export type Kind = ResourceKind | "router";
export type Inputs = Record<string, unknown>;

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3F1C9ZRdHPlPjXvBZ9VIfQ4S5cjmIQ1UJfVN6FwAv";

const hop = {
    host: "192.0.2.9", port: 2222, user: "ops", password: "correct horse", privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----", privateKeyPassword: "battery staple",
    privateKeyPath: "~/.ssh/edge", agentSocketPath: "/run/agent.sock", dialErrorLimit: 3, perDialTimeout: 5, hostKey: KEY,
};
const checks = [
    { kind: "ping", name: "the gateway answers", within: 10, to: "192.0.2.1", from: "lan0" },
    { kind: "connect", name: "the data centre answers", within: 10, to: "2001:db8::1", port: 443, from: "2001:db8::2" },
    { kind: "leaves", name: "stage 2 knows the way", within: 10, to: "192.0.2.1", from: "198.51.100.2", ingress: "nvi0p", by: "isp1", source: "198.51.100.2" },
    { kind: "command", name: "bird runs", within: 10, command: "systemctl is-active bird" },
];
const common = { confirmTimeout: 60, checks, insecureIgnoreHostKey: false, knownHosts: "~/.ssh/known_hosts", sudoPassword: "hunter2", dialTimeout: 30, keepalive: 5 };

const translations = [
    { kind: "snat", from: "10.0.0.0/24", to: { uplinks: ["isp1", "isp2"], spread: "source" } },
    { kind: "snat", from: ["10.5.0.0/16", "10.6.0.0/16"], to: { pool: "198.51.100.8-198.51.100.11", uplink: "isp1" } },
    { kind: "dnat", on: "isp1", port: "tcp/443", to: "10.0.0.80", toPort: 8443, from: "192.0.2.0/24" },
    { kind: "dnat", on: ["isp1", "isp2"], port: "udp/5000-5010", to: "2001:db8:a::80", from: ["2001:db8:99::/64"] },
    { kind: "static", on: "isp1", inside: "10.0.0.20", outside: "198.51.100.5" },
    { kind: "exempt", from: "10.0.0.0/24", to: "10.99.0.0/16" },
];
const stage = { inside: ["lan0", "lan1"], insidePrefixes: ["10.5.0.0/16", "2001:db8:a:1::/64"], translations };
const uplinks = {
    isp1: { device: "eth1", addresses: ["198.51.100.2", "2001:db8:1::2"], weight: 3 },
    isp2: { device: "eth2", addresses: ["203.0.113.2", "2001:db8:2::2"], weight: 1 },
};

/** Inputs of every kind that set every property there is, each way that it can be set; a kind may take two. */
export const SAMPLES: Record<Kind, Inputs[]> = {
    router: [
        { name: "edge", connection: { ...hop, host: "2001:db8::7", proxy: hop }, hostKey: KEY, ...common },
        { name: "edge", connection: { ...hop, hostKey: [KEY], proxy: [{ ...hop, hostKey: [KEY] }, hop] }, hostKey: [KEY], ...common },
        { name: "edge", connection: { ...hop, proxy: { ...hop, hostKey: [KEY] } } },
    ],
    interface: [{ name: "nvi1", backend: "module", installPackages: true, prebuilt: { "6.1.0-56-amd64": "./nvi-6.1.0-56-amd64.ko" }, mtu: 9000, address: "169.254.78.2/32", priority: 1200 }],
    "ingress-mark": [{ name: "branch-7", interface: "nvi1", nics: ["lan0", "isp1"], source: "connection", connectionShift: 16 }],
    "route-table": [
        {
            name: "isp1", table: 7101, interface: "nvi1", backend: "module", interfacePriority: 1200, errors: "isp1", closed: false,
            routes: [
                { to: "0.0.0.0/0", type: "unicast", via: "198.51.100.1", device: "isp1", onlink: true, metric: 100 },
                { to: "::/0", nextHops: [{ via: "2001:db8:1::1", device: "isp1", onlink: false, weight: 3 }, { via: "2001:db8:2::1" }] },
            ],
            rules: [{ ingress: "lan0", from: "198.51.100.0/24", to: "10.0.0.0/24", priority: 1250 }, { from: "2001:db8:1::/64" }],
        },
        { name: "inwards", table: "main", rules: [{ to: "10.0.0.0/24" }] },
    ],
    "nat-stage": [{ name: "office", interface: "nvi1", backend: "module", ...stage, uplinks, table: 7800, priority: 2100 }],
    "two-stage-nat": [{
        name: "office", interface: "nvi1", backend: "module", installPackages: false, prebuilt: { "6.1.0-56-amd64": "./nvi-6.1.0-56-amd64.ko" }, mtu: 9000, address: "169.254.78.2/32", markSource: "connection", ...stage, table: 8000, priority: 3000,
        uplinks: {
            isp1: { ...uplinks.isp1, gateway: "198.51.100.1", gateway6: "2001:db8:1::1", onlink: true, table: 7750 },
            isp2: { ...uplinks.isp2, gateway: "203.0.113.1", gateway6: "fe80::1", onlink: false },
        },
    }],
};

export const KINDS = Object.keys(SAMPLES) as Kind[];

export const schemaOf = (kind: Kind): z.ZodType => (kind === "router" ? endpoint : RESOURCES[kind].schema);

/** What check gets from the engine: a resource's own inputs, with the router's and the owner. */
export function wire(kind: Kind, inputs: Inputs): Inputs {
    const reach = { name: "edge", connection: { host: "192.0.2.7" } };
    return kind === "router" ? inputs : { ...inputs, router: reach, owner: "organization/project/stack/office" };
}

/** A property is named within the reason, so that the engine prints no value. */
export function faultOf({ property, reason }: { property: string; reason: string }): [property: string, reason: string] {
    const [, named, says] = /^property ((?:[^\s"]|"(?:[^"\\]|\\.)*")+) (.*)$/s.exec(reason) ?? [];
    if (property !== "" || named === undefined || says === undefined) throw new Error(`${property}: ${reason}`);
    return [named, says];
}

/** What check says of inputs: reasons by property. */
export async function failuresOf(kind: Kind, inputs: Inputs): Promise<Record<string, string>> {
    const { failures } = await check(kind, {}, wire(kind, inputs));
    return Object.fromEntries(failures.map(faultOf));
}
