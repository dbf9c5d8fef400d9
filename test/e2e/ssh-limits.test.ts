import { connect as dial, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NviError } from "../../provider/model/errors";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { keygen, Lab, until } from "../lab";
import { newer } from "../lab/newer";
import { coreRouter } from "./core";
import { desiredOf } from "./drift-core";
import { sampled } from "./sample";

/* Servers that let in few, or not everybody: what limits connections must not hinder a change, nor its confirmation through a second one. */

const { programs, missing } = await newer();
let lab: Lab;
const closing: (() => void)[] = [];
beforeAll(async () => {
    lab = await Lab.start({ programs, sshd: { sftp: false } });
});
afterEach(() => closing.splice(0).forEach((close) => close()));
afterAll(() => lab?.stop());

function router(more: Parameters<typeof coreRouter>[1] = {}) {
    const { host, close } = coreRouter(lab, { confirmTimeout: 20, dialTimeout: 20, ...more });
    closing.push(close);
    return host;
}

const nvi = desiredOf("interface", { name: "nvi0" });
const failure = async (attempt: Promise<unknown>) => await attempt.then(() => expect.fail("it succeeded"), (error: NviError) => error);

describe("MaxSessions", () => {
    it.each(sampled([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (most) => most === 1))("%i: a change and four looks at the same moment, and the confirmation", async (most) => {
        await lab.sshd.restart([`MaxSessions ${most}`]);
        const host = router();
        const { connections } = lab.sshd.count();
        await Promise.all([ensure(host, nvi), ...Array.from({ length: 4 }, () => read(host, nvi))]);
        // One that is shared, and one for the confirmation.
        expect(lab.sshd.count().connections - connections).toBe(2);
        expect((await read(host, nvi)).rendered).toEqual(renderedOf(nvi));
        await remove(host, nvi);
    });
});

describe("MaxStartups", () => {
    it("that others use up is waited for, before a change and before its confirmation", async () => {
        await lab.sshd.restart(["MaxStartups 2:100:2", "LoginGraceTime 60"]);
        const host = router();
        const idle = await crowd(2);
        const change = ensure(host, nvi);
        await until("our connection to be dropped", () => /drop connection .*(Maxstartups|MaxStartups)/i.test(lab.sshd.log()));
        for (const socket of idle) socket.destroy();
        await change;
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await apply(files);
            const more = await crowd(2);
            const from = lab.sshd.log().length;
            void until("the confirmation to be dropped", () => /drop connection/.test(lab.sshd.log().slice(from))).finally(() => more.forEach((socket) => socket.destroy()));
            return applied;
        };
        await remove(host, nvi);
    });
});

/** So many connections that don't log in. */
async function crowd(count: number): Promise<Socket[]> {
    const before = lab.sshd.count().connections;
    const sockets = Array.from({ length: count }, () => dial(lab.ssh.port, lab.ssh.host).on("error", () => undefined).resume());
    await until("the crowd", () => lab.sshd.count().connections >= before + count);
    return sockets;
}

describe("PerSourcePenalties", () => {
    beforeEach(({ skip }) => skip(programs === undefined, missing));
    const log = () => lab.sshd.log();
    const times = (pattern: RegExp) => [...log().matchAll(pattern)].length;
    const penalties = () => times(/^srclimit_penalise: .* penalty of/gm);
    const penal = async (seconds: number) => lab.sshd.restart([`PerSourcePenalties crash:${seconds} authfail:${seconds} noauth:${seconds} grace-exceeded:${seconds} min:1`]);
    /** Somebody at the same address, with a key that the router does not know. */
    const earn = async (): Promise<void> => {
        const before = penalties();
        const privateKeyPath = `${lab.dir}/stranger${before}`;
        await keygen(privateKeyPath);
        await lab.sshRun("true", { via: { ...lab.ssh, privateKeyPath }, allowFailure: true });
        await until("the penalty", () => penalties() > before);
    };

    it("are not earned by anything that we do", async () => {
        await penal(600);
        const [before, from] = [penalties(), log().length];
        const host = router();
        await ensure(host, nvi);
        await remove(host, nvi);
        closing.splice(0).forEach((close) => close());
        await read(router(), nvi);
        expect([penalties() - before, /drop connection/.test(log().slice(from))]).toEqual([0, false]);
    });

    it("of others at our address, between a change and its confirmation, are waited for", async () => {
        await penal(4);
        const host = router();
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await apply(files);
            await earn();
            return applied;
        };
        const from = log().length;
        await ensure(host, nvi);
        expect(log().slice(from)).toMatch(/^drop connection .* penalty: /m);
        host.apply = apply;
        await remove(host, nvi);
    });

    it("that last longer than that undo the change, and the error names them", async () => {
        await penal(600);
        const host = router({ confirmTimeout: 3 });
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await apply(files);
            await earn();
            return applied;
        };
        const error = await failure(ensure(host, nvi));
        expect(error).toMatchObject({ kind: "rolled-back", output: expect.stringMatching(/it keeps this address out for a while \(PerSourcePenalties\)/) as string, cure: expect.stringContaining("PerSourcePenaltyExemptList") as string });
        expect((await read(host, nvi)).exists).toBe(false);
        // Who comes anew is told so, too.
        expect(await failure(read(router({ dialTimeout: 1 }), nvi))).toMatchObject({ kind: "unreachable", cure: expect.stringContaining("PerSourcePenaltyExemptList") as string });
    });
});
