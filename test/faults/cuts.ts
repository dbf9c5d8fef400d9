import type { Router } from "../../provider/host/router";
import { until, type Lab } from "../lab";
import { Bench, Ground, outcomeOf, type Point } from "./bench";

/*
 * Something ends in the middle of a transaction: the connection, the provider, or a process on the router. Then the router has
 * the old version whole or the new one whole, and doing it once more brings the new one.
 */

export const CUTS = ["connection reset", "connection silent", "provider killed", "worker killed", "guard killed", "everything killed", "connection reset at a byte"] as const;

/** Commands that change something: a pattern of sh for ` WORDS `. */
export const CHANGES = '*" add "* | *" del "* | *" set "* | *" replace "* | *" append "* | " -f "*".nft " | *" delete table "*';

const SILENCE_MS = 4500;
/** In a place that no dump looks at. */
const GATE = "/etc/ssh/lab/gate";
const KILLS: Record<string, string> = { "worker killed": "nvi _run", "guard killed": "nvi _guard", "everything killed": "nvi" };

/** @param kill ends the provider */
async function strike(lab: Lab, cut: string, kill: () => void): Promise<void> {
    if (cut === "connection silent") {
        await lab.relay.blackhole(true);
        await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
        await lab.relay.blackhole(false);
    } else if (cut === "provider killed") {
        kill();
        await lab.relay.cut();
    } else if (KILLS[cut]) await lab.router.sh(`pkill -KILL -f '/run/nvi/[0-9a-f]*/${KILLS[cut]}' || :`);
    else await lab.relay.cut();
}

/**
 * A change that is cut short at one of its commands, or bytes; what the provider said in the end.
 *
 * @param kill ends the provider
 */
export async function during(lab: Lab, ground: Ground, { cut, at }: Point, change: () => Promise<string>, kill: () => void): Promise<string> {
    try {
        if (cut === "connection reset at a byte") {
            await lab.relay.cutAfter(at);
            return await change();
        }
        await lab.router.sh(`rm -f ${GATE} ${GATE}.reached`);
        await ground.instrument(CHANGES, at, `: >${GATE}.reached; until [ -e ${GATE} ]; do sleep 0.02; done;`);
        const changing = change();
        const reached = until("the command", async () => (await lab.router.sh(`[ -e ${GATE}.reached ] && echo yes || :`)).stdout !== "", 120_000);
        await Promise.race([reached, changing]);
        const striking = strike(lab, cut, kill);
        if (cut !== "connection silent") await striking;
        await lab.router.sh(`: >${GATE}`);
        await striking;
        return await changing;
    } finally {
        await lab.relay.blackhole(false);
        await lab.relay.cutAfter(Number.MAX_SAFE_INTEGER);
        await ground.restoreTools();
    }
}

const WHEN: Record<string, (at: number) => string> = {
    "power cut": (at) => `after ${at} % of the time that it takes`,
    "power cut in the confirmation": (at) => `${at} ms after it arrived`,
    "connection reset at a byte": (at) => `${at}`,
};

export const describeCut = ({ scene, cut, at }: Point): string => `${scene}, ${cut} ${WHEN[cut]?.(at) ?? `at command ${at}`}`;

/**
 * `at` counts the commands of the transaction that change something; behind the last is the time between applying and confirming.
 * For a power cut it is percent of the time that the transaction takes, or milliseconds since the confirmation was sent, and bytes to
 * the router for a connection that is reset at one.
 */
export class CutBench extends Bench {
    protected readonly counted = CHANGES;

    describe(point: Point): string { return describeCut(point); }

    /** When the router has been told to keep the next change. */
    private confirmation(host: Router): Promise<void> {
        const apply = host.apply.bind(host);
        return new Promise((sent) => {
            host.apply = async (files) => {
                const applied = await apply(files);
                // Those of earlier changes are still there.
                const confirmations = async (): Promise<number> => Number((await this.lab.router.sh("ls /run/nvi/tx/*/confirm 2>/dev/null | wc -l")).stdout);
                const before = await confirmations();
                const confirm = async () => {
                    const confirming = applied.confirm();
                    await until("the router to have the confirmation", async () => (await confirmations()) > before, 60_000, 1).finally(sent);
                    return await confirming;
                };
                return { ...applied, confirm };
            };
        });
    }

    protected async attempt(point: Point): Promise<string> {
        const { cut, at } = point;
        const { host, close, kill } = this.router();
        const change = async (): Promise<string> => await outcomeOf(this.put(host, this.scene.to));
        try {
            if (cut === "power cut" || cut === "power cut in the confirmation") {
                const inConfirmation = cut === "power cut in the confirmation" ? this.confirmation(host) : undefined;
                const changing = change();
                await inConfirmation;
                await new Promise((resolve) => setTimeout(resolve, inConfirmation ? at : (at / 100) * this.took));
                kill();
                await this.lab.powerOff();
                await this.lab.powerOn();
                return await changing;
            }
            if (cut === "connection reset at a byte" || at <= this.commands) return await during(this.lab, this, point, change, kill);
            const apply = host.apply.bind(host);
            host.apply = async (files) => {
                const applied = await apply(files);
                await strike(this.lab, cut, kill);
                return applied;
            };
            return await change();
        } finally {
            close();
        }
    }
}
