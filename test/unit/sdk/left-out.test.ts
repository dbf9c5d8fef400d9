import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import * as nvi from "../../../sdk";
import { inClear, mocked, plain, settled, type Registered } from "./mocks";

/* Wrappers pass on what they were not given, as undefined or as an output of it: that is the default, as if nothing were written. */

let registered: Registered[] = [];
beforeAll(async () => {
    registered = await mocked();
});

const NOTHING: [string, () => undefined][] = [
    ["undefined", () => undefined],
    ["an output of undefined", () => pulumi.output(undefined) as never],
    ["a secret undefined", () => pulumi.secret(undefined) as never],
];

function inputsOf(type: string, name: string): Record<string, unknown> {
    const { __provider: _, ...inputs } = registered.find((one) => one.type === type && one.name === name)!.inputs;
    return inputs;
}

describe.each(NOTHING)("%s", (what, nothing) => {
    const called = what.replaceAll(" ", "-");

    it("as a name is the resource's own", async () => {
        const router = new nvi.Router(`${called}-edge`, { connection: { host: "edge" }, name: nothing() });
        const nvi0 = new nvi.Interface(`${called}-nvi`, { router, name: nothing() });
        const table = new nvi.RouteTable(`${called}-table`, { router, name: nothing(), interface: nvi0, table: 7101 });
        await settled(pulumi.all([nvi0.rendered, table.rendered]));
        expect(plain(inputsOf("Router", `${called}-edge`))).toEqual({ name: `${called}-edge`, connection: { host: "edge" } });
        expect(plain(inputsOf("Interface", `${called}-nvi`))).toMatchObject({ name: "nvi0", router: { name: `${called}-edge` } });
        expect(plain(inputsOf("RouteTable", `${called}-table`))).toMatchObject({ name: `${called}-table`, interface: "nvi0" });
    });

    it("as a credential is none", async () => {
        const name = `${called}-open`;
        const router = new nvi.Router(name, { connection: { host: "edge", password: nothing(), proxy: { host: "bastion", privateKey: nothing() } }, sudoPassword: nothing() });
        await settled(router.facts);
        expect(inClear(inputsOf("Router", name))).toEqual({ name, connection: { host: "edge", proxy: { host: "bastion" } } });
    });
});
