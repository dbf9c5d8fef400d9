import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Capture, Flow, office as addresses, ping, probe, spoof, type LabNode, type Packet } from "../lab";
import { farEnd, officeInputs, officeProgram, setup, type Setup } from "./office";
import { during, families, insideSources, onUplinks, sources, type FamilyWords } from "./traffic";

let office: Setup;
let ruleset: string;

/** Besides the office's, a UDP forward. */
const inputs = {
    ...officeInputs,
    translations: [...officeInputs.translations, ...["10.0.0.80", "2001:db8:a::80"].map((to) => ({ kind: "dnat", on: ["isp1", "isp2"], port: "udp/8080", to, toPort: 7 }))],
};

beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, inputs));
    await office.stack.up();
    ruleset = (await router().observe(["nft", "list", "ruleset"])).stdout;
    // An outsider on the way can send to LAN addresses as well.
    for (const [name, via4, via6] of [["gw1", addresses.router.isp1v4, addresses.router.isp1v6], ["internet", "172.31.1.1", "2001:db8:f1::1"]] as const) {
        await node(name).observe(["ip", "route", "add", "10.0.0.0/24", "via", via4]);
        await node(name).observe(["ip", "route", "add", "2001:db8:a::/64", "via", via6]);
    }
});
afterAll(async () => await office?.stop());

const node = (name: string): LabNode => office.lab.node(name);
const router = (): LabNode => office.lab.router;
const strangers = { IPv4: "192.0.2.66", IPv6: "2001:db8:99::66" } as const;

/** One UDP flow of thousands of packets a second. */
const FLOOD = `my ($from, $to) = @ARGV; my $six = $to =~ /:/;
my $at = sub { $six ? pack_sockaddr_in6($_[0], inet_pton(AF_INET6, $_[1])) : pack_sockaddr_in($_[0], inet_aton($_[1])) };
socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die $!;
bind($s, $at->(4444, $from)) or die $!;
my $there = $at->(7, $to); $| = 1; print "sending\\n";
while (1) { send($s, "x", 0, $there); select(undef, undef, undef, 0.0002) }`;

/** An echo request with a forged source. */
async function spoofPing(from: LabNode, { ip, icmp }: FamilyWords, source: string, to: string): Promise<void> {
    const type = icmp === "icmp" ? "icmp" : "icmpv6";
    await from.observe(["nft", "-f", "-"], { stdin: `table ${ip} lab_spoof { chain out { type filter hook postrouting priority 300; ${type} type echo-request ${ip} daddr ${to} ${ip} saddr set ${source}; }; }` });
    try {
        await ping(from, to, { waitSeconds: 0.05 });
    } finally {
        await from.observe(["nft", "delete", "table", ip, "lab_spoof"]);
    }
}

/** Sends packets with this source to the server, by its public address and by its own, over each protocol. */
async function spoofAll(words: FamilyWords, source: string): Promise<void> {
    for (const proto of ["udp", "tcp"] as const) {
        await spoof(node("internet"), { source, to: words.isp1, port: 8080, proto });
        await spoof(node("internet"), { source, to: words.server, port: 7, proto });
    }
    await spoofPing(node("internet"), words, source, words.server);
}

describe.each(families)("an outsider's forged source in $family", (words) => {
    const echo = words.icmp === "icmp" ? "icmp[0] = 8" : "icmp6 and ip6[40] = 128";

    it("reaches nobody inside, whether it is the router's or one of the LAN's", async () => {
        const forged = [words.lan, words.isp1, words.isp2, words.client, words.server, words.family === "IPv4" ? "10.0.0.200" : "2001:db8:a::200"];
        const capture = await Capture.start(node("server"), "eth0", `dst host ${words.server} and (dst port 7 or (${echo}))`);
        for (const source of forged) await spoofAll(words, source);
        // A source that may be: it comes in order, behind all others.
        const stranger = strangers[words.family];
        await spoofAll(words, stranger);
        await capture.waitFor(`the ping from ${stranger}`, (packet) => packet.source === stranger && packet.proto === words.icmp);
        const packets = await capture.stop();
        expect(sources(packets)).toEqual([stranger]);
        expect(packets.filter((packet) => packet.proto === "udp")).toHaveLength(2);
        expect(new Set(packets.filter((packet) => packet.proto === "tcp").map((packet) => packet.sourcePort)).size).toBeGreaterThan(0);
    });

    it("is not let out again either, when a machine inside forges the router's", async () => {
        const seen = await onUplinks(office.lab, "dst port 5001", async () => {
            for (const source of [words.lan, words.isp1, words.isp2]) await spoof(node("client"), { source, to: words.internet, port: 5001 });
            expect(await probe(node("client"), { to: words.internet, port: 5001, proto: "udp" })).toMatchObject({ ok: true });
        });
        expect([...seen.seen.isp1, ...seen.seen.isp2]).toHaveLength(1);
    });
});

const breaks: [string, ...string[]][] = [
    ["nvi0 is down", "ip link set nvi0 down"],
    ...(farEnd === "nvi0" ? [] : [["nvi0p is down", "ip link set nvi0p down"] as [string, string]]),
    ["the NAT stage's table is flushed", "nft flush table inet nvi_nat_office"],
    ["the NAT stage's table is deleted", "nft delete table inet nvi_nat_office"],
    ["all of nft is flushed", "nft flush ruleset"],
];

/** What a break took away, as a hand would put it back. */
async function mend(): Promise<void> {
    await router().observe(["nft", "-f", "-"], { stdin: `flush ruleset\n${ruleset}` });
    await router().observe(["sh", "-c", `ip link set nvi0 up; ip link set ${farEnd} up
        ip route replace default via 169.254.77.1 dev nvi0 onlink table 7700 proto 78
        ip -6 route replace default via fe80::77 dev nvi0 onlink table 7700 proto 78`]);
}

/** Everything that the client may try, new and old, and the packets with an inside source that left meanwhile. */
async function attempts(broken: () => Promise<unknown>): Promise<{ answered: string[]; leaked: Packet[] }> {
    const client = node("client");
    // The server answers the strangers' first packets for a minute: they asked for it by its own address, so that is no leak.
    const filter = `(${insideSources}) and not dst host ${strangers.IPv4} and not dst host ${strangers.IPv6}`;
    const { result, seen } = await onUplinks(office.lab, filter, async () => {
        const old = await Promise.all(families.map(({ internet }) => Flow.start(client, { to: internet, port: 7 })));
        await broken();
        const tries = families.flatMap(({ internet }) => [
            ...(["tcp", "udp"] as const).map(async (proto) => ({ what: `${proto} to ${internet}`, ok: (await probe(client, { to: internet, port: 53, proto, timeoutMs: 400 })).ok })),
            ping(client, internet, { waitSeconds: 0.4 }).then(({ received }) => ({ what: `ping to ${internet}`, ok: received > 0 })),
        ]);
        const answered = (await Promise.all(tries)).filter(({ ok }) => ok).map(({ what }) => what);
        await Promise.all(old.map((flow) => flow.stop()));
        return answered;
    });
    return { answered: result, leaked: [...seen.isp1, ...seen.isp2] };
}

const works = async () => {
    for (const { internet } of families) expect(await probe(node("client"), { to: internet, port: 443 })).toMatchObject({ ok: true });
};

const run = async (commands: readonly string[]) => await router().observe(["sh", "-ec", commands.join("\n")]);

describe("nothing leaves untranslated", () => {
    it.each(breaks)("when %s", async (_, ...commands) => {
        try {
            const { answered, leaked } = await attempts(async () => await run(commands));
            expect(leaked).toEqual([]);
            expect(answered).toEqual([]);
        } finally {
            await mend();
        }
        await works();
    });

    it("when nvi0 is deleted, until up makes it again", async () => {
        const { answered, leaked } = await attempts(async () => await run(["ip link del nvi0"]));
        expect(leaked).toEqual([]);
        expect(answered).toEqual([]);
        await office.stack.up(["--refresh"]);
        await works();
    });

    it("when the ingress mark's table is deleted, which translates and routes by source as before", async () => {
        const { answered, leaked } = await attempts(async () => await run(["nft delete table inet nvi_mark_office"]));
        expect(leaked).toEqual([]);
        expect(answered).toHaveLength(6);
        await mend();
    });

    it.each(families)("under a flood, when the NAT stage's table is deleted and comes back, time and again, in $family", async ({ client, internet }) => {
        const flood = node("client").spawn(["perl", "-MSocket=:all", "-e", FLOOD, client, internet]);
        await flood.waitFor(/sending/);
        const { seen } = await onUplinks(office.lab, insideSources, async () => {
            for (let i = 0; i < 5; i++) {
                await run(["nft delete table inet nvi_nat_office", "conntrack -F"]);
                await mend();
            }
        });
        expect([...seen.isp1, ...seen.isp2].length).toBe(0);
        // What conntrack learned of the flow meanwhile is dropped until it is forgotten.
        const answers = await Capture.start(node("client"), "eth0", `udp and src host ${internet}`);
        await router().observe(["conntrack", "-D", "-p", "udp", "-s", client]);
        await answers.waitFor("an answer", ({ source }) => source === internet);
        await flood.stop();
        await answers.stop();
        await works();
    });

    it.each(families)("when a connection ends that the router has forgotten, in $family", async ({ internet, client }) => {
        const idle = node("client").spawn(["bash", "-c", `exec 3<>/dev/tcp/${internet}/7; read -u 3 line; echo open; read go`]);
        await idle.waitFor(/open/);
        const { packets } = await during(node("client"), "eth0", `tcp[tcpflags] & tcp-fin != 0 or (ip6[6] = 6 and ip6[53] & 1 != 0)`, async () => {
            const { seen } = await onUplinks(office.lab, insideSources, async () => {
                await router().observe(["conntrack", "-D", "-s", client], { allowFailure: true });
                idle.write("\n");
                await idle.exited();
                await works();
            });
            expect([...seen.isp1, ...seen.isp2]).toEqual([]);
        });
        expect(packets.filter((packet) => packet.target === internet && packet.targetPort === 7).length, "late FINs of the client").toBeGreaterThan(0);
    });

    it.each([
        { what: "the route table of stage 1 is flushed", commands: ["ip -4 route flush table 7700", "ip -6 route flush table 7700"] },
        { what: "the LAN's diversion is deleted", commands: ["ip -4 rule del priority 2000 iif lan0", "ip -6 rule del priority 2000 iif lan0"] },
    ])("when $what, until up repairs it", async ({ commands }) => {
        const { answered, leaked } = await attempts(async () => await run(commands));
        expect(leaked).toEqual([]);
        expect(answered).toEqual([]);
        await office.stack.up(["--refresh"]);
        await works();
    });
});
