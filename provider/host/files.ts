import { homedir } from "node:os";
import { join } from "node:path";

/** `~/` at the start of a path stands for the home of the user who runs Pulumi. */
export function expandHome(path: string): string {
    return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
