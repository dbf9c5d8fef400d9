import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Capture, diffDumps, Flow, ping, probe, seen, type Packet } from "../../lab";
import { MODULE_VERSION } from "../../../provider/model/module";
import { expectOneScreen } from "../../unit/model/screen";
import { officeInputs, officeProgram, setup, type Setup } from "../office";
import { drift, families, uplinks } from "../traffic";
import { altered, older, OLDER, prebuilt } from "./ko";
import { figure } from "../../lab/figure";

/*
 * One router, whose backend changes under traffic, from rules to the module and back; what can be wrong with a module, and
 * drift of what is there only with it.
 */

const { backend: _, prebuilt: __, ...plain } = officeInputs as typeof officeInputs & { backend?: string; prebuilt?: object };
/** All by the second uplink, which the main table doesn't lead to, so that two exchanges are the same. */
const inputs = { ...plain, translations: plain.translations.map((one) => (one.kind === "snat" ? { ...one, to: { uplinks: ["isp2"] } } : one)) };

const LATER = "6.99.0-1-amd64";

let office: Setup;
let module: ReturnType<typeof prebuilt>;
/** The router without anything of ours, and with the rules. */
let bare: string;
let byRules: string;
beforeAll(async () => {
    module = prebuilt();
    office = await setup((lab) => officeProgram(lab, inputs));
    bare = await office.lab.dump();
    await office.stack.up();
    byRules = await office.lab.dump();
});
afterAll(async () => await office?.stop());

const write = (more: object): void => office.stack.write({ "index.js": officeProgram(office.lab, { ...inputs, ...more }) });
const withModule = (files: Record<string, string> = { [module.release]: module.file }) => ({ backend: "module", prebuilt: files });
const onRouter = async (script: string): Promise<string> => (await office.lab.router.sh(script)).stdout.trim();
const client = () => office.lab.node("client");
/** nft lists tables in the order in which they were made. */
const changed = (before: string, after: string): string[] => diffDumps(before, after).filter((line) => !/ (?:\/run|\/etc)\/nvi\b|^~ nft: /.test(line));

/** What is on the wires when the same connections are made again, in the order of each way of each connection: the two ways of one may cross. */
async function exchange(): Promise<Record<string, string[]>> {
    const wires = ["lan0", ...uplinks];
    const captures = await Promise.all(wires.map((nic) => Capture.start(office.lab.router, nic, "not arp and not (icmp6 and ip6[40] >= 130)")));
    let port = 41_000;
    for (const words of families) {
        for (const size of [0, 1000, 1400, 4000]) await ping(client(), words.internet, { size });
        for (const bytes of [1, 1300, 5000]) await probe(client(), { to: words.internet, port: 7, proto: "udp", fromPort: ++port, bytes });
        await seen(client(), { to: words.internet, port: 443, fromPort: ++port, bytes: 100 });
        for (const uplink of uplinks) await seen(office.lab.node("internet"), { to: words[uplink], port: 8080, fromPort: ++port, bytes: 100 });
        await ping(client(), words.internet, { ttl: 2 });
        await probe(client(), { to: words.internet, port: 9, proto: "udp", fromPort: ++port, timeoutMs: 500 });
    }
    const packets = await Promise.all(captures.map((capture) => capture.stop()));
    return Object.fromEntries(wires.map((nic, i) => [nic, packets[i]!.filter(isFixed).filter(isFirst()).sort((a, b) => wayOf(a).localeCompare(wayOf(b))).map(told)]));
}

const wayOf = ({ source, target, proto, sourcePort, targetPort }: Packet): string => [source, target, proto, sourcePort, targetPort].join(" ");

/** When TCP acknowledges, and how it ends, is a matter of time. */
const isFixed = (packet: Packet): boolean => packet.proto !== "tcp" || /[SP]/.test(packet.flags ?? "");

/** What TCP sends once more is a matter of time, too. */
function isFirst(): (packet: Packet) => boolean {
    const sent = new Set<string>();
    return (packet) => {
        const key = [wayOf(packet), packet.flags, packet.sequence, packet.length].join(" ");
        const first = packet.proto !== "tcp" || !sent.has(key);
        sent.add(key);
        return first;
    };
}

function told({ time: _, sequence: __, inner, ...packet }: Packet): string {
    const words = Object.entries({ ...packet, ...(inner ? { inner: `${inner.source} > ${inner.target} ttl ${inner.ttl}` } : {}) });
    return words.filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ");
}

/** A change while a connection of each family is busy. */
async function underTraffic(name: string, change: () => Promise<unknown>): Promise<void> {
    const flows = await Promise.all(families.map((words) => Flow.start(client(), { to: words.internet, port: 7 })));
    await change();
    for (const [i, flow] of flows.entries()) {
        expect(await flow.alive(10_000), `${families[i]!.family} after ${name}`).toBe(true);
        const { longestStallMs, ping: { sent, lost } } = await flow.stop();
        figure(`${name}, ${families[i]!.family}: ${lost} of ${sent} pings lost, TCP stood still for ${longestStallMs} ms`);
        expect(lost, "pings lost, of those sent in the change and around it").toBeLessThan(sent / 2);
    }
}

describe("a module that can't be", () => {
    const other = "5.10.0-1-amd64";
    it.each<[string, () => Record<string, string>, RegExp]>([
        ["is there for another kernel only", () => ({ [other]: module.file }), /no prebuilt module is given for its kernel \S+; there are: 5\.10\.0-1-amd64/],
        ["is no file", () => ({ [module.release]: join(office.stack.folder, "nowhere.ko") }), /nowhere\.ko/],
        // With CONFIG_MODVERSIONS the release alone does not count (kernel/module/version.c, same_magic).
        ["is of another kernel, though it is given for this one",
            () => ({ [module.release]: altered(module.file, join(office.stack.folder, "other.ko"), { "mod_unload ": "mod_reload " }) }), /modprobe: .*(?:Exec|Invalid module) format[^]*version magic/],
        ["is of another version", () => ({ [module.release]: older(module.file, join(office.stack.folder, "older.ko")) }), /the prebuilt module says that it is version 0\.0\.9, not/],
        ["is cut short", () => {
            const file = join(office.stack.folder, "short.ko");
            copyFileSync(module.file, file);
            writeFileSync(file, "not a module");
            return { [module.release]: file };
        }, /says that it is version , not/],
    ])("because it %s: an error, and the router is as it was", async (name, files, says) => {
        write(withModule(files()));
        const { code, all } = await office.stack.up([], { allowFailure: true });
        expect(code).not.toBe(0);
        expectOneScreen(`a module that ${name}`, all, ["edge", says]);
        expect(changed(byRules, await office.lab.dump())).toEqual([]);
        for (const words of families) expect(await probe(client(), { to: words.internet, port: 443 })).toMatchObject({ ok: true, peer: words.isp2 });
    });
});

describe("another backend", () => {
    let wire: Record<string, string[]>;

    it("is an update, with a short interruption", async () => {
        wire = await exchange();
        write(withModule());
        const preview = await office.stack.preview(["--diff"]);
        expect(preview.all).toMatch(/1 to update/);
        await underTraffic("from rules to the module", () => office.stack.up());
        expect(await onRouter("ls /sys/class/net | grep nvi; ls /sys/class/net/nvi0/nvi/reinject")).toBe("nvi0\n/sys/class/net/nvi0/nvi/reinject");
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });

    it("puts the same packets on the wires", async () => {
        const before = Number(await onRouter("cat /sys/class/net/nvi0/statistics/tx_packets"));
        const now = await exchange();
        expect(Object.values(now).map((packets) => packets.length > 5)).toEqual([true, true, true]);
        figure(`compared: ${Object.entries(now).map(([nic, packets]) => `${packets.length} packets on ${nic}`).join(", ")}`);
        expect(now).toEqual(wire);
        expect(Number(await onRouter("cat /sys/class/net/nvi0/statistics/tx_packets")) - before).toBeGreaterThan(30);
        expect(await onRouter("cat /sys/class/net/nvi0/nvi/drop_* | sort -u")).toBe("0");
    });
});

describe("drift of the module", () => {
    async function repaired(names: string[]): Promise<void> {
        expect(Object.keys(await drift(office.stack))).toEqual(expect.arrayContaining(names));
        await office.stack.up(["--refresh"]);
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
        for (const words of families) expect(await probe(client(), { to: words.internet, port: 443 }), words.family).toMatchObject({ ok: true, peer: words.isp2 });
    }

    it("that is gone, with its devices and what hung on them", async () => {
        await onRouter("ip link del nvi0 && rmmod nvi");
        await repaired(["module nvi", "link nvi0", "link nvi0 reinject", "address nvi0"]);
    });

    it("that somebody uninstalled, while it goes on", async () => {
        await onRouter('rm /lib/modules/"$(uname -r)"/updates/nvi.ko && depmod -a');
        await repaired(["module nvi installed"]);
    });

    it("whose settings somebody changed", async () => {
        await onRouter("echo ingress > /sys/class/net/nvi0/nvi/reinject; echo packet > /sys/class/net/nvi0/nvi/ingress");
        await repaired(["link nvi0 reinject", "link nvi0 ingress"]);
    });

    async function olderByHand(): Promise<void> {
        copyFileSync(older(module.file, join(office.stack.folder, "older.ko")), join(office.lab.dir, "router-ssh", "older.ko"));
        await onRouter('cp /etc/ssh/lab/older.ko /lib/modules/"$(uname -r)"/updates/nvi.ko && depmod -a && ip link del nvi0 && rmmod nvi && modprobe nvi');
    }

    it("of another version, which is replaced under traffic", async () => {
        await olderByHand();
        expect(await drift(office.stack)).toMatchObject({ "module nvi": expect.stringContaining(OLDER), "module nvi installed": expect.stringContaining(`"${OLDER}, prebuilt"`) });
        await office.stack.up(["--refresh"]);
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
        // As an earlier release of ours has left it, which its successor replaces.
        await onRouter('cp /etc/ssh/lab/older.ko /lib/modules/"$(uname -r)"/updates/nvi.ko && depmod -a');
        expect(await drift(office.stack)).toMatchObject({ "module nvi installed": expect.stringContaining(`"${OLDER}, prebuilt"`) });
        await underTraffic("another version of the module", () => office.stack.up(["--refresh"]));
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
        expect(await onRouter('ls /lib/modules/"$(uname -r)"/updates')).toBe("nvi.ko");
    });

    it("of another version, which is replaced but not wanted, as a check fails: it is loaded and on disk again, with its device", async () => {
        await olderByHand();
        // All but the module is as it was made: what is restored looks for no version but that of the manifest, and goes on.
        await onRouter("sh /etc/nvi/nvi restore early || true; sh /etc/nvi/nvi restore late || true; ip link show dev nvi0 >&2");
        const before = await office.lab.dump();
        write({ ...withModule(), checks: [{ kind: "command", name: "not wanted", within: 1, command: `test "$(cat /sys/module/nvi/version)" = ${OLDER}` }] });
        const { code, all } = await office.stack.up(["--refresh"], { allowFailure: true });
        expect(code).not.toBe(0);
        expect(all).toMatch(/the check "not wanted" failed; the router has undone it and is as it was/);
        expect(await onRouter('cat /sys/module/nvi/version; modinfo -F version nvi; ls /lib/modules/"$(uname -r)"/updates')).toBe(`${OLDER}\n${OLDER}\nnvi.ko`);
        expect(changed(before, await office.lab.dump())).toEqual([]);
        for (const words of families) expect(await probe(client(), { to: words.internet, port: 443 }), words.family).toMatchObject({ ok: true, peer: words.isp2 });
        write(withModule());
        await office.stack.up(["--refresh"]);
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });
});

describe("a kernel that the router may be restarted with", () => {
    it("is given its module ahead, once the router has it", async () => {
        write(withModule({ [module.release]: module.file, [LATER]: module.file }));
        await office.stack.up();
        await onRouter(`mkdir /lib/modules/${LATER}`);
        expect(Object.keys(await drift(office.stack))).toEqual([`module nvi installed for ${LATER}`]);
        await office.stack.up(["--refresh"]);
        expect(await onRouter(`modinfo -F version /lib/modules/${LATER}/updates/nvi.ko; grep -o nvi.ko /lib/modules/${LATER}/modules.dep`)).toBe(`${MODULE_VERSION}\nnvi.ko`);
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });
});

describe("the end", () => {
    it("back to rules, the module goes", async () => {
        write({});
        await underTraffic("from the module to rules", () => office.stack.up());
        expect(await onRouter(`cd /lib/modules/${LATER} && ls -d updates 2>&- || rm -r /lib/modules/${LATER}`)).toBe("");
        expect(changed(byRules, await office.lab.dump())).toEqual([]);
        expect(await onRouter("grep -c '^nvi ' /proc/modules || true")).toBe("0");
    });

    it("nothing is left after destroy", async () => {
        write(withModule());
        await office.stack.up();
        await office.stack.destroy();
        expect(diffDumps(bare, await office.lab.dump())).toEqual([]);
        expect(await onRouter("grep -c '^nvi ' /proc/modules || true")).toBe("0");
    });
});
