import type { PathCheck } from "../model/path-check";
import type { Desired } from "../syntax/desired";
import type { ObjectId } from "./objects";

/** What a resource comes to, with its name on the router and its owner. */
export interface DesiredObject extends Desired {
    id: ObjectId;
    owner: string;
    /** Who was its owner as far as Pulumi's state knows: the same, under another name. */
    formerOwner?: string;
    /** Take over an object of this kind and name that belongs to another stack, or what is left of one. */
    adopt?: boolean;
    /** What must work before a change of it is confirmed. */
    checks?: readonly PathCheck[];
}
