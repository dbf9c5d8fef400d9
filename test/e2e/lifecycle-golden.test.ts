import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Files, Host } from "../../provider/host/host";
import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import { ensure } from "../../provider/reconcile/engine";
import { diffDumps, Lab } from "../lab";
import { bothProgram, desiredFrom } from "./lifecycle-pieces";
import { routerArgs } from "./office";
import { root } from "./project";
import { stack, type Stack } from "./pulumi";

/*
 * A state and two routers as an older build left them: today's build refreshes, updates and destroys them. Made by
 *
 *   NVI_GOLDEN=v1 npx vitest run --config test/vitest.config.mts test/e2e/lifecycle-golden.test.ts
 *
 * and never again for the same version: a newer build writes another one beside it. state-*.json is `pulumi stack export`
 * with placeholders for what differs from lab to lab; router-*.json is what went to the routers, transaction by transaction.
 */
const VERSIONS = ["v1"];
const file = (what: "state" | "router", version: string): string => join(root, "test", "golden", `${what}-${version}.json`);

/** One transaction, on the first or the second router. */
interface Sent {
    router: number;
    files: Files;
}

let labs: [Lab, Lab];
let dev: Stack;
beforeAll(async () => {
    labs = [await Lab.start(), await Lab.start({ forwarding: false, rpFilter: 1 })];
    dev = await stack({ files: { "index.js": bothProgram(labs) } });
});
afterAll(async () => {
    dev?.close();
    await Promise.all(labs.map(async (lab) => await lab.stop()));
});

/** What stands for a lab's own values in a stored state. */
const placeholders = (): [string, string][] => labs.flatMap((lab, i) => [
    [`"port": ${lab.ssh.port}`, `"port": "@PORT${i}@"`], [lab.ssh.privateKeyPath, `@KEY${i}@`], [lab.ssh.hostKey, `@HOSTKEY${i}@`],
] as [string, string][]);
const stored = (text: string): string => placeholders().reduce((all, [real, mark]) => all.replaceAll(real, mark), text);
const restored = (text: string): string => placeholders().reduce((all, [real, mark]) => all.replaceAll(mark, real), text);

/** Where in the program a resource is made, by paths of the machine that it was made on. */
const withoutPositions = (key: string, value: unknown): unknown => (["sourcePosition", "stackTrace"].includes(key) ? undefined : value);

const writing = process.env.NVI_GOLDEN;
if (writing) it("write a golden state", async () => await writeGolden(writing));
else it.each(VERSIONS)("the state and routers of %s are refreshed, updated and destroyed by today's build", readGolden);

async function writeGolden(version: string): Promise<void> {
    await dev.up();
    writeFileSync(file("state", version), stored(`${JSON.stringify(await dev.export(), withoutPositions, 2)}\n`));
    const resources = await dev.resources();
    await dev.destroy();
    const sent: Sent[] = [];
    const pool = new Pool();
    for (const { type, inputs = {}, id } of resources.filter((one) => !one.type.endsWith(":Router"))) {
        const router = id!.startsWith("whole/") ? 1 : 0;
        await ensure(recording(new Router({ name: "edge", ...routerArgs(labs[router]!) }, pool), (files) => sent.push({ router, files: Object.fromEntries(Object.entries(files).filter(([name]) => /^(?:manifest|meta|steps|.*\.nft)$/.test(name))) })), desiredFrom(type, inputs));
    }
    pool.closeAll();
    writeFileSync(file("router", version), `${JSON.stringify(sent, undefined, 2)}\n`);
}

function recording(host: Host, record: (files: Files) => void): Host {
    return {
        label: host.label, confirmTimeout: host.confirmTimeout, call: async (verb, files) => await host.call(verb, files),
        apply: async (files) => {
            record(files);
            return await host.apply(files);
        },
    };
}

/** Carries out what an older build sent, without the router-side script of today. */
async function replay({ router, files }: Sent, n: number): Promise<void> {
    const { manifest = "", meta = "", steps = "" } = files;
    const folder = `/etc/nvi/objects/${/^object (.*)$/m.exec(meta)![1]}`;
    const commands = steps.split("\n").filter((line) => line.startsWith("do\t")).map((line) => line.split("\t").slice(1)).map(([tool, ...words]) => {
        if (tool === "put" || tool === "put-unless") return `echo ${words[1]} > /proc/sys/${words[0]}`;
        return [tool, ...words.map((word) => `'${word}'`)].join(" ");
    });
    const texts = Object.entries(files).filter(([name]) => name.endsWith(".nft")).map(([name, text]) => `cat > ${name} <<'END'\n${text}END`);
    const script = ["set -e; umask 077; work=$(mktemp -d); cd $work", ...texts, ...commands, `mkdir -p ${folder}; cat > ${folder}/manifest <<'END'`, manifest, "END", `echo ${n} > /etc/nvi/generation; rm -r $work`];
    await labs[router]!.router.sh(script.join("\n"));
}

async function readGolden(version: string): Promise<void> {
    const before = await Promise.all(labs.map(async (lab) => await lab.dump()));
    const sent = JSON.parse(readFileSync(file("router", version), "utf8")) as Sent[];
    for (const [i, one] of sent.entries()) await replay(one, i + 1);
    const state = join(dev.base, "golden.json");
    writeFileSync(state, restored(readFileSync(file("state", version), "utf8")));
    await dev.run(["stack", "import", "--file", state]);
    const urns = (await dev.resources()).map(({ urn }) => urn);
    expect(urns).toHaveLength(2 + sent.length);

    await dev.refresh();
    expect((await dev.resources()).map(({ urn }) => urn)).toEqual(urns);
    const result = await dev.up();
    expect(result.all, "nothing may be made anew").not.toMatch(/\d+ (?:replaced|created|deleted)/);
    await dev.preview(["--refresh", "--expect-no-changes", "--diff"]);
    await dev.destroy();
    const after = await Promise.all(labs.map(async (lab) => await lab.dump()));
    expect(after.flatMap((dump, i) => diffDumps(before[i]!, dump))).toEqual([]);
}
