import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import * as nvi from "../../../sdk";
import { inClear, mocked, plain, settled, type Registered } from "./mocks";

/*
 * What programs write as a literal is a secret in all that the engine gets. How deep in a property it is secret doesn't show
 * here, for mocks are given the whole property as one; test/e2e/secrets-state.test.ts looks at that.
 */

let registered: Registered[] = [];
beforeAll(async () => {
    registered = await mocked();
});

const hop = (where: string) => ({ host: where, user: "ops", port: 2222, hostKey: "SHA256:x", password: `${where} hush-1`, privateKey: `${where} hush-2`, privateKeyPassword: `${where} hush-3` });

/** Registers a router and something on it; gives the reach of the one and of the other. */
async function register(name: string, connection: nvi.ConnectionArgs): Promise<unknown[]> {
    const router = new nvi.Router(name, { connection, sudoPassword: "hush-4" });
    const device = new nvi.Interface(`${name}-nvi0`, { router });
    await settled(pulumi.all([router.facts, device.rendered]));
    const inputs = (type: string, of: string) => registered.find((one) => one.type === type && one.name === of)!.inputs;
    const { __provider: _, ...own } = inputs("Router", name);
    return [own, inputs("Interface", `${name}-nvi0`).router];
}

describe("credentials", () => {
    it.each<[string, nvi.ConnectionArgs["proxy"], unknown]>([
        ["one", hop("bastion"), hop("bastion")],
        ["chain", [hop("first"), pulumi.output(hop("second"))], [hop("first"), hop("second")]],
        ["output", pulumi.output(hop("bastion")), hop("bastion")],
        ["promise", Promise.resolve(hop("bastion")), hop("bastion")],
    ])("are secrets, those of proxies too, and arrive as written: %s", async (name, proxy, arrived) => {
        for (const reach of await register(name, { ...hop("edge"), proxy })) {
            expect(JSON.stringify(inClear(reach))).not.toContain("hush");
            expect(plain(reach)).toEqual({ name, connection: { ...hop("edge"), proxy: arrived }, sudoPassword: "hush-4" });
        }
    });

    it("that are not there are not made up", async () => {
        for (const reach of await register("agent", { host: "edge" })) expect(plain(reach)).toEqual({ name: "agent", connection: { host: "edge" }, sudoPassword: "hush-4" });
    });
});
