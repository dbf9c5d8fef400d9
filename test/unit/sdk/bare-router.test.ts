import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { check } from "../../../provider";
import * as nvi from "../../../sdk";
import { inClear, mocked, plain, settled, type Registered } from "./mocks";

/* The example in which `remote.Command` prepares a router for `Router`, with one connection object, without any engine. */

const FILE = new URL("../../../examples/bare-router/index.ts", import.meta.url);
const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----";
const CONNECTION = { host: "192.0.2.7", user: "root", hostKey: "ssh-ed25519 AAAA", privateKey: KEY };

let registered: Registered[] = [];

beforeAll(async () => {
    registered = await mocked();
    pulumi.runtime.setAllConfig({ "mocked:host": CONNECTION.host, "mocked:hostKey": CONNECTION.hostKey, "mocked:privateKey": KEY }, ["mocked:privateKey"]);
    const { outputText } = ts.transpileModule(readFileSync(FILE, "utf8"), { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 } });
    const modules: Record<string, unknown> = { "@pulumi/command": command, "@pulumi/pulumi": pulumi, "pulumi-nvi": nvi };
    const module = { exports: {} as { rendered: pulumi.Output<unknown> } };
    new Function("require", "module", "exports", outputText)((name: string) => modules[name] ?? createRequire(FILE)(name), module, module.exports);
    await settled(module.exports.rendered);
});

const inputsOf = (type: string): Record<string, unknown> => {
    const found = registered.find((one) => one.type === type);
    if (!found) throw new Error(`no ${type} among ${registered.map((one) => one.type).join(", ")}`);
    const { __provider: _, ...inputs } = found.inputs;
    return inputs;
};

describe("examples/bare-router", () => {
    it("registers the command, then the router, then what is on it", () => {
        expect(registered.map(({ type, name }) => `${type} ${name}`)).toEqual(["Command packages", "Router edge", "TwoStageNat branch"]);
    });

    it("gives one connection to the command and to the router", () => {
        expect(plain(inputsOf("Command"))).toMatchObject({ connection: CONNECTION });
        expect(plain(inputsOf("Router"))).toEqual({ name: "edge", connection: CONNECTION });
        expect(plain(inputsOf("TwoStageNat"))).toMatchObject({ router: { name: "edge", connection: CONNECTION } });
    });

    it("registers inputs that check accepts", async () => {
        for (const [kind, type] of [["router", "Router"], ["two-stage-nat", "TwoStageNat"]] as const) {
            expect((await check(kind, {}, plain(inputsOf(type)) as Record<string, unknown>)).failures).toEqual([]);
        }
    });

    it("keeps the key a secret", () => {
        for (const type of ["Router", "TwoStageNat"]) expect(JSON.stringify(inClear(inputsOf(type)))).not.toContain("PRIVATE KEY");
    });
});
