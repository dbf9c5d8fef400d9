import type { Artifact } from "./artifact";

/** What a resource's inputs come to: the artifacts, and what they need of the router. */
export interface Desired {
    artifacts: Artifact[];
    /** NICs that have to be there. */
    nics: string[];
    /** NICs whose packets go into the NVI. */
    diverted: string[];
    /** The device pair that packets cross, where FORWARD chains and reverse-path filters of others matter. */
    crossing?: { device: string; peer: string };
}
