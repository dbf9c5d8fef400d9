import { beforeAll, expect, it } from "vitest";
import { check } from "../../../provider";
import * as nvi from "../../../sdk";
import { mocked, plain, settled, type Registered } from "./mocks";

let registered: Registered[] = [];

beforeAll(async () => {
    registered = await mocked();
    const router = new nvi.Router("edge", { connection: { host: "192.0.2.7" } });
    const tables = [undefined, 3000].map((priority, i) => {
        const nvi0 = new nvi.Interface(`nvi${i}`, { router, name: `nvi${i}`, ...(priority === undefined ? {} : { priority }) });
        return new nvi.RouteTable(`table${i}`, { router, interface: nvi0, table: 7101 + i, errors: "isp1", rules: [{ ingress: "lan0" }] });
    });
    for (const table of tables) await settled(table.rendered);
});

it.each([["its own default", 0, 1000], ["another", 1, 3000]])("takes its place in stage 2 by the interface's priority: %s", async (_, i, first) => {
    const { __provider: _provider, ...inputs } = plain(registered.find(({ name }) => name === `table${i}`)!.inputs) as Record<string, unknown>;
    const { failures, inputs: checked } = await check("route-table", {}, inputs);
    expect(failures).toEqual([]);
    const priorities = Object.keys(checked.rendered as object).flatMap((key) => / rule (\d+) /.exec(key)?.[1] ?? []);
    expect([...new Set(priorities.map(Number))].sort()).toEqual([first - 10, first + 100].sort());
});
