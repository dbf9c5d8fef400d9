import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { MODULE_ONLY, SAMPLE } from "./vm/sample.mjs";

const emulated = (backend: "rules" | "module") => ({
    env: { NVI_TEST_ROUTER: process.env.NVI_TEST_ROUTER ?? "bookworm", NVI_TEST_PATIENCE: process.env.NVI_TEST_PATIENCE ?? "5", NVI_TEST_BACKEND: backend },
    pool: "forks" as const,
    // Two emulated machines on two processors are slower than one after the other.
    maxWorkers: 1,
    sequence: { groupOrder: 2 },
    testTimeout: 600_000,
    hookTimeout: 600_000,
});

export default defineConfig({
    root: fileURLToPath(new URL("..", import.meta.url)),
    test: {
        // The lab may run as root, whose files under node_modules would be in the way of the user's next `npm ci`.
        cache: false,
        // What a test prints is for whoever has to find out why it failed.
        silent: "passed-only",
        projects: [
            {
                extends: true,
                test: {
                    name: "unit",
                    include: ["test/unit/**/*.test.ts"],
                    sequence: { groupOrder: 0 },
                    // Some go through thousands of generated inputs, on machines that may be busy.
                    testTimeout: 60_000,
                },
            },
            {
                extends: true,
                test: {
                    name: "lab",
                    include: ["test/lab/**/*.test.ts", "test/e2e/**/*.test.ts"],
                    exclude: MODULE_ONLY,
                    pool: "forks",
                    maxWorkers: 2,
                    // Not beside the unit tests: those would take the time that these have deadlines for.
                    sequence: { groupOrder: 1 },
                    testTimeout: 300_000,
                    hookTimeout: 300_000,
                },
            },
            // As long as it is given time.
            ...["inputs", "cuts", "engine", "lies", "foreign", "neighbours", "soak"].map((name) => ({ extends: true as const, test: { name: `faults-${name}`, include: [`test/faults/${name}.test.ts`], pool: "forks" as const, testTimeout: 0, hookTimeout: 300_000 } })),
            ...["power", "reboots"].map((name) => ({ extends: true as const, test: { ...emulated("rules"), name: `faults-${name}`, include: [`test/faults/${name}.test.ts`], testTimeout: 0 } })),
            // What the lab is for is shown again, with a whole Debian as the router, by either backend.
            { extends: true, test: { ...emulated("rules"), name: "vm", include: SAMPLE.rules } },
            { extends: true, test: { ...emulated("module"), name: "vm-module", include: SAMPLE.module, globalSetup: "test/vm/with-module.ts" } },
        ],
    },
});
