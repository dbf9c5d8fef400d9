import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "ssh2";
import type { NviError } from "../model/errors";
import { loadCredentials } from "./credentials";
import { Deadline } from "./deadline";
import type { Endpoint } from "./endpoint";
import { openForward } from "./forward";
import { stepsTo, type Step } from "./hops";
import { hostKeyPolicy } from "./host-key";
import { login, type LoginPlan, type Stream } from "./login";
import { failure } from "./redact";

/** A way to the router that stands: logged in on every hop. */
export interface Way {
    /** One a hop; the last one is the router's. */
    clients: Client[];
    /** The TCP connection to the first hop, on which all else rests. */
    socket: Socket;
    /** What the last client speaks through. */
    stream: Stream;
}

const DIAL_TIMEOUT_S = 60;
const ATTEMPT_TIMEOUT_S = 15;
const ERROR_LIMIT = 10;

/** Node tries a name's next address after this; its own 250 ms give up on a slow line, e.g. by satellite. */
const NEXT_ADDRESS_MS = 2500;

/**
 * Dials all hops in turn. Keys and known_hosts files of all hops are read first, so that a slip in the last one costs no login.
 *
 * @throws NviError with the hop as its subject: `unreachable` after all attempts; `host-key` and `authentication` after one.
 */
export async function dial(endpoint: Endpoint): Promise<Way> {
    const total = new Deadline(endpoint.dialTimeout ?? DIAL_TIMEOUT_S);
    const plans: LoginPlan[] = [];
    for (const step of stepsTo(endpoint)) {
        plans.push({ endpoint, step, hostKey: await hostKeyPolicy(endpoint, step), credentials: await loadCredentials(endpoint, step) });
    }
    const clients: Client[] = [];
    const streams: Stream[] = [];
    try {
        for (const plan of plans) {
            const reached = await persist(plan, total, (limit) => attempt(plan, clients.at(-1), limit, total));
            clients.push(reached.client);
            streams.push(reached.stream);
        }
    } catch (error) {
        (streams[0] as Socket | undefined)?.destroy();
        throw error;
    }
    return { clients, socket: streams[0] as Socket, stream: streams.at(-1)! };
}

/**
 * Milliseconds to wait after the given failed attempt, counted from 1: doubled each time, from 250 to 5000, and less by
 * up to a half at random, so that many programs do not knock in step.
 */
export function backoffMs(failed: number, random = Math.random()): number {
    return Math.min(5000, 250 * 2 ** (failed - 1)) * (1 - random / 2);
}

/** Repeats what fails as `unreachable`, within the hop's limits. */
async function persist<T>(plan: LoginPlan, total: Deadline, once: (limit: Deadline) => Promise<T>): Promise<T> {
    const { hop } = plan.step;
    const started = performance.now();
    const most = hop.dialErrorLimit === undefined ? ERROR_LIMIT : hop.dialErrorLimit < 0 ? Infinity : hop.dialErrorLimit;
    const perDial = hop.perDialTimeout === 0 ? Infinity : (hop.perDialTimeout ?? ATTEMPT_TIMEOUT_S);
    for (let failed = 1; ; failed++) {
        try {
            return await once(new Deadline(Math.min(perDial, total.leftMs / 1000)));
        } catch (error) {
            const wait = backoffMs(failed);
            if ((error as NviError).kind !== "unreachable") throw error;
            if (failed >= most || wait >= total.leftMs) throw gaveUp(plan, error as NviError, failed, performance.now() - started);
            await sleep(wait);
        }
    }
}

function gaveUp({ endpoint, step }: LoginPlan, last: NviError, attempts: number, ms: number): NviError {
    const { cure } = last;
    const reason = `${last.reason} (gave up after ${attempts} attempt${attempts === 1 ? "" : "s"} in ${(ms / 1000).toFixed(1)} s)`;
    return failure(endpoint, { kind: "unreachable", operation: "dial", subject: step.subject, reason, cure });
}

async function attempt(plan: LoginPlan, via: Client | undefined, limit: Deadline, total: Deadline): Promise<{ client: Client; stream: Stream }> {
    const stream = via ? await openForward(plan, via, limit) : await openTcp(plan.endpoint, plan.step, limit);
    try {
        return { client: await login(plan, stream, limit, total), stream };
    } catch (error) {
        discard(stream);
        throw error;
    }
}

/** A channel is closed, not destroyed: destroying also writes, later, to a connection that may be gone, and that throws where nobody can catch it. */
function discard(stream: Stream): void {
    try {
        if ("close" in stream) (stream as Stream & { close(): void }).close();
        else stream.destroy();
    } catch {
        // The bastion's connection is gone, and the channel with it.
    }
}

function openTcp(endpoint: Endpoint, step: Step, limit: Deadline): Promise<Socket> {
    const { host, port } = step;
    return new Promise((resolve, reject) => {
        const socket = connectTcp({ host, port, noDelay: true, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS });
        const fail = (why: string, cure: string) => {
            clearTimeout(timer);
            socket.destroy();
            reject(failure(endpoint, { kind: "unreachable", operation: "dial", subject: step.subject, reason: why, cure }));
        };
        const timer = limit.alarm(() => fail(`no TCP connection within ${limit.seconds} s`, SILENCE));
        // The listener stays, for an "error" event without one would end the process.
        socket.on("error", (error: NodeJS.ErrnoException) => fail(tcpReason(error), tcpCure(error.code, port)));
        socket.once("connect", () => {
            clearTimeout(timer);
            resolve(socket);
        });
    });
}

const SILENCE = "see whether the router is up, and whether a route or a firewall between here and there swallows packets";

/** With several addresses Node throws one error around all of them, whose own message is empty. */
function tcpReason(error: Error & { errors?: Error[] }): string {
    return error.errors?.map((each) => each.message).join("; ") || error.message;
}

function tcpCure(code: string | undefined, port: number): string {
    switch (code) {
        case "ECONNREFUSED":
            return `see whether sshd runs and listens on port ${port}`;
        case "ENOTFOUND":
        case "EAI_AGAIN":
            return "correct `host`: the machine that runs Pulumi cannot resolve this name";
        default:
            return SILENCE;
    }
}
