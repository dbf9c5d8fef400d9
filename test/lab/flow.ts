import { patience } from "./patience";
import { until, type Running } from "./process";
import type { LabNode } from "./node";
import type { Seen } from "./traffic";

export interface FlowReport extends Seen {
    sent: number;
    echoed: number;
    /** The longest time without an echo, also when it goes on. Includes what a busy machine adds. */
    longestStallMs: number;
    /** ECONNRESET and the like, when the connection has ended. */
    error?: string;
    /** A packet that waited for a neighbour to be found again is not lost but slow. */
    ping: { sent: number; received: number; lost: number; slowestMs: number };
}

let nextKey = 1;

/** A TCP connection that is always busy, and a ping every 20 ms beside it, to be held open across a change of the network. */
export class Flow {
    private constructor(private readonly node: LabNode, private readonly key: number, private readonly ping: Running | undefined) {}

    static async start(node: LabNode, { pings = true, ...target }: { to: string; port: number; from?: string; everyMs?: number; pings?: boolean }): Promise<Flow> {
        const key = nextKey++;
        await node.agent.ask("flowOpen", { everyMs: 10, timeoutMs: 3000 * patience, ...target, key });
        const source = target.from ? ["-I", target.from] : [];
        const ping = !pings ? undefined : node.watch(["ping", "-n", "-i", "0.02", "-W", "1", ...source, target.to], { stdin: "" });
        return new Flow(node, key, ping);
    }

    /** True once a message that was sent after this call has come back, false when the connection is dead or stays silent. */
    async alive(timeoutMs = 2000): Promise<boolean> {
        const before = await this.tcp();
        const answered = async (): Promise<"yes" | "dead" | false> => {
            const now = await this.tcp();
            if (now.error) return "dead";
            return now.echoed > before.sent && "yes";
        };
        return await until("an echo", answered, timeoutMs).then(result => result === "yes", () => false);
    }

    async report(): Promise<FlowReport> { return { ...await this.tcp(), ping: this.pings() }; }

    async stop(): Promise<FlowReport> {
        const tcp = await this.node.agent.ask<Omit<FlowReport, "ping">>("flowClose", { key: this.key });
        await this.ping?.stop("SIGINT");
        return { ...tcp, ping: this.pings() };
    }

    private async tcp(): Promise<Omit<FlowReport, "ping">> { return await this.node.agent.ask("flowReport", { key: this.key }); }

    private pings(): FlowReport["ping"] {
        if (!this.ping) return { sent: 0, received: 0, lost: 0, slowestMs: 0 };
        const replies = [...this.ping.stdout.matchAll(/icmp_seq=(\d+) ttl=\d+ time=([\d.]+)/g)];
        const answered = new Set(replies.map(match => Number(match[1])));
        const last = Math.max(0, ...answered);
        const total = /(\d+) packets transmitted/.exec(this.ping.stdout)?.[1];
        // The newest one may still be under way, which is not a loss.
        const sent = total === undefined ? last : Math.max(last, Number(total) - 1);
        return { sent, received: answered.size, lost: sent - answered.size, slowestMs: Math.max(0, ...replies.map(match => Number(match[2]))) };
    }
}
