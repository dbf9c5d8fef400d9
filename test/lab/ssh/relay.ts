import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { until } from "../process";

/** A TCP port on 127.0.0.1 that leads to another one, until it is told to misbehave. */
export class TcpRelay {
    /** Connections taken so far. */
    taken = 0;
    private readonly sockets = new Set<Socket>();
    private silent = false;
    private bytesLeft = Infinity;

    private constructor(private readonly server: Server) {}

    /**
     * @param target the port to pass on to; without one it takes connections and never says a word.
     * @param port to listen on; any by default.
     */
    static async start(target?: number, port = 0): Promise<TcpRelay> {
        const server = createServer();
        const relay = new TcpRelay(server);
        server.on("connection", (near) => relay.take(near, target));
        server.listen(port, "127.0.0.1");
        await until("the relay to listen", () => server.listening);
        return relay;
    }

    get port(): number {
        return (this.server.address() as AddressInfo).port;
    }

    /** Ends all connections with a reset. */
    cut(): void {
        for (const socket of this.sockets) socket.resetAndDestroy();
    }

    /** Ends all connections with a reset after so many more bytes from the target. */
    cutAfter(bytes: number): void {
        this.bytesLeft = bytes;
    }

    /** From now on passes nothing on, and closes nothing. */
    swallow(): void {
        this.silent = true;
    }

    async stop(): Promise<void> {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }

    private take(near: Socket, target: number | undefined): void {
        this.taken++;
        this.keep(near);
        if (target === undefined) return;
        const far = connect(target, "127.0.0.1");
        this.keep(far);
        near.on("data", (data) => this.silent || far.write(data));
        far.on("data", (data) => {
            this.bytesLeft -= data.length;
            if (this.bytesLeft < 0) this.cut();
            else if (!this.silent) near.write(data);
        });
        near.on("close", () => far.destroy());
        far.on("close", () => near.destroy());
    }

    private keep(socket: Socket): void {
        this.sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => this.sockets.delete(socket));
    }
}
