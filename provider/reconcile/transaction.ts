import type { Files, Host, Section } from "../host/host";
import { NviError } from "../model/errors";
import { parseSnapshot } from "./answer";
import { restoration } from "./restoration";
import type { Request, Step } from "./kind";
import { objectKey, type Manifest, type ObjectId } from "./objects";
import type { Snapshot } from "./snapshot";
import { packWords } from "./words";

/** All that the router-side script needs for one transaction. */
export interface Transaction {
    id: ObjectId;
    owner: string;
    /** What the object is after it; where the object goes, what it was. */
    manifest: Manifest;
    steps: readonly Step[];
    /** The state that the plan was made for: the router refuses where another transaction came in between. */
    generation: number;
    requests: readonly Request[];
    files: Files;
    remove: boolean;
}

/** Seconds to wait for the router's lock, unless NVI_LOCK_WAIT says otherwise in the environment of `pulumi`. */
const LOCK_WAIT = 60;

function lockWait(): number {
    const wanted = process.env.NVI_LOCK_WAIT ?? "";
    return /^\d{1,3}$/.test(wanted) ? Number(wanted) : LOCK_WAIT;
}

/** The operation of the error that asks for another look at the router. */
export const STALE = "apply (the router changed since it was observed)";

/** Applies a transaction and returns what the router looks like after it. */
export async function applyTransaction(host: Host, transaction: Transaction): Promise<Snapshot> {
    const sections = await host.apply(pack(transaction));
    const names = new Set(sections.map((section) => section.name));
    if (!names.has("applied")) throw refusal(host, transaction, sections);
    return parseSnapshot(host.label, sections);
}

function pack(transaction: Transaction): Files {
    const { id, owner, generation, remove } = transaction;
    const meta = { object: objectKey(id), generation, remove: remove ? 1 : 0, wait: lockWait(), owner: oneLine(owner) };
    return {
        ...transaction.files,
        ...Object.assign({}, ...transaction.steps.map((step) => step.files ?? {})),
        meta: Object.entries(meta).map(([key, value]) => `${key} ${value}\n`).join(""),
        manifest: `${JSON.stringify(transaction.manifest)}\n${restoration(transaction.manifest)}`,
        steps: transaction.steps.map(packStep).join(""),
        requests: transaction.requests.map((line) => `${line.join("\t")}\n`).join(""),
    };
}

const oneLine = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");

/** The script puts each undo line before those it has; so they go in backwards. */
function packStep(step: Step): string {
    const lines = [["step", oneLine(step.label)]];
    step.do.forEach((words) => lines.push(["do", ...words]));
    [...step.undo].reverse().forEach((words) => lines.push(["undo", ...words]));
    return lines.map(packWords).join("");
}

function refusal(host: Host, transaction: Transaction, sections: readonly Section[]): NviError {
    const by = new Map(sections.map((section) => [section.name, section]));
    const subject = host.label;
    const object = objectKey(transaction.id);
    const text = (name: string) => by.get(name)?.stdout.trim() ?? "";
    if (by.has("stale")) return new NviError({ kind: "locked", operation: STALE, subject, reason: "other transactions keep coming in between", cure: "run it again when the other stacks are done" });
    if (by.has("locked")) {
        return new NviError({
            kind: "locked", operation: `apply ${object}`, subject,
            reason: `another transaction has held this router's lock for ${lockWait()} s: ${text("locked") || "unknown holder"}; nothing was changed`,
            cure: "wait for it and run this again; if that process hangs, end it on the router, the lock goes with it",
        });
    }
    if (by.has("storage")) {
        return new NviError({
            kind: "storage", operation: `apply ${object}`, subject, reason: `${text("storage")}; the router is as it was`,
            cure: "free space on that file system (df -h), or make it writable, and run this again",
        });
    }
    return stepFailure(host, object, by);
}

function stepFailure(host: Host, object: string, by: ReadonlyMap<string, Section>): NviError {
    const text = (name: string) => by.get(name)?.stdout.trim() ?? "";
    const output = by.get("failed-output");
    const isDryRun = by.has("dry-run");
    const undone = isDryRun || by.get("undone")?.exit === 0;
    const command = text("failed-command").replaceAll("\t", " ");
    if (!command) return new NviError({ kind: "protocol", operation: `apply ${object}`, subject: host.label, reason: `the router's answer has no result (${[...by.keys()].join(", ") || "it is empty"})`, cure: "run `pulumi refresh` to see what is there" });
    const status = by.get("failed-command")!.exit;
    const crashed = status > 128 ? ` (it was ended by signal ${status - 128})` : status === 124 ? " (it did not end in time)" : "";
    return new NviError({
        kind: "tool",
        operation: `apply ${object}${isDryRun ? ", dry run" : `, step "${text("failed-step")}"`}`,
        subject: host.label,
        reason: `a command failed with exit status ${status}${crashed}; ${undone ? "everything before it was undone, the router is as it was" : `UNDOING FAILED TOO: the router is neither as it was nor as wanted (${text("undo-failed").replaceAll("\t", " ")}: ${by.get("undo-output")?.stderr.trim() ?? ""})`}`,
        command,
        output: output && (output.stderr || output.stdout),
        cure: undone ? "fix what the tool complains of and run this again" : "look at the router now; `pulumi refresh` lists what differs, `pulumi up` tries to complete it",
    });
}
