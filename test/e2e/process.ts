import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

const GRACE_MILLISECONDS = 8_000;

/** What a command came to; `all` is stdout and stderr in the order of arrival. */
export interface Result {
    code: number;
    stdout: string;
    stderr: string;
    all: string;
}

export interface ProcessOptions {
    cwd: string;
    env: NodeJS.ProcessEnv;
    timeoutMs: number;
}

/** Runs a command to its end, without a terminal. Rejects only if it cannot be started or takes too long. */
export function execute(command: string, args: readonly string[], { cwd, env, timeoutMs }: ProcessOptions): Promise<Result> {
    return new Promise((resolve, reject) => {
        const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        const result: Result = { code: -1, stdout: "", stderr: "", all: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (text: string) => {
                result[name] += text;
                result.all += text;
            });
        }

        let late = false;
        let kill: NodeJS.Timeout | undefined;
        const timer = setTimeout(() => {
            late = true;
            // Politely first: pulumi then ends its language host and its providers, which a kill would orphan.
            child.kill("SIGTERM");
            kill = setTimeout(() => {
                child.kill("SIGKILL");
                // An orphan may hold the other ends open, and then there is no "close".
                child.stdout.destroy();
                child.stderr.destroy();
            }, GRACE_MILLISECONDS);
        }, timeoutMs);

        const settle = (action: () => void) => {
            clearTimeout(timer);
            clearTimeout(kill);
            action();
        };
        child.on("error", (error) => settle(() => reject(error)));
        child.on("close", (code) =>
            settle(() => {
                if (late) reject(new Error(`${describe(command, args)} took longer than ${timeoutMs} ms:\n${result.all}`));
                else resolve({ ...result, code: code ?? -1 });
            }),
        );
    });
}

export function describe(command: string, args: readonly string[]): string {
    return [command, ...args].join(" ");
}

/** Kills what still runs with this entry (`NAME=value`) in its environment, however far its parents are gone. */
export function killLeftovers(entry: string): void {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
            const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
            if (environment.includes(entry)) process.kill(Number(pid), "SIGKILL");
        } catch {
            // It ended meanwhile, or is another user's.
        }
    }
}
