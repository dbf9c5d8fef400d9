import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
    root: fileURLToPath(new URL("..", import.meta.url)),
    test: {
        // The lab may run as root, whose files under node_modules would be in the way of the user's next `npm ci`.
        cache: false,
        projects: [
            {
                extends: true,
                test: {
                    name: "unit",
                    include: ["test/unit/**/*.test.ts"],
                    sequence: { groupOrder: 0 },
                },
            },
            {
                extends: true,
                test: {
                    name: "lab",
                    include: ["test/lab/**/*.test.ts", "test/e2e/**/*.test.ts"],
                    pool: "forks",
                    maxWorkers: 2,
                    // Not beside the unit tests: those would take the time that these have deadlines for.
                    sequence: { groupOrder: 1 },
                    testTimeout: 120_000,
                    hookTimeout: 180_000,
                },
            },
        ],
    },
});
