import { z } from "zod";
import type { Fault } from "../model/fault";
import { pathChecks } from "../model/path-check";
import { flag, integer, list, objectName, oneOrMore, text, type Partially } from "../model/schema";

const hop = {
    host: text("192.0.2.7", "edge.example.net"),
    port: integer(1, 65535, 2222).optional(),
    user: text("admin").optional(),
    password: text("correct horse").optional(),
    privateKey: text("-----BEGIN OPENSSH PRIVATE KEY-----").optional(),
    privateKeyPassword: text("battery staple").optional(),
    privateKeyPath: text("~/.ssh/edge").optional(),
    agentSocketPath: text("/run/user/0/agent.sock").optional(),
    dialErrorLimit: integer(-1, 1000, 3).optional(),
    perDialTimeout: integer(0, 3600, 5).optional(),
    hostKey: oneOrMore(text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3F1C9ZRdHPlPjXvBZ9VIfQ4S5cjmIQ1UJfVN6FwAv")).optional(),
};

/** How a router is reached; every resource carries it. */
export const endpoint = z.strictObject({
    name: objectName(),
    connection: z.strictObject({ ...hop, proxy: z.union([z.strictObject(hop), list(z.strictObject(hop), 1)]).optional() }),
    hostKey: hop.hostKey,
    knownHosts: text("~/.ssh/known_hosts").optional(),
    insecureIgnoreHostKey: flag().optional(),
    sudoPassword: text("hunter2").optional(),
    dialTimeout: integer(1, 3600, 30).optional(),
    keepalive: integer(1, 600, 5).optional(),
    confirmTimeout: integer(0, 3600, 60).optional(),
    checks: pathChecks.optional(),
});

export type EndpointInputs = z.output<typeof endpoint>;

export function endpointFaults(inputs: Partially<EndpointInputs> | undefined): Fault[] {
    const host = inputs?.connection?.host;
    return host !== undefined && (host === "" || /[\s\0]/.test(host)) ? [{ path: ["connection", "host"], reason: "is not a host name or an address" }] : [];
}
