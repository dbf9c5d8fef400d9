import * as net from "node:net";

type Event = { event: string; data?: Record<string, unknown> };
type Answer = { return?: unknown; error?: { desc: string } };

/** The monitor of one qemu. */
export class Monitor {
    private readonly answers: Array<(answer: Answer) => void> = [];
    private readonly listeners = new Set<(event: Event) => void>();

    private constructor(private readonly socket: net.Socket) {
        let text = "";
        socket.unref();
        socket.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
            const lines = text.split("\n");
            text = lines.pop()!;
            for (const line of lines.filter(Boolean)) this.received(JSON.parse(line) as Event & Answer);
        });
        socket.on("error", () => undefined);
        socket.on("close", () => { for (const answer of this.answers.splice(0)) answer({ error: { desc: "qemu has ended" } }); });
    }

    static async connect(path: string): Promise<Monitor> {
        const socket = net.connect(path);
        await new Promise<void>((resolve, reject) => { socket.once("connect", resolve); socket.once("error", reject); });
        const monitor = new Monitor(socket);
        await monitor.ask("qmp_capabilities");
        return monitor;
    }

    async ask(command: string, args: object = {}): Promise<unknown> {
        const answer = await new Promise<Answer>(resolve => {
            this.answers.push(resolve);
            this.socket.ref();
            this.socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
        });
        if (this.answers.length === 0) this.socket.unref();
        if (answer.error) throw new Error(`qemu refuses ${command} ${JSON.stringify(args)}: ${answer.error.desc}`);
        return answer.return;
    }

    /** Calls `listener` for each event from now on; the returned function ends that. */
    on(listener: (event: Event) => void): () => void {
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
    }

    close(): void { this.socket.destroy(); }

    private received(message: Event & Answer): void {
        if (message.event) for (const listener of [...this.listeners]) listener(message);
        else if (message.return !== undefined || message.error) this.answers.shift()?.(message);
    }
}
