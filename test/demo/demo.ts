import { diffDumps, Lab } from "../lab";
import { stack, type Stack } from "../e2e/pulumi";
import { table } from "../tools/table.mjs";
import { sendTraffic } from "./traffic";

const say = (text = ""): void => void process.stdout.write(`${text}\n`);
const bold = (text: string): string => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);

/** A step with its time; what takes long shows that it goes on. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
    const since = Date.now();
    const seconds = () => `${((Date.now() - since) / 1000).toFixed(1)} s`;
    const timer = process.stdout.isTTY ? setInterval(() => process.stdout.write(`\r  ${title} ... ${seconds()} `), 200) : undefined;
    try {
        const result = await work();
        clearInterval(timer);
        process.stdout.write(`${process.stdout.isTTY ? "\r\x1b[K" : ""}  ${title}: ${seconds()}\n`);
        return result;
    } finally {
        clearInterval(timer);
    }
}

const PICTURE = `
     client 10.0.0.5 ──┐             ┌─────────── router ───────────┐
                       ├── LAN ── lan0                          isp1 ── 198.51.100.0/28 ──┐
     server 10.0.0.80 ─┘     10.0.0.1                                                     internet
                                     │                          isp2 ── 203.0.113.0/28 ───┘
                                     └──────────────────────────────┘
   Both providers drop packets whose source is not theirs, as providers do.
`;

/** The main job, from a bare router to packets through both stages and back. */
export async function demo(): Promise<void> {
    say(bold("\nAn office with two uplinks"));
    say(PICTURE);
    const lab = await step("build the lab: network namespaces, a real sshd on the router", () => Lab.start());
    let made: Stack | undefined;
    try {
        const connection = { host: lab.ssh.host, port: lab.ssh.port, user: lab.ssh.user, privateKeyPath: lab.ssh.privateKeyPath };
        made = await step("make a Pulumi stack of examples/office", () =>
            stack({ dir: "examples/office", config: { "office:connection": JSON.stringify(connection), "office:hostKey": lab.ssh.hostKey } }));
        await tour(lab, made);
    } finally {
        made?.close();
        await step("take the lab down", () => lab.stop());
    }
}

async function tour(lab: Lab, office: Stack): Promise<void> {
    const before = await lab.dump();
    say(bold("\n1. pulumi up"));
    const up = await step("pulumi up", () => office.up());
    say(lines(up.stdout, /^ \+ .*dynamic\/nvi:.*created/).map((line) => `     ${line.trim()}`).join("\n"));

    say(bold("\n2. Real connections, and what each stage did to them\n"));
    await show(lab);

    say(bold("\n3. Somebody changes the router by hand"));
    for (const command of TAMPERING) {
        say(`     # ${command}`);
        await lab.router.run(["sh", "-c", command]);
    }
    const refresh = await step("pulumi refresh finds it", () => office.refresh(["--diff"]));
    say(lines(refresh.stdout, /^ {8,}[-+~] /).map((line) => `     ${line.trim().replace(/ {2,}/g, " ")}`).join("\n"));
    await step("pulumi up repairs it", () => office.up());
    await step("pulumi preview --refresh: nothing differs any more", () => office.preview(["--refresh", "--expect-no-changes"]));

    say(bold("\n4. pulumi destroy"));
    await step("pulumi destroy", () => office.destroy());
    const left = diffDumps(before, await lab.dump());
    if (left.length > 0) throw new Error(`the router is not as it was:\n${left.join("\n")}`);
    say("     Rulesets, links, addresses, rules, routes, neighbours, sysctls and files are as before the first `up`.\n");
}

const TAMPERING = [
    "sysctl -q -w net.ipv4.conf.nvi0p.rp_filter=1",
    "ip rule del iif isp2 lookup 7700",
    "nft insert rule inet nvi_nat_office srcnat counter accept",
];

async function show(lab: Lab): Promise<void> {
    const rows = await sendTraffic(lab);
    say(table(
        ["who", "connects to", "stage 1: translated", "stage 2: leaves by", "connections", "answered"],
        rows.map((row) => [row.who, row.to, row.translated, row.out, `${row.count}`, `${row.answered}`]),
    ));
    const spoofed = await lab.spoofed();
    say(`\n  Packets that the providers dropped for a wrong source: ${spoofed.isp1} and ${spoofed.isp2}.`);
    const lost = rows.filter((row) => row.answered < row.count);
    if (lost.length > 0) throw new Error("not every connection was answered");
}

const lines = (text: string, wanted: RegExp): string[] => text.split("\n").filter((line) => wanted.test(line));
