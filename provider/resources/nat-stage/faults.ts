import { contains, familyOf, overlaps, parsePrefix, parseRange, type Range } from "../../model/address";
import { repeated, type Fault, type Path } from "../../model/fault";
import { interfaceNameFault } from "../../model/names";
import { parseService, portCount } from "../../model/ports";
import type { Partially } from "../../model/schema";
import { nicFaults } from "../ingress-mark/schema";
import { peerOf } from "../interface/schema";
import { asList, type Dnat, type NatStageInputs, type Snat, type Static, type Translation, type Uplink } from "./schema";

/** What the checks need, of the NAT stage by itself and of the whole. */
export interface Checkable {
    interface?: string;
    inside?: (string | undefined)[];
    uplinks?: Record<string, Partially<Pick<Uplink, "device" | "addresses">> | undefined>;
    translations?: (Partially<Translation> | undefined)[];
}

export function faults(inputs: Partially<NatStageInputs>): Fault[] {
    const reserved = [0, 253, 254, 255].includes(inputs.table as number);
    return [...(reserved ? [{ path: ["table"], reason: "is one of the system's own tables" }] : []), ...stageFaults(inputs as Checkable)];
}

export function stageFaults(inputs: Checkable): Fault[] {
    const translations = inputs.translations ?? [];
    return [
        ...deviceFaults(inputs),
        ...addressFaults(inputs),
        ...translations.flatMap((one, i) => (one ? translationFaults(one, ["translations", i], inputs) : [])),
        ...outsideOverlaps(inputs),
        ...forwardOverlaps(translations),
    ];
}

function deviceFaults(inputs: Checkable): Fault[] {
    const uplinks = uplinkDevices(inputs);
    const inside = (inputs.inside ?? []).flatMap((device, i) => (device === undefined ? [] : [{ device, path: ["inside", i] as Path }]));
    const all = [...inside, ...uplinks];
    const nvi = inputs.interface === undefined ? [] : [inputs.interface, peerOf(inputs.interface)];
    const isInside = (device: string) => inside.some((one) => one.device === device);
    const found = all.filter(({ device }) => nvi.includes(device)).map(({ path }) => ({ path, reason: "is the NVI itself: what comes out of it would go in again" }));
    // The device's own leaf has been checked as one.
    found.push(...uplinks.flatMap(({ device, path }) => (path.length === 2 && interfaceNameFault(device) !== undefined ? [{ path, reason: `names no device, and its own name as one's ${interfaceNameFault(device)}` }] : [])));
    found.push(...uplinks.filter(({ device }) => isInside(device)).map(({ device, path }) => ({ path, reason: `uses ${device}, which is inside too` })));
    found.push(...uplinks.filter(({ device }, i) => uplinks.findIndex((other) => other.device === device) < i).map(({ device, path }) => ({ path, reason: `uses ${device}, which is another uplink's` })));
    // Each fault of a list of NICs is at one of its positions.
    const distinct = all.filter(({ device, path }, i) => path[0] === "inside" || all.findIndex((other) => other.device === device) === i);
    const marks = nicFaults(distinct.map(({ device }) => device), []);
    return [...found, ...marks.map(({ path: [at], reason }) => ({ path: distinct[at as number]!.path, reason }))];
}

/** The NICs of uplinks, less those that are not known yet: the name stands for the device only where none is given. */
function uplinkDevices({ uplinks }: Checkable): { device: string; path: Path }[] {
    return Object.entries(uplinks ?? {}).flatMap(([name, uplink]) => {
        if (uplink === undefined) return [];
        if (!("device" in uplink)) return [{ device: name, path: ["uplinks", name] }];
        return uplink.device === undefined ? [] : [{ device: uplink.device, path: ["uplinks", name, "device"] }];
    });
}

function addressFaults({ uplinks }: Checkable): Fault[] {
    const seen = new Map<string, string>();
    return Object.entries(uplinks ?? {}).flatMap(([name, uplink]) =>
        (uplink?.addresses ?? []).flatMap((address, i) => {
            if (address === undefined) return [];
            const range = parsePrefix(address);
            const key = typeof range === "string" ? address : `${range.family} ${range.first}`;
            const other = seen.get(key);
            seen.set(key, other ?? name);
            return other === undefined ? [] : [{ path: ["uplinks", name, "addresses", i], reason: `is an address of uplink ${other} already` }];
        }),
    );
}

function translationFaults(one: Partially<Translation>, path: Path, inputs: Checkable): Fault[] {
    if (one.kind === "snat") return snatFaults(one as Partially<Snat>, path, inputs);
    if (one.kind === "dnat") return dnatFaults(one as Partially<Dnat>, path, inputs);
    if (one.kind === "static") return staticFaults(one as Partially<Static>, path, inputs);
    if (one.kind === "exempt" && one.from && one.to && familyOf(one.from as string) !== familyOf(one.to as string)) return [{ path: [...path, "to"], reason: "is not of the family of from" }];
    return [];
}

/** A name of an uplink must be one. */
function uplinkFaults(names: readonly (string | undefined)[], path: Path, { uplinks }: Checkable, isList = true): Fault[] {
    if (uplinks === undefined) return [];
    return names.flatMap((name, i) => (name === undefined || Object.hasOwn(uplinks, name) ? [] : [{ path: isList ? [...path, i] : path, reason: `is no uplink; there are: ${Object.keys(uplinks).join(", ") || "none"}` }]));
}

function snatFaults(one: Partially<Snat>, path: Path, inputs: Checkable): Fault[] {
    const to = one.to as { uplinks?: (string | undefined)[]; pool?: string; uplink?: string } | undefined;
    const from = (one.from === undefined ? [] : asList(one.from as string | string[])).filter((prefix) => prefix !== undefined);
    const found: Fault[] = [];
    if (to?.uplinks) {
        found.push(...uplinkFaults(to.uplinks, [...path, "to", "uplinks"], inputs), ...repeated(to.uplinks, [...path, "to", "uplinks"]));
        for (const family of new Set(from.map(familyOf))) {
            const able = to.uplinks.filter((name) => name === undefined || hasFamily(inputs.uplinks?.[name], family));
            if (inputs.uplinks && able.length === 0) found.push({ path: [...path, "to", "uplinks"], reason: `have no IPv${family} address, and from is IPv${family}` });
        }
    }
    if (to?.uplink !== undefined) found.push(...uplinkFaults([to.uplink], [...path, "to", "uplink"], inputs, false));
    if (to?.pool !== undefined && from.some((prefix) => familyOf(prefix) !== familyOf(to.pool!))) found.push({ path: [...path, "to", "pool"], reason: "is not of the family of from" });
    return found;
}

/** An uplink without listed addresses has those of its NIC, of either family. */
function hasFamily(uplink: { addresses?: (string | undefined)[] } | undefined, family: number): boolean {
    return uplink?.addresses === undefined || uplink.addresses.some((address) => address === undefined || familyOf(address) === family);
}

function dnatFaults(one: Partially<Dnat>, path: Path, inputs: Checkable): Fault[] {
    const on = one.on as string | (string | undefined)[] | undefined;
    const found = on === undefined ? [] : uplinkFaults(asList(on as string), [...path, "on"], inputs, Array.isArray(on));
    if (Array.isArray(on)) found.push(...repeated(on, [...path, "on"]));
    const service = one.port === undefined ? undefined : parseService(one.port as string);
    if (one.toPort !== undefined && service && typeof service !== "string" && (one.toPort as number) + portCount(service.ports) - 1 > 65535) {
        found.push({ path: [...path, "toPort"], reason: `is too high: a range of ${portCount(service.ports)} ports would end above 65535` });
    }
    if (one.to === undefined) return found;
    const family = familyOf(one.to as string);
    const able = on === undefined ? [] : asList(on as string).filter((name) => name === undefined || hasFamily(inputs.uplinks?.[name], family));
    if (on !== undefined && inputs.uplinks && able.length === 0) found.push({ path: [...path, "to"], reason: `is IPv${family}, and no uplink in on has an IPv${family} address` });
    const from = one.from === undefined ? [] : asList(one.from as string | string[]);
    if (from.some((prefix) => prefix !== undefined && familyOf(prefix) !== family)) found.push({ path: [...path, "from"], reason: "is not of the family of to" });
    return found;
}

function staticFaults(one: Partially<Static>, path: Path, inputs: Checkable): Fault[] {
    const found = one.on === undefined ? [] : uplinkFaults([one.on as string], [...path, "on"], inputs, false);
    if (one.inside === undefined || one.outside === undefined) return found;
    const [inside, outside] = [parsePrefix(one.inside as string), parsePrefix(one.outside as string)];
    if (typeof inside === "string" || typeof outside === "string") return found;
    if (inside.family !== outside.family) found.push({ path: [...path, "outside"], reason: "is not of the family of inside" });
    else if (inside.length !== outside.length) found.push({ path: [...path, "outside"], reason: `has prefix length ${outside.length}, and inside has ${inside.length}: 1:1 needs the same` });
    else if (inside.length === 0) found.push({ path: [...path, "inside"], reason: "is every address there is" });
    return found;
}

interface Place {
    range: Range;
    path: Path;
    what: string;
    /** Overlaps within one group are fine: two pools of one translation kind, say, are not. */
    owner: number;
}

/** Pools, 1:1 ranges and uplinks' own addresses: each outside address has one meaning. */
function outsideOverlaps(inputs: Checkable): Fault[] {
    const places: Place[] = [];
    const add = (text: unknown, path: Path, what: string) => {
        const range = typeof text === "string" ? parseRange(text) : "";
        if (typeof range !== "string") places.push({ range, path, what, owner: places.length });
    };
    for (const [name, uplink] of Object.entries(inputs.uplinks ?? {})) uplink?.addresses?.forEach((address, i) => add(address, ["uplinks", name, "addresses", i], `address of uplink ${name}`));
    inputs.translations?.forEach((one, i) => {
        if (one?.kind === "snat") add((one.to as { pool?: string } | undefined)?.pool, ["translations", i, "to", "pool"], `pool of translations[${i}]`);
        if (one?.kind === "static") add(one.outside, ["translations", i, "outside"], `outside of translations[${i}]`);
    });
    return places.flatMap((place, i) => {
        const other = places.slice(0, i).find((before) => overlaps(before.range, place.range) && !isUplinkAddress(before, place));
        return other ? [{ path: place.path, reason: `overlaps with the ${other.what}` }] : [];
    });
}

/** Two addresses of uplinks are judged elsewhere; a pool may be just the uplink's own address. */
function isUplinkAddress(a: Place, b: Place): boolean {
    const own = (place: Place) => place.path[0] === "uplinks";
    return (own(a) && own(b)) || (own(a) && b.what.startsWith("pool") && contains(a.range, b.range));
}

function forwardOverlaps(translations: readonly (Partially<Translation> | undefined)[]): Fault[] {
    const seen: { protocol: string; first: number; last: number; on: (string | undefined)[]; family: number; from: string; i: number }[] = [];
    return translations.flatMap((one, i) => {
        if (one?.kind !== "dnat" || !one.port || !one.on || !one.to) return [];
        const service = parseService(one.port as string);
        // Whom it is for may not be known yet.
        if (typeof service === "string" || ("from" in one && (one.from === undefined || asList(one.from as string[]).includes(undefined!)))) return [];
        const place = { protocol: service.protocol, ...service.ports, on: asList(one.on as string | string[]), family: familyOf(one.to as string), from: JSON.stringify(one.from ?? ""), i };
        const other = seen.find((before) => before.protocol === place.protocol && before.family === place.family && before.from === place.from && before.first <= place.last && place.first <= before.last && before.on.some((name) => name !== undefined && place.on.includes(name)));
        seen.push(place);
        return other ? [{ path: ["translations", i, "port"], reason: `overlaps with translations[${other.i}] on the same uplink` }] : [];
    });
}
