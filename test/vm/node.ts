import type { Server } from "node:net";
import type { Asked } from "../lab/agent";
import { LabNode, routerEnvironment } from "../lab/node";
import type { ChildOptions } from "../lab/process";
import type { Command } from "./control";
import type { EmulatedMachine } from "./machine";

/** A node of the lab that is an emulated machine. */
export class EmulatedNode extends LabNode {
    constructor(name: string, namespace: string, private readonly machine: EmulatedMachine) { super(name, namespace); }

    override spawn(argv: readonly string[], options: ChildOptions = {}): Command { return this.machine.spawn(argv, options); }

    /** With tools that are out of the way of tests which hide the router's own, and mounts that nobody else sees. */
    override watch(argv: readonly string[], options: ChildOptions = {}): Command {
        return this.machine.spawn(["unshare", "--mount", ...argv], { ...options, env: { ...options.env, PATH: `/opt/lab/bin:${routerEnvironment.PATH}` } });
    }

    protected override startAgent(): Asked { return new RemoteAgent(this.name, this.machine.spawn(["node", "/opt/lab/agent/stdio.cjs"])); }
}

/** The lab's agent on an emulated machine: it talks in lines, for there is no channel of node's to it. */
class RemoteAgent implements Asked {
    private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
    private nextId = 1;
    private parsed = 0;

    constructor(private readonly name: string, private readonly command: Command) { void this.listen(); }

    async ask<T>(command: string, args: object = {}, server?: Server): Promise<T> {
        if (server) throw new Error(`${this.name}: a socket cannot be handed to another machine`);
        const id = this.nextId++;
        return await new Promise<T>((resolve, reject) => {
            this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
            this.command.write(`${JSON.stringify({ id, command, args })}\n`);
        });
    }

    stop(): void { this.command.kill("SIGKILL"); }

    private async listen(): Promise<void> {
        const why = await this.command.follow(() => this.read()).then(code => `its agent ended with ${code}`, (error: Error) => error.message);
        for (const request of this.waiting.values()) request.reject(new Error(`${this.name}: ${why}\n${this.command.stderr}`));
        this.waiting.clear();
    }

    private read(): void {
        for (let end; (end = this.command.stdout.indexOf("\n", this.parsed)) >= 0; this.parsed = end + 1) {
            const { id, value, error } = JSON.parse(this.command.stdout.slice(this.parsed, end)) as { id: number; value?: unknown; error?: string };
            const request = this.waiting.get(id);
            this.waiting.delete(id);
            if (error === undefined) request?.resolve(value);
            else request?.reject(new Error(`${this.name}: ${error}`));
        }
    }
}
