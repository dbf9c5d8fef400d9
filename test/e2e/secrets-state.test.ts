import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keygen, labPassword, until, type LabOptions } from "../lab";
import { routerArgs, setup, type Setup } from "./office";

/*
 * Routers that are logged in to in all ways, with literal credentials, by users who need sudo, over an sshd without sftp, with
 * a banner, and shells with noisy profiles. No credential is in the state, on the screen, or in any process's arguments or
 * environment.
 */

const PASSPHRASE = "pass-phrase $1'x";
const WITHOUT_SFTP = /^Subsystem sftp .*\n/m;

const OPTIONS: LabOptions = {
    users: [{ name: "ops", sudo: "nopasswd", shell: "/bin/bash" }, { name: "adm", sudo: "password", shell: "/bin/bash" }],
    sshd: { config: ["Banner /etc/ssh/lab/banner", "PasswordAuthentication yes", "AllowTcpForwarding yes"] },
};

let s: Setup;
let keyText = "";

beforeAll(async () => {
    s = await setup(() => "", OPTIONS);
    const { lab } = s;
    const file = join(lab.dir, "with-passphrase");
    const publicKey = await keygen(file, { passphrase: PASSPHRASE });
    for (const user of ["root", "ops"]) lab.authorize(publicKey, user);
    keyText = readFileSync(file, "utf8");
    writeFileSync(join(lab.sshd.dir, "banner"), "Unauthorized use is\n@ end 0 0 0\nprohibited\n");
    await lab.router.sh("for home in /root /home/ops /home/adm; do printf 'echo noise\\necho noise >&2\\n' >$home/.bashrc; done");
    await withoutSftp();
    s.stack.write({ "index.js": program() });
});
afterAll(async () => await s?.stop());

async function withoutSftp(): Promise<void> {
    const { sshd, router } = s.lab;
    const file = join(sshd.dir, "sshd_config");
    const config = readFileSync(file, "utf8");
    expect(config).toMatch(WITHOUT_SFTP);
    writeFileSync(file, config.replace(WITHOUT_SFTP, ""));
    const from = sshd.log().length;
    await router.sh('kill -HUP "$(cat /etc/ssh/lab/sshd.pid)"');
    await until("sshd without sftp", () => sshd.log().includes("Server listening on", from));
}

/** The same machine three times: by root through a bastion, by a user with sudo, by one whose sudo asks. */
function program(mtu = 9000): string {
    const { hostKey, connection: { host, port } } = routerArgs(s.lab);
    const key = { privateKey: keyText, privateKeyPassword: PASSPHRASE };
    const routers = [
        { connection: { host: "10.0.0.1", ...key, proxy: { host, port, user: "ops", hostKey, ...key } }, hostKey },
        { connection: { host, port, user: "ops", ...key }, hostKey },
        { connection: { host, port, user: "adm", password: labPassword }, sudoPassword: labPassword, hostKey },
    ];
    const device = (i: number) => `new nvi.Interface("nvi${i}", { router: new nvi.Router("edge${i}", ${JSON.stringify(routers[i])}), name: "nvi${i}", address: "169.254.77.${i + 2}/32", priority: ${1000 + i}, mtu: ${mtu} });`;
    return `const nvi = require("pulumi-nvi");\n${routers.map((_, i) => device(i)).join("\n")}\n`;
}

/** All that must never be seen: each credential, in the spellings in which it could be, and any line of the key. */
function spellings(): string[] {
    const words = [PASSPHRASE, labPassword].flatMap((text) => [text, JSON.stringify(text).slice(1, -1), text.replaceAll("'", "'\\''"), Buffer.from(text).toString("base64")]);
    return [...new Set([...words, ...keyText.split("\n").slice(1, -2)])];
}

const seenIn = (text: string): string[] => spellings().filter((secret) => text.includes(secret));

interface Watched {
    /** How often it looked. */
    rounds: number;
    /** Names of processes. */
    names: Set<string>;
    leaks: Set<string>;
}

/** Looks at the arguments and the environment of every process of this machine, the routers' among them, while something runs. */
async function watching(running: Promise<unknown>): Promise<Watched> {
    const watched: Watched = { rounds: 0, names: new Set(), leaks: new Set() };
    let done = false;
    const end = running.finally(() => (done = true));
    while (!done) {
        watched.rounds++;
        for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`)) look(pid, watched);
        await new Promise(setImmediate);
    }
    await end;
    return watched;
}

function look(pid: string, { names, leaks }: Watched): void {
    const read = (file: string): string => {
        try {
            return readFileSync(`/proc/${pid}/${file}`, "utf8");
        } catch {
            return ""; // it ended meanwhile
        }
    };
    // The router-side script is its shell's argument.
    const name = read("cmdline").startsWith("/bin/sh\0/run/nvi/") ? "nvi" : read("comm").trim();
    names.add(name);
    for (const file of ["cmdline", "environ"]) if (seenIn(read(file)).length > 0) leaks.add(`${file} of ${name}: ${read(file).replaceAll("\0", " ").slice(0, 300)}`);
}

describe("routers with literal credentials", () => {
    it("are set up, and no process shows any of them", async () => {
        const up = s.stack.up([], { env: { NVI_SSH_DEBUG: "1" } });
        const { rounds, names, leaks } = await watching(up);
        expect([...leaks]).toEqual([]);
        expect(rounds).toBeGreaterThan(20);
        expect([...names]).toEqual(expect.arrayContaining(["sudo", "sshd", "nvi"]));
        const { all } = await up;
        expect(all).toMatch(/ssh adm@127\.0\.0\.1:\d+: /);
        expect(seenIn(all)).toEqual([]);
        expect((await s.lab.router.sh("ip -br link show type veth | grep -c '^nvi[0-9]p\\?@'")).stdout).toBe("6\n");
    });

    // At -v=3 Pulumi's own SDK prints all that a program registers, secrets too; without a program, as in refresh, nothing does.
    it.each<[string, () => Promise<{ all: string }>]>([
        ["preview", () => s.stack.preview(["--diff", "--show-sames", "-v=2", "--logtostderr"])],
        ["refresh", () => s.stack.refresh(["-v=3", "--logtostderr"], { env: { NVI_SSH_DEBUG: "1" } })],
        ["update", () => {
            s.stack.write({ "index.js": program(8000) });
            return s.stack.up(["--diff", "-v=2", "--logtostderr"]);
        }],
    ])("are shown by no %s, and stored as secrets, leaf by leaf", async (_, operation) => {
        const { all } = await operation();
        expect(seenIn(all)).toEqual([]);
        const state = await s.stack.export();
        expect(seenIn(JSON.stringify(state))).toEqual([]);
        const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: expect.any(String) };
        const key = { privateKey: secret, privateKeyPassword: secret };
        const reaches = [
            { connection: { host: "10.0.0.1", ...key, proxy: { host: "127.0.0.1", user: "ops", ...key } } },
            { connection: { host: "127.0.0.1", user: "ops", ...key } },
            { connection: { host: "127.0.0.1", user: "adm", password: secret }, sudoPassword: secret },
        ];
        for (const { type, urn, inputs, outputs } of await s.stack.resources()) {
            const reach = reaches[Number(urn.at(-1))];
            for (const bag of [inputs, outputs]) expect(bag, urn).toMatchObject(type.endsWith("Router") ? reach! : { router: reach });
        }
        expect(await s.stack.resources()).toHaveLength(6);
    });

    it("are shown by no failure", async () => {
        await s.lab.hide("/usr/sbin/nft");
        const { code, all } = await s.stack.refresh([], { allowFailure: true, env: { NVI_SSH_DEBUG: "1" } }).finally(() => s.lab.unhide("/usr/sbin/nft"));
        expect(code).not.toBe(0);
        expect(all).toContain("it has no `nft`");
        expect(seenIn(all)).toEqual([]);
    });

    it("are taken down, and shown by no destroy", async () => {
        const { all } = await s.stack.destroy(["-v=3", "--logtostderr"]);
        expect(seenIn(all)).toEqual([]);
        expect((await s.lab.router.run(["ls", "/etc/nvi"], { allowFailure: true })).code).not.toBe(0);
    });
});
