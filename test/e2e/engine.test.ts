import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Stack, type StackOptions, stack } from "./pulumi";

const open: Stack[] = [];

async function opened(options: StackOptions): Promise<Stack> {
    const made = await stack(options);
    open.push(made);
    return made;
}

afterEach(() => {
    for (const made of open.splice(0)) made.close();
});

/** One dynamic resource that notes each call in a file, next to the program. */
function program(greeting: string): string {
    return `
        const { dynamic } = require("@pulumi/pulumi");
        const note = (call) => require("node:fs").appendFileSync("calls", call + "\\n");
        const provider = {
            async create(inputs) { note("create " + inputs.greeting); return { id: "thing", outs: inputs }; },
            async diff(id, olds, news) { return { changes: olds.greeting !== news.greeting }; },
            async update(id, olds, news) { note("update " + news.greeting); return { outs: news }; },
            async delete() { note("delete"); },
        };
        class Thing extends dynamic.Resource {
            constructor(name, props) { super(provider, name, props, undefined, "test", "Thing"); }
        }
        new Thing("thing", { greeting: "${greeting}" });
        exports.greeting = "${greeting}";
        exports.installed = require.resolve("pulumi-nvi/package.json").length > 0;
    `;
}

describe("the real engine", () => {
    it("creates, sees no change, updates and destroys a dynamic resource", async () => {
        const dev = await opened({ files: { "index.js": program("hello") } });
        await dev.up();
        expect(await dev.outputs()).toEqual({ greeting: "hello", installed: true });
        expect(await dev.resources()).toMatchObject([{ type: "pulumi-nodejs:dynamic/test:Thing", id: "thing" }]);
        await dev.preview(["--expect-no-changes"]);

        dev.write({ "index.js": program("goodbye") });
        const preview = await dev.preview(["--expect-no-changes"], { allowFailure: true });
        expect(preview.all).toContain("1 to update");
        expect(preview.code).not.toBe(0);
        await dev.up();
        await dev.destroy();

        expect(await dev.resources()).toEqual([]);
        expect(readFileSync(join(dev.folder, "calls"), "utf8")).toBe("create hello\nupdate goodbye\ndelete\n");
    });

    it("runs several stacks side by side, in JavaScript and TypeScript, each with its own configuration", async () => {
        const script = `
            import * as pulumi from "@pulumi/pulumi";
            class Group extends pulumi.ComponentResource {
                constructor(name: string) { super("test:Group", name); }
            }
            new Group("group");
            export const who: string = new pulumi.Config().require("who");
            export const arch: string = process.arch;
        `;
        const [one, two, three] = await Promise.all([
            opened({ files: { "index.ts": script }, config: { who: "one" } }),
            opened({ files: { "index.ts": script }, config: { who: "two" } }),
            opened({ files: { "index.js": program("three") } }),
        ]);
        await Promise.all([one.up(), two.up(), three.up()]);
        expect(await one.outputs()).toEqual({ who: "one", arch: process.arch });
        expect(await two.outputs()).toEqual({ who: "two", arch: process.arch });
        expect(await three.outputs()).toMatchObject({ greeting: "three" });
    });

    it("takes an up without any resource for a failure, unless that is wanted", async () => {
        const empty = await opened({ files: { "index.js": "" } });
        await expect(empty.up()).rejects.toThrow("the stack has no resource");
        await empty.up([], { allowEmpty: true });
    });

    it("shows what pulumi printed when a program fails", async () => {
        // Not thrown at the top level: on Node 20.20 Pulumi would hang printing that stack (nodejs/node#64011).
        const script = `const burn = () => { throw new Error("the roof is on fire"); };\nburn();`;
        const broken = await opened({ files: { "index.js": script } });
        await expect(broken.up()).rejects.toThrow(/pulumi up .* ended with \d+:[^]*the roof is on fire/);
        const { code, all } = await broken.up([], { allowFailure: true });
        expect(code).not.toBe(0);
        expect(all).toContain("the roof is on fire");
    });

    it("ends a pulumi that hangs, and all that it started", async () => {
        const hanging = await opened({ files: { "index.js": "for (;;);" } });
        await expect(hanging.up([], { timeoutMs: 6_000 })).rejects.toThrow("took longer than 6000 ms");
        hanging.close();
        const running = execFileSync("ps", ["-e", "-o", "args"], { encoding: "utf8" });
        expect(running).not.toContain(hanging.folder);
    });
});
