import { packBundle } from "../../../provider/host/wire";
import type { Files } from "../../../provider/host/host";

/*
 * What may stand in what goes to the router, by the wire format: an index of names and sizes, then files. `steps` and
 * `requests` are lines of words between tabs; nft's files are its own syntax, in which names stand in quotes and comments;
 * `manifest` is a line of JSON and then lines like those of both. Free text is in three places alone, each of one line:
 * the owner in `meta` and in the manifest's JSON, and names and commands of the user's own `checks`.
 */

/** Characters that no shell, ip or nft takes for more than a part of a word. */
const WORD = /^[A-Za-z0-9_.,:@/+~-]+$/;
const TOOLS = /^(?:ip|nft|put|put-if-there|put-unless|set|boot|module-(?:install|install-prebuilt|restore|remove|remove-unloaded|load|unload|unload-unused))$/;
const FILE = /^(?:meta|manifest|steps|checks|requests|nvi_[A-Za-z0-9_]+\.(?:nft|want|undo)|module\.[a-z0-9_.]+|nvi\.ko\.[A-Za-z0-9_.+~-]+\.base64)$/;
/** What nft's syntax of ours has beside words and strings. */
const NFT = /^[A-Za-z0-9_.:/+\-\s{};=!<>,[\]#]*$/;

/** @throws Error where anything in it could be taken for something else. */
export function examineBundle(files: Files): void {
    for (const [name, text] of Object.entries(files)) {
        holds(FILE.test(name), "a file's name", name);
        if (name.endsWith(".nft") || name.endsWith(".want") || name.endsWith(".undo")) examineNft(text);
    }
    examineMeta(files.meta ?? "");
    examineManifest(files.manifest ?? "");
    for (const line of linesOf(files.steps ?? "")) examineStep(line);
    for (const line of linesOf(files.requests ?? "")) holds(line.split("\t").every((word) => WORD.test(word)), "a request", line);
    for (const line of linesOf(files.checks ?? "")) examineCheck(line);
    holds(JSON.stringify(unpacked(packBundle(files))) === JSON.stringify(Object.entries(files).map(([name, text]) => [name, Buffer.from(text, "utf8").toString("utf8")])), "the bundle", "is not what went into it");
}

function examineNft(text: string): void {
    holds(/^[\x20-\x7e\t\n]*$/.test(text), "nft's text", text);
    const bare = text.replace(/"[^"\\\n]*"/g, "x");
    holds(NFT.test(bare), "nft's text outside of strings", bare.replace(/[A-Za-z0-9_\s]+/g, " "));
    let depth = 0;
    for (const character of bare) depth += character === "{" ? 1 : character === "}" ? -1 : 0;
    holds(depth === 0, "nft's text", `has braces left open: ${bare}`);
}

function examineMeta(text: string): void {
    const lines = linesOf(text);
    holds(lines.map((line) => line.split(" ")[0]).join() === "object,generation,turn,remove,wait,confirm,owner", "meta", text);
    for (const line of lines) holds(/^[\x20-\x7e]*$/.test(line), "a line of meta", line);
    for (const line of lines.slice(0, -1)) holds(line.split(" ").length === 2 && line.split(" ").every((word) => WORD.test(word)), "a line of meta", line);
}

function examineManifest(text: string): void {
    const [json = "", ...lines] = linesOf(text);
    holds(!/[\0-\x1f]/.test(json) && typeof JSON.parse(json) === "object", "the manifest's line of JSON", json);
    let nft = "";
    for (const line of lines) {
        if (line.startsWith("+")) nft += `${line.slice(1)}\n`;
        else if (line.startsWith("file\t")) holds(FILE.test(line.slice(5)), "a file's name", line);
        else {
            const [what, order = "", since = "", when = "", ...words] = line.split("\t");
            holds(what === "do" && Number(order) >= 0 && /^\d+$/.test(since) && /^(?:early|late)$/.test(when), "a line that restores", line);
            examineCommand(words);
        }
    }
    examineNft(nft);
}

function examineStep(line: string): void {
    const [what, ...words] = line.split("\t");
    if (what === "step") holds(words.length === 1 && /^[\x20-\x7e]+$/.test(words[0]!), "a step's label", line);
    else {
        holds(["do", "undo", "finally"].includes(what!), "a line of steps", line);
        examineCommand(words);
    }
}

function examineCommand(words: readonly string[]): void {
    holds(words.length > 0 && TOOLS.test(words[0]!), "a command", words.join(" "));
    // Where a value is written to a file, it is a number; "x or y" is for reading only.
    holds(words.every((word) => WORD.test(word)), "a command's words", words.join(" "));
}

/** Name and command are the user's own; the command is the one thing that a shell gets, as a whole. */
function examineCheck(line: string): void {
    const [what, name = "", seconds = "", kind = "", ...words] = line.split("\t");
    holds(what === "check" && !/[\0-\x1f\x7f]/.test(name) && /^[1-9]\d?$/.test(seconds), "a check", line);
    if (kind === "command") holds(words.length === 1 && !/[\0-\x1f\x7f]/.test(words[0]!), "a check's command", line);
    else holds(["ping", "connect", "leaves"].includes(kind) && words.every((word) => WORD.test(word)), "a check's words", line);
}

/** By the comment above `packBundle`, not by its code. */
function unpacked(bundle: Buffer): [string, string][] {
    const end = bundle.indexOf("\n\n");
    let at = end + 2;
    return bundle.toString("latin1", 0, end).split("\n").map((line) => {
        const [name = "", size = ""] = line.split(" ");
        at += Number(size);
        return [name, bundle.toString("utf8", at - Number(size), at)];
    });
}

/** A text of whole lines, none of them empty. */
function linesOf(text: string): string[] {
    if (text === "") return [];
    holds(text.endsWith("\n"), "a text", `that doesn't end with its last line: ${text.slice(-80)}`);
    const lines = text.slice(0, -1).split("\n");
    holds(lines.every((line) => line !== "" && !line.includes("\r")), "a text", "with an empty line");
    return lines;
}

function holds(condition: boolean, what: string, text: string): asserts condition {
    if (!condition) throw new Error(`${what} is more than that: ${JSON.stringify(text).slice(0, 600)}`);
}
