import { performance } from "node:perf_hooks";

/** `setTimeout` overflows beyond this, and then fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A point in time, on the clock that nobody sets. */
export class Deadline {
    /** The time it was made for, for messages. */
    readonly seconds: number;
    readonly #at: number;

    /** @param seconds from now; infinite for never. */
    constructor(seconds: number) {
        this.seconds = Math.round(seconds * 10) / 10;
        this.#at = performance.now() + seconds * 1000;
    }

    /** What is left of it; never negative. */
    get leftMs(): number {
        return Math.max(0, this.#at - performance.now());
    }

    /** Calls `ring` once it has passed. The caller clears the timer. */
    alarm(ring: () => void): NodeJS.Timeout | undefined {
        return Number.isFinite(this.leftMs) ? setTimeout(ring, Math.min(this.leftMs, LONGEST_TIMER_MS)) : undefined;
    }
}
