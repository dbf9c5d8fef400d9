import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FUNCTIONS } from "../../provider/host/script";
import { packBundle } from "../../provider/host/wire";
import { run } from "../lab/process";
import type { Sent } from "../unit/inputs/examine";

/*
 * What the script's own functions make of bundles, run by a real shell: all but the commands themselves, which write down
 * the words that they were called with.
 */

const READER = `
timeout=
ETC=$1/etc RUN=$1/run
mkdir -p "$ETC/objects" "$RUN"
put_down() { printf '%s\\n' "$#" "$@" >>"$record"; }
execute() { put_down "\${tx##*/}" "$@"; }
limited() {
	shift
	case $* in
	"ip -force -batch "*) ip_batch "$1" "$4" ;;
	"ip -"[46]" -force -batch "*) ip_batch "$1 $2" "$5" ;;
	*) put_down "$name" "$@" ;;
	esac
}
# As ip splits a line (makeargs of iproute2's lib/utils.c): at blanks, and nothing is to have a meaning of its own.
ip_batch() (
	set -f
	while IFS= read -r line && IFS=$TAB read -r object _ <&4; do
		case $line in *[\\\\\\'\\"#]*) echo "ip reads another line than $line" ;; esac
		IFS=" $TAB"
		put_down "$object" $1 $line
	done <"$2" 4<"\${2}ed"
)
connect() { put_down "$name" connect "$@"; }
leaves() { put_down "$name" "$@"; }
for bundle in "$1"/bundles/*; do
	tx=$1/tx/\${bundle##*/}
	mkdir -p "$tx"
	receive "$(sha256sum <"$bundle" | cut -d' ' -f1)" "$tx" <"$bundle"
	: >"$tx/journal"
	record=$tx/.done && run_steps
	record=$tx/.undone && plan_undo >"$tx/undo"
	while IFS= read -r words; do run_words "$words"; done <"$tx/undo"
	record=$tx/.checked && run_checks
	read_meta && printf '%s\\n' "$owner" >"$tx/.owner"
	mkdir "$ETC/objects/\${bundle##*/}" && cp "$tx/manifest" "$ETC/objects/\${bundle##*/}/manifest"
done
record=$1/restored
restore early >/dev/null
cp -r "$work" "$1/work"
`;

/** What a shell reads otherwise than it was written; a line for each of those inputs. */
export async function misreadByShell(all: readonly Sent[], shell: readonly string[] = ["sh"]): Promise<string[]> {
    const folder = mkdtempSync(join(tmpdir(), "nvi-inputs-"));
    try {
        mkdirSync(join(folder, "bundles"));
        all.forEach(({ files }, i) => writeFileSync(join(folder, "bundles", `b${i}`), packBundle(files)));
        writeFileSync(join(folder, "reader"), FUNCTIONS + READER);
        const { stdout, stderr } = await run([...shell, join(folder, "reader"), folder], { timeoutMs: 600_000 });
        const restored = new Map<string, string[][]>(all.map((_, i) => [`b${i}`, []]));
        for (const call of recorded(join(folder, "restored"))) restored.get(call[0]!)!.push(call);
        const found = all.flatMap((sent, i) => differing(sent, join(folder, "tx", `b${i}`), join(folder, "work", `b${i}`), restored.get(`b${i}`)!).map((what) => `${sent.title}: ${what}`));
        return stdout + stderr === "" ? found : [...found, `the script said: ${stdout}${stderr}`];
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

function differing({ files }: Sent, tx: string, work: string, restored: string[][]): string[] {
    const bytes = (file: string) => readFileSync(file).toString("latin1");
    const lines = (name: string, what: string) => files[name]!.split("\n").filter((line) => line.startsWith(`${what}\t`)).map((line) => line.split("\t").slice(1));
    const steps = files.steps!.split("step\t").slice(1).map((step) => step.split("\n").filter((line) => line.startsWith("undo\t")).map((line) => line.split("\t").slice(1)));
    // Of one order those for the same process of ip are one after the other.
    const batch = ([tool = "", family = ""]: string[]) => (tool !== "ip" ? "-" : /^-[46]$/.test(family) ? `ip ${family}` : "ip");
    const early = lines("manifest", "do").map(([order, since, , ...words]) => ({ at: [Number(order), Number(since)] as const, words })).sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1] || Buffer.compare(Buffer.from(batch(a.words)), Buffer.from(batch(b.words))));
    const stored = files.manifest!.split("\n").reduce<Record<string, string>>((all, line) => {
        if (line.startsWith("file\t")) all[line.slice(5)] = "";
        else if (line.startsWith("+")) all[Object.keys(all).at(-1)!] += `${line.slice(1)}\n`;
        return all;
    }, {});
    const said: [string, unknown, unknown][] = [
        ...Object.entries(files).map(([name, text]): [string, unknown, unknown] => [name, bytes(join(tx, name)), Buffer.from(text, "utf8").toString("latin1")]),
        ...Object.entries(stored).map(([name, text]): [string, unknown, unknown] => [`restored ${name}`, bytes(join(work, name)), text]),
        ["commands", recorded(join(tx, ".done")).map(([, ...words]) => words), lines("steps", "do")],
        ["undoing", recorded(join(tx, ".undone")).map(([, ...words]) => words), [...steps].reverse().flat()],
        ["restoring", restored.map(([, ...words]) => words), early.map(({ words }) => words)],
        ["checks", recorded(join(tx, ".checked")), lines("checks", "check").map(checkWords)],
        ["owner", bytes(join(tx, ".owner")), `${/^owner (.*)$/m.exec(files.meta!)![1]}\n`],
    ];
    return said.filter(([, found, wanted]) => JSON.stringify(found) !== JSON.stringify(wanted)).map(([what, found, wanted]) => `${what}: ${JSON.stringify(found).slice(0, 600)} instead of ${JSON.stringify(wanted).slice(0, 600)}`);
}

/** What a check comes to be called with. */
function checkWords([name = "", , kind = "", ...words]: string[]): string[] {
    const tried = {
        ping: ["ping", "-n", "-c", "1", "-W", "1", ...(words[1] ? ["-I", words[1]] : []), words[0]!],
        connect: ["connect", words[0]!, words[1]!, words[2] ?? ""],
        leaves: ["leaves", ...words],
        command: ["sh", "-c", words[0]!],
    }[kind]!;
    return [name, ...tried];
}

/** Each call is a line with the number of its words, then a line for each of them. */
function recorded(file: string): string[][] {
    const folder = readdirSync(join(file, ".."));
    const lines = folder.includes(file.split("/").at(-1)!) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
    const calls: string[][] = [];
    for (let at = 0; at < lines.length; at += 1 + Number(lines[at])) calls.push(lines.slice(at + 1, at + 1 + Number(lines[at])));
    return calls;
}
