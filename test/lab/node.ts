import { Agent, type Asked } from "./agent";
import { Child, outcome, type ChildOptions, type RunOptions, type Running, type RunResult } from "./process";

/** One machine of the lab. */
export class LabNode {
    private runningAgent: Asked | undefined;

    constructor(readonly name: string, readonly namespace: string, private readonly enter?: () => string[]) {}

    /** Runs a command on this machine. The router has its own files, processes and host name; other machines only their network. */
    async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
        return await outcome(this.spawn(argv, { stdin: options.stdin ?? "", env: options.env }), options);
    }

    /** `run` for a script: `$1` and on are `args`. */
    async sh(script: string, args: string[] = [], options: RunOptions = {}): Promise<RunResult> {
        return await this.run(["sh", "-c", script, "sh", ...args], options);
    }

    spawn(argv: readonly string[], options: ChildOptions = {}): Running {
        return new Child(this.inside(argv), { ...options, env: { ...this.environment(), ...options.env } });
    }

    /** As an outside observer: this machine's network, but the tools and files of the test's own machine. */
    async observe(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
        return await outcome(this.watch(argv, { stdin: options.stdin ?? "", env: options.env }), options);
    }

    /** `observe` for what goes on for a while. */
    watch(argv: readonly string[], options: ChildOptions = {}): Running {
        return new Child(this.onlyNetwork(argv), options);
    }

    get agent(): Asked {
        this.runningAgent ??= this.startAgent();
        return this.runningAgent;
    }

    stopAgent(): void {
        this.runningAgent?.stop();
        this.runningAgent = undefined;
    }

    private inside(argv: readonly string[]): string[] {
        return this.enter ? [...this.enter(), ...argv] : this.onlyNetwork(argv);
    }

    private onlyNetwork(argv: readonly string[]): string[] {
        return ["ip", "netns", "exec", this.namespace, ...argv];
    }

    /** A router knows nothing of the environment that the tests run in. */
    private environment(): NodeJS.ProcessEnv {
        if (!this.enter) return process.env;
        return routerEnvironment;
    }

    protected startAgent(): Asked { return new Agent(this.name, this.namespace); }
}

export const routerEnvironment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", USER: "root", LANG: "C.UTF-8" };
