import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import * as nvi from "../../../sdk";
import type { Ground } from "../../../provider/model/module";
import { settled } from "./mocks";

const able: Ground = { loadable: true, signed: false, key: false, tools: ["dkms", "make", "gcc"], headers: true, apt: true };

/** The backend that `auto` comes to, by the facts that the router's state has. */
async function chosen(facts: unknown): Promise<unknown> {
    await pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: facts === undefined ? inputs : { ...inputs, facts } }), call: () => ({}) }, "mocked", "dev");
    const router = new nvi.Router("edge", { connection: { host: "192.0.2.7" } });
    return settled(new nvi.Interface("nvi0", { router, backend: "auto" }).backend);
}

describe("the backend auto", () => {
    it.each<[string, unknown, string]>([
        ["the module where the router can have it", { kernel: "6.1.0-56-amd64", module: able }, "module"],
        ["the rules where it can't", { kernel: "5.5.0", module: able }, "rules"],
        ["the rules where an older state says nothing of the module", { kernel: "6.1.0-56-amd64" }, "rules"],
        ["the rules where a program's mocks give no facts", undefined, "rules"],
    ])("is %s", async (_, facts, backend) => expect(await chosen(facts)).toBe(backend));
});
