import type { PathCheck } from "../model/path-check";
import type { Desired } from "../syntax/desired";
import type { ObjectId } from "./objects";

/** What a resource comes to, with its name on the router and its owner. */
export interface DesiredObject extends Desired {
    id: ObjectId;
    owner: string;
    /** What must work before a change of it is confirmed. */
    checks?: readonly PathCheck[];
}
