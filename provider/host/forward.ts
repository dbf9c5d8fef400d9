import type { Client, ClientChannel } from "ssh2";
import type { ErrorKind, NviError } from "../model/errors";
import type { Deadline } from "./deadline";
import { hostPort } from "./hops";
import type { LoginPlan } from "./login";
import { failure } from "./redact";

/** `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` */
const PROHIBITED = 1;

/**
 * Opens a channel from a bastion to the next hop, which resolves the name there, not here.
 *
 * @throws NviError `unreachable` when the bastion cannot reach it, `privilege` when the bastion forbids it,
 * `disconnected` when the bastion itself is lost.
 */
export function openForward({ endpoint, step }: LoginPlan, bastion: Client, limit: Deadline): Promise<ClientChannel> {
    const fail = (kind: ErrorKind, reason: string, cure: string): NviError =>
        failure(endpoint, { kind, operation: "dial", subject: step.subject, reason, cure });
    const target = hostPort(step.host, step.port);

    return new Promise((resolve, reject) => {
        let late = false;
        const timer = limit.alarm(() => {
            late = true;
            reject(fail("unreachable", `the bastion before it opened no connection to ${target} within ${limit.seconds} s`, `see whether ${target} is up, and reachable from the bastion`));
        });
        const opened = (error: (Error & { reason?: unknown }) | undefined, channel: ClientChannel) => {
            clearTimeout(timer);
            if (!error) {
                channel.on("error", () => undefined);
                return late ? channel.close() : resolve(channel);
            }
            if (error.reason === PROHIBITED) {
                return reject(fail("privilege", `the bastion before it forbids to forward to ${target} (${error.message})`, "allow it in the bastion's sshd_config: AllowTcpForwarding yes, PermitOpen"));
            }
            if (error.reason === undefined) return reject(fail("disconnected", `the connection to the bastion before it was lost (${error.message})`, "run it again"));
            reject(fail("unreachable", `the bastion before it cannot reach ${target} (${error.message})`, `see whether sshd runs there, and whether the bastion resolves and reaches ${target}`));
        };
        try {
            bastion.forwardOut("127.0.0.1", 0, step.host, step.port, opened);
        } catch (error) {
            opened(error as Error, undefined as never);
        }
    });
}
