import * as net from "node:net";
import type { AddressInfo } from "node:net";
import type { LabNode } from "./node";

export interface RelayCount {
    opened: number;
    /** Connections that could not be made to the router (refused, unreachable). */
    failed: number;
    active: number;
    bytesToRouter: number;
    bytesFromRouter: number;
}

/**
 * A port on the test's own loopback that leads to the router's sshd through one of the lab's machines, so that SSH crosses
 * the router's real NICs. The relay runs in that machine's agent: it goes on while the test process is busy or blocked.
 */
export class Relay {
    private constructor(readonly from: LabNode, readonly port: number, private readonly key: string) {}

    static async start(from: LabNode, host: string, port: number): Promise<Relay> {
        const server = net.createServer();
        await new Promise<void>((resolve, reject) => {
            server.once("error", reject);
            server.listen(0, "127.0.0.1", () => resolve());
        });
        const near = (server.address() as AddressInfo).port;
        const key = `${near}`;
        await from.agent.ask("relayStart", { key, host, port }, server);
        server.close();
        return new Relay(from, near, key);
    }

    /** Where new connections are dialled from now on. */
    async retarget(host: string, port = 22): Promise<void> { await this.from.agent.ask("relayTarget", { key: this.key, host, port }); }

    /** Resets every open connection; gives their number. */
    async cut(): Promise<number> { return await this.from.agent.ask("relayCut", { key: this.key }); }

    /** Resets every open connection once this many more bytes went to the router. */
    async cutAfter(bytes: number): Promise<void> { await this.from.agent.ask("relayCutAfter", { key: this.key, bytes }); }

    /** Passes nothing on, in either direction, without closing anything; `false` lets it all through again. */
    async blackhole(on: boolean): Promise<void> { await this.from.agent.ask("relayBlackhole", { key: this.key, on }); }

    async count(): Promise<RelayCount> { return await this.from.agent.ask("relayReport", { key: this.key }); }
}
