import { Agent } from "./agent";
import { Child, run, type ChildOptions, type RunOptions, type RunResult } from "./process";

/** One machine of the lab. */
export class LabNode {
  private runningAgent: Agent | undefined;

  constructor(readonly name: string, readonly namespace: string, private readonly enter?: () => string[]) {}

  /** Runs a command on this machine. The router has its own files, processes and host name; other machines only their network. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await run(this.inside(argv), { ...options, env: { ...this.environment(), ...options.env } });
  }

  /** `run` for a script: `$1` and on are `args`. */
  async sh(script: string, args: string[] = [], options: RunOptions = {}): Promise<RunResult> {
    return await this.run(["sh", "-c", script, "sh", ...args], options);
  }

  spawn(argv: readonly string[], options: ChildOptions = {}): Child {
    return new Child(this.inside(argv), { ...options, env: { ...this.environment(), ...options.env } });
  }

  /** As an outside observer: this machine's network, but the tools and files of the test's own machine. */
  async observe(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await run(this.onlyNetwork(argv), options);
  }

  /** The command line for `observe`, for those who start processes themselves. */
  onlyNetwork(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.namespace, ...argv];
  }

  get agent(): Agent {
    this.runningAgent ??= new Agent(this.name, this.namespace);
    return this.runningAgent;
  }

  stopAgent(): void {
    this.runningAgent?.stop();
    this.runningAgent = undefined;
  }

  private inside(argv: readonly string[]): string[] {
    return this.enter ? [...this.enter(), ...argv] : this.onlyNetwork(argv);
  }

  /** A router knows nothing of the environment that the tests run in. */
  private environment(): NodeJS.ProcessEnv {
    if (!this.enter) return process.env;
    return { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", USER: "root", LANG: "C.UTF-8" };
  }
}
