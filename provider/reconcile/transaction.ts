import type { Files, Host, Section } from "../host/host";
import { NviError } from "../model/errors";
import { wordsOf, type PathCheck } from "../model/path-check";
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
    generation: number;
    /** What the plan was made for: the router refuses where another transaction came in between. */
    turn: string;
    requests: readonly Request[];
    files: Files;
    remove: boolean;
    checks: readonly PathCheck[];
    /** What is wrong with the router after it, an entry a line; empty where nothing is. */
    faults(after: Snapshot): readonly string[];
}

/** Seconds to wait for the router's lock, unless NVI_LOCK_WAIT says otherwise in the environment of `pulumi`. */
const LOCK_WAIT = 60;

export function lockWait(): number {
    const wanted = process.env.NVI_LOCK_WAIT ?? "";
    return /^\d{1,3}$/.test(wanted) ? Number(wanted) : LOCK_WAIT;
}

/** The operation of the error that asks for another look at the router. */
export const STALE = "apply (the router changed since it was observed)";

/**
 * Applies a transaction, looks at the router, and confirms it; returns what the router looks like after it.
 *
 * @throws NviError; the router has undone it all, or has never begun, unless the message says otherwise.
 */
export async function applyTransaction(host: Host, transaction: Transaction): Promise<Snapshot> {
    const applied = await host.apply(pack(host, transaction));
    if (!has(applied.sections, "applied")) throw refusal(host, transaction, applied.sections);
    const after = looked(() => parseSnapshot(host.label, applied.sections));
    if (after instanceof NviError) throw unwanted(host, transaction, await applied.abort(), after);
    const faults = looked(() => transaction.faults(after));
    if (faults instanceof NviError || faults.length > 0) throw unwanted(host, transaction, await applied.abort(), faults);
    const { sections, trouble } = await applied.confirm();
    if (!has(sections, "committed")) throw unconfirmed(host, objectKey(transaction.id), sections, trouble);
    const left = sections.find(({ name }) => name === "left-over");
    if (left) throw leftOver(host, transaction, sections);
    return after;
}

const has = (sections: readonly Section[], name: string): boolean => sections.some((section) => section.name === name);

/** An error is an answer, too: what can't be told of the router has to be undone. */
function looked<T>(look: () => T): T | NviError {
    try {
        return look();
    } catch (error) {
        if (error instanceof NviError) return error;
        throw error;
    }
}

function pack(host: Host, transaction: Transaction): Files {
    const { id, owner, generation, turn, remove } = transaction;
    const meta = { object: objectKey(id), generation, turn, remove: remove ? 1 : 0, wait: lockWait(), confirm: host.confirmTimeout, owner: oneLine(owner) };
    return {
        ...transaction.files,
        ...Object.assign({}, ...transaction.steps.map((step) => step.files ?? {})),
        meta: Object.entries(meta).map(([key, value]) => `${key} ${value}\n`).join(""),
        manifest: `${JSON.stringify(transaction.manifest)}\n${restoration(transaction.manifest)}`,
        steps: transaction.steps.map(packStep).join(""),
        checks: transaction.checks.map((check) => packWords(wordsOf(check))).join(""),
        requests: transaction.requests.map((line) => `${line.join("\t")}\n`).join(""),
    };
}

const oneLine = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");

function packStep(step: Step): string {
    const lines = (what: string, commands: readonly string[][] = []) => commands.map((words) => [what, ...words]);
    return [["step", oneLine(step.label)], ...lines("do", step.do), ...lines("undo", step.undo), ...lines("finally", step.finally)].map(packWords).join("");
}

/** How undoing went, for a message; `undone` where the router is as it was. */
function undoing(sections: readonly Section[]): { undone: boolean; said: string } {
    const failed = sections.filter(({ name }) => name === "undo-failed").map(({ stdout }) => stdout.trim().replaceAll("\t", " "));
    const output = sections.filter(({ name }) => name === "undo-output").map(({ stdout, stderr }) => (stderr || stdout).trim());
    const undone = sections.find(({ name }) => name === "undone")?.exit === 0;
    const said = undone ? "the router has undone it and is as it was" : `UNDOING FAILED: the router is neither as it was nor as wanted (${failed.map((command, i) => `${command}: ${output[i] ?? ""}`).join("; ") || "it did not say how far it came"})`;
    return { undone, said };
}

const LOOK = "look at the router now; `pulumi refresh` lists what differs, `pulumi up` tries to complete it";

function unwanted(host: Host, { id }: Transaction, sections: readonly Section[], faults: readonly string[] | NviError): NviError {
    const { undone, said } = undoing(sections);
    const unreadable = faults instanceof NviError;
    return new NviError({
        kind: undone ? "rolled-back" : "half-done", operation: `verify ${objectKey(id)}`, subject: host.label,
        reason: `every command succeeded, but ${unreadable ? `how the router looks after it can't be told (${faults.reason.replace(/[;,]? *nothing was changed/, "")})` : "the router shows something else than what was asked for"}; ${said}`,
        output: unreadable ? faults.output : faults.join("\n"),
        cure: undone ? "something else on the router may have changed it at the same moment: run `pulumi refresh` to see what is there, and `pulumi up` to try again" : LOOK,
    });
}

function unconfirmed(host: Host, object: string, sections: readonly Section[], trouble: NviError | undefined): NviError {
    const { undone, said } = undoing(sections);
    const storage = sections.find(({ name }) => name === "storage")?.stdout.trim();
    const verdict = sections.find(({ name }) => name === "rolled-back")?.stdout.trim();
    const reason = storage ?? (verdict === "unguarded"
        ? "what waited on the router for the confirmation was killed"
        : `it was applied, but not confirmed through a new connection within ${host.confirmTimeout} s`);
    return new NviError({
        kind: undone ? "rolled-back" : "half-done", operation: `confirm ${object}`, subject: host.label, reason: `${reason}; ${said}`,
        output: trouble && `${trouble.operation}: ${trouble.reason}${trouble.output ? `\n${trouble.output}` : ""}`,
        cure: undone
            ? storage ? "free space on that file system (df -h), or make it writable, and run this again"
                : trouble?.reason.includes("PerSourcePenalties") ? trouble.cure
                    : "the change may cut the way by which Pulumi reaches this router: look at what it does with your own address; a router that is only slow needs a longer `confirmTimeout`"
            : LOOK,
    });
}

function leftOver(host: Host, { id }: Transaction, sections: readonly Section[]): NviError {
    const output = sections.find(({ name }) => name === "left-output");
    return new NviError({
        kind: "tool", operation: `clean up after ${objectKey(id)}`, subject: host.label, reason: "the change is in effect and confirmed, but what it leaves behind could not be taken away",
        command: sections.find(({ name }) => name === "left-over")!.stdout.trim().replaceAll("\t", " "), output: output && (output.stderr || output.stdout), cure: "take it away by hand, or run this again",
    });
}

function refusal(host: Host, transaction: Transaction, sections: readonly Section[]): NviError {
    const by = new Map(sections.map((section) => [section.name, section]));
    const subject = host.label;
    const object = objectKey(transaction.id);
    const text = (name: string) => by.get(name)?.stdout.trim() ?? "";
    if (by.has("unarmed")) {
        return new NviError({
            kind: "tool", operation: `apply ${object}`, subject,
            reason: "what would undo the change on its own can't be started on the router; nothing was changed",
            output: text("unarmed"), cure: "the router needs `setsid`, `sleep` and `flock`, and room for two more processes",
        });
    }
    if (by.has("unknown-transaction")) {
        return new NviError({
            kind: "died", operation: `apply ${object}`, subject, reason: "it never began on the router, or was ended before it did anything",
            cure: "see what ended it (its memory may have run out: dmesg), and run this again",
        });
    }
    if (by.has("stale")) return new NviError({ kind: "locked", operation: STALE, subject, reason: "other transactions keep coming in between", cure: "run it again when the other stacks are done" });
    if (by.has("locked")) {
        return new NviError({
            kind: "locked", operation: `apply ${object}`, subject,
            reason: `another transaction has held this router's lock for ${lockWait()} s: ${text("locked") || "unknown holder"}; nothing was changed`,
            cure: "wait for it and run this again; if that process hangs, end it on the router, the lock goes with it",
        });
    }
    if (by.has("storage")) {
        const { undone, said } = by.has("rolled-back") ? undoing(sections) : { undone: true, said: "the router is as it was" };
        return new NviError({
            kind: undone ? "storage" : "half-done", operation: `apply ${object}`, subject, reason: `${text("storage")}; ${said}`,
            cure: undone ? "free space on that file system (df -h), or make it writable, and run this again" : LOOK,
        });
    }
    return stepFailure(host, object, by, sections);
}

function stepFailure(host: Host, object: string, by: ReadonlyMap<string, Section>, sections: readonly Section[]): NviError {
    const text = (name: string) => by.get(name)?.stdout.trim() ?? "";
    const output = by.get("failed-output");
    const said = output && (output.stderr || output.stdout);
    const subject = host.label;
    const isDryRun = by.has("dry-run");
    const { undone, said: how } = isDryRun ? { undone: true, said: "the router is as it was" } : undoing(sections);
    const kind = undone ? "tool" : "half-done";
    const cure = undone ? "fix what the tool complains of and run this again" : LOOK;
    if (by.has("failed-check")) {
        return new NviError({
            kind: undone ? "rolled-back" : kind, operation: `check after apply ${object}`, subject,
            reason: `the check "${text("failed-check")}" failed; ${how}`, output: said,
            cure: undone ? "correct the change, or the check, and run this again" : LOOK,
        });
    }
    if (!by.has("failed-command")) {
        if (text("rolled-back") === "unconfirmed") return unconfirmed(host, object, sections, undefined);
        if (by.has("rolled-back")) return new NviError({ kind: undone ? "rolled-back" : kind, operation: `apply ${object}`, subject, reason: `the transaction was ended in its middle by something on the router; ${how}`, cure: undone ? "see what ended it (its memory may have run out: dmesg), and run this again" : LOOK });
        return new NviError({ kind: "protocol", operation: `apply ${object}`, subject, reason: `the router's answer has no result (${[...by.keys()].join(", ") || "it is empty"})`, cure: "run `pulumi refresh` to see what is there" });
    }
    const status = by.get("failed-command")!.exit;
    const command = text("failed-command").replaceAll("\t", " ");
    // Exit 1 is nft's own verdict; a crash says nothing of the listing.
    const table = isDryRun && status === 1 ? /(\S+)\.undo$/.exec(command)?.[1] : undefined;
    if (table !== undefined) {
        return new NviError({
            kind, operation: `apply ${object}, dry run of undoing it`, subject, command, output: said,
            reason: `nft table inet ${table} could not be brought back as it is: the router's nft does not take its own listing of it; nothing was changed`,
            cure: `take away what somebody has added to that table (nft -a list table inet ${table}), or all of it (nft delete table inet ${table}), and run this again`,
        });
    }
    const crashed = status > 128 ? ` (it was ended by signal ${status - 128})` : status === 124 ? " (it did not end in time)" : "";
    return new NviError({
        kind, operation: `apply ${object}${isDryRun ? ", dry run" : `, step "${text("failed-step")}"`}`, subject,
        reason: `a command failed with exit status ${status}${crashed}; ${how}`, command, output: said, cure,
    });
}
