import { connect as connectTcp, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ClientChannel } from "ssh2";
import type { NviError } from "../model/errors";
import { loadCredentials } from "./credentials";
import { Deadline } from "./deadline";
import type { Endpoint } from "./endpoint";
import { openForward } from "./forward";
import { stepsTo, type Step } from "./hops";
import { hostKeyPolicy } from "./host-key";
import { login, type LoggedIn, type LoginPlan, type Stream } from "./login";
import { failure } from "./redact";

/** A way to the router that stands: logged in on every hop. */
export interface Way {
    /** One a hop; the last one is the router's. */
    clients: Client[];
    /** The TCP connection to the first hop, on which all else rests. */
    socket: Socket;
    /** What the last client speaks through. */
    stream: Stream;
    /** The router's SSH identification, e.g. `SSH-2.0-dropbear_2022.83`. */
    banner: string;
}

/** A hop that was reached. */
type Reached = LoggedIn & { stream: Stream };

const DIAL_TIMEOUT_S = 60;
const ATTEMPT_TIMEOUT_S = 15;
const ERROR_LIMIT = 10;

/** Node tries a name's next address after this; its own 250 ms give up on a slow line, e.g. by satellite. */
const NEXT_ADDRESS_MS = 2500;

/**
 * Dials all hops in turn. The keys and known_hosts files of all hops are read first, so that a slip in the last one costs
 * no login.
 *
 * @throws NviError with the hop as its subject: `unreachable` after all attempts; `host-key` and `authentication` after one.
 */
export async function dial(endpoint: Endpoint): Promise<Way> {
    const total = new Deadline(endpoint.dialTimeout ?? DIAL_TIMEOUT_S);
    const plans: LoginPlan[] = [];
    for (const step of stepsTo(endpoint)) {
        plans.push({
            endpoint,
            step,
            hostKey: await hostKeyPolicy(endpoint, step),
            credentials: await loadCredentials(endpoint, step),
        });
    }
    const reached: Reached[] = [];
    try {
        for (const plan of plans) {
            const via = reached.at(-1)?.client;
            reached.push(await persist(plan, total, (limit) => attempt(plan, via, limit, total)));
        }
    } catch (error) {
        (reached[0]?.stream as Socket | undefined)?.destroy();
        throw error;
    }
    const { stream, banner } = reached.at(-1)!;
    return { clients: reached.map((hop) => hop.client), socket: reached[0]!.stream as Socket, stream, banner };
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
    const started = performance.now();
    const { dialErrorLimit: limit = ERROR_LIMIT, perDialTimeout = ATTEMPT_TIMEOUT_S } = plan.step.hop;
    const most = limit < 0 ? Infinity : limit;
    const perDial = perDialTimeout === 0 ? Infinity : perDialTimeout;
    for (let failed = 1; ; failed++) {
        try {
            return await once(new Deadline(Math.min(perDial, total.leftMs / 1000)));
        } catch (error) {
            const last = error as NviError;
            if (last.kind !== "unreachable") throw last;
            const wait = backoffMs(failed);
            if (failed >= most || wait >= total.leftMs) throw gaveUp(plan, last, failed, performance.now() - started);
            await sleep(wait);
        }
    }
}

function gaveUp({ endpoint, step }: LoginPlan, last: NviError, attempts: number, ms: number): NviError {
    const { cure } = last;
    const count = `${attempts} attempt${attempts === 1 ? "" : "s"}`;
    const reason = `${last.reason} (gave up after ${count} in ${(ms / 1000).toFixed(1)} s)`;
    return failure(endpoint, { kind: "unreachable", operation: "dial", subject: step.subject, reason, cure });
}

async function attempt(plan: LoginPlan, via: Client | undefined, limit: Deadline, total: Deadline): Promise<Reached> {
    const stream = via ? await openForward(plan, via, limit) : await openTcp(plan.endpoint, plan.step, limit);
    try {
        return { ...(await login(plan, stream, limit, total)), stream };
    } catch (error) {
        discard(stream);
        throw error;
    }
}

/**
 * A channel is closed, not destroyed: to destroy it also writes, a moment later, to a connection that may be gone by
 * then, and ssh2 throws where nobody can catch it.
 */
function discard(stream: Stream): void {
    try {
        if (stream instanceof Socket) stream.destroy();
        else (stream as ClientChannel).close();
    } catch {
        // The bastion's connection is gone, and the channel with it.
    }
}

function openTcp(endpoint: Endpoint, step: Step, limit: Deadline): Promise<Socket> {
    const { host, port } = step;
    return new Promise((resolve, reject) => {
        const socket = connectTcp({
            host,
            port,
            noDelay: true,
            autoSelectFamily: true,
            autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
        });
        const fail = (reason: string, cure: string) => {
            clearTimeout(timer);
            socket.destroy();
            const { subject } = step;
            reject(failure(endpoint, { kind: "unreachable", operation: "dial", subject, reason, cure }));
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

const SILENCE =
    "see whether the router is up, and whether a route or a firewall between here and there swallows packets";

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
