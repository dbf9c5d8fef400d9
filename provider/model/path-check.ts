import { z } from "zod";
import { address, choice, integer, interfaceName, leaf, list } from "./schema";
import { interfaceNameFault } from "./names";
import { parseAddress } from "./address";

/*
 * What must work once a change has been applied, and before it is confirmed. The router tries each until it succeeds or its
 * time is over; one that fails rolls the change back.
 */

const line = (most: number, ...examples: string[]) => leaf((text) => {
    if (text === "") return "is empty";
    if (/[\0-\x1f\x7f]/.test(text)) return "is more than one line of text without tabs";
    return text.length > most ? `is longer than ${most} characters` : undefined;
}, examples);

const source = () => leaf((text) => (parseAddress(text) || interfaceNameFault(text) === undefined ? undefined : "is neither an address nor the name of a network interface"), ["lan0", "198.51.100.2"]);

const common = { name: line(80, "the data centre answers").optional(), within: integer(1, 60, 10).default(5) };

const ping = z.strictObject({ kind: choice(["ping"]), ...common, to: address("192.0.2.1"), from: source().optional() });
const connect = z.strictObject({ kind: choice(["connect"]), ...common, to: address("192.0.2.1"), port: integer(1, 65535, 443), from: source().optional() });
const leaves = z.strictObject({ kind: choice(["leaves"]), ...common, to: address("192.0.2.1"), from: address("198.51.100.2").optional(), ingress: interfaceName("nvi0p").optional(), by: interfaceName("isp1"), source: address("198.51.100.2").optional() });
const command = z.strictObject({ kind: choice(["command"]), ...common, command: line(2000, "systemctl is-active bird") });

export const pathChecks = list(z.discriminatedUnion("kind", [ping, connect, leaves, command], { error: 'is none of "ping", "connect", "leaves", "command"' }));

export type PathCheck = z.output<typeof pathChecks>[number];

/** A line of the router-side script's `checks`: name, seconds, and what to try. */
export function wordsOf(check: PathCheck): string[] {
    return ["check", check.name ?? titleOf(check), `${check.within}`, ...triedBy(check)];
}

function triedBy(check: PathCheck): string[] {
    switch (check.kind) {
        case "ping": return ["ping", check.to, ...(check.from ? [check.from] : [])];
        case "connect": return ["connect", check.to, `${check.port}`, ...(check.from ? [check.from] : [])];
        case "leaves": return ["leaves", check.by, check.source ?? "any", check.ingress ?? "any", check.to, ...(check.from ? ["from", check.from] : [])];
        case "command": return ["command", check.command];
    }
}

function titleOf(check: PathCheck): string {
    const from = "from" in check && check.from ? ` from ${check.from}` : "";
    switch (check.kind) {
        case "ping": return `ping ${check.to}${from}`;
        case "connect": return `connect to ${check.to} port ${check.port}${from}`;
        case "leaves": return `packets to ${check.to}${from} leave by ${check.by}${check.source ? ` with source ${check.source}` : ""}`;
        // What follows may be a secret.
        case "command": return `the command ${/^[\w./-]+(?= |$)/.exec(check.command)?.[0] ?? "of a check"}`.slice(0, 80);
    }
}
