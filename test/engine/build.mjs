// @ts-check
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { which } from "../tools/path.mjs";
import { run } from "../tools/run.mjs";
import { atLeast, folder, PINNED } from "./version.mjs";

const GO = "1.25.8";

const COMMANDS = [
    { module: "cli", package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi" },
    { module: "language-nodejs", package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs" },
];

/**
 * Builds the Pulumi CLI and its Node language host from the Go module proxy.
 *
 * @param {string} bin where to put them
 * @param {import("../tools/progress.mjs").Progress} progress
 */
export async function buildEngine(bin, progress) {
    mkdirSync(bin, { recursive: true });
    for (const command of COMMANDS) {
        const name = command.package.split("/").at(-1);
        // Without it `pulumi version` prints nothing, and plugins and the SDK refuse an engine without a version.
        const version = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${PINNED}`;
        // -v names each package when it is compiled: the only sign of life that go gives.
        const args = ["build", "-v", "-mod=readonly", "-ldflags", `-s -w ${version}`, "-o", join(bin, `${name}`)];
        await run("go", [...args, command.package], {
            label: `building ${name}`,
            cwd: join(folder, command.module),
            env: environment(),
            progress,
            status,
        });
    }
}

/** A go.work somewhere above the repository is none of this build's business. */
function environment() {
    return { ...process.env, GOWORK: "off" };
}

/** @param {string} output what go printed so far */
function status(output) {
    const lines = output.split("\n").filter(Boolean);
    const downloads = lines.filter((line) => line.startsWith("go: downloading")).length;
    return `${downloads} modules downloaded, ${lines.length - downloads} packages compiled`;
}

/** Throws, saying what to do, unless there is a Go that can build the engine. */
export function requireGo() {
    const trouble = goTrouble();
    if (!trouble) return;
    throw new Error(
        [
            "This needs a Pulumi CLI with its pulumi-language-nodejs, and no usable one is on PATH or in the cache.",
            `It cannot be built either: ${trouble}.`,
            "Do one of these, and start again:",
            `  - install Go ${GO} or later (https://go.dev/dl) and put its bin folder on PATH;`,
            "  - install a Pulumi CLI (https://www.pulumi.com/docs/install) and put its folder on PATH.",
        ].join("\n"),
    );
}

/** @returns {string | undefined} */
function goTrouble() {
    if (!which("go")) return "there is no `go` on PATH";
    // Asked in the module's folder, a Go that may download toolchains answers with the one that it would use there.
    const options = { cwd: join(folder, "cli"), env: environment(), encoding: /** @type {const} */ ("utf8") };
    const { status, stdout, stderr } = spawnSync("go", ["version"], options);
    const version = /\bgo(\d+(\.\d+)*)/.exec(stdout ?? "")?.[1];
    if (status !== 0 || !version) return `\`go version\` failed: ${stderr?.trim() || "it printed no version"}`;
    if (!atLeast(version, GO)) return `the one on PATH (${which("go")}) is ${version}, which is too old`;
    return undefined;
}
