import * as fs from "node:fs";
import * as path from "node:path";
import { spawn, type ChildProcess } from "node:child_process";
import type { Server } from "node:net";

/** Whoever does socket work on one machine. */
export interface Asked {
    /** Asks for one of the commands in agent/*.cjs. A server passed along keeps listening in the namespace that it was opened in. */
    ask<T>(command: string, args?: object, server?: Server): Promise<T>;
    stop(): void;
}

/**
 * A node process that lives in one namespace and does its socket work on request: starting one for each probe would cost
 * 60 ms a time. It ends by itself when this process does.
 */
export class Agent implements Asked {
    private readonly child: ChildProcess;
    private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
    private nextId = 1;
    private stderr = "";

    constructor(private readonly name: string, namespace: string) {
        this.child = spawn("nsenter", [`--net=/run/netns/${namespace}`, process.execPath, programFile()], {
            stdio: ["ignore", "ignore", "pipe", "ipc"],
            // The options of a test runner's node (loaders, inspectors) are nothing for this one.
            env: { ...process.env, NODE_OPTIONS: "" },
            detached: true,
        });
        this.child.stderr?.on("data", (chunk: Buffer) => { this.stderr += chunk.toString(); });
        this.child.on("message", (message: { id: number; value?: unknown; error?: string }) => {
            const request = this.waiting.get(message.id);
            this.settled(message.id);
            if (message.error === undefined) request?.resolve(message.value);
            else request?.reject(new Error(`${this.name}: ${message.error}`));
        });
        this.child.on("error", error => this.fail(error.message));
        this.child.on("exit", code => this.fail(`its agent ended with ${code}`));
        (this.child.stderr as { unref?: () => void } | null)?.unref?.();
        this.child.unref();
        this.child.channel?.unref();
    }

    async ask<T>(command: string, args: object = {}, server?: Server): Promise<T> {
        const id = this.nextId++;
        return await new Promise<T>((resolve, reject) => {
            this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
            this.child.channel?.ref();
            this.child.send({ id, command, args }, server, {}, error => {
                if (error && this.waiting.has(id)) { this.settled(id); reject(new Error(`${this.name}: cannot reach its agent: ${error.message}\n${this.stderr}`)); }
            });
        });
    }

    stop(): void {
        try { this.child.kill("SIGKILL"); } catch { /* it has ended already */ }
    }

    /** Only an unanswered request keeps this process alive. */
    private settled(id: number): void {
        this.waiting.delete(id);
        if (this.waiting.size === 0) this.child.channel?.unref();
    }

    private fail(why: string): void {
        for (const request of this.waiting.values()) request.reject(new Error(`${this.name}: ${why}\n${this.stderr}`));
        this.waiting.clear();
    }
}

let found: string | undefined;

/**
 * The agent is plain JavaScript that no compiler copies, so from compiled code it is looked for in the source tree, and by
 * a loader of ES modules, which have no __dirname, from the working directory.
 */
function programFile(): string {
    if (found) return found;
    const here = typeof __dirname === "string" ? __dirname : process.cwd();
    const candidates = [path.join(here, "agent", "main.cjs")];
    for (const start of [here, process.cwd()]) {
        for (let dir = start; dir !== path.dirname(dir); dir = path.dirname(dir)) candidates.push(path.join(dir, "test", "lab", "agent", "main.cjs"));
    }
    found = candidates.find(file => fs.existsSync(file));
    if (!found) throw new Error(`cannot find test/lab/agent/main.cjs; looked at ${candidates.join(", ")}`);
    return found;
}
