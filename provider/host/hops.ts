import { NviError } from "../model/errors";
import type { Endpoint, Hop } from "./endpoint";

/** One SSH server on the way to the router, with the defaults filled in and its name in messages. */
export interface Step {
    hop: Hop;
    host: string;
    port: number;
    user: string;
    /** `user@host:port` */
    address: string;
    /** Who it is in messages: the router with its way, or "bastion 1 of 2" with the router's name. */
    subject: string;
    /** Whether it is dialed from here, and not through a bastion. */
    direct: boolean;
    /** Pinned host keys, as given. */
    pins: readonly string[];
}

/**
 * The servers to dial, in order; the last one is the router.
 *
 * @throws NviError `invalid` when a hop has no host, or a port that cannot be.
 */
export function stepsTo(endpoint: Endpoint): Step[] {
    const bastions = bastionsOf(endpoint);
    const subject = (hop: Hop, i: number) =>
        `${endpoint.name}: bastion ${i + 1} of ${bastions.length} (${addressOf(hop)})`;
    const steps = bastions.map((hop, i) => step(hop, subject(hop, i), pinsOf(hop)));
    const router = endpoint.connection;
    steps.push(step(router, labelOf(endpoint), [...list(endpoint.hostKey), ...pinsOf(router)]));
    return steps.map((each, i) => ({ ...each, direct: i === 0 }));
}

/** The router in messages, e.g. `edge (root@192.0.2.7:22 via ops@bastion:22)`. */
export function labelOf(endpoint: Endpoint): string {
    const via = bastionsOf(endpoint).map(addressOf).join(", ");
    return `${endpoint.name} (${addressOf(endpoint.connection)}${via ? ` via ${via}` : ""})`;
}

/** `host:port`, with an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
    return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function step(hop: Hop, subject: string, pins: string[]): Omit<Step, "direct"> {
    const port = hop.port ?? 22;
    const invalid = (reason: string) => new NviError({ kind: "invalid", operation: "dial", subject, reason });
    if (!hop.host?.trim()) throw invalid("`host` is empty");
    if (!Number.isInteger(port) || port < 1 || port > 65535)
        throw invalid(`\`port\` is ${port}, not one of 1 to 65535`);
    return { hop, host: bareHost(hop), port, user: userOf(hop), address: addressOf(hop), subject, pins };
}

function bastionsOf(endpoint: Endpoint): Hop[] {
    return list(endpoint.connection.proxy);
}

function pinsOf(hop: Hop): string[] {
    return list(hop.hostKey);
}

function addressOf(hop: Hop): string {
    return `${userOf(hop)}@${hostPort(bareHost(hop), hop.port ?? 22)}`;
}

function userOf(hop: Hop): string {
    return hop.user || "root";
}

/** `[2001:db8::1]`, as a URL has it, is no address to the resolver. */
function bareHost(hop: Hop): string {
    return (hop.host ?? "").trim().replace(/^\[(.*)\]$/, "$1");
}

function list<T>(value: T | T[] | undefined): T[] {
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
