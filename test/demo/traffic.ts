import { Capture, destination4, destination6, office, probe, type Lab, type Packet, type ProbeResult } from "../lab";

/** Connections of one sort, with what became of them on the wire. */
export interface Row {
    who: string;
    to: string;
    /** What the other side saw as source, or what the destination became. */
    translated: string;
    out: string;
    count: number;
    answered: number;
}

const UPLINKS = ["isp1", "isp2"] as const;
const TRIES = 24;

/** Sends real connections through the router, and looks at its NICs to see which way they went. */
export async function sendTraffic(lab: Lab): Promise<Row[]> {
    const captures = await Promise.all(UPLINKS.map(async (nic) => ({ nic, capture: await Capture.start(lab.router, nic, "tcp") })));
    const client = lab.node("client");
    const internet = lab.node("internet");
    const many = (one: (n: number) => Promise<ProbeResult>) => Promise.all(Array.from({ length: TRIES }, (_, n) => one(n)));
    const outwards = [
        { to: "the internet, IPv4", results: await many((n) => probe(client, { to: destination4(n), port: 443 })) },
        { to: "the internet, IPv6", results: await many((n) => probe(client, { to: destination6(n), port: 443 })) },
    ];
    const published = [office.router.isp1v4, office.router.isp2v4];
    const inwards = await Promise.all(published.map(async (to) => ({ to, result: await probe(internet, { to, port: 443 }) })));
    const hairpin = await Promise.all(published.map(async (to) => ({ to, result: await probe(client, { to, port: 443 }) })));
    const seen = await Promise.all(captures.map(async ({ nic, capture }) => ({ nic, packets: await capture.stop() })));
    const leftBy = (match: (packet: Packet) => boolean) => seen.filter(({ packets }) => packets.some(match)).map(({ nic }) => nic).join(" and ") || "-";
    return [
        ...outwards.flatMap(({ to, results }) => summarize("client", to, results, (result) => leftBy((packet) => packet.source === result.peer && packet.sourcePort === result.peerPort))),
        ...inwards.map(({ to, result }) => forwarded("internet", to, result, (seenBy) => leftBy((packet) => packet.source === to && packet.targetPort === seenBy.peerPort))),
        ...hairpin.map(({ to, result }) => forwarded("client", to, result, (seenBy) => leftBy((packet) => packet.sourcePort === seenBy.peerPort && packet.target === to).replace("-", "lan0"))),
    ];
}

type Answered = Extract<ProbeResult, { ok: true }>;

/** Connections of which each may have gone its own way, by what they were translated to. */
function summarize(who: string, to: string, results: ProbeResult[], out: (result: Answered) => string): Row[] {
    const ways = new Map<string, Row>();
    for (const result of results) {
        const [translated, nic] = result.ok ? [`source ${result.peer}`, out(result)] : [`(no answer: ${result.error})`, "-"];
        const row = ways.get(translated + nic) ?? { who, to, translated, out: nic, count: 0, answered: 0 };
        ways.set(translated + nic, { ...row, count: row.count + 1, answered: row.answered + (result.ok ? 1 : 0) });
    }
    return [...ways.values()].sort((a, b) => (a.translated < b.translated ? -1 : 1));
}

function forwarded(who: string, to: string, result: ProbeResult, out: (seenBy: Answered) => string): Row {
    if (!result.ok) return { who, to: `${to}:443`, translated: `(no answer: ${result.error})`, out: "-", count: 1, answered: 0 };
    const source = result.peer.startsWith(who === "client" ? "10." : "192.") ? "" : `, source ${result.peer}`;
    return { who, to: `${to}:443`, translated: `to ${result.local} (${result.node})${source}`, out: out(result), count: 1, answered: 1 };
}
