import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diagnosticsOf } from "../unit/model/screen";
import { officeInputs } from "./office";
import { type Stack, stack } from "./pulumi";

/* What is wrong with a program is said by `preview`, all of a resource at once, each fault with its property; no router is asked. */

let dev: Stack;
beforeAll(async () => {
    dev = await stack({ files: { "index.js": "" } });
});
afterAll(() => dev?.close());

const HUSH = "hush-hush-1234";
const connection = { host: "192.0.2.7", password: HUSH };

const program = (router: object, office: object): string => `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(router)});
new nvi.TwoStageNat("office", { router, ...${JSON.stringify(office)} });`;

/** The faults of a failing preview, as \`property: reason\`. */
async function faultsOf(router: object, office: object): Promise<{ shown: string; all: string; faults: Record<string, string> }> {
    dev.write({ "index.js": program(router, office) });
    const { code, all } = await dev.preview([], { allowFailure: true });
    expect(code, all).not.toBe(0);
    const shown = diagnosticsOf(all);
    const found = [...shown.matchAll(/ has a problem: property (\S+) (.*)$/gm)];
    return { shown, all, faults: Object.fromEntries(found.map(([, property, reason]) => [property!, reason!])) };
}

describe("preview", () => {
    it("shows all faults of a resource, each with its property, on one screen", async () => {
        const { isp1, isp2 } = officeInputs.uplinks;
        const [snat, dnat] = officeInputs.translations;
        const { shown, all, faults } = await faultsOf({ connection }, {
            inside: ["lan0", "a-name-too-long0", "nvi0p"],
            uplinks: { isp1: { ...isp1, gateway: isp1.addresses[0] }, isp2: { ...isp2, gatway: "203.0.113.1" } },
            translations: [
                { ...snat, from: "10.0.0.1/24" },
                { ...dnat, port: "tcp/8090-8080" },
                { kind: "snat", from: "10.1.0.0/24", to: { pool: "198.51.100.8/29", uplink: "isp1" } },
                { kind: "static", on: "isp3", inside: "10.0.0.20", outside: "198.51.100.9" },
            ],
            mtu: "1500",
        });
        console.log(shown);
        expect(faults).toEqual({
            "inside[1]": "has 16 characters; an interface name has at most 15",
            "inside[2]": "is the NVI itself: what comes out of it would go in again",
            "uplinks.isp1.gateway": "is an address of the uplink itself: packets would come back to the router",
            "uplinks.isp2.gatway": "is no property here",
            "translations[0].from": "has bits set beyond the prefix length; the prefix is 10.0.0.0/24",
            "translations[1].port": "is upside down: the first port is above the last",
            "translations[3].on": "is no uplink; there are: isp1, isp2",
            "translations[3].outside": "overlaps with the pool of translations[2]",
            mtu: "is not a number",
        });
        expect(shown.split("\n").length, shown).toBeLessThanOrEqual(24);
        expect(all).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
    });

    it("shows no credential, not even of a connection that is wrong", async () => {
        const { all, faults } = await faultsOf({ connection: { ...connection, passwort: HUSH, privateKey: [HUSH] } }, officeInputs);
        expect(faults).toEqual({ "connection.passwort": "is no property here", "connection.privateKey": "is not a string" });
        expect(all).not.toContain(HUSH);
    });

    it.each([
        { what: "sudo password", router: { connection, sudoPassword: { text: HUSH } }, says: "sudoPassword is not a string" },
        { what: "connection", router: { connection: HUSH }, says: "connection is not an object" },
        { what: "secret elsewhere", router: { connection }, office: { ...officeInputs, address: HUSH }, says: "address is not" },
    ])("shows nothing of a $what that is wrong", async ({ router, office = officeInputs, says }) => {
        const { shown, all } = await faultsOf(router, office);
        expect(shown).toContain(says);
        expect(all).not.toContain(HUSH);
    });
});
