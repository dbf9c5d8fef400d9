import { z } from "zod";
import { backend, nviName } from "../interface/schema";
import { address, choice, integer, interfaceName, label, list, objectName, oneOrMore, prefix, range, service } from "../../model/schema";

/** Ports are the same before and after, unless `port` is given. */
const target = { to: address("10.0.0.80", "2001:db8:a::80"), toPort: integer(1, 65535, 8443).optional() };

export const uplink = z.strictObject({
    device: interfaceName("isp1").optional(),
    addresses: list(address("198.51.100.2", "2001:db8:1::2"), 1).optional(),
    weight: integer(1, 1000, 3).default(1),
});

const snat = z.strictObject({
    kind: z.literal("snat"),
    from: oneOrMore(prefix("10.0.0.0/24", "2001:db8:a::/64")),
    to: z.union([
        z.strictObject({ uplinks: list(label("isp1", "isp2"), 1), spread: choice(["connection", "source", "source-destination"]).default("connection") }),
        z.strictObject({ pool: range("198.51.100.8-198.51.100.11", "198.51.100.12/31", "198.51.100.7"), uplink: label("isp1") }),
    ]),
});

const dnat = z.strictObject({
    kind: z.literal("dnat"),
    on: oneOrMore(label("isp1", "isp2")),
    port: service("tcp/443", "udp/5000-5010"),
    ...target,
    from: oneOrMore(prefix("192.0.2.0/24")).optional(),
});

const fixed = z.strictObject({
    kind: z.literal("static"),
    on: label("isp1"),
    inside: prefix("10.0.0.20", "10.0.0.32/29", "2001:db8:a::20"),
    outside: prefix("198.51.100.5", "198.51.100.8/29", "2001:db8:1::5"),
});

const exempt = z.strictObject({
    kind: z.literal("exempt"),
    from: prefix("10.0.0.0/24"),
    to: prefix("10.99.0.0/16"),
});

export const translation = z.discriminatedUnion("kind", [snat, dnat, fixed, exempt], { error: 'is none of "snat", "dnat", "static", "exempt"' });

/** What the NAT stage and the whole have in common. */
export const stage = {
    inside: list(interfaceName("lan0", "lan1"), 1),
    insidePrefixes: list(prefix("10.5.0.0/16", "2001:db8:a:1::/64")).default([]),
    translations: list(translation).default([]),
};

export const schema = z.strictObject({
    name: objectName().default("main"),
    interface: nviName(),
    backend,
    ...stage,
    uplinks: z.record(label("isp1", "isp2"), uplink).default({}),
    table: integer(1, 4294967295, 7800).default(7700),
    priority: integer(2, 32000, 2100).default(2000),
});

export type NatStageInputs = z.output<typeof schema>;
export type Uplink = z.output<typeof uplink>;
export type Translation = z.output<typeof translation>;
export type Snat = z.output<typeof snat>;
export type Dnat = z.output<typeof dnat>;
export type Static = z.output<typeof fixed>;
export type Exempt = z.output<typeof exempt>;

export const asList = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);
export const deviceOf = (name: string, uplink: { device?: string } | undefined): string => uplink?.device ?? name;
