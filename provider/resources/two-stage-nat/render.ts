import { canonicalPrefix, FAMILIES, familyOf, formatAddress, parseRange, type Family } from "../../model/address";
import type { Desired } from "../../syntax/desired";
import { ownAddress } from "../../syntax/own-address";
import type { Artifact, Rule } from "../../syntax/artifact";
import { MAIN_TABLE } from "../../syntax/iproute";
import { render as renderMark } from "../ingress-mark/render";
import { render as renderInterface } from "../interface/render";
import { farEnd, STAGE2_SPAN } from "../interface/schema";
import { render as renderStage } from "../nat-stage/render";
import { insidePrefixes, outsideOf } from "../nat-stage/table";
import { render as renderTable } from "../route-table/render";
import { DEFAULT_PLACE } from "../route-table/schema";
import { tableOf, uplinkDevice, type FullUplink, type TwoStageNatInputs } from "./schema";

/** The single resources' artifacts, from one set of inputs. */
export function render(inputs: TwoStageNatInputs): Desired {
    const { name, interface: nvi, backend, inside, priority } = inputs;
    const peer = farEnd(nvi, backend);
    const devices = Object.keys(inputs.uplinks).map((uplink) => uplinkDevice(uplink, inputs));
    const parts = [
        renderInterface({ name: nvi, backend, installPackages: inputs.installPackages, prebuilt: inputs.prebuilt, mtu: inputs.mtu, address: inputs.address, priority }),
        renderMark({ name, interface: nvi, nics: [...inside, ...devices], source: inputs.markSource, connectionShift: 0 }),
        ...Object.entries(inputs.uplinks).map(([uplink, one]) => renderUplink(uplink, one, inputs)),
        { artifacts: inwards(inputs), nics: [], diverted: [] },
        renderStage({ name, interface: nvi, backend, inside, insidePrefixes: inputs.insidePrefixes, translations: inputs.translations, uplinks: inputs.uplinks, table: inputs.table, priority: priority + STAGE2_SPAN + 100 }),
    ];
    const made = [nvi, peer];
    return {
        artifacts: parts.flatMap((part) => part.artifacts),
        nics: [...new Set(parts.flatMap((part) => part.nics))].filter((nic) => !made.includes(nic)),
        diverted: [...inside, ...devices],
        crossing: { device: nvi, peer },
    };
}

/** Packets for the inside go by the main table, whichever uplink they came from: it knows the routers there. */
function inwards(inputs: TwoStageNatInputs): Artifact[] {
    return FAMILIES.flatMap((family) => insidePrefixes(inputs, family).map((to): Rule => ({
        kind: "rule", phase: "stage2", family, priority: inputs.priority + 50, iif: farEnd(inputs.interface, inputs.backend), to, action: { table: MAIN_TABLE },
    })));
}

/** An uplink's table, chosen by what packets were translated to. */
function renderUplink(name: string, uplink: FullUplink, inputs: TwoStageNatInputs): Desired {
    const device = uplinkDevice(name, inputs);
    const table = tableOf(name, inputs);
    const gateways = { 4: uplink.gateway, 6: uplink.gateway6 };
    // Without a gateway a point-to-point uplink has the device alone; a family without address has nothing.
    const families = FAMILIES.filter((family) => gateways[family] !== undefined || (uplink.gateway === undefined && uplink.gateway6 === undefined));
    const routes = families.map((family) => ({
        to: family === 4 ? "0.0.0.0/0" : "::/0", type: "unicast" as const, via: gateways[family], device, onlink: uplink.onlink && gateways[family] !== undefined,
    }));
    const base = renderTable({ name, table, interface: inputs.interface, backend: inputs.backend, interfacePriority: inputs.priority, routes, rules: [], errors: device, closed: true });
    const sources = FAMILIES.flatMap((family) => sourcesOf(name, uplink, family, inputs).map((from): Rule => ({
        kind: "rule", phase: "stage2", family, priority: inputs.priority + DEFAULT_PLACE, iif: farEnd(inputs.interface, inputs.backend), from, action: { table },
    })));
    return { ...base, artifacts: [...base.artifacts, ...sources] };
}

function sourcesOf(name: string, uplink: FullUplink, family: Family, inputs: TwoStageNatInputs): string[] {
    const own = uplink.addresses?.filter((address) => familyOf(address) === family).map(canonicalPrefix) ?? [ownAddress(family, uplinkDevice(name, inputs))];
    const given = outsideOf(name, inputs).filter((text) => familyOf(text) === family).flatMap(asPrefixes);
    return [...new Set([...own, ...given])];
}

/** The fewest prefixes that cover a range exactly: rules know no ranges. */
export function asPrefixes(text: string): string[] {
    const range = parseRange(text);
    if (typeof range === "string") return [];
    const bits = range.family === 4 ? 32 : 128;
    const prefixes: string[] = [];
    for (let first = range.first; first <= range.last; ) {
        let size = 0;
        while (size < bits && (first & (1n << BigInt(size))) === 0n && first + (1n << BigInt(size + 1)) - 1n <= range.last) size++;
        prefixes.push(canonicalPrefix(`${formatAddress(range.family, first)}/${bits - size}`));
        first += 1n << BigInt(size);
    }
    return prefixes;
}


