import { Pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { NviError } from "../../provider/model/errors";
import { diffDumps, Lab, until } from "../lab";
import { withoutHousekeeping } from "../e2e/drift-core";
import { routerArgs } from "../e2e/office";
import { patience } from "../lab/patience";
import type { Scene } from "./scenes";

/*
 * Something goes wrong in the middle of an operation. Then the router has the old version whole or the new one whole, and doing
 * it once more brings the new one.
 */

/** `at` says when, in a unit that depends on what goes wrong. */
export interface Point {
    scene: string;
    cut: string;
    at: number;
}

export interface Result extends Point {
    /** Which version the router has; `neither` is what must never be. */
    ended: "new" | "old" | "neither";
    said: string;
}

export const DONE = "done";
export const CONFIRM_TIMEOUT = 3 * patience;
/** In a place that no dump looks at. */
const COUNT = "/etc/ssh/lab/count";
export const TOOLS = ["ip", "nft"];

export class Killed extends Error {}

/** A lab's router that is told apart from itself by dumps, and whose tools can be made to do something else. */
export class Ground {
    constructor(protected readonly lab: Lab) {}

    /**
     * Puts scripts in the place of ip and nft, until `restoreTools`.
     *
     * @param counted what of their commands counts: a pattern of sh for ` WORDS `
     * @param instead lines of sh in the place of, or before, the one that is the `at`-th of them
     */
    async instrument(counted: string, at: number, instead: string): Promise<void> {
        await this.lab.router.sh(`echo 0 >${COUNT}`);
        for (const tool of TOOLS) {
            await this.lab.fake(`/usr/sbin/${tool}`, `#!/bin/sh
case " $* " in
${counted})
    n=$(($(cat ${COUNT}) + 1)); echo $n >${COUNT}
    [ $n -ne ${at} ] || { ${instead} } ;;
esac
exec /etc/ssh/lab/hidden/${tool} "$@"
`);
        }
    }

    /** How many of the commands that count a change has. */
    async commandsOf(counted: string, change: () => Promise<unknown>): Promise<number> {
        await this.instrument(counted, 0, ":;");
        await change().finally(() => this.restoreTools());
        return Number((await this.lab.router.sh(`cat ${COUNT}`)).stdout);
    }

    async restoreTools(): Promise<void> {
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
export abstract class Bench extends Ground {
    /** How many commands the operation has. */
    commands = 0;
    /** How many milliseconds it took the last time that nothing went wrong: machines are shared. */
    took = 0;
    private old = "";
    private new = "";

    constructor(lab: Lab, readonly scene: Scene) { super(lab); }

    /** What of the tools' commands counts: a pattern of sh for ` WORDS `. */
    protected abstract readonly counted: string;

    /** Does the operation, and lets it go wrong at a point; returns what the provider said in the end. */
    protected abstract attempt(point: Point): Promise<string>;

    abstract describe(point: Point): string;

    async prepare(): Promise<void> {
        const { host, close } = this.router();
        for (const need of this.scene.needs) await ensure(host, need);
        await this.put(host, this.scene.from);
        await this.put(host, this.scene.to);
        this.new = await this.dump();
        await this.put(host, this.scene.from);
        this.old = await this.dump();
        close();
    }

    async countCommands(): Promise<void> {
        const { host, close } = this.router();
        this.commands = await this.commandsOf(this.counted, () => this.operate(host));
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
        const said = await this.attempt(point);
        await this.peace();
        const state = await this.dump();
        const stays = this.stays(point);
        const [fromOld, fromNew] = [this.difference(this.old, state), this.difference(this.new, state)].map((lines) => lines.filter((line) => !stays?.test(line))) as [string[], string[]];
        const ended = fromNew.length === 0 ? "new" : fromOld.length === 0 ? "old" : undefined;
        if (!ended) throw new Error(`${this.describe(point)}: the router has neither version\nwhat was said: ${said}\nless the old one:\n${fromOld.join("\n")}\nless the new one:\n${fromNew.join("\n")}`);
        if (said === DONE && ended === "old") throw new Error(`${this.describe(point)}: it succeeded, but the router has the old version`);
        if (/has undone it and is as it was/.test(said) && ended === "new") throw new Error(`${this.describe(point)}: it is said to be undone, but the router has the new version: ${said}`);
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
        if (again.length > 0) throw new Error(`${this.describe(point)}: once more does not bring the new version:\n${again.join("\n")}`);
        if (!this.scene.to) return;
        const { rendered } = await read(host, this.scene.to);
        if (JSON.stringify(Object.entries(rendered).sort()) !== JSON.stringify(Object.entries(renderedOf(this.scene.to)).sort())) throw new Error(`${this.describe(point)}: the new version is read as something else`);
    }

    /** What nobody could take away at this point; repeating the operation does. */
    protected stays(_: Point): RegExp | undefined {
        return undefined;
    }

    /** The operation of the scene. */
    protected async operate(host: Router): Promise<void> {
        await this.put(host, this.scene.to);
    }

    protected router() {
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

    protected async put(host: Router, object: DesiredObject | undefined): Promise<void> {
        const since = performance.now();
        if (object) await ensure(host, object, { known: true });
        else await remove(host, (this.scene.from ?? this.scene.to)!);
        if (object === this.scene.to) this.took = performance.now() - since;
    }
}

export const outcomeOf = async (change: Promise<unknown>): Promise<string> => await change.then(() => DONE, (error: unknown) => {
    if (error instanceof NviError || error instanceof Killed) return error.message;
    throw error;
});
