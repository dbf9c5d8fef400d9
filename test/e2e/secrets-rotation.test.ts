import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, keygen } from "../lab";
import { officeInputs, piecesProgram, routerArgs, setup, type Setup } from "./office";
import { figure } from "../lab/figure";

/* What resources cost the state and sshd, and keys that change under a stack that stands. */

let s: Setup;
beforeAll(async () => {
    s = await setup(piecesProgram);
});
afterAll(async () => await s?.stop());

const PROVIDER = "__provider";

describe("an office of single resources", () => {
    it("comes over one SSH connection and one more to confirm each of its six transactions, and is read over one", async () => {
        const { lab, stack } = s;
        for (const [operation, count] of [[() => stack.up(), 7], [() => stack.refresh(), 1]] as const) {
            const before = lab.sshd.count();
            await operation();
            const { connections, accepted, failed } = lab.sshd.count();
            expect([connections - before.connections, accepted - before.accepted, failed - before.failed]).toEqual([count, count, 0]);
        }
    });

    it("keeps less than 4 kB of provider's text a copy, and one text a kind", async () => {
        const { stdout } = await s.stack.run(["stack", "export", "--show-secrets"]);
        const { resources } = (JSON.parse(stdout) as Awaited<ReturnType<typeof s.stack.export>>).deployment;
        const dynamic = resources!.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/"));
        expect(dynamic).toHaveLength(7);
        const texts = dynamic.flatMap(({ type, inputs, outputs }) => [inputs, outputs].map((bag) => ({ type, text: JSON.stringify(bag![PROVIDER]) })));
        for (const { type, text } of texts) {
            expect(text, type).toContain("pulumi-nvi/provider");
            expect(Buffer.byteLength(text), type).toBeLessThan(4096);
        }
        const distinct = new Set(texts.map(({ type, text }) => `${type} ${text}`));
        expect(distinct.size).toBe(new Set(texts.map(({ type }) => type)).size);
        figure(`provider's text: ${Math.max(...texts.map(({ text }) => Buffer.byteLength(text)))} bytes a copy, ${texts.length} copies, ${distinct.size} texts`);
        await s.stack.destroy();
    });
});

const program = (connection: object): string => {
    const { hostKey, connection: { host, port, user } } = routerArgs(s.lab);
    return `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify({ hostKey, connection: { host, port, user, ...connection } })});
new nvi.TwoStageNat("office", { router, ...${JSON.stringify(officeInputs)} });`;
};

/** A key pair in the lab's folder, let in. */
async function newKey(name: string): Promise<{ file: string; text: string; publicKey: string }> {
    const file = join(s.lab.dir, name);
    const publicKey = await keygen(file);
    s.lab.authorize(publicKey);
    return { file, text: readFileSync(file, "utf8"), publicKey };
}

/** The router's configuration and its count of transactions. */
const standing = (): Promise<string> => s.lab.dump();

describe("a key that is rotated", () => {
    it("in the program: the new one is stored, nothing on the router is written, and the old one is not needed", async () => {
        const { lab, stack } = s;
        const [old, fresh] = [await newKey("old"), await newKey("fresh")];
        stack.write({ "index.js": program({ privateKey: old.text }) });
        await stack.up();
        const before = await standing();
        const generation = readFileSync(`${lab.machine.root}/etc/nvi/generation`, "utf8");

        lab.revoke(old.publicKey);
        stack.write({ "index.js": program({ privateKey: fresh.text }) });
        const preview = await stack.preview();
        expect(preview.all).toMatch(/2 to update/);
        expect((await stack.up()).all).toMatch(/2 updated/);
        expect(readFileSync(`${lab.machine.root}/etc/nvi/generation`, "utf8")).toBe(generation);
        expect(diffDumps(before, await standing())).toEqual([]);

        const refused = lab.sshd.count().failed;
        await stack.refresh();
        await stack.preview(["--expect-no-changes"]);
        await stack.destroy();
        expect(lab.sshd.count().failed - refused, "logins that were refused").toBe(0);
        expect(JSON.stringify(await stack.export())).not.toContain(fresh.text.split("\n")[2]);
    });

    it("in its file: no diff at all, and refresh and destroy go on", async () => {
        const { lab, stack } = s;
        const [old, fresh] = [await newKey("path-old"), await newKey("path-fresh")];
        const file = join(lab.dir, "in-use");
        copyFileSync(old.file, file);
        stack.write({ "index.js": program({ privateKeyPath: file }) });
        await stack.up();

        copyFileSync(fresh.file, file);
        lab.revoke(old.publicKey);
        await stack.preview(["--expect-no-changes"]);
        await stack.preview(["--refresh", "--expect-no-changes"]);
        await stack.destroy();
        expect(await stack.resources()).toEqual([]);
    });
});
