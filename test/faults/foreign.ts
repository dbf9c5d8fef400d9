import type { Host } from "../../provider/host/host";
import { NviError } from "../../provider/model/errors";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { ensure, read, remove } from "../../provider/reconcile/engine";
import { objectKey } from "../../provider/reconcile/objects";
import { aborting, coreRouter } from "../e2e/core";
import { labForCases } from "../e2e/drift-core";
import { until, type Lab } from "../lab";
import { directRouter } from "./direct";
import { difference, inOrder, lookAt, Monitor, Own, type Line } from "./foreign-look";
import { describe, keyOf, planOf, type Operation, type Plan } from "./foreign-plan";
import { twins, WORLD, type Doing } from "./foreign-world";

/*
 * Sequences of operations on a router that others live on. After each one all that is theirs is, byte for byte, as it was, and
 * the kernel has told of no change to it.
 */

/** What became of the operations of a sequence. */
export interface Tally {
    done: number;
    /** Preflight said no: nothing was begun. */
    refused: number;
    /** Begun, and undone. */
    undone: number;
    /** Changes of others in between. */
    others: number;
}

/** After these the router is as it was. */
const [REFUSALS, FAILURES] = [["preflight", "foreign", "invalid"], ["tool", "rolled-back"]];

const CLOSED: Doing = {
    name: "the router doesn't forward",
    script: "sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv4.conf.virbr0.forwarding=1 net.ipv6.conf.docker0.forwarding=1",
    undo: "sysctl -q -w net.ipv6.conf.docker0.forwarding=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
};

export class ForeignBench {
    private monitor: Monitor;
    private readonly direct: Host;
    private readonly ssh: ReturnType<typeof coreRouter>;
    /** All that is theirs, as it has to be. */
    private theirs: Line[] = [];
    private there = new Map<string, DesiredObject>();
    /** All that the sequence has tried to make. */
    private tried: DesiredObject[] = [];
    private undos: Doing[] = [];
    private closed = false;

    private constructor(readonly lab: Lab) {
        this.monitor = new Monitor(lab);
        this.direct = directRouter(lab);
        // No sequence is about a confirmation that doesn't come, but a login takes long where many run.
        this.ssh = coreRouter(lab, { dialTimeout: 30, confirmTimeout: 30 });
    }

    static async start(): Promise<ForeignBench> {
        const lab = await labForCases();
        try {
            await lab.router.sh(WORLD, [], { timeoutMs: 60_000 });
            const bench = new ForeignBench(lab);
            await bench.monitor.ready();
            bench.theirs = await bench.settled();
            return bench;
        } catch (error) {
            await lab.stop();
            throw error;
        }
    }

    async stop(): Promise<void> {
        await this.monitor.stop();
        this.ssh.close();
        await this.lab.stop();
    }

    /** @throws Error that names what is not as it was. */
    async run(seed: number, number: number): Promise<{ plan: Plan; tally: Tally }> {
        const plan = planOf(seed, number);
        const tally: Tally = { done: 0, refused: 0, undone: 0, others: 0 };
        [this.there, this.tried, this.undos, this.closed] = [new Map(), [], [], plan.closed];
        const host = plan.overSsh ? this.ssh.host : this.direct;
        let at = "the beginning";
        try {
            await this.monitor.events();
            if (plan.closed) await this.others(CLOSED);
            for (const operation of plan.operations) {
                at = describe({ ...plan, operations: [operation] });
                tally[await this.operate(host, operation)]++;
            }
            if (plan.leaves) await this.check();
            at = "taking all away";
            for (const object of [...this.there.values()].reverse()) await remove(host, object);
            this.there.clear();
            await this.check();
            for (const doing of this.undos.reverse()) await this.script(doing.undo);
            if (this.undos.length > 0) this.theirs = await (this.undos.some(({ links }) => links) ? this.settled() : lookAt(this.lab));
        } catch (error) {
            throw new Error(`sequence ${number} of seed ${seed}: ${describe(plan)}\nat ${at}:\n${(error as Error).message}`, { cause: error });
        }
        return { plan, tally };
    }

    private async operate(host: Host, operation: Operation): Promise<keyof Tally> {
        if (operation.what === "other") {
            await this.others(operation.doing);
            return "others";
        }
        const { what } = operation;
        if (what === "beside") {
            await this.others(twins(operation.object));
            return "others";
        }
        // Where a change of it was refused, the earlier one is there.
        const object = (["forget", "lose"].includes(what) && this.there.get(keyOf(operation.object))) || operation.object;
        this.tried.push(object);
        try {
            await this.carryOut(host, what, object);
            return "done";
        } catch (error) {
            if (!(error instanceof NviError)) throw error;
            if (REFUSALS.includes(error.kind)) return "refused";
            if (FAILURES.includes(error.kind)) return "undone";
            throw error;
        }
    }

    private async carryOut(host: Host, what: Exclude<Operation["what"], "other" | "beside">, object: DesiredObject): Promise<void> {
        switch (what) {
            case "read": return void (await read(host, object));
            case "fail": return void (await ensure(host, { ...object, checks: [{ kind: "command", command: "exit 1", within: 0 }] }));
            case "abort": return void (await ensure(aborting(host), object));
            case "lose": case "forget":
                await this.forget(object);
                if (what === "lose") break;
                await ensure(host, { ...object, adopt: true });
                return void this.there.set(keyOf(object), object);
            case "ensure": case "break":
                await ensure(host, object, { known: this.there.has(keyOf(object)) });
                // Where nothing differs, nothing is tried.
                return void this.there.set(keyOf(object), { ...object, checks: [] });
        }
        await remove(host, object);
        this.there.delete(keyOf(object));
    }

    /** With its manifest goes what sysctls were before, unless another object knows: they stay as they are, and so does what the kernel made of them. */
    private async forget(object: DesiredObject): Promise<void> {
        if (this.there.has(keyOf(object))) await this.check();
        await this.script(`rm -f /etc/nvi/objects/${objectKey(object.id)}/manifest`);
        if (!this.there.has(keyOf(object))) return;
        const all = this.own([...this.there.values()]);
        const known = this.own([...this.there.values()].filter((one) => keyOf(one) !== keyOf(object)));
        const [own, named] = [this.own([object]), new Own([object], false)];
        const now = await lookAt(this.lab);
        const stays = now.filter((line) => own.has(line) && !known.has(line));
        const values = new Map(stays.filter(({ section }) => section === "sysctl").map((line) => [pathOf(line), line]));
        const made = new Set(stays.filter((line) => line.section !== "sysctl" && !named.has(line)));
        const sysctls = this.theirs.filter(({ section }) => section === "sysctl").map((line) => values.get(pathOf(line)) ?? line);
        this.theirs = inOrder([...now.filter((line) => line.section !== "sysctl" && (!all.has(line) || made.has(line))), ...sysctls]);
    }

    /** Somebody else's own change: from here on that is what must stay. */
    private async others(doing: Doing): Promise<void> {
        await this.check();
        this.undos.push(doing);
        await this.script(doing.script);
        const own = this.own([...this.there.values()]);
        const now = await (doing.links ? this.settled() : lookAt(this.lab));
        // The sysctls that our objects have in their hands are theirs again when those are gone, and what of theirs stayed stays.
        const hidden = this.theirs.filter((line) => line.section === "sysctl" && own.has(line));
        const stays = new Set(this.theirs.filter(({ section }) => section !== "sysctl").map(textOf));
        this.theirs = inOrder([...now.filter((line) => !own.has(line) || stays.has(textOf(line))), ...hidden]);
        await this.monitor.events();
    }

    private async script(script: string): Promise<void> {
        if (script !== "") await this.lab.router.sh(script);
    }

    private own(objects: readonly DesiredObject[]): Own {
        return new Own(objects, this.closed && objects.some(({ artifacts }) => artifacts.some((one) => one.kind === "sysctl" && one.path === "net/ipv4/ip_forward")));
    }

    /** @throws Error where something of others is not as it was, or was touched. */
    private async check(): Promise<void> {
        const own = this.own([...this.there.values()]);
        const touched = (await this.monitor.events()).filter((line) => !this.own(this.tried).hasEvent(line));
        const found = difference(this.theirs.filter((line) => !own.has(line)), (await lookAt(this.lab)).filter((line) => !own.has(line)));
        if (found.length + touched.length > 0) throw new Error([...found, ...touched.map((line) => `the kernel told of: ${line}`)].slice(0, 40).join("\n"));
    }

    /** What links come to takes the kernel a moment. */
    private async settled(): Promise<Line[]> {
        let last = await lookAt(this.lab);
        return await until("the router to come to rest", async () => {
            const now = await lookAt(this.lab);
            const same = difference(last, now).length === 0;
            last = now;
            return same && now;
        }, 15_000);
    }
}

const textOf = ({ section, text }: Line): string => `${section} ${text}`;
const pathOf = ({ text }: Line): string => text.split(" = ")[0]!;
