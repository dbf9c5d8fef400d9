import { expect, it } from "vitest";
import { packBundle } from "../../../provider/host/wire";
import { kindOf } from "../../../provider/reconcile/kinds";
import { resourceOf } from "../../../provider/resources";
import type { Table } from "../../../provider/syntax/artifact";
import { parseTable } from "../../../provider/syntax/nft";
import { planning } from "../reconcile/planning";
import { listing } from "../reconcile/fake-router";

/** The rules of a forward that is for these sources. */
function forward(from: string[]): string[] {
    const { schema, render } = resourceOf("nat-stage");
    const dnat = { kind: "dnat", on: "isp1", port: "tcp/443", to: "10.0.0.80", from };
    const { artifacts } = render(schema.parse({ inside: ["lan0"], uplinks: { isp1: { addresses: ["198.51.100.2"] } }, translations: [dnat] }));
    const table = artifacts.find((one): one is Table => one.kind === "table")!;
    return table.chains.find(({ name }) => name === "dstnat")!.rules.filter(({ id }) => id.startsWith("translations")).map(({ text }) => text);
}

it("a forward for everybody names no sources, and overlapping sources are the widest of them: nft refuses anything else", () => {
    const rest = "ip daddr 198.51.100.2 tcp dport 443 dnat ip to 10.0.0.80";
    expect(forward(["0.0.0.0/0"])).toEqual([rest]);
    expect(forward(["192.0.2.0/24", "0.0.0.0/0"])).toEqual([rest]);
    expect(forward(["192.0.2.7", "192.0.2.0/24", "192.0.2.0/024"])).toEqual([`ip saddr 192.0.2.0/24 ${rest}`]);
});

it("a device's name may have capitals, and with it the names of files", () => {
    expect(packBundle({ "nvi_if_NVI0.want": "" }).toString()).toBe("nvi_if_NVI0.want 0\n\n");
});

it("a wanted table that the router's nft lists in part is nothing to compare with", () => {
    const table: Table = { kind: "table", phase: "stage1", name: "nvi_x", chains: [{ name: "one", rules: [{ id: "a", text: "accept" }] }] };
    const partial = parseTable(listing("table inet nvi_x {\n\tchain one {\n\t}\n}\n"));
    const { snapshot } = planning({ tables: new Map([["nvi_x", partial]]), canonical: new Map([["nvi_x", partial]]) });
    expect(() => kindOf(table).observed(table, snapshot)).toThrow("its nft lists chain one of the wanted table inet nvi_x with 0 rules");
});
