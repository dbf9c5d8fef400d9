import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { patience } from "../lab/patience";
import { type Result, describe, execute, killLeftovers } from "./process";
import { type Source, root, writeFiles, writeProject } from "./project";

export type { Result } from "./process";

const TIMEOUT_MILLISECONDS = 110_000 * patience;

export type StackOptions = Source & {
    name?: string;
    /** Plain values of the stack's configuration, e.g. `{ "nvi-test:host": "10.0.0.1" }`. */
    config?: Record<string, string>;
    /** Added to the environment of every command. */
    env?: Record<string, string>;
};

export interface RunOptions {
    /** Give back a result with a `code` that is not zero, instead of throwing. */
    allowFailure?: boolean;
    env?: Record<string, string>;
    timeoutMs?: number;
}

export interface Resource {
    urn: string;
    type: string;
    id?: string;
    inputs?: Record<string, unknown>;
    outputs?: Record<string, unknown>;
    [field: string]: unknown;
}

export interface State {
    version: number;
    deployment: { resources?: Resource[]; [field: string]: unknown };
}

/** A new stack of its own project, on a file backend of its own. Its owner calls `close`. */
export async function stack({ name = "dev", config = {}, env = {}, ...source }: StackOptions): Promise<Stack> {
    const base = mkdtempSync(join(tmpdir(), "nvi-e2e-"));
    const made = new Stack(name, base, env);
    try {
        writeProject(made.folder, source as Source);
        await made.run(["stack", "init", name]);
        const values = Object.entries(config).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
        if (values.length > 0) await made.run(["config", "set-all", ...values]);
        return made;
    } catch (error) {
        made.close();
        throw error;
    }
}

/** Runs the real `pulumi` on one project and stack. What fails throws, with all that pulumi printed. */
export class Stack {
    /** The program's folder. */
    readonly folder: string;
    readonly #env: NodeJS.ProcessEnv;

    constructor(
        readonly name: string,
        readonly base: string,
        env: Record<string, string>,
    ) {
        this.folder = join(base, "project");
        this.#env = { ...environment(base), ...env };
    }

    /** An `up` that leaves no resource behind fails too: a program that is not found runs as an empty one. */
    async up(args: string[] = [], { allowEmpty = false, ...options }: RunOptions & { allowEmpty?: boolean } = {}): Promise<Result> {
        const result = await this.run(["up", "--yes", "--skip-preview", ...args], options);
        if (result.code === 0 && !allowEmpty && (await this.resources()).length === 0) {
            throw new Error(`pulumi up succeeded, but the stack has no resource:\n${result.all}`);
        }
        return result;
    }

    preview(args: string[] = [], options: RunOptions = {}): Promise<Result> {
        return this.run(["preview", ...args], options);
    }

    refresh(args: string[] = [], options: RunOptions = {}): Promise<Result> {
        return this.run(["refresh", "--yes", "--skip-preview", ...args], options);
    }

    destroy(args: string[] = [], options: RunOptions = {}): Promise<Result> {
        return this.run(["destroy", "--yes", "--skip-preview", ...args], options);
    }

    /** The state as it is stored: secrets stay encrypted unless `--show-secrets` is among the arguments. */
    async export(args: string[] = []): Promise<State> {
        return JSON.parse((await this.run(["stack", "export", ...args])).stdout) as State;
    }

    /** The resources of the state, without the stack itself and without providers. */
    async resources(): Promise<Resource[]> {
        const { resources = [] } = (await this.export()).deployment;
        return resources.filter(({ type }) => type !== "pulumi:pulumi:Stack" && !type.startsWith("pulumi:providers:"));
    }

    /** The stack's outputs, secrets in clear. */
    async outputs(): Promise<Record<string, unknown>> {
        const { stdout } = await this.run(["stack", "output", "--json", "--show-secrets"]);
        return JSON.parse(stdout) as Record<string, unknown>;
    }

    /** Changes the program. */
    write(files: Record<string, string>): void {
        writeFiles(this.folder, files);
    }

    /** Any other command of pulumi. */
    async run(args: string[], { allowFailure = false, env = {}, timeoutMs = TIMEOUT_MILLISECONDS }: RunOptions = {}): Promise<Result> {
        const command = [...args, "--non-interactive", "--color", "never"];
        const options = { cwd: this.folder, env: { ...this.#env, ...env }, timeoutMs };
        const result = await execute("pulumi", command, options).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== "ENOENT") throw error;
            throw new Error("pulumi is not on PATH: run the tests with `npm test`, or set NVI_ENGINE_BIN to what `node test/engine/engine.mjs` prints");
        });
        if (result.code !== 0 && !allowFailure) {
            throw new Error(`${describe("pulumi", args)} ended with ${result.code}:\n${result.all}`);
        }
        return result;
    }

    /** Ends pulumi and all that it started, at once. */
    kill(): void { killLeftovers(`PULUMI_HOME=${this.#env.PULUMI_HOME}`); }

    /** Removes the project, its state and all else that pulumi wrote; destroys no resource. */
    close(): void {
        // A pulumi that was killed leaves its language host and providers behind; they are in groups of their own.
        this.kill();
        rmSync(this.base, { recursive: true, force: true });
    }
}

/** The tests' environment without what belongs to the person who runs them: Pulumi settings, SSH keys, known hosts. */
function environment(base: string): NodeJS.ProcessEnv {
    const [home, backend] = [join(base, "home"), join(base, "backend")];
    for (const folder of [home, backend]) mkdirSync(folder, { recursive: true });
    const inherited = Object.entries(process.env).filter(([name]) => !/^(PULUMI_|SSH_AUTH_SOCK$|VITEST|NODE_ENV$)/.test(name));
    const path = [process.env.NVI_ENGINE_BIN, join(root, "node_modules", "@pulumi", "pulumi"), process.env.PATH];
    return {
        ...Object.fromEntries(inherited),
        PATH: path.filter(Boolean).join(delimiter),
        HOME: home,
        PULUMI_HOME: join(home, ".pulumi"),
        PULUMI_BACKEND_URL: pathToFileURL(backend).href,
        PULUMI_CONFIG_PASSPHRASE: "nvi-test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // @pulumi/command among our dependencies makes pulumi ask the internet for its plugin, in every operation.
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    };
}
