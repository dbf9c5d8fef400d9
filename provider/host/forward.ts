import type { Client, ClientChannel } from "ssh2";
import type { ErrorKind, NviError } from "../model/errors";
import type { Deadline } from "./deadline";
import { hostPort } from "./hops";
import type { LoginPlan } from "./login";
import { failure } from "./redact";

/** `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` and `SSH_OPEN_CONNECT_FAILED` of RFC 4254. */
const PROHIBITED = 1;
const CONNECT_FAILED = 2;

/**
 * Opens a channel from a bastion to the next hop, which resolves the name there, not here.
 *
 * @throws NviError `unreachable` when the bastion cannot reach it, `privilege` when the bastion forbids it,
 * `disconnected` when the bastion itself is lost.
 */
export function openForward(plan: LoginPlan, bastion: Client, limit: Deadline): Promise<ClientChannel> {
    const { host, port } = plan.step;
    return new Promise((resolve, reject) => {
        let late = false;
        const timer = limit.alarm(() => {
            late = true;
            reject(forwardError(plan, { message: `no answer within ${limit.seconds} s`, reason: CONNECT_FAILED }));
        });
        const opened = (error: OpenError | undefined, channel?: ClientChannel): void => {
            clearTimeout(timer);
            if (error || !channel) return reject(forwardError(plan, error ?? { message: "no channel" }));
            channel.on("error", () => undefined);
            if (late) channel.close();
            else resolve(channel);
        };
        try {
            bastion.forwardOut("127.0.0.1", 0, host, port, opened);
        } catch (error) {
            opened(error as Error);
        }
    });
}

/** ssh2's error for a channel that was not opened; without a reason code it is not the server's answer. */
type OpenError = { message: string; reason?: unknown };

function forwardError({ endpoint, step }: LoginPlan, { message, reason: code }: OpenError): NviError {
    const target = hostPort(step.host, step.port);
    const fail = (kind: ErrorKind, reason: string, cure: string): NviError =>
        failure(endpoint, { kind, operation: "dial", subject: step.subject, reason: `${reason} (${message})`, cure });
    if (code === PROHIBITED) {
        const cure = "allow it in the bastion's sshd_config: AllowTcpForwarding yes, PermitOpen";
        return fail("privilege", `the bastion before it forbids to forward to ${target}`, cure);
    }
    if (code === undefined) return fail("disconnected", "the connection to the bastion before it was lost", "run it again");
    const cure = `see whether sshd runs there, and whether the bastion resolves and reaches ${target}`;
    return fail("unreachable", `the bastion before it cannot reach ${target}`, cure);
}
