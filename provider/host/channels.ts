import { setTimeout as sleep } from "node:timers/promises";
import { ChannelRefused } from "./exec";

/** Waits of 20, 40, 80 ... ms: about five seconds in all. */
const ALONE_RETRIES = 8;
const FIRST_WAIT_MS = 20;

/**
 * Shares out a connection's channels: at most `limit` jobs at once, the rest in line.
 *
 * When the server opens no more (sshd's MaxSessions), the limit sinks to what it did open, and the refused job waits for a
 * running one to end. Even with MaxSessions 1 a channel may be refused for a moment, because sshd answers the next
 * open request before it has put away the session that just ended; hence the retries when no job is left to wait for.
 */
export class Channels {
    readonly #waiting: (() => void)[] = [];
    #limit: number;
    #running = 0;

    constructor(limit: number) {
        this.#limit = limit;
    }

    /** Whether a job runs or waits. */
    get busy(): boolean {
        return this.#running > 0 || this.#waiting.length > 0;
    }

    /**
     * Runs a job when its turn comes, again as long as the server refuses it a channel.
     *
     * @throws what the job throws; `ChannelRefused` when the server opens no channel at all.
     */
    async run<T>(job: () => Promise<T>): Promise<T> {
        for (let alone = 0; ;) {
            await this.#enter();
            try {
                return await job();
            } catch (error) {
                if (!(error instanceof ChannelRefused)) throw error;
                const others = this.#running - 1;
                this.#limit = Math.max(1, Math.min(this.#limit, others));
                if (others === 0 && alone === ALONE_RETRIES) throw error;
                if (others === 0) await sleep(FIRST_WAIT_MS * 2 ** alone++);
            } finally {
                this.#leave();
            }
        }
    }

    async #enter(): Promise<void> {
        while (this.#running >= this.#limit) await new Promise<void>((turn) => this.#waiting.push(turn));
        this.#running++;
    }

    #leave(): void {
        this.#running--;
        this.#waiting.shift()?.();
    }
}
