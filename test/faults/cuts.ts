import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { NviError } from "../../provider/model/errors";
import { diffDumps, Lab, until } from "../lab";
import { withoutHousekeeping } from "../e2e/drift-core";
import { patience } from "../lab/patience";
import { routerArgs } from "../e2e/office";
import type { Scene } from "./scenes";

/*
 * Something ends in the middle of a transaction: the connection, the provider, or a process on the router. Then the router has
 * the old version whole or the new one whole, and doing it once more brings the new one.
 */

export const CUTS = ["connection reset", "connection silent", "provider killed", "worker killed", "guard killed", "everything killed", "connection reset at a byte"] as const;
export type Cut = (typeof CUTS)[number] | "power cut";

/**
 * `at` counts the commands of the transaction that change something; behind the last is the time between applying and confirming.
 * For a power cut it is percent of the time that the transaction takes, and bytes to the router for a connection that is reset at one.
 */
export interface Point {
    scene: string;
    cut: Cut;
    at: number;
}

export interface Result extends Point {
    /** Which version the router has; `neither` is what must never be. */
    ended: "new" | "old" | "neither";
    said: string;
}

const CONFIRM_TIMEOUT = 3 * patience;
const SILENCE_MS = 4500;
/** In a place that no dump looks at. */
const [COUNT, GATE] = ["/etc/ssh/lab/count", "/etc/ssh/lab/gate"];
const TOOLS = ["ip", "nft"];
const KILLS: Partial<Record<Cut, string>> = { "worker killed": "nvi _run", "guard killed": "nvi _guard", "everything killed": "nvi" };

class Killed extends Error {}

/** What cuts transactions short on a lab's router, and tells which version it then has. */
export class Cutter {
    constructor(protected readonly lab: Lab) {}

    /** @param kill ends the provider */
    protected async strike(cut: Cut, kill: () => void): Promise<void> {
        if (cut === "connection silent") {
            await this.lab.relay.blackhole(true);
            await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
            await this.lab.relay.blackhole(false);
        } else if (cut === "provider killed") {
            kill();
            await this.lab.relay.cut();
        } else if (KILLS[cut]) await this.lab.router.sh(`pkill -KILL -f '/run/nvi/[0-9a-f]*/${KILLS[cut]}' || :`);
        else await this.lab.relay.cut();
    }

    /** A change that is cut short at one of its commands, or bytes; what the provider said in the end. */
    async during({ cut, at }: Point, change: () => Promise<string>, kill: () => void): Promise<string> {
        try {
            if (cut === "connection reset at a byte") {
                await this.lab.relay.cutAfter(at);
                return await change();
            }
            await this.instrument(at, `: >${GATE}.reached; until [ -e ${GATE} ]; do sleep 0.02; done;`);
            const changing = change();
            const reached = until("the command", async () => (await this.lab.router.sh(`[ -e ${GATE}.reached ] && echo yes || :`)).stdout !== "", 30_000);
            await Promise.race([reached, changing]);
            const striking = this.strike(cut, kill);
            if (cut !== "connection silent") await striking;
            await this.lab.router.sh(`: >${GATE}`);
            await striking;
            return await changing;
        } finally {
            await this.lab.relay.blackhole(false);
            await this.lab.relay.cutAfter(Number.MAX_SAFE_INTEGER);
            await this.restoreTools();
        }
    }

    /** How many commands a change has. */
    async counted(change: () => Promise<unknown>): Promise<number> {
        await this.instrument(0, ":;");
        await change().finally(() => this.restoreTools());
        return Number((await this.lab.router.sh(`cat ${COUNT}`)).stdout);
    }

    private async instrument(at: number, instead: string): Promise<void> {
        await this.lab.router.sh(`rm -f ${COUNT} ${GATE} ${GATE}.reached; echo 0 >${COUNT}`);
        for (const tool of TOOLS) {
            await this.lab.fake(`/usr/sbin/${tool}`, `#!/bin/sh
case " $* " in
*" add "* | *" del "* | *" set "* | *" replace "* | *" append "* | " -f "*".nft " | *" delete table "*)
    n=$(($(cat ${COUNT}) + 1)); echo $n >${COUNT}
    [ $n -ne ${at} ] || { ${instead} } ;;
esac
exec /etc/ssh/lab/hidden/${tool} "$@"
`);
        }
    }

    private async restoreTools(): Promise<void> {
        for (const tool of TOOLS) await this.lab.unhide(`/usr/sbin/${tool}`).catch(() => undefined);
    }

    async peace(): Promise<void> {
        const busy = async (): Promise<string> => (await this.lab.router.sh("pgrep -fa '/run/nvi/[0-9a-f]*/nvi' || :")).stdout;
        await until("the router to be in peace", async () => (await busy()) === "", 30_000).catch(async (error: Error) => {
            throw new Error(`${error.message}; there are still\n${await busy()}`);
        });
    }

    async dump(): Promise<string> {
        await this.peace();
        // When it was made is part of a manifest, and differs.
        const manifests = await this.lab.router.sh("for file in /etc/nvi/objects/*/manifest; do [ ! -e $file ] || sed 's/,\"since\":[0-9]*//; s/^do\\t\\([0-9.]*\\)\\t[0-9]*/do \\1/' $file | sha256sum | sed \"s|-|$file|\"; done");
        return `${(await this.lab.dump()).replace(/^(.* \/etc\/nvi\/objects\/\S+\/manifest .*) \w+$/gm, "$1")}\n== manifests\n${manifests.stdout}`;
    }

    /**
     * The order of tables, and of rules of one priority that don't overlap, means nothing; what became of transactions is kept for a
     * while; a kernel that was started anew has not yet loaded conntrack.
     */
    difference(one: string, other: string): string[] {
        return withoutHousekeeping(diffDumps(one, other)).filter((line) => !/^~|^. files: \w+ \/run\/|^. sysctls: net\.(netfilter\.)?nf_/.test(line));
    }
}

/** One scene on a lab's router, for as many points as wanted. */
export class CutBench extends Cutter {
    /** How many commands the transaction has. */
    commands = 0;
    /** How many milliseconds it takes. */
    took = 0;
    private old = "";
    private new = "";

    constructor(lab: Lab, readonly scene: Scene) { super(lab); }

    async prepare(): Promise<void> {
        const { host, close } = this.router();
        for (const need of this.scene.needs) await ensure(host, need);
        await this.put(host, this.scene.from);
        const since = performance.now();
        await this.put(host, this.scene.to);
        this.took = performance.now() - since;
        this.new = await this.dump();
        await this.put(host, this.scene.from);
        this.old = await this.dump();
        close();
    }

    async countCommands(): Promise<void> {
        const { host, close } = this.router();
        this.commands = await this.counted(() => this.put(host, this.scene.to));
        await this.put(host, this.scene.from);
        close();
    }

    /** `run`, and back to where a point begins should it fail. */
    async tried(point: Point, options: { repeated?: boolean } = {}): Promise<Result> {
        try {
            return await this.run(point, options);
        } catch (error) {
            const { host, close } = this.router();
            await this.put(host, this.scene.to);
            await this.put(host, this.scene.from);
            close();
            return { ...point, ended: "neither", said: (error as Error).message };
        }
    }

    async finish(): Promise<void> {
        const { host, close } = this.router();
        await this.put(host, undefined);
        for (const need of [...this.scene.needs].reverse()) await remove(host, need);
        close();
    }

    /**
     * @param options.repeated whether it is done once more
     * @throws Error when the router has neither version, or a plain repetition does not bring the new one.
     */
    async run(point: Point, { repeated = true } = {}): Promise<Result> {
        const said = await this.cut(point);
        await this.peace();
        const state = await this.dump();
        const [fromOld, fromNew] = [this.difference(this.old, state), this.difference(this.new, state)];
        const ended = fromNew.length === 0 ? "new" : fromOld.length === 0 ? "old" : undefined;
        if (!ended) throw new Error(`${describe(point)}: the router has neither version\nwhat was said: ${said}\nless the old one:\n${fromOld.join("\n")}\nless the new one:\n${fromNew.join("\n")}`);
        if (said === "done" && ended === "old") throw new Error(`${describe(point)}: it succeeded, but the router has the old version`);
        if (/has undone it and is as it was/.test(said) && ended === "new") throw new Error(`${describe(point)}: it is said to be undone, but the router has the new version: ${said}`);
        const { host, close } = this.router();
        try {
            if (repeated) await this.repeated(host, point);
            if (repeated || ended === "new") await this.put(host, this.scene.from);
        } finally {
            close();
        }
        return { ...point, ended, said };
    }

    private async repeated(host: Router, point: Point): Promise<void> {
        await this.put(host, this.scene.to);
        const again = this.difference(this.new, await this.dump());
        if (again.length > 0) throw new Error(`${describe(point)}: once more does not bring the new version:\n${again.join("\n")}`);
        if (!this.scene.to) return;
        const { rendered } = await read(host, this.scene.to);
        if (JSON.stringify(Object.entries(rendered).sort()) !== JSON.stringify(Object.entries(renderedOf(this.scene.to)).sort())) throw new Error(`${describe(point)}: the new version is read as something else`);
    }

    /** What the provider said in the end. */
    private async cut(point: Point): Promise<string> {
        const { host, close, kill } = this.router();
        const change = async (): Promise<string> => await outcomeOf(this.put(host, this.scene.to));
        try {
            if (point.cut === "power cut") {
                const changing = change();
                await new Promise((resolve) => setTimeout(resolve, (point.at / 100) * this.took));
                kill();
                await this.lab.powerOff();
                await this.lab.powerOn();
                return await changing;
            }
            if (point.cut === "connection reset at a byte" || point.at <= this.commands) return await this.during(point, change, kill);
            const apply = host.apply.bind(host);
            host.apply = async (files) => {
                const applied = await apply(files);
                await this.strike(point.cut, kill);
                return applied;
            };
            return await change();
        } finally {
            close();
        }
    }

    private router() {
        const pool = new Pool();
        let dead = false;
        const guarded = { acquire: async (endpoint: Parameters<Pool["acquire"]>[0]) => (dead ? Promise.reject(new Killed("the provider was killed")) : await pool.acquire(endpoint)) };
        const host = new Router({ name: "edge", ...routerArgs(this.lab), dialTimeout: 20, keepalive: 1, confirmTimeout: CONFIRM_TIMEOUT }, guarded as Pool);
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await apply(files);
            const confirm = async () => (dead ? Promise.reject(new Killed("the provider was killed")) : await applied.confirm());
            return { ...applied, confirm };
        };
        return { host, close: () => pool.closeAll(), kill: () => void (dead = true) };
    }

    private async put(host: Router, object: DesiredObject | undefined): Promise<void> {
        if (object) await ensure(host, object, { known: true });
        else await remove(host, (this.scene.from ?? this.scene.to)!);
    }
}

export const describe = ({ scene, cut, at }: Point): string => `${scene}, ${cut} ${cut === "power cut" ? `after ${at} % of the time that it takes` : cut === "connection reset at a byte" ? at : `at command ${at}`}`;

const outcomeOf = async (change: Promise<unknown>): Promise<string> => await change.then(() => "done", (error: unknown) => {
    if (error instanceof NviError || error instanceof Killed) return error.message;
    throw error;
});
