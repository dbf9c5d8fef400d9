import { until } from "../lab";
import { Bench, outcomeOf, type Point } from "./bench";

/*
 * Something ends in the middle of a transaction: the connection, the provider, or a process on the router. Then the router has
 * the old version whole or the new one whole, and doing it once more brings the new one.
 */

export const CUTS = ["connection reset", "connection silent", "provider killed", "worker killed", "guard killed", "everything killed", "connection reset at a byte"] as const;

const SILENCE_MS = 4500;
const GATE = "/etc/ssh/lab/gate";
const KILLS: Record<string, string> = { "worker killed": "nvi _run", "guard killed": "nvi _guard", "everything killed": "nvi" };

/**
 * `at` counts the commands of the transaction that change something; behind the last is the time between applying and confirming.
 * For a power cut it is milliseconds from the beginning, and bytes to the router for a connection that is reset at one.
 */
export class CutBench extends Bench {
    protected readonly counted = '*" add "* | *" del "* | *" set "* | *" replace "* | *" append "* | " -f "*".nft " | *" delete table "*';

    describe({ scene, cut, at }: Point): string {
        return `${scene}, ${cut} ${cut === "power cut" ? `after ${at} ms` : cut === "connection reset at a byte" ? at : `at command ${at}`}`;
    }

    protected async attempt({ cut, at }: Point): Promise<string> {
        const { host, close, kill } = this.router();
        const strike = async (): Promise<void> => {
            if (cut === "connection silent") {
                await this.lab.relay.blackhole(true);
                await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
                await this.lab.relay.blackhole(false);
            } else if (cut === "provider killed") {
                kill();
                await this.lab.relay.cut();
            } else if (KILLS[cut]) await this.lab.router.sh(`pkill -KILL -f '/run/nvi/[0-9a-f]*/${KILLS[cut]}' || :`);
            else await this.lab.relay.cut();
        };
        try {
            if (cut === "power cut") {
                const change = outcomeOf(this.put(host, this.scene.to));
                await new Promise((resolve) => setTimeout(resolve, at));
                kill();
                await this.lab.powerOff();
                await this.lab.powerOn();
                return await change;
            }
            if (cut === "connection reset at a byte") {
                await this.lab.relay.cutAfter(at);
                return await outcomeOf(this.put(host, this.scene.to));
            }
            if (at > this.commands) {
                const apply = host.apply.bind(host);
                host.apply = async (files) => {
                    const applied = await apply(files);
                    await strike();
                    return applied;
                };
                return await outcomeOf(this.put(host, this.scene.to));
            }
            await this.lab.router.sh(`rm -f ${GATE} ${GATE}.reached`);
            await this.instrument(at, `: >${GATE}.reached; until [ -e ${GATE} ]; do sleep 0.02; done;`);
            const change = outcomeOf(this.put(host, this.scene.to));
            const reached = until("the command", async () => (await this.lab.router.sh(`[ -e ${GATE}.reached ] && echo yes || :`)).stdout !== "", 30_000);
            await Promise.race([reached, change]);
            const striking = strike();
            if (cut !== "connection silent") await striking;
            await this.lab.router.sh(`: >${GATE}`);
            await striking;
            return await change;
        } finally {
            await this.lab.relay.blackhole(false);
            await this.lab.relay.cutAfter(Number.MAX_SAFE_INTEGER);
            await this.restoreTools();
            close();
        }
    }
}
