import { until, type Running } from "./process";
import type { LabNode } from "./node";
import { PcapReader, type Packet } from "./pcap";

/** Packets on one NIC of one machine ("any" for all), from the moment that `start` gives it until `stop`. */
export class Capture {
    private readonly reader = new PcapReader();
    private readonly child: Running;

    private constructor(node: LabNode, private readonly nic: string, filter: string) {
        this.child = node.watch(
            ["tcpdump", "-i", nic, "-n", "-U", "--immediate-mode", "-Z", "root", "-s", "256", "-w", "-", ...(filter ? [filter] : [])],
            { stdin: "", onStdout: chunk => this.reader.add(chunk) },
        );
    }

    static async start(node: LabNode, nic: string, filter = ""): Promise<Capture> {
        const capture = new Capture(node, nic, filter);
        await capture.child.waitFor(/listening on/);
        return capture;
    }

    /** Those that have been read so far. */
    get packets(): Packet[] { return this.reader.packets; }

    /** Waits for a packet like this one. */
    async waitFor(what: string, wanted: (packet: Packet) => boolean, timeoutMs = 3000): Promise<Packet> {
        return await until(`${what} on ${this.nic}`, () => this.packets.find(wanted), timeoutMs);
    }

    /** Every packet that the NIC saw before this call is in the result. */
    async stop(): Promise<Packet[]> {
        await this.drain();
        await this.child.stop("SIGINT");
        const dropped = /(\d+) packets? dropped by kernel/.exec(this.child.stderr.slice(this.child.stderr.lastIndexOf("captured")))?.[1];
        if (dropped !== undefined && dropped !== "0") throw new Error(`the capture on ${this.nic} lost ${dropped} packets: use a narrower filter`);
        return this.packets;
    }

    /**
     * On SIGUSR1 tcpdump tells how many packets passed its filter and how many it has written: equal means that none is under way.
     * What came between its opening the socket and its setting the filter is counted but never written, so figures that stay
     * the same, answer after answer, mean it too.
     */
    private async drain(): Promise<void> {
        let last = "";
        let same = 0;
        await until(`tcpdump on ${this.nic} to catch up`, async () => {
            const from = this.child.stderr.length;
            this.child.kill("SIGUSR1");
            const status = await until("tcpdump's statistics", () => /(\d+) packets? captured, (\d+) packets? received/.exec(this.child.stderr.slice(from)) ?? undefined, 2000, 2);
            same = status[0] === last ? same + 1 : 0;
            last = status[0];
            return (status[1] === status[2] || same >= 10) && this.packets.length >= Number(status[1]);
        });
    }
}
