import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { order } from "../../../provider/reconcile/kind";
import { moduleKind } from "../../../provider/reconcile/kinds/module";
import { ruleKind } from "../../../provider/reconcile/kinds/rule";
import { settingKind } from "../../../provider/reconcile/kinds/setting";
import { ahead, lossOf } from "../../../provider/reconcile/loss";
import type { StoredObject } from "../../../provider/reconcile/objects";
import type { ModuleFacts, Snapshot } from "../../../provider/reconcile/snapshot";
import type { Artifact, Link, Module, Routes, Rule, Setting } from "../../../provider/syntax/artifact";
import { commandsOf, finallyOf, planning, undoOf, upLink } from "./planning";
import { OWNER } from "./things";

const facts: ModuleFacts = { loadable: true, signed: false, key: false, tools: ["dkms", "make", "gcc"], headers: true, apt: true, kernels: new Map() };
const there: ModuleFacts = { ...facts, loaded: "0.1.0", installed: { version: "0.1.0", way: "dkms" } };
const wanted: Module = { kind: "module", phase: "device", version: "0.1.0", install: false };
const on = (module: ModuleFacts, more: Partial<Snapshot> = {}) => planning({ module, facts: { kernel: "6.1.0-56-amd64" }, ...more });
const stored = (key: string, ...artifacts: Artifact[]): StoredObject => ({ key, manifest: { version: 1, object: key, owner: OWNER, artifacts, nics: [], saved: {} }, pending: false });
/** Where an object of ours has had it before. */
const ours = (module: ModuleFacts) => on(module, { objects: [stored("interface.nvi0", wanted)] });

describe("the module", () => {
    it.each<[string, ModuleFacts, string[], string[], string[]?]>([
        ["as wanted", there, [], []],
        ["that is nowhere", facts,
            ["module-install 0.1.0 as-is", "module-load 0.1.0"], ["module-remove 0.1.0 dkms", "module-unload"]],
        ["that is unloaded", { ...there, loaded: undefined }, ["module-load 0.1.0"], ["module-unload"]],
        ["of another version of ours goes when all is confirmed", { ...there, loaded: "0.0.9", installed: { version: "0.0.9", way: "dkms" } },
            ["module-install 0.1.0 as-is", "module-unload", "module-load 0.1.0"],
            ["module-remove 0.1.0 dkms", "module-restore 0.0.9 dkms", "module-load 0.0.9", "module-unload"], ["module-remove 0.0.9 dkms"]],
        ["of ours that came by another way goes when all is confirmed, though it is of the same version", { ...there, installed: { version: "0.1.0", way: "prebuilt" } },
            ["module-install 0.1.0 as-is"], ["module-remove 0.1.0 dkms", "module-restore 0.1.0 prebuilt 6.1.0-56-amd64"], ["module-remove 0.1.0 prebuilt 6.1.0-56-amd64"]],
    ])("%s", (_, module, commands, undo, last = []) => {
        const steps = moduleKind.ensure(wanted, ours(module)).sort((a, b) => a.order - b.order);
        expect(commandsOf(steps)).toEqual(commands);
        expect(undoOf(steps)).toEqual(undo);
        expect(finallyOf(steps)).toEqual(last);
    });

    it("of another version is loaded again when its file is back", () => {
        const steps = moduleKind.ensure(wanted, on({ ...there, loaded: "0.0.9", installed: { version: "0.0.9", way: "prebuilt" } }));
        expect(undoOf(steps.reverse())).toEqual(["module-unload", "module-remove 0.1.0 dkms", "module-restore 0.0.9 prebuilt 6.1.0-56-amd64", "module-load 0.0.9"]);
    });

    it("comes with its source, which DKMS builds", () => {
        const [first] = moduleKind.ensure(wanted, on(facts));
        expect(Object.keys(first!.files!)).toEqual(expect.arrayContaining(["module.main.c", "module.nvi.h", "module.kbuild", "module.makefile", "module.dkms.conf"]));
        expect(first!.files!["module.dkms.conf"]).toContain('PACKAGE_VERSION="0.1.0"');
        expect(Object.values(first!.files!).join("")).toContain(`MODULE_VERSION("${wanted.version}")`);
    });

    it("goes whole, its file when all is confirmed; unless another object needs it, or a device of somebody else's", () => {
        expect(commandsOf(moduleKind.remove(wanted, on(there)))).toEqual(["module-unload-unused"]);
        expect(finallyOf(moduleKind.remove(wanted, on(there)))).toEqual(["module-remove-unloaded 0.1.0 dkms"]);
        expect(moduleKind.remove(wanted, { ...on(there), held: new Set([moduleKind.key(wanted)]) })).toEqual([]);
    });

    it("that was there before us stays, as far as it was there", () => {
        const context = on({ ...there, loaded: undefined });
        expect(commandsOf(moduleKind.ensure(wanted, context))).toEqual(["module-load 0.1.0"]);
        expect(context.saved).toEqual({ "module nvi installed": "0.1.0, built by DKMS" });
        expect(commandsOf(moduleKind.remove(wanted, { ...on(there), saved: context.saved }))).toEqual(["module-unload-unused"]);
    });

    it("that was there before us stays aside where ours replaces it; ours does not, where that is replaced in its turn", () => {
        const old: ModuleFacts = { ...there, loaded: "0.0.9", installed: { version: "0.0.9", way: "dkms" } };
        const context = on(old);
        expect(finallyOf(moduleKind.ensure(wanted, context))).toEqual([]);
        expect(context.saved).toEqual({ "module nvi": "0.0.9", "module nvi installed": "0.0.9, built by DKMS" });
        const later = moduleKind.ensure({ ...wanted, version: "0.2.0" }, { ...ours(there), saved: context.saved });
        expect(finallyOf(later)).toEqual(["module-remove 0.1.0 dkms"]);
    });

    it("shows by whom it was built, and no more than there is", () => {
        expect(moduleKind.observed(wanted, on(there).snapshot)).toEqual(moduleKind.entries(wanted));
        expect(moduleKind.observed(wanted, on({ ...there, installed: { version: "0.1.0", way: "prebuilt" } }).snapshot)).toEqual({ "module nvi": "0.1.0", "module nvi installed": "0.1.0, prebuilt" });
        expect(moduleKind.observed(wanted, on(facts).snapshot)).toEqual({});
    });

    it("whose file can't be read is an error that names it", () => {
        const given = { ...wanted, prebuilt: { "6.1.0-56-amd64": "/nowhere/nvi.ko" } };
        expect(() => moduleKind.ensure(given, on(facts))).toThrow(/read the prebuilt module: ENOENT.*\/nowhere\/nvi\.ko/);
    });

    it("is put ahead where the router has another kernel of those that one is given for", () => {
        const file = join(mkdtempSync(join(tmpdir(), "nvi-module-")), "nvi.ko");
        writeFileSync(file, "a module");
        const given: Module = { ...wanted, prebuilt: { "6.1.0-56-amd64": file, "6.1.0-57-amd64": file, "6.12.1-arm64": file } };
        const with56 = (kernels: [string, string | undefined][]) => on({ ...there, installed: { version: "0.1.0", way: "prebuilt" }, kernels: new Map([["6.1.0-56-amd64", "0.1.0"], ...kernels]) }, { objects: [stored("interface.nvi0", given)] });
        expect(moduleKind.requests(given).lines).toEqual([["kernel", "6.1.0-56-amd64"], ["kernel", "6.1.0-57-amd64"], ["kernel", "6.12.1-arm64"]]);
        for (const nothing of [[], [["6.1.0-57-amd64", "0.1.0"]]] as [string, string][][]) {
            expect(moduleKind.observed(given, with56(nothing).snapshot)).toEqual(moduleKind.entries(given));
            expect(moduleKind.ensure(given, with56(nothing))).toEqual([]);
        }
        const first = moduleKind.ensure(given, with56([["6.1.0-57-amd64", undefined]]));
        expect([commandsOf(first), undoOf(first), finallyOf(first)]).toEqual([["module-install-prebuilt 0.1.0 6.1.0-57-amd64"], ["module-remove 0.1.0 prebuilt 6.1.0-57-amd64"], []]);
        expect(first[0]!.files).toEqual({ "nvi.ko.6.1.0-57-amd64.base64": Buffer.from("a module").toString("base64") });
        const later = moduleKind.ensure(given, with56([["6.1.0-57-amd64", "0.0.9"]]));
        expect([commandsOf(later), undoOf(later), finallyOf(later)]).toEqual([["module-install-prebuilt 0.1.0 6.1.0-57-amd64"],
            ["module-remove 0.1.0 prebuilt 6.1.0-57-amd64", "module-restore 0.0.9 prebuilt 6.1.0-57-amd64"], ["module-remove 0.0.9 prebuilt 6.1.0-57-amd64"]]);
        const theirs = { ...with56([["6.1.0-57-amd64", "0.0.9"]]), saved: { "module nvi installed for 6.1.0-57-amd64": "0.0.9" } };
        expect(finallyOf(moduleKind.ensure(given, theirs))).toEqual([]);
        const first56 = on({ ...facts, kernels: new Map([["6.1.0-56-amd64", undefined]]) });
        moduleKind.ensure(given, first56);
        expect(first56.saved, "of kernels that the router doesn't have").toEqual({});
        rmSync(dirname(file), { recursive: true });
    });

    it("is refused where the router can't have it, in words", () => {
        expect(moduleKind.occupied(wanted, on({ ...facts, tools: ["gcc"] }).snapshot)).toBe("it lacks what building the module needs: dkms, make");
        expect(moduleKind.occupied(wanted, on(facts).snapshot)).toBeUndefined();
        expect(moduleKind.occupied(wanted, on({ ...facts, tools: [], installed: { version: wanted.version, way: "dkms" } }).snapshot)).toBeUndefined();
    });
});

describe("a setting of a device", () => {
    const setting: Setting = { kind: "setting", phase: "device", device: "nvi0", name: "reinject", value: "self" };
    const reads = (value?: string) => planning({ settings: new Map(value === undefined ? [] : [["class/net/nvi0/nvi/reinject", value]]) });

    it.each<[string, string | undefined, string[], string[]]>([
        ["as wanted", "self", [], []],
        ["of another value", "ingress", ["set class/net/nvi0/nvi/reinject self"], ["set class/net/nvi0/nvi/reinject ingress"]],
        ["of a device that is still to come", undefined, ["set class/net/nvi0/nvi/reinject self"], []],
    ])("%s", (_, value, commands, undo) => {
        const steps = settingKind.ensure(setting, reads(value));
        expect([commandsOf(steps), undoOf(steps)]).toEqual([commands, undo]);
    });
});

describe("devices that are made anew", () => {
    const pair: Link = { kind: "link", phase: "device", name: "nvi0", peer: "nvi0p", mtu: 65535, mac: "02:6e:00:00:00:01" };
    const { peer: _, ...single } = pair;
    const into: Routes = { kind: "routes", phase: "stage1", table: 7700, routes: [{ family: 4, table: 7700, to: "default", type: "unicast", hops: [{ dev: "nvi0" }] }] };
    const veth = { links: new Map([upLink("nvi0", { kind: "veth", peer: "nvi0p" }), upLink("nvi0p", { kind: "veth", peer: "nvi0" }), upLink("isp1")]), routes: new Map([[7700, [{ ...into.routes[0]!, metric: 0, protocol: 78 }]]]) };

    it("are none where all are as they should be", () => {
        const context = planning(veth);
        expect(lossOf([pair, into], [pair, into], context)).toEqual({ devices: new Set(), snapshot: context.snapshot, steps: [] });
    });

    it("of another backend go at the last moment, with what the kernel takes along; undoing brings all of it back", () => {
        const { devices, snapshot, steps } = lossOf([wanted, single, into], [pair, into], planning({ ...veth, module: there }));
        expect(devices).toEqual(new Set(["nvi0", "nvi0p"]));
        expect([...snapshot.links.keys()]).toEqual(["isp1"]);
        expect(snapshot.routes.get(7700)).toEqual([]);
        expect(commandsOf(steps)).toEqual(["ip link del dev nvi0"]);
        expect(undoOf(steps)).toEqual([
            `ip link add name nvi0 address ${pair.mac} type veth peer name nvi0p address ${pair.mac}`, expect.stringContaining("dev nvi0 mtu 65535"), expect.stringContaining("dev nvi0 address"), expect.stringContaining("dev nvi0 arp off"),
            expect.stringContaining("dev nvi0 alias"), expect.stringContaining("dev nvi0p mtu"), expect.stringContaining("dev nvi0p address"), expect.stringContaining("dev nvi0p alias"),
            "ip link set dev nvi0p up", "ip link set dev nvi0 up", "ip -4 route add default table 7700 protocol 78 dev nvi0",
        ]);
    });

    it("go when the rules of stage 2 are there, which do without; everything else comes after", () => {
        const rule: Rule = { kind: "rule", phase: "stage2", family: 4, priority: 1000, iif: "nvi0", action: "unreachable" };
        const divert: Rule = { ...rule, phase: "divert", iif: "lan0" };
        const loss = lossOf([single, into], [pair, into], planning(veth));
        const ordersOf = (one: Rule, devices = loss.devices) => ahead(one, ruleKind.ensure(one, planning(veth)), { devices }).map((step) => step.order);
        expect(ordersOf(rule)).toEqual([expect.any(Number)]);
        expect(ordersOf(rule)[0]).toBeLessThan(loss.steps[0]!.order);
        expect(ordersOf(rule)[0]).toBeGreaterThan(order(wanted));
        expect(ordersOf(divert)[0]).toBeGreaterThan(order(into));
        expect(ordersOf(rule, new Set())[0]).toBeGreaterThan(order(single));
    });

    it("that were made something else by hand go too", () => {
        const { steps } = lossOf([pair], [pair], planning({ links: new Map([upLink("nvi0", { kind: "bridge" })]) }));
        expect(commandsOf(steps)).toEqual(["ip link del dev nvi0"]);
    });

    it("go by themselves with a module that is loaded in another version", () => {
        const artifacts: Artifact[] = [wanted, single];
        const { devices, steps } = lossOf(artifacts, artifacts, planning({ links: new Map([upLink("nvi0", { kind: "nvi" }), upLink("nvi7", { kind: "nvi" })]), module: { ...there, loaded: "0.0.9" } }));
        expect(devices).toEqual(new Set(["nvi0", "nvi7"]));
        expect(commandsOf(steps)).toEqual([]);
        expect(undoOf(steps)[0]).toBe(`ip link add name nvi0 address ${single.mac} type nvi`);
    });

    it("come back when the old module is loaded again, also where one of them goes for another reason", () => {
        const context = planning({ links: new Map([upLink("nvi0", { kind: "bridge" })]), facts: { kernel: "6.1.0-56-amd64" }, module: { ...there, loaded: "0.0.9", installed: { version: "0.0.9", way: "dkms" } } });
        const { steps } = lossOf([wanted, single], [wanted, single], context);
        const undone = undoOf([...steps, ...moduleKind.ensure(wanted, context)].sort((a, b) => a.order - b.order).reverse());
        expect(undone.slice(0, 5)).toEqual(["module-unload", "module-remove 0.1.0 dkms", "module-restore 0.0.9 dkms", "module-load 0.0.9", `ip link add name nvi0 address ${single.mac} type nvi`]);
        expect(commandsOf(steps)).toEqual(["ip link del dev nvi0"]);
    });

    describe("where others have something on them", () => {
        const theirs: Artifact[] = [wanted, { ...single, name: "nvi7" }, { kind: "setting", phase: "device", device: "nvi7", name: "reinject", value: "self" }, { kind: "address", phase: "device", device: "nvi7", prefix: "100.64.7.1/32" }];
        const toUplink: Routes["routes"][0] = { family: 4, table: 7700, to: "10.0.0.0/8", type: "unicast", hops: [{ dev: "isp1" }] };
        const stage: Routes = { ...into, routes: [...into.routes, toUplink] };
        const route = "ip -4 route add default table 7700 protocol 78 dev nvi0";

        it("come back with a module of another version, with all that hangs on them; undoing brings it back, too", () => {
            const links = new Map([upLink("nvi0", { kind: "nvi" }), upLink("nvi7", { kind: "nvi" }), upLink("nvi8", { kind: "nvi" }), upLink("isp1")]);
            const objects = [stored("interface.nvi0", wanted, single), stored("interface.nvi7", ...theirs), stored("nat-stage.main", stage)];
            const { devices, steps } = lossOf([wanted, single], [wanted, single], planning({ links, objects, module: { ...there, loaded: "0.0.9" } }));
            const nvi7 = [`ip link add name nvi7 address ${single.mac} type nvi`, "set class/net/nvi7/nvi/reinject self", "ip address add 100.64.7.1/32 dev nvi7", "ip link set dev nvi7 up"];
            expect(devices).toEqual(new Set(["nvi0", "nvi7", "nvi8"]));
            expect(commandsOf(steps)).toEqual(expect.arrayContaining([...nvi7, route]));
            expect(commandsOf(steps).filter((words) => /isp1|nvi8|type nvi$/.test(words))).toEqual([nvi7[0]]);
            // The module is there before them, and NVIs before what leads into them.
            expect(steps.find((step) => step.do[0]?.join(" ") === nvi7[0])!.order).toBeGreaterThan(order(wanted));
            expect(steps.at(-1)!.do).toEqual([route.split(" ")]);
            expect(steps[0]!.undo.map((words) => words.join(" "))).toEqual(expect.arrayContaining([`ip link add name nvi0 address ${single.mac} type nvi`, ...nvi7, route]));
        });

        it("of another backend have it again, once they are up", () => {
            const objects = [stored("interface.nvi0", pair), stored("nat-stage.main", stage)];
            const { steps } = lossOf([wanted, single], [pair], planning({ ...veth, objects, module: there }));
            expect(commandsOf(steps)).toEqual(["ip link del dev nvi0", route]);
            expect(steps[1]!.order).toBeGreaterThan(order(single, "up"));
            expect(steps[0]!.undo.map((words) => words.join(" ")).at(-1)).toBe(route);
        });

        it("and will not be any more, have nothing of it; undoing brings it back", () => {
            const far: Artifact = { kind: "address", phase: "device", device: "nvi0p", prefix: "100.64.7.1/32" };
            const { steps } = lossOf([wanted, single], [pair], planning({ ...veth, objects: [stored("interface.nvi0", pair), stored("interface.x", far)], module: there }));
            expect(commandsOf(steps)).toEqual(["ip link del dev nvi0"]);
            expect(undoOf(steps)).toContain("ip address add 100.64.7.1/32 dev nvi0p");
        });
    });
});
