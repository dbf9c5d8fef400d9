import type { Artifact } from "../syntax/artifact";

/** What an object is: one folder under /etc/nvi/objects, one transaction, one Pulumi resource. */
export interface ObjectId {
    kind: string;
    name: string;
}

/** The folder's name on the router. */
export const objectKey = (id: ObjectId): string => `${id.kind}.${id.name}`;

/**
 * What the router keeps of an object: enough to know whose it is, to take it away again and to put back what
 * was there before, without asking any Pulumi state.
 */
export interface Manifest {
    version: 1;
    object: string;
    /** organization/project/stack/resource */
    owner: string;
    /** Every artifact as applied, addresses of NICs resolved. */
    artifacts: Artifact[];
    /** NICs that were there: one that is away now is no slip of the pen. */
    nics: string[];
    /** Values of sysctls from before, by path. */
    saved: Record<string, string>;
    /** The router's generation when it was made: who was first decides among rules of the same priority. */
    since?: number;
}

export interface StoredObject {
    key: string;
    manifest: Manifest;
    /** A transaction on it began and did not end; the manifest lists what it may have made, too. */
    pending: boolean;
}
