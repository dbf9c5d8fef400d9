import { z } from "zod";
import { familyOf } from "../../model/address";
import type { Fault } from "../../model/fault";
import { hash32 } from "../../model/names";
import { choice, flag, gateway, integer, label, objectName, type Partially } from "../../model/schema";
import { faults as interfaceFaults, nviName, schema as interfaceSchema } from "../interface/schema";
import { stageFaults, type Checkable } from "../nat-stage/faults";
import { deviceOf, stage, uplink } from "../nat-stage/schema";

const gateways = {
    gateway: gateway("198.51.100.1").optional(),
    gateway6: gateway("2001:db8:1::1", "fe80::1").optional(),
    onlink: flag().default(false),
    table: integer(1, 4294967295, 7750).optional(),
};

const DEFAULT_TABLE = 7700;

export const schema = z.strictObject({
    name: objectName().default("main"),
    interface: nviName(),
    backend: interfaceSchema.shape.backend,
    installPackages: interfaceSchema.shape.installPackages,
    prebuilt: interfaceSchema.shape.prebuilt,
    mtu: interfaceSchema.shape.mtu,
    address: interfaceSchema.shape.address,
    markSource: choice(["packet", "connection"]).default("packet"),
    ...stage,
    uplinks: z.record(label("isp1", "isp2"), z.strictObject({ ...uplink.shape, ...gateways })),
    table: integer(1, 4294967040, 8000).default(DEFAULT_TABLE),
    priority: interfaceSchema.shape.priority,
});

export type TwoStageNatInputs = z.output<typeof schema>;
export type FullUplink = TwoStageNatInputs["uplinks"][string];

/** How many table numbers above `table` uplinks may get. */
const TABLE_SPAN = 250;

/** The table of an uplink: by its name, so that it stays when others come and go. */
export function tableOf(name: string, inputs: { table: number; uplinks: Record<string, { table?: number }> }): number {
    return inputs.uplinks[name]?.table ?? inputs.table + 1 + (hash32(name) % TABLE_SPAN);
}

export function faults(inputs: Partially<TwoStageNatInputs>): Fault[] {
    const uplinks = Object.entries(inputs.uplinks ?? {});
    return [
        ...interfaceFaults({ address: inputs.address }),
        ...stageFaults(inputs as Checkable),
        ...uplinks.flatMap(([name, one]) => (one ? gatewayFaults(name, one) : [])),
        ...tableFaults(inputs),
    ];
}

function gatewayFaults(name: string, one: Partially<FullUplink>): Fault[] {
    const path = (key: string) => ["uplinks", name, key];
    const found: Fault[] = [];
    if (one.gateway !== undefined && familyOf(one.gateway) !== 4) found.push({ path: path("gateway"), reason: "is not an IPv4 address; an IPv6 gateway goes into gateway6" });
    if (one.gateway6 !== undefined && familyOf(one.gateway6) !== 6) found.push({ path: path("gateway6"), reason: "is not an IPv6 address" });
    for (const key of ["gateway", "gateway6"] as const) {
        if (one[key] !== undefined && one.addresses?.includes(one[key])) found.push({ path: path(key), reason: "is an address of the uplink itself: packets would come back to the router" });
    }
    return found;
}

/** local, main and default. */
const SYSTEM_TABLES = [253, 254, 255];

function tableFaults(inputs: Partially<TwoStageNatInputs>): Fault[] {
    const base = "table" in inputs ? inputs.table : DEFAULT_TABLE;
    const owners = new Map(SYSTEM_TABLES.map((table) => [table, "the system"]));
    const found: Fault[] = base !== undefined && owners.has(base) ? [{ path: ["table"], reason: "is one of the system's own tables" }] : [];
    if (base !== undefined) owners.set(base, "stage 1");
    for (const [name, one] of Object.entries(inputs.uplinks ?? {})) {
        const isGiven = one !== undefined && "table" in one;
        // What is not known yet may turn out to be any table.
        const table = isGiven ? one.table : one && base !== undefined ? tableOf(name, { table: base, uplinks: {} }) : undefined;
        const other = table === undefined ? undefined : owners.get(table);
        if (table !== undefined) owners.set(table, `uplink ${name}`);
        if (other) found.push({ path: ["uplinks", name, ...(isGiven ? ["table"] : [])], reason: `gets route table ${table}, which is that of ${other}; give it another one in its property table` });
    }
    return found;
}

export const uplinkDevice = (name: string, inputs: TwoStageNatInputs): string => deviceOf(name, inputs.uplinks[name]);
