import type { z } from "zod";
import type { Fault } from "../model/fault";
import type { Partially } from "../model/schema";
import type { Desired } from "../syntax/desired";

/** A resource: everything that is said of it, without a router and without Pulumi. */
export interface Resource<T extends { name: string }> {
    /** As in ids and in the folder's name on the router: `nat-stage`. */
    kind: string;
    /** Inputs less `router` and `owner`, which all have. Unknown properties are faults. */
    schema: z.ZodType<T>;
    /** Faults across fields, as far as the fields are known and sound. */
    faults(inputs: Partially<T>): Fault[];
    render(inputs: T): Desired;
    /** Inputs whose change makes another object of it. */
    replacedBy: (keyof T & string)[];
}
