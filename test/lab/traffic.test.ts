import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Capture, destination4, destination6, Flow, Lab, office, parsePing, ping, probe, probeMany, probeWithIcmp, seen, spoof } from "./index";
import { figure } from "./figure";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
let lab: Lab;
beforeAll(async () => {
    lab = await Lab.start({ tenants: true, mtu: { wan1: 1400 } });
    await lab.router.run(["nft", "-f", "-"], { stdin: masquerade });
});
afterAll(async () => await lab.stop());

const masquerade = `table inet nat {
  chain post { type nat hook postrouting priority srcnat; oifname { "isp1", "isp2" } masquerade; }
}`;
const { client, server, internet, router } = office;

describe("through an ordinary NAT router", () => {
    test.each([["tcp", internet.v4, router.isp1v4], ["udp", internet.v4, router.isp1v4], ["tcp", internet.v6, router.isp1v6], ["udp", internet.v6, router.isp1v6]] as const)(
        "%s to %s arrives with the source %s", async (proto, to, source) => {
            const result = await seen(lab.node("client"), { proto, to, port: 80 });
            expect(result).toMatchObject({ node: "internet", peer: source, local: to, localPort: 80 });
        });

    test("the source can be chosen, and payload comes back whole in fragments", async () => {
        const capture = await Capture.start(lab.node("internet"), "g1", "udp or ip[6:2] & 0x1fff != 0");
        expect(await probe(lab.node("client"), { proto: "udp", to: internet.v4, port: 53, from: client.v4b, fromPort: 5353, bytes: 4000 })).toMatchObject({ ok: true, peerPort: 5353 });
        const packets = await capture.stop();
        expect(packets.filter(packet => packet.source === router.isp1v4 && packet.fragment).length).toBeGreaterThan(2);
        expect(await probe(lab.node("client"), { to: internet.v6, port: 7, bytes: 200_000 })).toMatchObject({ ok: true });
    });

    test("5,000 destinations of both families answer", async () => {
        const targets = Array.from({ length: 5000 }, (_, i) => ({ to: i % 2 ? destination6(i) : destination4(i), port: 443, proto: i % 4 < 2 ? "tcp" as const : "udp" as const, timeoutMs: 5000 }));
        const started = performance.now();
        const results = await probeMany(lab.node("client"), targets, { atOnce: 100 });
        figure(`5,000 probes in ${Math.round(performance.now() - started)} ms`);
        expect(results.filter(result => !result.ok)).toEqual([]);
        expect(results[1]).toMatchObject({ peer: router.isp1v6, local: destination6(1) });
        expect(results[4]).toMatchObject({ peer: router.isp1v4, local: destination4(4) });
    });
});

describe("what does not arrive", () => {
    test("a strict ISP drops and counts what was not translated", async () => {
        const before = await lab.spoofed();
        await lab.router.run(["ip", "route", "add", "192.0.2.99/32", "via", office.gw2.v4]);
        await lab.router.run(["nft", "add", "rule", "inet", "nat", "post", "ip", "daddr", "192.0.2.98", "accept"]);
        await lab.router.run(["nft", "insert", "rule", "inet", "nat", "post", "ip", "daddr", "192.0.2.99", "snat", "ip", "to", router.isp1v4]);
        const result = await probe(lab.node("client"), { to: "192.0.2.99", port: 80, timeoutMs: 300 });
        expect(result).toMatchObject({ ok: false, error: "timeout" });
        expect(await lab.spoofed()).toEqual({ isp1: before.isp1, isp2: before.isp2 + 1 });
        await lab.router.run(["nft", "flush", "chain", "inet", "nat", "post"]);
        expect(await probe(lab.node("client"), { proto: "udp", to: internet.v6, port: 80, timeoutMs: 300 })).toMatchObject({ ok: false, error: "timeout" });
        expect(await lab.spoofed()).toEqual({ isp1: before.isp1 + 1, isp2: before.isp2 + 1 });
        await lab.router.run(["nft", "-f", "-"], { stdin: `flush table inet nat\n${masquerade}` });
    });

    test("errors say why", async () => {
        expect(await probe(lab.node("client"), { to: internet.v4, port: 81 })).toMatchObject({ error: "refused" });
        expect(await probe(lab.node("client"), { to: internet.v4, port: 81, proto: "udp" })).toMatchObject({ error: "refused" });
        expect(await probe(lab.node("client"), { to: "10.0.0.77", port: 80, timeoutMs: 5000 })).toMatchObject({ error: "unreachable" });
        await lab.router.sh("ip route add prohibit 192.0.2.50; ip -6 route add unreachable 2001:db8:99::50");
        const [four, six] = [await probeWithIcmp(lab.node("client"), { to: "192.0.2.50", port: 80 }), await probeWithIcmp(lab.node("client"), { to: "2001:db8:99::50", port: 80 })];
        expect(four).toMatchObject({ ok: false, error: "unreachable" });
        expect(four.icmp[0]).toMatchObject({ source: router.lan4, icmpType: 3, icmpCode: 13, inner: { source: client.v4, target: "192.0.2.50", targetPort: 80 } });
        expect(six).toMatchObject({ ok: false, error: "unreachable" });
        expect(six.icmp[0]).toMatchObject({ source: router.lan6, icmpType: 1, inner: { target: "2001:db8:99::50", proto: "tcp" } });
        await lab.router.sh("ip route del prohibit 192.0.2.50; ip -6 route del unreachable 2001:db8:99::50");
    });

    test("ping gives the sender of each error and the MTU", async () => {
        expect(await ping(lab.node("client"), internet.v4, { count: 3 })).toMatchObject({ sent: 3, received: 3, errors: [] });
        expect((await ping(lab.node("client"), internet.v4, { ttl: 2 })).errors).toEqual([{ from: office.gw1.v4, message: "Time to live exceeded" }]);
        expect((await ping(lab.node("client"), internet.v4, { size: 1450, df: true })).errors[0]).toMatchObject({ from: office.gw1.v4, mtu: 1400 });
        expect((await ping(lab.node("client"), internet.v4, { size: 1450, df: true })).errors[0]).toMatchObject({ from: "local", mtu: 1400 });
        expect((await ping(lab.node("client"), internet.v6, { size: 1450, df: true })).errors[0]).toMatchObject({ from: office.gw1.v6, mtu: 1400 });
        expect((await ping(lab.node("client"), internet.v4, { size: 1450 })).received).toBe(1);
        expect(() => parsePing("ping: connect: Network is unreachable")).toThrow("did not run");
    });
});

test.each([["udp", "192.0.2.66"], ["udp", "2001:db8:66::6"], ["tcp", router.lan4]] as const)("a forged %s source %s reaches the router", async (proto, source) => {
    const to = source.includes(":") ? server.v6 : server.v4;
    const capture = await Capture.start(lab.router, "isp1", "port 5001");
    await spoof(lab.node("internet"), { source, to: source.includes(":") ? router.isp1v6 : router.isp1v4, port: 5001, proto });
    await capture.waitFor(`the packet from ${source}`, packet => packet.source === source && packet.proto === proto && packet.targetPort === 5001);
    await capture.stop();
    expect((await seen(lab.node("client"), { to, port: 80 })).node).toBe("server"); // nothing else was disturbed
});

test("a capture has every packet, and both sides of a translation on any NIC", async () => {
    const capture = await Capture.start(lab.router, "any", "tcp port 8080");
    const { peerPort } = await seen(lab.node("client"), { to: internet.v4, port: 8080 });
    const packets = await capture.stop();
    const syns = packets.filter(packet => packet.flags === "S").map(packet => [packet.direction, packet.source, packet.target, packet.ttl]);
    expect(syns).toEqual([["in", client.v4, internet.v4, 64], ["out", router.isp1v4, internet.v4, 63]]);
    expect(packets.some(packet => packet.targetPort === peerPort && packet.flags === "S.")).toBe(true);
});

test("tenants with the same subnet are two networks", async () => {
    await lab.listen("tenant1", [9001]);
    expect(await probe(lab.node("tenant1"), { to: office.tenant.v4, port: 9001 })).toMatchObject({ ok: true, node: "tenant1" });
    expect(await probe(lab.node("tenant2"), { to: office.tenant.v4, port: 9001 })).toMatchObject({ error: "refused" });
    expect((await ping(lab.node("tenant2"), office.tenant.router6)).received).toBe(1);
});

test("a flow tells stalls, lost pings and resets", async () => {
    const flow = await Flow.start(lab.node("client"), { to: internet.v4, port: 7 });
    expect(await flow.alive()).toBe(true);
    await lab.node("gw1").run(["nft", "insert", "rule", "inet", "isp", "customer", "ip", "saddr", router.isp1v4, "drop"]);
    expect(await flow.alive(300)).toBe(false);
    await lab.node("gw1").run(["nft", "flush", "chain", "inet", "isp", "customer"]);
    expect(await flow.alive(5000)).toBe(true);
    const report = await flow.stop();
    expect(report).toMatchObject({ peer: router.isp1v4, local: internet.v4 });
    expect(report.error).toBeUndefined();
    expect(report.longestStallMs).toBeGreaterThan(290);
    expect(report.ping.lost).toBeGreaterThan(8);
    expect(report.ping.received).toBeGreaterThan(3);

    const doomed = await Flow.start(lab.node("client"), { to: internet.v4, port: 7 });
    await lab.router.sh("nft add chain inet nat f '{ type filter hook forward priority 0; }'; nft add rule inet nat f tcp dport 7 reject with tcp reset");
    expect(await doomed.alive()).toBe(false);
    expect((await doomed.stop()).error).toBe("ECONNRESET");
});
