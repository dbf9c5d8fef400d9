import { z } from "zod";
import type { Fault } from "../../model/fault";
import { choice, flag, integer, leaf, prefix, release, text, type Partially } from "../../model/schema";
import { interfaceNameFault } from "../../model/names";
import { familyOf } from "../../model/address";

/** What does the work. */
export const backend = choice(["rules", "module"]).default("rules");
export type Backend = z.output<typeof backend>;

/** How the module gets to the router. */
export const moduleWays = {
    installPackages: flag().default(false),
    prebuilt: z.record(release("6.1.0-56-amd64"), text("./nvi-6.1.0-56-amd64.ko")).default({}),
};

/** The NVI by its name, wherever it is one's own or another's. */
export const nviName = () => leaf((name) => interfaceNameFault(name) ?? (name.length > 14 ? "has 15 characters; at most 14 leave room for the name of its other end" : undefined), ["nvi1"]).default("nvi0");

/** How far from the first to the last priority of stage 2; route tables have those between. */
export const STAGE2_SPAN = 900;
export const DEFAULT_STAGE2_PRIORITY = 1000;

/** Of the first rule of stage 2. Those for the router's own errors come before it. */
export const stage2Priority = integer(11, 31000, 1200).default(DEFAULT_STAGE2_PRIORITY);

export const schema = z.strictObject({
    name: nviName(),
    backend,
    ...moduleWays,
    mtu: integer(1280, 65535, 9000).default(65535),
    address: prefix("169.254.78.2/32").default("169.254.77.2/32"),
    priority: stage2Priority,
});

export type InterfaceInputs = z.output<typeof schema>;

/** The other end of the pair; one character more must still be a name. */
export const peerOf = (name: string): string => `${name}p`;

/** Where packets come back: at the other end of the pair, or at the module's device itself. */
export const farEnd = (name: string, backend: Backend): string => (backend === "module" ? name : peerOf(name));

/**
 * Nobody's addresses, and nobody asks for them: the device has no ARP and no neighbour discovery. Without a next hop each
 * destination would be a neighbour of its own, and the kernel's table holds 1,024.
 */
export const NEXT_HOP = { 4: "169.254.77.1", 6: "fe80::77" } as const;

export function faults(inputs: Partially<InterfaceInputs>): Fault[] {
    const found: Fault[] = [];
    if (inputs.address !== undefined && (familyOf(inputs.address) === 6 || !inputs.address.endsWith("/32"))) found.push({ path: ["address"], reason: "is not an IPv4 address with /32" });
    if (inputs.address === `${NEXT_HOP[4]}/32`) found.push({ path: ["address"], reason: "is the next hop of routes into the device" });
    return found;
}
