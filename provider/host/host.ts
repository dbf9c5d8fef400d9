/** One tool's answer: its exit status and what it wrote, byte for byte. */
export interface Section {
    name: string;
    exit: number;
    stdout: string;
    stderr: string;
}

/** Files for the router-side script, by name. */
export type Files = Readonly<Record<string, string>>;

/**
 * A router, as the reconcile engine sees it: the verbs of the router-side script, run as root. The only thing
 * that unit tests fake.
 */
export interface Host {
    /** The router in messages, e.g. `edge (root@192.0.2.7)`. */
    readonly label: string;
    /**
     * Runs a verb that changes nothing, or that may be repeated.
     *
     * @throws NviError `disconnected` when the answer is not whole.
     */
    call(verb: "observe" | "clean", files?: Files): Promise<Section[]>;
    /**
     * Runs a transaction. When the connection is lost it goes on without us: its result is then fetched
     * through a new connection.
     *
     * @throws NviError `disconnected` when no answer is to be had: it may or may not have been applied.
     */
    apply(files: Files): Promise<Section[]>;
}
