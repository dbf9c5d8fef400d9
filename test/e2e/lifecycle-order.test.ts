import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pool } from "../../provider/host/pool";
import { ensure, remove } from "../../provider/reconcile/engine";
import { diffDumps, Flow, Lab, office, ping, probe, until, type LabOptions } from "../lab";
import { aborting, coreRouter, officeObject } from "./core";
import { withoutHousekeeping } from "./drift-core";
import { createOn, destroyOn, piecesOf, type Piece } from "./lifecycle-pieces";
import { piecesProgram } from "./office";
import { stack, type Stack } from "./pulumi";
import { costOf } from "./traffic";
import { figure } from "../lab/figure";

/*
 * The office of single resources, on a router that translates already. Wherever creation or destruction stands, what
 * worked before works; and in the end the router is as it was, whatever it was.
 */
const { internet, router } = office;

const nat = (verdict4: string, verdict6: string): string => `table inet nat
delete table inet nat
table inet nat {
    chain post { type nat hook postrouting priority srcnat; oifname "isp1" meta nfproto ipv4 ${verdict4}; oifname "isp1" meta nfproto ipv6 ${verdict6}; }
}`;
const SNAT = nat(`snat ip to ${router.isp1v4}`, `snat ip6 to ${router.isp1v6}`);
/**
 * The kernel drops a masqueraded connection when it leaves by another device (nf_nat_oif_changed), the NVI included: its
 * next packet is translated anew. It goes on where that gives it the same address, and is reset where not.
 */
const MASQUERADE = nat("masquerade", "masquerade");

let lab: Lab;
let dev: Stack;
let pieces: Piece[];
beforeAll(async () => {
    lab = await Lab.start();
    dev = await stack({ files: { "index.js": piecesProgram(lab) } });
    pieces = await piecesOf(dev);
});
afterAll(async () => {
    pool.closeAll();
    dev?.close();
    await lab?.stop();
});

const translateBefore = async (text: string) => await lab.router.run(["nft", "-f", "-"], { stdin: text });

/** The pieces with all inside sources translated to one uplink. */
const byFirstUplink = (all: readonly Piece[]): Piece[] => all.map((piece) => {
    const translations = piece.inputs.translations as { kind: string }[] | undefined;
    return translations ? { ...piece, inputs: { ...piece.inputs, translations: translations.map((one) => (one.kind === "snat" ? { ...one, to: { uplinks: ["isp1"] } } : one)) } } : piece;
});

/** New connections of every sort, by what they are; true for those that work. */
async function working(): Promise<Record<string, boolean>> {
    const [client, own, outside] = [lab.node("client"), lab.router, lab.node("internet")];
    const tcpAndUdp = (["tcp", "udp"] as const).flatMap((proto) => [internet.v4, internet.v6].map((to) => ({ proto, to })));
    const results = await Promise.all([
        ...tcpAndUdp.flatMap(({ proto, to }) => [client, own].map(async (from) => [`${from.name} ${proto} ${to}`, (await probe(from, { to, port: 443, proto, timeoutMs: 1500 })).ok] as const)),
        ...[internet.v4, internet.v6].map(async (to) => [`client ping ${to}`, (await ping(client, to)).received === 1] as const),
        ...[router.isp1v4, router.isp1v6].map(async (to) => [`internet ping ${to}`, (await ping(outside, to)).received === 1] as const),
    ]);
    return Object.fromEntries(results);
}

/** TCP and pings through the router in both families, held over a change; gives a line of what it cost. */
async function undisturbed(change: (check: () => Promise<void>) => Promise<void>): Promise<string> {
    const flows = await Promise.all([internet.v4, internet.v6].map(async (to) => await Flow.start(lab.node("client"), { to, port: 7 })));
    await change(async () => expect(await Promise.all(flows.map(async (flow) => await flow.alive()))).toEqual([true, true]));
    const reports = await Promise.all(flows.map(async (flow) => await flow.stop()));
    expect(reports.map(({ error }) => error)).toEqual([undefined, undefined]);
    // One each is what the kernel takes from a masqueraded connection.
    expect(Math.max(...reports.map(({ ping: { lost } }) => lost))).toBeLessThanOrEqual(1);
    return costOf(reports);
}

describe("on a router that translates by itself", () => {
    it("up and destroy by the engine leave old connections alone, and the router as it was", async () => {
        await translateBefore(SNAT);
        const before = await lab.dump();
        const cost = await undisturbed(async (alive) => {
            await dev.up();
            await alive();
            expect(Object.entries(await working()).filter(([, ok]) => !ok)).toEqual([]);
            await dev.destroy();
            await alive();
        });
        figure(`up and destroy: ${cost}`);
        expect(diffDumps(before, await lab.dump())).toEqual([]);
    });

    it.each([
        { what: "in the engine's order, beside masquerade", text: MASQUERADE, of: byFirstUplink },
        // Whatever waits only for the interface is turned round.
        { what: "in another order, beside snat", text: SNAT, of: ([first, ...rest]: Piece[]) => [first!, ...rest.slice(0, -1).reverse(), rest.at(-1)!] },
    ])("every prefix of creation and every suffix of destruction works $what", async ({ what, text, of }) => {
        await translateBefore(text);
        const before = await lab.dump();
        const wanted = await working();
        expect(Object.entries(wanted).filter(([, ok]) => !ok)).toEqual([]);
        const cost = await undisturbed(async (alive) => {
            for (const [step, list] of [[createOn, of(pieces)], [destroyOn, of(pieces).slice().reverse()]] as const) {
                for (const piece of list) {
                    await step(lab, piece);
                    expect(await working(), `new connections after ${step.name} of ${piece.name}`).toEqual(wanted);
                    await alive();
                }
            }
        });
        figure(`step by step ${what}: ${cost}`);
        expect(diffDumps(before, await lab.dump())).toEqual([]);
    });
});

/** A router advertisement from the first ISP's gateway, as radvd would send it: no tool of the lab does. */
const ADVERTISE = `use Socket qw(:all);
socket(my $s, AF_INET6, SOCK_RAW, 58) or die "socket: $!";
open(my $f, "<", "/sys/class/net/cust/ifindex") or die "cust: $!"; my $index = <$f>;
setsockopt($s, 41, 17, pack("i", $index)) or die "interface: $!";
setsockopt($s, 41, 18, pack("i", 255)) or die "hops: $!";
send($s, pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0), 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, "ff02::1"), $index)) or die "send: $!";`;

/** The router without its static IPv6 default route, but with an advertised one. */
async function advertised(on: Lab): Promise<void> {
    await on.router.sh("ip -6 route del default");
    const gateway = on.node("gw1");
    await gateway.observe(["perl", "-e", ADVERTISE]);
    await until("the advertised default route", async () => await hasAdvertisedRoute(on));
}

const hasAdvertisedRoute = async (on: Lab): Promise<boolean> => (await on.router.run(["ip", "-6", "route", "show", "default", "proto", "ra"])).stdout.includes("dev isp1");

const MIXED_OFF = ["ipv4/ip_forward=0", "ipv4/conf/lan0/forwarding=1", "ipv4/conf/all/accept_redirects=1", "ipv4/conf/isp1/accept_redirects=0", "ipv6/conf/isp2/forwarding=1", "ipv6/conf/isp1/accept_ra=2"];
const MIXED_ON = ["ipv4/conf/isp2/forwarding=0", "ipv4/conf/all/accept_redirects=1", "ipv6/conf/lan0/forwarding=0"];
const set = (values: string[]) => async (on: Lab) => { await on.router.sh(`set -e; ${values.map((one) => `echo ${one.split("=")[1]} > /proc/sys/net/${one.split("=")[0]}`).join("; ")}`); };

it("a removal that is undone leaves an advertised default route, and each NIC's own switch of forwarding", async () => {
    const on = await Lab.start({ forwarding: false });
    const { host, close } = coreRouter(on, { confirmTimeout: 10 });
    try {
        await advertised(on);
        await ensure(host, officeObject());
        await set(["ipv4/conf/isp2/forwarding=0", "ipv4/conf/all/accept_redirects=1", "ipv6/conf/lan0/forwarding=0"])(on);
        const before = await on.dump();
        await expect(remove(aborting(host), officeObject())).rejects.toMatchObject({ kind: "rolled-back" });
        // Among rules of one priority that don't overlap, and among tables, the order means nothing.
        expect(withoutHousekeeping(diffDumps(before, await on.dump())).filter((line) => !line.startsWith("~") && !line.includes(" /run/nvi"))).toEqual([]);
        expect(await hasAdvertisedRoute(on), "the default route by router advertisement is gone").toBe(true);
        expect((await on.router.run(["cat", "/proc/sys/net/ipv6/conf/isp1/accept_ra"])).stdout).toBe("2\n");
    } finally {
        close();
        await on.stop();
    }
});

describe("create and destroy leave a router as it was", () => {
    it.each<{ what: string; options: LabOptions; first?: (on: Lab) => Promise<void>; then?: (on: Lab) => Promise<void> }>([
        { what: "that didn't forward", options: { forwarding: false } },
        { what: "with strict reverse-path filters", options: { rpFilter: 1 } },
        { what: "that forwards on some interfaces only, the main switch off", options: { forwarding: false }, first: set(MIXED_OFF) },
        { what: "that forwards on some interfaces only, the main switch on", options: {}, first: set(MIXED_ON) },
        {
            what: "that didn't forward and has its IPv6 default route by router advertisement, which stays",
            options: { forwarding: false }, first: advertised,
            then: async (on) => {
                expect(await hasAdvertisedRoute(on), "the default route by router advertisement is gone").toBe(true);
                expect((await on.router.run(["cat", "/proc/sys/net/ipv6/conf/isp1/accept_ra"])).stdout).toBe("2\n");
            },
        },
    ])("$what", async ({ options, first, then }) => {
        const other = await Lab.start(options);
        try {
            await first?.(other);
            const before = await other.dump();
            // Nothing but these two sets what isn't theirs alone.
            const [nvi, stage] = ["interface", "nat-stage"].map((kind) => pieces.find((piece) => piece.kind === kind)!) as [Piece, Piece];
            for (const piece of [nvi, stage]) await createOn(other, piece);
            await then?.(other);
            for (const piece of [stage, nvi]) await destroyOn(other, piece);
            expect(diffDumps(before, await other.dump())).toEqual([]);
        } finally {
            await other.stop();
        }
    });
});
