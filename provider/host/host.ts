import type { NviError } from "../model/errors";

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
    /** Seconds that a change waits for its confirmation before the router undoes it; 0: it waits for none. */
    readonly confirmTimeout: number;
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
    apply(files: Files): Promise<Applied>;
}

/** A transaction that the router has carried out, and undoes unless it is confirmed. */
export interface Applied {
    sections: Section[];
    /**
     * Keeps it: through a new connection, unless `confirmTimeout` is 0.
     *
     * @throws NviError when the router says nothing about what became of it.
     */
    confirm(): Promise<Confirmation>;
    /** Has it undone. */
    abort(): Promise<Section[]>;
}

/** What became of a transaction, and what stood in the way of confirming it. */
export interface Confirmation {
    sections: Section[];
    trouble?: NviError;
}
