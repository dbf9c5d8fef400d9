import type { Applied, Files, Host, Section } from "../../../provider/host/host";

export const section = (name: string, stdout = "", exit = 0, stderr = ""): Section => ({ name, exit, stdout, stderr });

const FACTS = ["architecture\tx86_64", "nft\tnftables v1.0.6", "iproute2\tip utility, iproute2-6.1.0", ...["nft", "ip", "unshare", "flock"].map((tool) => `tool ${tool}\t/usr/sbin/${tool}`)];
const LINKS = [
    { ifname: "lo", mtu: 65536, flags: ["LOOPBACK", "UP"], address: "00:00:00:00:00:00" },
    ...["lan0", "isp1", "isp2"].map((ifname) => ({ ifname, mtu: 1500, flags: ["BROADCAST", "UP"], address: "02:00:00:00:00:01" })),
];

/**
 * A router in memory: it has sysctls, ip rules and nft tables, carries out the steps of a transaction on them and answers
 * as the router-side script does. `answers` come first, one for each `apply`; `broken` sections replace what it would say.
 */
export class FakeRouter implements Host {
    readonly label = "edge (root@192.0.2.7)";
    readonly sysctls = new Map([["net/ipv4/ip_forward", "0"], ["net/ipv6/conf/all/forwarding", "0"], ["net/ipv4/conf/all/rp_filter", "0"], ["net/ipv4/conf/isp1/rp_filter", "1"]]);
    readonly objects = new Map<string, string>();
    readonly pending = new Map<string, string>();
    readonly tables = new Map<string, string>();
    rules: { family: string; text: string; json: object }[] = [];
    /** Of either family. */
    localRules: object[] = [{ priority: 0, src: "all", table: "255" }];
    /** Default routes of others, by family and table as in `4/100`. */
    defaults: Record<string, object[]> = {};
    links: object[] = LINKS;
    addresses: object[] = [];
    generation = 0;
    kernel = "6.1.0-18-amd64";
    /** What systemd-networkd goes by, where it runs. */
    networkd: string | undefined;
    ipv6 = true;
    /** What it starts things by. */
    init = "";
    broken: Section[] = [];
    /** Sections that an observation leaves out. */
    missing: string[] = [];
    answers: Section[][] = [];
    readonly applied: Files[] = [];
    readonly calls: string[] = [];
    readonly confirmTimeout = 30;
    /** What confirming comes to, one for each `apply`; after these, it is kept. */
    confirmations: Section[][] = [];

    async call(verb: "observe" | "clean", files: Files = {}): Promise<Section[]> {
        this.calls.push(verb);
        return verb === "observe" ? this.observe(files) : [];
    }

    async apply(files: Files): Promise<Applied> {
        this.applied.push(files);
        const answer = this.answers.shift();
        const sections = answer ?? this.carryOut(files);
        return {
            sections,
            confirm: async () => {
                this.calls.push("confirm");
                const said = this.confirmations.shift();
                if (said) return { sections: said };
                this.commit(files);
                return { sections: [section("committed")] };
            },
            abort: async () => {
                this.calls.push("abort");
                return [section("rolled-back", "aborted", 1), section("undone")];
            },
        };
    }

    private carryOut(files: Files): Section[] {
        for (const words of commandsIn(files)) this.run(words, files);
        this.pending.set(objectIn(files), files.manifest!.split("\n")[0]!);
        return [section("applied"), ...this.observe(files)];
    }

    private commit(files: Files): void {
        const object = objectIn(files);
        this.pending.delete(object);
        if (/^remove 1$/m.test(files.meta!)) this.objects.delete(object);
        else this.objects.set(object, files.manifest!.split("\n")[0]!);
        this.generation++;
    }

    private run([tool, ...words]: readonly string[], files: Files): void {
        if (tool === "put" || tool === "put-if-there") this.sysctls.set(words[0]!, words[1]!);
        else if (tool === "put-unless") {
            if (!words.slice(2).includes(this.sysctls.get(words[0]!)!)) this.sysctls.set(words[0]!, words[1]!);
        } else if (tool === "nft") this.load(words, files);
        else if (tool === "ip" && words[1] === "rule") this.changeRule(words);
        else throw new Error(`not simulated: ${tool} ${words.join(" ")}`);
    }

    private load(words: readonly string[], files: Files): void {
        if (words[0] === "delete") this.tables.delete(words.at(-1)!);
        else {
            const text = files[words[1]!]!;
            const name = /^table inet (\S+) \{/m.exec(text)![1]!;
            this.tables.set(name, listing(text.slice(text.lastIndexOf(`table inet ${name} {`))));
        }
    }

    private changeRule([flag, , verb, ...words]: readonly string[]): void {
        const rule = { family: flag!, text: words.join(" "), json: ruleJson(words) };
        if (verb === "add") this.rules.push(rule);
        else this.rules = this.rules.filter((one) => one.family !== flag || one.text !== rule.text);
    }

    private observe(files: Files): Section[] {
        const requests = (files.requests ?? "").split("\n").filter(Boolean).map((line) => line.split("\t") as [string, string, string]);
        const asked = requests.flatMap(([what, name, file]) => {
            if (what === "route") return [4, 6].map((family) => section(`route${family}/${name}`, "", 2, "Error: ipv4: FIB table does not exist.\nDump terminated\n"));
            if (what === "default") return [4, 6].map((family) => section(`default${family}/${name}`, JSON.stringify(this.defaults[`${family}/${name}`] ?? [])));
            if (what === "forward") return ["forward", "legacy/iptables", "legacy/ip6tables"].map((one) => section(one));
            return what === "nft" ? [this.table(name), section(`canonical/${name}`, listing(files[file]!))] : [];
        });
        const all = [...this.always(), ...asked].filter(({ name }) => !this.missing.includes(name));
        return all.map((one) => this.broken.find(({ name }) => name === one.name) ?? one);
    }

    private table(name: string): Section {
        const text = this.tables.get(name);
        return text === undefined ? section(`nft/${name}`, "", 1, "Error: No such file or directory\n") : section(`nft/${name}`, text);
    }

    private always(): Section[] {
        const lines = (map: ReadonlyMap<string, string>, what: string) => [...map].map(([key, text]) => `${what}\t${key}\t${text}\n`).join("");
        const rulesOf = (flag: string) => JSON.stringify([...this.localRules, ...this.rules.filter(({ family }) => family === flag).map(({ json }) => json)]);
        return [
            section("facts", [`kernel\t${this.kernel}`, ...FACTS, `ipv6\t${this.ipv6 ? "yes" : "no"}`, `init\t${this.init}`, `generation\t${this.generation}`, ...(this.networkd === undefined ? [] : ["manager\tsystemd-networkd"])].map((line) => `${line}\n`).join("")),
            section("objects", lines(this.objects, "manifest") + lines(this.pending, "pending")),
            section("links", JSON.stringify(this.links)), section("addresses", JSON.stringify(this.addresses)),
            section("rules4", rulesOf("-4")), section("rules6", rulesOf("-6")), section("ra", "[]"), section("neighbours", "[]"),
            section("settings", ""),
            section("module", ""),
            section("boot", "none\n"),
            section("networkd", this.networkd ?? ""),
            section("sysctls", [...this.sysctls].map((pair) => `${pair.join("\t")}\n`).join("")),
            section("tables", [...this.tables.keys()].map((name) => `table inet ${name}\n`).join("")),
        ];
    }
}

const objectIn = (files: Files): string => /^object (.*)$/m.exec(files.meta!)![1]!;

/** The commands of a transaction's steps, in order. */
export const commandsIn = (files: Files): string[][] => files.steps!.split("\n").filter((line) => line.startsWith("do\t")).map((line) => line.split("\t").slice(1));

/** A table as `nft -a -s list table` prints it. */
export function listing(text: string): string {
    let handle = 0;
    const lines = text.trimEnd().split("\n").map((line) => (/^\t\t(?!type )/.test(line) || /^(\tchain|table) /.test(line) ? `${line} # handle ${++handle}` : line));
    return `${lines.join("\n")}\n`;
}

/** As `ip -N -j rule` prints what these words added. */
function ruleJson(words: readonly string[]): object {
    const after = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
    const [mark, mask] = after("fwmark")?.split("/") ?? [];
    const [src, srclen] = after("from")?.split("/") ?? ["all"];
    return JSON.parse(JSON.stringify({
        priority: Number(after("priority")), src, srclen: srclen && Number(srclen), iif: after("iif"), fwmark: mark, fwmask: mask,
        table: after("lookup"), action: words.includes("unreachable") ? "7" : undefined, protocol: after("protocol"),
    })) as object;
}
