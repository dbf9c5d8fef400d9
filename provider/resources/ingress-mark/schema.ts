import { z } from "zod";
import { repeated, type Fault } from "../../model/fault";
import { markCollisions } from "../../model/mark";
import { choice, integer, interfaceName, list, objectName, type Partially } from "../../model/schema";
import { nviName } from "../interface/schema";

export const schema = z.strictObject({
    name: objectName().default("main"),
    interface: nviName(),
    nics: list(interfaceName("lan0", "isp1"), 1),
    source: choice(["packet", "connection"]).default("packet"),
    connectionShift: integer(0, 16, 16).default(0),
});

export type IngressMarkInputs = z.output<typeof schema>;

export function faults(inputs: Partially<IngressMarkInputs>): Fault[] {
    return nicFaults(inputs.nics ?? [], ["nics"]);
}

/** Faults of a list of NICs that are told apart by mark. */
export function nicFaults(nics: readonly (string | undefined)[], path: Fault["path"]): Fault[] {
    const found = repeated(nics, path);
    for (const [one, other] of markCollisions(nics.filter((nic): nic is string => nic !== undefined))) {
        found.push({ path: [...path, nics.indexOf(other)], reason: `gets the same mark as ${one} (marks are made of names); rename one of the two interfaces` });
    }
    return found;
}
