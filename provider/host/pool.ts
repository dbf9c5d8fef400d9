import { createHash } from "node:crypto";
import type { NviError } from "../model/errors";
import type { Endpoint } from "./endpoint";
import { connect, type ConnectOptions, type Session } from "./ssh";

/**
 * Shares connections: one a router, for a whole operation of one provider process.
 *
 * What identifies a connection is everything in the endpoint, credentials included, so that rotated ones dial anew.
 */
export class Pool {
    readonly #options: ConnectOptions;
    readonly #sessions = new Map<string, Promise<Session>>();

    constructor(options: ConnectOptions = {}) {
        this.#options = options;
    }

    /**
     * The router's connection: the one that stands, the one being dialed, or a new one when the last was lost.
     *
     * @throws NviError as `connect` does. A refused login, and a refused host key, stay refused until {@link closeAll}: twenty
     * resources of one router must not knock twenty times with the same wrong key.
     */
    async acquire(endpoint: Endpoint): Promise<Session> {
        const key = keyOf(endpoint);
        const shared = this.#sessions.get(key);
        if (shared) {
            const session = await shared;
            if (session.alive) return session;
            // Another caller may have replaced it while this one waited.
            if (this.#sessions.get(key) !== shared) return this.acquire(endpoint);
        }
        return this.#dial(key, endpoint);
    }

    /** Ends all connections, and forgets refusals. */
    closeAll(): void {
        const sessions = [...this.#sessions.values()];
        this.#sessions.clear();
        for (const session of sessions) session.then((each) => each.close()).catch(() => undefined);
    }

    #dial(key: string, endpoint: Endpoint): Promise<Session> {
        const dialing = connect(endpoint, this.#options);
        this.#sessions.set(key, dialing);
        dialing.catch((error: NviError) => {
            const final = error.kind === "authentication" || error.kind === "host-key";
            if (!final && this.#sessions.get(key) === dialing) this.#sessions.delete(key);
        });
        return dialing;
    }
}

/** The pool of this process. */
export const pool = new Pool();

/** A hash, because the endpoint holds credentials, and a map's keys show in a heap dump or a debugger. */
function keyOf(endpoint: Endpoint): string {
    return createHash("sha256")
        .update(JSON.stringify([ordered(endpoint), process.env.SSH_AUTH_SOCK]))
        .digest("hex");
}

/** The same endpoint, whatever the order in which its fields were written. */
function ordered(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(ordered);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([, field]) => field !== undefined);
    return Object.fromEntries(
        entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, field]) => [name, ordered(field)]),
    );
}
