export interface PortRange {
    first: number;
    last: number;
}

/** Parses `443` or `8000-8010`; a reason in words where it is none. */
export function parsePorts(text: string): PortRange | string {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
    if (!match) return "is not a port (443) or a port range (8000-8010)";
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first < 1 || last > 65535) return "has a port outside 1 to 65535";
    if (first > last) return "is upside down: the first port is above the last";
    return { first, last };
}

export const PROTOCOLS = ["tcp", "udp", "sctp", "dccp"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Parses `tcp/443` or `udp/5000-5010`; a reason in words where it is none. */
export function parseService(text: string): { protocol: Protocol; ports: PortRange } | string {
    const slash = text.indexOf("/");
    const protocol = PROTOCOLS.find((name) => name === text.slice(0, slash));
    if (!protocol) return `must begin with a protocol (${PROTOCOLS.join(", ")}) and a slash, as in tcp/443`;
    const ports = parsePorts(text.slice(slash + 1));
    return typeof ports === "string" ? ports : { protocol, ports };
}

export const formatPorts = (ports: PortRange): string =>
    ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`;

export const portCount = (ports: PortRange): number => ports.last - ports.first + 1;
