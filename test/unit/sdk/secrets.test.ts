import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import * as nvi from "../../../sdk";
import { inClear, mocked, plain, settled, type Registered } from "./mocks";

/*
 * What programs write as a literal is a secret in all that the engine gets. Mocks are given a property as secret that has a
 * secret anywhere in it, so each credential is written by itself; test/e2e/secrets-state.test.ts sees how deep they are.
 */

let registered: Registered[] = [];
beforeAll(async () => {
    registered = await mocked();
});

/** Registers a router and something on it; gives the reach of the one and of the other. */
async function register(name: string, connection: nvi.RouterArgs["connection"]): Promise<unknown[]> {
    const router = new nvi.Router(name, { connection });
    const device = new nvi.Interface(`${name}-nvi0`, { router });
    await settled(pulumi.all([router.facts, device.rendered]));
    const inputs = (type: string, of: string) => registered.find((one) => one.type === type && one.name === of)!.inputs;
    const { __provider: _, ...own } = inputs("Router", name);
    return [own, inputs("Interface", `${name}-nvi0`).router];
}

const CREDENTIALS = ["password", "privateKey", "privateKeyPassword"] as const;
const PLACES: Record<string, (hop: { host: string }) => nvi.RouterArgs["connection"]> = {
    "the router": (hop) => hop,
    "a router whose connection is an output": (hop) => pulumi.output(hop),
    "a proxy": (proxy) => ({ host: "edge", proxy }),
    "a chain of proxies": (proxy) => ({ host: "edge", proxy: [{ host: "first" }, proxy] }),
    "a chain with an output": (proxy) => ({ host: "edge", proxy: [{ host: "first" }, pulumi.output(proxy)] }),
    "a proxy that is an output": (proxy) => ({ host: "edge", proxy: pulumi.output(proxy) }),
    "a proxy that is a promise": (proxy) => ({ host: "edge", proxy: Promise.resolve(proxy) }),
};

describe.each(Object.entries(PLACES))("a credential of %s", (place, connection) => {
    it.each(CREDENTIALS)("is a secret, and arrives as written: %s", async (credential) => {
        for (const reach of await register(`${place} ${credential}`, connection({ host: "there", [credential]: "hush" }))) {
            expect(JSON.stringify(inClear(reach))).not.toContain("hush");
            expect(JSON.stringify(plain(reach))).toContain(`{"host":"there","${credential}":"hush"}`);
        }
    });
});

describe("what is no credential", () => {
    it("is in clear, and nothing is made up", async () => {
        const connection = { host: "edge", user: "ops", port: 2222, hostKey: "SHA256:x", privateKeyPath: "~/.ssh/edge", proxy: { host: "bastion" } };
        for (const reach of await register("agent", connection)) expect(inClear(reach)).toEqual({ name: "agent", connection });
    });

    it("stands beside sudo's password, which is", async () => {
        const router = new nvi.Router("sudo", { connection: { host: "edge" }, sudoPassword: "hush" });
        await settled(router.facts);
        expect(registered.find(({ name }) => name === "sudo")!.inputs).toMatchObject({ connection: { host: "edge" }, sudoPassword: expect.not.stringContaining("hush") });
    });
});

describe("what will be on the router", () => {
    const registeredFor = async (name: string, more: { pool: pulumi.Input<string>; checks?: nvi.OnRouterArgs["checks"] }) => {
        const router = new nvi.Router(`${name}-edge`, { connection: { host: "edge", password: "hush" } });
        const { pool, checks } = more;
        const nat = new nvi.TwoStageNat(name, { router, checks, inside: ["lan0"], uplinks: { isp1: {} }, translations: [{ kind: "snat", from: "10.0.0.0/24", to: { pool, uplink: "isp1" } }] });
        await settled(nat.rendered);
        return registered.find((one) => one.name === name)!.inputs;
    };

    it("is a secret where it is made of one, which check would write out", async () => {
        expect(inClear(await registeredFor("hidden", { pool: pulumi.secret("198.51.100.7") }))).toMatchObject({ rendered: "(secret)" });
    });

    it("is none for the router's credentials, nor for a check's", async () => {
        expect(await registeredFor("open", { pool: "198.51.100.7", checks: [{ kind: "command", command: pulumi.secret("curl -u me:hush") }] })).not.toHaveProperty("rendered");
    });
});
