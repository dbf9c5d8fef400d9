import { describe, expect, it } from "vitest";
import { diff } from "../../../provider";
import { UNKNOWN } from "../../../provider/model/unknown";
import { wire } from "../resources/samples";

const olds = wire("route-table", { name: "isp1", table: 7101, interface: "nvi0", routes: [{ to: "0.0.0.0/0", via: "198.51.100.1", device: "isp1" }] });
const unchanged = { changes: false, replaces: [], deleteBeforeReplace: false };

describe("a diff", () => {
    it.each([
        ["a default", { closed: true, rules: [], backend: "rules", interfacePriority: 1000 }],
        ["one inside of a list", { routes: [{ to: "0.0.0.0/0", via: "198.51.100.1", device: "isp1", type: "unicast" }] }],
        ["nothing, in the place of a default", { rules: undefined }],
    ])("is empty where %s is written out", async (_, more) => {
        expect(await diff("route-table", "edge/route-table/isp1", olds, { ...olds, ...more })).toEqual(unchanged);
    });

    it.each([
        ["another value", { closed: false }],
        ["another value inside of a list", { routes: [{ to: "0.0.0.0/0", via: "198.51.100.1", device: "isp2" }] }],
        ["what is not known yet", { closed: UNKNOWN }],
        ["what a later look finds on the router", { rendered: { "table 7101": "other" } }],
    ])("is there for %s", async (_, more) => {
        expect(await diff("route-table", "edge/route-table/isp1", olds, { ...olds, ...more })).toEqual({ ...unchanged, changes: true });
    });

    it("replaces what has another table, the old one first", async () => {
        expect(await diff("route-table", "edge/route-table/isp1", olds, { ...olds, table: 7102 })).toEqual({ changes: true, replaces: ["table"], deleteBeforeReplace: true });
    });
});
