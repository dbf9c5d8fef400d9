import type { Client } from "ssh2";
import type { Stream } from "./login";

/** So many probes without any sign of life end a connection. */
const UNANSWERED = 3;

/**
 * Watches a connection, and calls `dead` once after it was silent for `seconds` and then for three probes more.
 *
 * ssh2's own keepalive is not used: its timer keeps an idle process alive, and it counts only answers to its probes, so
 * that an upload which keeps a slow line busy looks dead. Here every byte received is a sign of life.
 *
 * @param seconds 0 switches it off.
 * @returns stops watching.
 */
export function watch(client: Client, stream: Stream, seconds: number, dead: (reason: string) => void): () => void {
    if (!(seconds > 0)) return () => undefined;
    let heard = false;
    let unanswered = 0;
    const hear = () => (heard = true);
    stream.on("data", hear);
    const timer = setInterval(() => {
        if (heard) unanswered = 0;
        else if (unanswered === UNANSWERED) {
            stop();
            return dead(`the line is dead: no answer to ${UNANSWERED} keepalives, ${seconds} s apart`);
        } else {
            unanswered++;
            probe(client);
        }
        heard = false;
    }, seconds * 1000);
    timer.unref();
    const stop = () => {
        clearInterval(timer);
        stream.off("data", hear);
    };
    return stop;
}

/**
 * Any global request must be answered, if only with "failure". To cancel a forwarding that is not there is one that ssh2
 * offers, and that changes nothing.
 */
function probe(client: Client): void {
    try {
        client.unforwardIn("localhost", 1, () => undefined);
    } catch {
        // Not connected any more: the connection's own "close" tells.
    }
}
