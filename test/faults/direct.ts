import type { Endpoint } from "../../provider/host/endpoint";
import type { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { ExecOptions, Session } from "../../provider/host/ssh";
import type { Lab } from "../lab";

/** As the router-side script takes it: apply waits for a decision of whoever asked for it, by any connection. */
const NO_NEW_CONNECTION = 0;
const TIMEOUT_MS = 120_000;

/**
 * The lab's router with everything but SSH: the provider's own door, whose commands run on the router at once. A login costs
 * more than the shortest transactions, and what it may do wrong is tested elsewhere.
 */
export function directRouter(lab: Lab): Router {
    const execAsRoot = async (command: string, { stdin, timeoutMs = TIMEOUT_MS }: ExecOptions = {}) => {
        const chunks: Buffer[] = [];
        const child = lab.router.spawn(["sh", "-c", command], { stdin: stdin ?? "", onStdout: (chunk) => void chunks.push(chunk) });
        const code = await child.exited(timeoutMs);
        if (code === undefined) {
            child.kill("SIGKILL");
            throw new Error(`no end after ${timeoutMs} ms: ${command}`);
        }
        return { code, stdout: Buffer.concat(chunks), stderr: Buffer.from(child.stderr) };
    };
    const session = { alive: true, execAsRoot, close: () => undefined } as unknown as Session;
    const endpoint = { name: "edge", connection: { host: "router" }, confirmTimeout: NO_NEW_CONNECTION } as Endpoint;
    return new Router(endpoint, { acquire: async () => session } as unknown as Pool);
}
