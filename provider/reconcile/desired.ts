import type { Desired } from "../syntax/desired";
import type { ObjectId } from "./objects";

/** What a resource comes to, with its name on the router and its owner. */
export interface DesiredObject extends Desired {
    id: ObjectId;
    owner: string;
}
