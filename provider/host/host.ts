/** One tool's answer: its exit status and what it wrote, byte for byte. */
export interface Section {
    name: string;
    exit: number;
    stdout: string;
    stderr: string;
}

/**
 * A router, as the reconcile engine sees it: the verbs of the router-side script. The only thing that
 * unit tests fake.
 */
export interface Host {
    /** The router in messages, e.g. `edge (root@192.0.2.7)`. */
    readonly label: string;
    /**
     * Runs one verb of the router-side script as root.
     *
     * @throws NviError `disconnected` when the answer is not whole: the verb may or may not have run.
     */
    call(verb: string, args?: readonly string[], request?: string): Promise<Section[]>;
}
