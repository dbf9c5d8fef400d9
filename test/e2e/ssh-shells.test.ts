import { release } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import type { NviError } from "../../provider/model/errors";
import { Lab, labPassword } from "../lab";
import { newer } from "../lab/newer";
import { coreRouter } from "./core";
import { desiredOf } from "./drift-core";
import { sampled } from "./sample";

/* Login shells of all kinds, each with a profile that says a lot, and a server that does, too: the whole way through observing, applying and confirming. */

const { programs, missing } = await newer();
/** ash is busybox under its name for a shell; fish and zsh are Debian's next release's. */
const SHELLS: Record<string, string> = { sh: "/bin/sh", bash: "/bin/bash", ash: "/usr/local/bin/ash", loud: "/usr/local/bin/loud", ...(programs ? { zsh: "/usr/bin/zsh", fish: "/usr/bin/fish" } : {}) };
const RIGHTLESS = { nologin: "/usr/sbin/nologin", mute: "/bin/false", early: "/usr/local/bin/early" };

/** Without a line break at its end, and with what looks like an answer of ours. */
const NOISE = "printf 'Welcome!\\n@ facts 0 0 0\\n\\n@ end 0 0 0\\n\\nnews: '; printf 'careful: ' >&2";

const SETUP = `
ln -s /bin/busybox /usr/local/bin/ash
mkdir -p /etc/fish/conf.d /etc/zsh
printf '#!/bin/sh\\n%s\\nexec /bin/sh "$@"\\n' "$1" >/usr/local/bin/loud
printf '#!/bin/sh\\necho no maintenance today\\nexit 0\\n' >/usr/local/bin/early
chmod 755 /usr/local/bin/loud /usr/local/bin/early
for file in /etc/profile /etc/bash.bashrc /etc/zsh/zshenv /etc/fish/config.fish /etc/motd /root/.bashrc; do printf '%s\\nmesg n\\n' "$1" >"$file"; done
for home in /home/*; do for file in .profile .bashrc .zshenv; do printf '%s\\nmesg n\\n' "$1" >"$home/$file"; done; done
`;

const BANNER = "Authorized use only. ".repeat(1500);

let lab: Lab;
const closing: (() => void)[] = [];
beforeAll(async () => {
    const shells = { ...SHELLS, ...RIGHTLESS };
    const users = Object.entries(shells).map(([name, shell]) => ({ name, shell, sudo: "nopasswd" as const }));
    lab = await Lab.start({ programs, users: [...users, { name: "asked", sudo: "password", shell: "/bin/bash" }, { name: "stranger", sudo: "none" }], sshd: { sftp: false, config: ["Banner /etc/ssh/lab/banner", "PrintMotd yes", "PrintLastLog yes"] } });
    await lab.router.sh("cat >/etc/ssh/lab/banner", [], { stdin: `${BANNER}\n@ end 0 0 0\n` });
    await lab.router.sh(SETUP, [NOISE]);
});
afterEach(() => closing.splice(0).forEach((close) => close()));
afterAll(() => lab?.stop());

function routerAs(user: string, sudoPassword?: string) {
    const { host, close } = coreRouter(lab, { confirmTimeout: 10, sudoPassword, connection: { host: lab.ssh.host, port: lab.ssh.port, user, privateKeyPath: lab.ssh.privateKeyPath } });
    closing.push(close);
    return host;
}

const nvi = desiredOf("interface", { name: "nvi0" });

async function wholeWay(user: string, sudoPassword?: string): Promise<void> {
    const host = routerAs(user, sudoPassword);
    // The script is uploaded by each.
    await lab.router.sh("rm -rf /run/nvi");
    await ensure(host, nvi);
    expect((await read(host, nvi)).rendered).toEqual(renderedOf(nvi));
    await remove(host, nvi);
    expect((await read(host, nvi)).exists).toBe(false);
}

it("the server and the shells do say what they are to", async () => {
    const { stdout, stderr } = await lab.sshRun("echo ok", { via: { ...lab.ssh, user: "bash" } });
    expect(stdout).toMatch(/^Welcome!\n@ facts 0 0 0\n\n@ end 0 0 0\n\nnews: [^]*ok\n$/);
    expect(stderr).toContain(BANNER);
    expect(stderr).toContain("careful: ");
    // No sftp.
    expect((await lab.sshRun("sftp", { args: ["-s", "-o", "LogLevel=ERROR"], allowFailure: true })).code).not.toBe(0);
});

describe("what the login shell says is not taken for an answer", () => {
    it.each(Object.keys(SHELLS))("%s, in observing", async (shell) => {
        const { exists, snapshot } = await read(routerAs(shell), nvi);
        expect([exists, snapshot.facts.kernel]).toEqual([false, release()]);
    });
    it.each(sampled(Object.keys(SHELLS), (shell) => ["bash", "fish"].includes(shell)))("%s, in applying and confirming", async (shell) => wholeWay(shell));
    if (missing) it.skip(`zsh and fish: ${missing}`);
    it("bash, and sudo asks for a password", async () => wholeWay("asked", labPassword));
    it("root's bash", async () => {
        await lab.router.sh("sed -i '/^root:/s|[^:]*$|/bin/bash|' /etc/passwd");
        await wholeWay("root");
    });
});

describe("a user who can't do it is told why, and nothing is taken for absent", () => {
    const failing = async (user: string): Promise<NviError> => await read(routerAs(user), nvi).then(() => expect.fail("it succeeded"), (error: NviError) => error);

    it.each<[string, RegExp, RegExp]>([
        ["nologin", /the login shell of nologin runs no commands \(nologin\)/, /usermod -s \/bin\/sh nologin/],
        ["mute", /sudo did not start the command/, /whether mute's shell there runs commands/],
        ["early", /sudo did not start the command/, /whether early's shell there runs commands/],
        ["stranger", /asks for a password, and none is configured/, /stranger ALL=\(root\) NOPASSWD: ALL/],
    ])("%s", async (user, reason, cure) => {
        expect(await failing(user)).toMatchObject({ kind: "privilege", reason: expect.stringMatching(reason) as string, cure: expect.stringMatching(cure) as string });
    });

    it.each([["/usr/sbin/nologin", "This account is currently not available."], ["/bin/false", ""], ["/usr/local/bin/early", "no maintenance today"]])("root, whose shell is %s", async (shell, said) => {
        await lab.router.sh('sed -i "/^root:/s|[^:]*$|$1|" /etc/passwd', [shell]);
        try {
            const error = await failing("root");
            expect(error).toMatchObject({ kind: "privilege", operation: "observe", reason: expect.stringMatching(/the login shell of root did not run the command \(exit status \d\)/) as string, cure: expect.stringContaining("root's shell on the router") as string });
            expect(error.output).toContain(said);
        } finally {
            await lab.router.sh("sed -i '/^root:/s|[^:]*$|/bin/sh|' /etc/passwd");
        }
    });
});
