import * as net from "node:net";
import { Running } from "../lab/process";

/**
 * Commands on an emulated machine, over a serial port of its own that no change of its network touches. The other end is
 * recipe/root/opt/lab/agent.pl, which says what the messages are.
 */
export class Control {
    /** Its id changes with each boot of the machine. */
    readonly bootId: Promise<string>;
    private readonly commands = new Map<number, Command>();
    private nextId = 1;
    private input = Buffer.alloc(0);
    private hello: (bootId: string) => void = () => undefined;

    private constructor(private readonly socket: net.Socket) {
        this.bootId = new Promise(resolve => { this.hello = resolve; });
        socket.on("data", (chunk: Buffer) => { this.input = Buffer.concat([this.input, chunk]); this.parse(); });
        socket.on("error", () => undefined);
        socket.on("close", () => this.lost("the machine is off"));
    }

    static async connect(path: string): Promise<Control> {
        const socket = net.connect(path);
        await new Promise<void>((resolve, reject) => { socket.once("connect", resolve); socket.once("error", reject); });
        return new Control(socket);
    }

    start(argv: readonly string[], env: Record<string, string>, onStdout?: (chunk: Buffer) => void): Command {
        const command = new Command(argv, this.nextId++, (id, type, data) => this.send(id, type, data), onStdout);
        this.commands.set(command.id, command);
        this.socket.ref();
        if (this.socket.destroyed) this.lost("the machine is off");
        else this.send(command.id, "x", Buffer.from([...Object.entries(env).map(([name, value]) => `${name}=${value}`), "--", ...argv].map(word => `${word}\0`).join("")));
        return command;
    }

    /** Only commands under way keep this process alive. */
    idle(): void { if (this.commands.size === 0) this.socket.unref(); }

    close(): void { this.socket.destroy(); }

    private send(id: number, type: string, data: Buffer): void {
        if (!this.socket.destroyed) this.socket.write(Buffer.concat([Buffer.from(`${id} ${type} ${data.length}\n`), data]));
    }

    private parse(): void {
        for (;;) {
            const end = this.input.indexOf(10);
            const head = end < 0 ? null : /^(\d+) (\w) (\d+)$/.exec(this.input.toString("latin1", 0, end));
            if (!head || this.input.length < end + 1 + Number(head[3])) return;
            const data = this.input.subarray(end + 1, end + 1 + Number(head[3]));
            this.input = this.input.subarray(end + 1 + data.length);
            this.message(Number(head[1]), head[2]!, data);
        }
    }

    private message(id: number, type: string, data: Buffer): void {
        if (type === "h") return this.hello(data.toString().trim());
        this.commands.get(id)?.message(type, data);
        if (type === "x") { this.commands.delete(id); this.idle(); }
    }

    private lost(why: string): void {
        for (const command of this.commands.values()) command.fail(why);
        this.commands.clear();
    }
}

/** A command on an emulated machine. */
export class Command extends Running {
    private settle: (code: number) => void = () => undefined;
    private reject: (error: Error) => void = () => undefined;
    private look: () => void = () => undefined;
    private readonly end: Promise<number>;

    constructor(argv: readonly string[], readonly id: number, private readonly send: (id: number, type: string, data: Buffer) => void, onStdout?: (chunk: Buffer) => void) {
        super(argv, onStdout);
        this.end = new Promise((resolve, reject) => { this.settle = resolve; this.reject = reject; });
        this.endsWith(this.end);
    }

    write(text: string | Buffer): void {
        const data = Buffer.from(text);
        for (let at = 0; at < data.length; at += 1 << 15) this.send(this.id, "i", data.subarray(at, at + (1 << 15)));
    }

    closeInput(): void { this.send(this.id, "e", Buffer.alloc(0)); }
    kill(signal: NodeJS.Signals = "SIGTERM"): void { this.send(this.id, "k", Buffer.from(signal.replace(/^SIG/, ""))); }

    /** Calls `look` whenever something was printed; gives the exit code. */
    async follow(look: () => void): Promise<number> {
        this.look = look;
        look();
        return await this.end;
    }

    message(type: string, data: Buffer): void {
        if (type === "o") this.received("stdout", data);
        else if (type === "r") this.received("stderr", data);
        else if (type === "x") this.settle(Number(data.toString()));
        this.look();
    }

    fail(why: string): void { this.reject(new Error(`${this.argv.join(" ").slice(0, 200)}: ${why}`)); }
}
