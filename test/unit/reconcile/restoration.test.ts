import { describe, expect, it } from "vitest";
import { ensure, renderedOf } from "../../../provider/reconcile/engine";
import { bootKind } from "../../../provider/reconcile/kinds/boot";
import { facts } from "../../../provider/reconcile/facts";
import { restoration } from "../../../provider/reconcile/restoration";
import { resourceOf } from "../../../provider/resources";
import type { Boot, Link, Module, Routes } from "../../../provider/syntax/artifact";
import { commandsIn, FakeRouter } from "./fake-router";
import { commandsOf, planning, undoOf } from "./planning";
import { OWNER, diversion, forwarding, guard, loose, object } from "./things";

const words = (text: string) => text.split("\n").filter((line) => line.startsWith("do\t")).map((line) => line.split("\t").slice(1));
const manifest = (artifacts: Parameters<typeof object>, saved: Record<string, string> = {}) => ({ version: 1 as const, object: "nat-stage.main", owner: OWNER, artifacts, nics: [], saved });

describe("what a restart took", () => {
    it("is brought back by the commands that made it, in the same order", async () => {
        const all = object(forwarding, diversion, guard, loose);
        const router = new FakeRouter();
        await ensure(router, all);
        const text = restoration(manifest(all.artifacts));
        const sorted = words(text).sort(([a], [b]) => Number(a) - Number(b)).map(([, , , ...command]) => command);
        expect(sorted).toEqual(commandsIn(router.applied[0]!));
        expect(router.applied[0]!.manifest!.split("\n").slice(1).join("\n")).toBe(text);
    });

    it("waits for NICs where it can't be without one", () => {
        expect(words(restoration(manifest([forwarding, diversion, guard, loose]))).map(([, , when, tool]) => `${when} ${tool}`)).toEqual(["early put", "early ip", "early nft", "late put-unless"]);
    });

    it("has the whole table, which replaces one that is there", () => {
        const lines = restoration(manifest([guard])).split("\n");
        const file = lines.filter((line) => line.startsWith("+")).map((line) => line.slice(1));
        expect(lines[0]).toBe("file\tnvi_nat_main.nft");
        expect(file.slice(0, 3)).toEqual(["table inet nvi_nat_main", "delete table inet nvi_nat_main", "table inet nvi_nat_main {"]);
        expect(file).toHaveLength(lines.length - 3);
    });

    it("has the module loaded, not built, and devices of ours without waiting", () => {
        const module: Module = { kind: "module", phase: "device", version: "0.1.0", install: true };
        const link: Link = { kind: "link", phase: "device", name: "nvi0", mtu: 65535, mac: "02:6e:00:00:00:01" };
        const into: Routes = { kind: "routes", phase: "stage1", table: 7700, routes: [{ family: 4, table: 7700, to: "default", type: "unicast", hops: [{ dev: "nvi0" }] }] };
        const told = words(restoration(manifest([module, link, into])));
        expect(told[0]).toEqual(["0", "0", "early", "module-load", "0.1.0"]);
        expect(told.every(([, , when]) => when === "early")).toBe(true);
        expect(told.at(-1)!.join(" ")).toBe("27 0 early ip -4 route add default table 7700 protocol 78 dev nvi0");
    });

    it("replaces what is left of an IPv6 route that lost a next hop with its NIC", () => {
        const hops = [{ dev: "isp1", via: "2001:db8:1::1" }, { dev: "isp2", via: "2001:db8:2::1" }];
        const both: Routes = { kind: "routes", phase: "stage2", table: 7700, routes: [{ family: 6, table: 7700, to: "default", type: "unicast", hops }, { family: 6, table: 7700, to: "2001:db8:5::/64", type: "unicast", hops: hops.slice(1) }] };
        expect(words(restoration(manifest([both]))).map(([, , when, , , , verb, to]) => `${when} ${verb} ${to}`)).toEqual(["late replace default", "late add 2001:db8:5::/64"]);
    });

    it("has accept_ra where the router lives by advertisements, when that NIC is there", () => {
        const six = { ...forwarding, path: "net/ipv6/conf/all/forwarding" };
        const told = words(restoration(manifest([six], { "net/ipv6/conf/isp1/accept_ra": "1" }))).sort(([a], [b]) => Number(a) - Number(b));
        expect(told.map(([, , ...rest]) => rest.join(" "))).toEqual(["late put-if-there net/ipv6/conf/isp1/accept_ra 2", "early put net/ipv6/conf/all/forwarding 1"]);
    });

    it("has accept_ra of a device of its own without waiting", () => {
        const six = { ...forwarding, path: "net/ipv6/conf/all/forwarding" };
        const link: Link = { kind: "link", phase: "device", name: "nvi0", mtu: 65535, mac: "02:6e:00:00:00:01" };
        const told = words(restoration(manifest([link, six], { "net/ipv6/conf/nvi0/accept_ra": "1" })));
        expect(told.map(([, , when]) => when)).toEqual(told.map(() => "early"));
    });

    it("leaves a NIC's value that does as well, but not one of a device that it makes", () => {
        const own = { ...loose, phase: "device" as const, path: "net/ipv4/conf/nvi0p/rp_filter", value: "0", accept: ["2"], transient: true };
        expect(words(restoration(manifest([loose, own]))).map(([, , , ...command]) => command.join(" "))).toEqual(["put-unless net/ipv4/conf/isp1/rp_filter 2 0", "put net/ipv4/conf/nvi0p/rp_filter 0"]);
    });
});

describe("what the router itself calls", () => {
    const boot: Boot = { kind: "boot", phase: "forward" };
    const on = (state: "there" | "missing" | "none") => planning({ boot: state });

    it("is made where it is missing, shown as such, and no difference where nothing would call it", () => {
        expect([commandsOf(bootKind.ensure(boot, on("missing"))), undoOf(bootKind.ensure(boot, on("missing")))]).toEqual([["boot on"], []]);
        for (const state of ["there", "none"] as const) {
            expect(bootKind.ensure(boot, on(state))).toEqual([]);
            expect(bootKind.observed(boot, on(state).snapshot)).toEqual(bootKind.entries(boot));
        }
        expect(bootKind.observed(boot, on("missing").snapshot)).toEqual({});
    });

    it("is left to the script, which takes it away with the last object", () => {
        expect(bootKind.remove(boot, on("there"))).toEqual([]);
    });

    it.each([["systemd", "systemd"], ["sysvinit", "init script"], ["openrc", "init script"], ["", "nothing"]])("is told as what it is where things are started by %o", async (init, restores) => {
        const router = new FakeRouter();
        router.init = init;
        expect(await facts(router)).toMatchObject({ restores });
    });

    it("is part of every object", () => {
        const inputs = { name: "inwards", table: "main", interface: "nvi0", backend: "rules", routes: [], rules: [], closed: true };
        expect(renderedOf({ owner: OWNER, artifacts: resourceOf("route-table").render(inputs as never).artifacts })).toMatchObject({ "at boot": "restored" });
    });
});
