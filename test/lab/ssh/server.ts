import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint, Hop } from "../../../provider/host/endpoint";
import { Child, run } from "../process";

export type KeyType = "ed25519" | "ecdsa" | "rsa";

export interface ServerOptions {
    /** Lines of sshd_config that come first, and so win. */
    config?: string[];
    /** @default ["ed25519"] */
    hostKeys?: KeyType[];
    /** Lines of sudoers. */
    sudoers?: string[];
    /** A program, or the text of a script, in the place of sudo. */
    sudo?: string;
    /** A folder of programs that go before the machine's own; see `newer`. */
    programs?: string;
    /** Login shells of users, in the place of sh (ops: bash). */
    shells?: Record<string, string>;
    /** Their homes, in the place of /tmp: the server's own folder, where a test puts profiles. */
    homes?: boolean;
}

/** The login of `deploy`, and of no real account. It has what breaks careless quoting. */
export const password = "pa ss'w$rd\\1\"é";

/** All log in by key or password, and differ in what sudoers says of them; ops has bash. */
const users = ["deploy", "nosudo", "ops"];

/**
 * A real sshd on 127.0.0.1, in mount and process namespaces of its own: it has its own passwd, shadow, sudoers and /run,
 * and nothing that it starts outlives it.
 */
export class Server {
    private constructor(
        readonly dir: string,
        readonly port: number,
        private readonly child: Child,
    ) {}

    static async start(options: ServerOptions = {}): Promise<Server> {
        const dir = mkdtempSync(join(tmpdir(), "nvi-sshd-"));
        chmodSync(dir, 0o755);
        const types = options.hostKeys ?? ["ed25519"];
        for (const type of types) await keygen(join(dir, `host_${type}`), { type });
        writeAccounts(dir, options);
        writeFileSync(join(dir, "authorized_keys"), "");
        if (options.sudo) writeSudo(dir, options.sudo);
        for (;;) {
            const port = await freePort();
            writeFileSync(join(dir, "sshd_config"), sshdConfig(dir, port, types, options.config ?? []));
            const child = new Child([...enter, "sh", "-ec", boot, "sh", dir, options.programs ?? ""], { stdin: "" });
            const [, taken] = await child.waitFor(/Server listening on|(Address already in use)/);
            if (!taken) return new Server(dir, port, child);
            await child.stop("SIGKILL");
        }
    }

    /** What sshd logged. */
    get log(): string {
        return this.child.stderr;
    }

    /** How often the log has a line that matches. */
    count(pattern: RegExp): number {
        return [...this.log.matchAll(new RegExp(pattern, "gm"))].length;
    }

    /** `ssh-ed25519 AAAA...` */
    hostKey(type: KeyType = "ed25519"): string {
        return publicKey(join(this.dir, `host_${type}`));
    }

    /** Lets the key in, for every user. `options` go before it, as in authorized_keys. */
    authorize(publicKeyLine: string, options = ""): void {
        writeFileSync(join(this.dir, "authorized_keys"), `${options} ${publicKeyLine}\n`.trimStart(), { flag: "a" });
    }

    /** A user with a new authorized key. */
    async hop(user = "root"): Promise<Hop & { privateKeyPath: string }> {
        const key = join(this.dir, `key_${user}`);
        if (!existsSync(key)) this.authorize(await keygen(key));
        return { host: "127.0.0.1", port: this.port, user, privateKeyPath: key, dialErrorLimit: 1 };
    }

    /** An endpoint that works. */
    async endpoint(user = "root"): Promise<Endpoint> {
        return { name: "edge", connection: await this.hop(user), hostKey: this.hostKey() };
    }

    /** Freezes the server with all that it runs, so that its connections stay open and silent; or thaws it. */
    async freeze(on: boolean): Promise<void> {
        for (const pid of await this.pids()) process.kill(pid, on ? "SIGSTOP" : "SIGCONT");
    }

    /** A file of the server's folder, where the other side may look for it. */
    file(name: string, text: string): string {
        const file = join(this.dir, name);
        writeFileSync(file, text, { mode: 0o600 });
        return file;
    }

    /** All processes of the server, as this side numbers them. */
    async pids(): Promise<number[]> {
        const { stdout } = await run(["ps", "-eo", "pid=,ppid="]);
        const pairs = stdout.trim().split("\n").map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
        const found = [this.child.pid];
        for (const parent of found) found.push(...pairs.filter(([, ppid]) => ppid === parent).map(([pid]) => pid));
        return found.slice(1);
    }

    async stop(): Promise<void> {
        await this.freeze(false).catch(() => undefined);
        await this.child.stop("SIGKILL");
        rmSync(this.dir, { recursive: true, force: true });
    }
}

/** Ends with the test's process, too, when that gets no chance to stop it. */
const enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private"];

/** $1 is the folder, $2 that of programs. Bind mounts over the machine's files, seen in here only. */
const boot = `
if [ -n "$2" ]; then mount -t overlay -o "lowerdir=$2/usr:/usr" overlay /usr; fi
for name in passwd shadow group sudoers; do mount --bind "$1/$name" "/etc/$name"; done
if [ -e "$1/sudo" ]; then mount --bind "$1/sudo" /usr/bin/sudo; fi
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
mkdir -m 711 /run/sudo
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`;

function sshdConfig(dir: string, port: number, types: readonly KeyType[], first: readonly string[]): string {
    const lines = [
        ...first,
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        "PidFile none",
        "LogLevel VERBOSE",
        "UsePAM no",
        "StrictModes no",
        "UseDNS no",
        "PermitRootLogin yes",
        "KbdInteractiveAuthentication no",
        "PrintMotd no",
        `AuthorizedKeysFile ${dir}/authorized_keys`,
        ...types.map((type) => `HostKey ${dir}/host_${type}`),
    ];
    return `${lines.join("\n")}\n`;
}

/** The machine's own accounts stay, so that sshd finds its own; root gets no password. */
function writeAccounts(dir: string, { sudoers = [], shells = {}, homes }: ServerOptions): void {
    const hash = spawnSync("openssl", ["passwd", "-6", "-stdin"], { input: `${password}\n` }).stdout.toString().trim();
    const add = (name: string, mode: number, line: (user: string, i: number) => string) => {
        // Root's own home may hold a slow .bashrc, which bash reads at every command by ssh.
        const text = readFileSync(join("/etc", name), "utf8").replace(/^root:x:.*$/m, (line) => (name === "passwd" ? "root:x:0:0::/:/bin/sh" : line));
        writeFileSync(join(dir, name), `${text}${users.map(line).join("\n")}\n`);
        chmodSync(join(dir, name), mode);
    };
    const shellOf = (user: string) => shells[user] ?? `/bin/${user === "ops" ? "bash" : "sh"}`;
    add("passwd", 0o644, (user, i) => `${user}:x:${4001 + i}:${4001 + i}::${homes ? dir : "/tmp"}:${shellOf(user)}`);
    add("group", 0o644, (user, i) => `${user}:x:${4001 + i}:`);
    add("shadow", 0o640, (user) => `${user}:${hash}:19000:0:99999:7:::`);
    writeFileSync(join(dir, "sudoers"), ["root ALL=(ALL) ALL", "Defaults !fqdn", ...sudoers, ""].join("\n"));
    chmodSync(join(dir, "sudoers"), 0o440);
}

function writeSudo(dir: string, sudo: string): void {
    const file = join(dir, "sudo");
    if (sudo.startsWith("#!")) writeFileSync(file, sudo);
    else copyFileSync(sudo, file);
    chmodSync(file, 0o4755);
}

/** A new key pair; gives the public half as one line, `type base64`. */
export async function keygen(file: string, options: { type?: KeyType; passphrase?: string; format?: "PEM" | "PKCS8"; comment?: string } = {}): Promise<string> {
    const { type = "ed25519", passphrase = "", comment = "lab", format } = options;
    const bits = type === "rsa" ? ["-b", "2048"] : [];
    await run(["ssh-keygen", "-q", "-t", type, ...bits, ...(format ? ["-m", format] : []), "-N", passphrase, "-C", comment, "-f", file], { timeoutMs: 60_000 });
    return publicKey(file);
}

const publicKey = (file: string): string => readFileSync(`${file}.pub`, "utf8").trim().split(" ").slice(0, 2).join(" ");

/** A port that was free a moment ago, outside the range that the kernel gives to outgoing connections. */
export async function freePort(): Promise<number> {
    for (;;) {
        const port = 20_000 + randomInt(10_000);
        const server = createServer();
        const free = await new Promise<boolean>((resolve) => {
            server.once("listening", () => resolve(true)).once("error", () => resolve(false));
            server.listen(port, "127.0.0.1");
        });
        if (!free) continue;
        await new Promise((resolve) => server.close(resolve));
        return port;
    }
}
