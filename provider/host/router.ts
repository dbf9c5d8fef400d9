import { randomBytes } from "node:crypto";
import { NviError } from "../model/errors";
import { Deadline } from "./deadline";
import type { Endpoint, Hop } from "./endpoint";
import type { Applied, Confirmation, Files, Host, Section } from "./host";
import { labelOf } from "./hops";
import type { Pool } from "./pool";
import { SCRIPT } from "./script";
import { connect, type ExecOptions, type ExecResult, type Session } from "./ssh";
import { packBundle, parseAnswer, sha256 } from "./wire";

/** Exit status by which the bootstrap says that the script isn't there; no tool uses it. */
const NO_SCRIPT = 97;

/** What a transaction may take: a tool is ended after 60 s, apt (twice) and DKMS after 600 s each; and what waiting for the lock may. */
const APPLY_TIMEOUT_MS = 2_100_000;
/** How long the result of a transaction is asked for where the router says nothing; what waits for its confirmation is undone by then. */
const RESULT_DEADLINE_MS = 120_000;
const RESULT_PAUSE_MS = 500;
/** What ending a transaction may take: undoing it has as many commands as doing it. */
const DECISION_TIMEOUT_MS = 600_000;
/** Seconds that a change waits for its confirmation. */
const CONFIRM_TIMEOUT = 30;

const SCRIPT_HASH = sha256(SCRIPT);
/** A path for each version, so that an upload never changes a script that is being run. */
const FOLDER = `/run/nvi/${SCRIPT_HASH.slice(0, 16)}`;
const PATH = `${FOLDER}/nvi`;
/** By name: /run is mounted `noexec` on a Debian whose initramfs is initramfs-tools', and most are. */
const RUN = `/bin/sh ${PATH}`;

/** A router reached over SSH. */
export class Router implements Host {
    readonly label: string;
    readonly confirmTimeout: number;

    constructor(private readonly endpoint: Endpoint, private readonly pool: Pool) {
        this.label = labelOf(endpoint);
        this.confirmTimeout = endpoint.confirmTimeout ?? CONFIRM_TIMEOUT;
    }

    async call(verb: "observe" | "clean", files?: Files): Promise<Section[]> {
        const bundle = files && packBundle(files);
        const result = await this.run([verb, ...(bundle ? [sha256(bundle)] : [])], bundle);
        return this.sections(verb, result);
    }

    async apply(files: Files): Promise<Applied> {
        const bundle = packBundle(files);
        const id = randomBytes(8).toString("hex");
        const sections = await this.orFetched(id, async () => this.settled(this.sections("apply", await this.run(["apply", id, sha256(bundle)], bundle, APPLY_TIMEOUT_MS))));
        return { sections, confirm: () => this.confirm(id), abort: () => this.decide("abort", id) };
    }

    private async confirm(id: string): Promise<Confirmation> {
        if (this.confirmTimeout === 0) return { sections: await this.decide("confirm", id) };
        let trouble: NviError | undefined;
        try {
            const sections = await this.confirmAnew(id);
            if (sections) return { sections };
        } catch (error) {
            if (!(error instanceof NviError)) throw error;
            trouble = error;
        }
        return { sections: await this.fetchResult(id, trouble ?? this.silent(id), (names) => names.has("committed") || !names.has("applied")), trouble };
    }

    /** Over a connection of its own, from the first packet: one that stands may be let through where no new one is. */
    private async confirmAnew(id: string): Promise<Section[] | undefined> {
        const session = await connect({ ...withoutErrorLimit(this.endpoint), dialTimeout: this.confirmTimeout });
        try {
            return this.decided(this.sections("confirm", await this.answered(session, `exec ${RUN} confirm ${id}`, { operation: "confirm", shown: `${RUN} confirm ${id}`, timeoutMs: DECISION_TIMEOUT_MS })));
        } finally {
            session.close();
        }
    }

    private decide(verb: "confirm" | "abort", id: string): Promise<Section[]> {
        const ended = (names: ReadonlySet<string>) => names.has("committed") || !names.has("applied");
        return this.orFetched(id, async () => this.decided(this.sections(verb, await this.run([verb, id], undefined, DECISION_TIMEOUT_MS))), ended);
    }

    private async orFetched(id: string, attempt: () => Promise<Section[]>, ended?: (names: ReadonlySet<string>) => boolean): Promise<Section[]> {
        try {
            return await attempt();
        } catch (error) {
            if (!(error instanceof NviError) || !["disconnected", "timeout"].includes(error.kind)) throw error;
            return this.fetchResult(id, error, ended);
        }
    }

    private silent(id: string): NviError {
        return new NviError({ kind: "timeout", operation: "confirm", subject: this.label, reason: `the router has said nothing about transaction ${id}` });
    }

    /** Tells what became of a transaction that goes on without us, however long the router can't be reached meanwhile. */
    private async fetchResult(id: string, lost: NviError, ended: (names: ReadonlySet<string>) => boolean = () => true): Promise<Section[]> {
        const patience = () => new Deadline(RESULT_DEADLINE_MS / 1000 + this.confirmTimeout);
        const end = new Deadline(APPLY_TIMEOUT_MS / 1000);
        let running = false;
        for (let deadline = patience(); deadline.leftMs > 0 && end.leftMs > 0; ) {
            const sections = await this.ask(id);
            const names = new Set(sections.map((section) => section.name));
            running = names.has("running");
            if (running) deadline = patience();
            // It never began: the upload was cut. Nothing has changed.
            if (names.has("unknown-transaction")) throw lost;
            if (sections.length > 0 && !running && ended(names)) return this.settled(sections);
            await new Promise((resolve) => setTimeout(resolve, RESULT_PAUSE_MS));
        }
        throw running ? new NviError({ ...lost, reason: `${lost.reason}; its transaction still runs on the router, and is undone at its end`, cure: "wait for that, and run `pulumi up` again" }) : lost;
    }

    /** Nothing where no answer is to be had at the moment. */
    private async ask(id: string): Promise<Section[]> {
        try {
            return this.sections("result", await this.run(["result", id]));
        } catch (error) {
            if (error instanceof NviError && ["unreachable", "disconnected", "timeout"].includes(error.kind)) return [];
            throw error;
        }
    }

    /** The detached part of the script may die without a result: killed, or with the router's power. */
    private settled(sections: Section[]): Section[] {
        const died = sections.find((section) => section.name === "died" || section.name === "running");
        if (!died) return sections;
        throw new NviError({
            kind: "died", operation: "apply", subject: this.label, reason: "the transaction was ended on the router, without a result: it may have been applied in part",
            output: died.stdout, cure: "run `pulumi refresh` to see what is there, and `pulumi up` to complete it",
        });
    }

    /** What has no transaction to decide on any more. */
    private decided(sections: Section[]): Section[] {
        if (!sections.some((section) => section.name === "unknown-transaction")) return this.settled(sections);
        throw new NviError({
            kind: "died", operation: "confirm", subject: this.label, reason: "the router knows nothing of the transaction any more: it was restarted meanwhile, or its /run was emptied",
            cure: "a restart brings back what was confirmed before: run `pulumi refresh` to see what is there, and `pulumi up`",
        });
    }

    private async run(words: readonly string[], stdin?: Buffer, timeoutMs?: number): Promise<ExecResult> {
        const session = await this.pool.acquire(this.endpoint);
        const shown = [RUN, ...words].join(" ");
        const command = `if [ -e ${PATH} ]; then exec ${shown}; else exit ${NO_SCRIPT}; fi`;
        const options = { stdin, timeoutMs, operation: words[0], shown };
        const result = await this.answered(session, command, options);
        if (result.code !== NO_SCRIPT && !isGone(result)) return result;
        await this.upload(session);
        return this.answered(session, command, options);
    }

    /** The answer less what the login shell prints by itself, e.g. from a profile: it ends at a line that nobody else can know. */
    private async answered(session: Session, command: string, options: ExecOptions): Promise<ExecResult> {
        const mark = `nvi-answer-${randomBytes(12).toString("hex")}`;
        const result = await session.execAsRoot(`echo; echo ${mark}; ${command}`, options);
        const at = result.stdout.indexOf(`\n${mark}\n`);
        if (at < 0) throw this.unheard(result, options.operation!);
        return { ...result, stdout: result.stdout.subarray(at + mark.length + 2) };
    }

    private unheard({ code, stdout, stderr }: ExecResult, operation: string): NviError {
        const user = this.endpoint.connection.user || "root";
        return new NviError({
            // A transaction may have begun all the same.
            kind: operation === "observe" || operation === "clean" ? "privilege" : "disconnected",
            operation, subject: this.label, reason: `the login shell of ${user} did not run the command (exit status ${code})`,
            output: stdout.toString("utf8").trim() || stderr.toString("utf8"),
            cure: `see whether ${user}'s shell on the router is one that runs commands (not nologin), what ends its profile early, ForceCommand in sshd_config, and command= in authorized_keys`,
        });
    }

    /** Never streamed into a shell: a cut connection would look like the end of the script. */
    private async upload(session: Session): Promise<void> {
        const temporary = `${FOLDER}/nvi.${randomBytes(4).toString("hex")}`;
        const command = [
            "umask 077", `mkdir -p ${FOLDER}`, `cat > ${temporary}`,
            `test "$(sha256sum < ${temporary} | cut -c1-64)" = ${SCRIPT_HASH}`, `mv ${temporary} ${PATH}`,
        ].join(" && ");
        const result = await session.execAsRoot(`${command} || { rm -f ${temporary}; exit 1; }`, { stdin: SCRIPT, operation: "upload the router-side script" });
        if (result.code === 0) return;
        const output = result.stderr.toString("utf8");
        throw new NviError({
            kind: /No space|Read-only/.test(output) || output === "" ? "storage" : "tool",
            operation: "upload the router-side script", subject: this.label, reason: `it did not arrive whole in ${FOLDER}; nothing was changed`, output,
            cure: "the router needs a writable /run with some free space, and the tools cat, cut, mkdir, mv and sha256sum (coreutils or busybox)",
        });
    }

    private sections(verb: string, result: ExecResult): Section[] {
        const sections = parseAnswer(result.stdout);
        const storage = sections?.find((section) => section.name === "storage" && sections.length === 1);
        if (storage && (verb === "observe" || verb === "clean")) {
            throw new NviError({ kind: "storage", operation: verb, subject: this.label, reason: storage.stdout, cure: "free space on the router's /run" });
        }
        if (sections) return sections;
        throw new NviError({
            kind: "disconnected", operation: verb, subject: this.label, reason: `the answer of the router-side script is not whole (${result.stdout.length} bytes, exit status ${result.code})`,
            output: result.stderr.toString("utf8"), cure: "run `pulumi refresh` to see what is there",
        });
    }
}

/** Taken away between being seen and being run: by another stack, with its last object. */
const isGone = ({ code, stdout, stderr }: ExecResult): boolean => code !== 0 && stdout.length === 0 && stderr.includes(PATH) && stderr.includes("No such file");

/** As long as the router waits for it, there is hope. */
function withoutErrorLimit(endpoint: Endpoint): Endpoint {
    const patient = <H extends Hop>(hop: H): H => ({ ...hop, dialErrorLimit: -1 });
    const { proxy } = endpoint.connection;
    return { ...endpoint, connection: { ...patient(endpoint.connection), proxy: Array.isArray(proxy) ? proxy.map(patient) : proxy && patient(proxy) } };
}
