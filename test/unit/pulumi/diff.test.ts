import { describe, expect, it } from "vitest";
import { diff } from "../../../provider";
import { UNKNOWN } from "../../../provider/model/unknown";
import { wire, type Inputs } from "../resources/samples";

const olds = wire("nat-stage", { name: "office", interface: "nvi0", inside: ["lan0"], uplinks: { isp1: {} } });
const diffOf = async (more: Inputs) => await diff("nat-stage", "edge/nat-stage/office", olds, { ...olds, ...more });

describe("a diff", () => {
    it("is empty where nothing is, in the place of nothing", async () => {
        expect(await diffOf({ translations: undefined, insidePrefixes: null })).toEqual({ changes: false, replaces: [], deleteBeforeReplace: false });
    });

    it.each<[string, Inputs]>([
        ["another value", { inside: ["lan1"] }],
        ["another value inside of another", { uplinks: { isp1: { weight: 2 } } }],
        ["what is not known yet", { priority: UNKNOWN }],
        ["what a look at the router found", { rendered: { owner: "somebody" } }],
        ["a default that is written out", { table: 7700 }],
        ["a router of which nothing is known yet", { router: UNKNOWN }],
    ])("is an update for %s", async (_, more) => {
        expect(await diffOf(more)).toEqual({ changes: true, replaces: [], deleteBeforeReplace: false });
    });

    it.each<[string, Inputs, string]>([
        ["another route table", { table: 7800 }, "table"],
        ["a route table that is not known yet", { table: UNKNOWN }, "table"],
        ["another router", { router: { name: "other", connection: { host: "192.0.2.7" } } }, "router"],
    ])("makes it anew for %s, and takes the old one away first", async (_, more, by) => {
        expect(await diffOf(more)).toEqual({ changes: true, replaces: [by], deleteBeforeReplace: true });
    });
});
