// @ts-check
// On a terminal a status overwrites the line before it; in a log file each is kept, so there it comes less often.
const TTY_SECONDS = 1;
const LOG_SECONDS = 10;

/**
 * Says what a long step is doing. `step` is a line that stays, `every` calls `text` again and again until the returned
 * function is called.
 *
 * @param {NodeJS.WriteStream} [stream]
 */
export function createProgress(stream = process.stderr) {
    const wipe = stream.isTTY ? "\r\x1b[K" : "";
    // A line that wraps cannot be overwritten. Some terminals say that they are 0 wide.
    const width = () => (stream.isTTY ? (stream.columns || 80) - 1 : Infinity);

    return {
        /** @param {string} text */
        step(text) {
            stream.write(`${wipe}${text}\n`);
        },

        /** @param {() => string} text the status of this moment */
        every(text) {
            const timer = setInterval(
                () => stream.write(`${wipe}${text().slice(0, width())}${stream.isTTY ? "" : "\n"}`),
                (stream.isTTY ? TTY_SECONDS : LOG_SECONDS) * 1000,
            );
            return () => {
                clearInterval(timer);
                stream.write(wipe);
            };
        },
    };
}

/** @typedef {ReturnType<typeof createProgress>} Progress */

/** @param {number} since from Date.now() */
export function elapsed(since) {
    const seconds = Math.round((Date.now() - since) / 1000);
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
