import * as fs from "node:fs";
import * as path from "node:path";
import { run, until } from "./process";
import type { LabNode } from "./node";

export type KeyType = "ed25519" | "ecdsa" | "rsa";

export interface SshdOptions {
    /** @default ["ed25519"] */
    hostKeyTypes?: KeyType[];
    /** Lines of sshd_config that come first, and so win. */
    config?: string[];
    /** @default true */
    sftp?: boolean;
    /** The router's systemd starts it, at boot too. @default false */
    service?: boolean;
}

export interface SshdCount {
    /** TCP connections that reached sshd, logged in or not. */
    connections: number;
    accepted: number;
    /** Commands, shells and subsystems started. */
    sessions: number;
    /** Attempts to log in that were refused, one a key or password. */
    failed: number;
}

/** Where the router has `dir`. */
const inside = "/etc/ssh/lab";

/** A real sshd on the router. Its files are in a folder that the test sees too, and that is on none of the router's disks. */
export class Sshd {
    constructor(private readonly router: LabNode, readonly dir: string, private readonly options: SshdOptions) {
        fs.mkdirSync(dir, { recursive: true, mode: 0o755 });
    }

    readonly port = 22;
    get logFile(): string { return path.join(this.dir, "sshd.log"); }
    /** `ssh-ed25519 AAAA...`, as known_hosts and Pulumi programs have it. */
    get hostKey(): string { return this.hostKeys[0]!; }
    get hostKeys(): string[] { return this.keyTypes.map(type => publicKey(`${this.hostKeyFile(type)}.pub`)); }

    private get keyTypes(): KeyType[] { return this.options.hostKeyTypes ?? ["ed25519"]; }
    private hostKeyFile(type: KeyType): string { return path.join(this.dir, `host_${type}`); }

    async createHostKeys(): Promise<void> {
        await Promise.all(this.keyTypes.map(async type => {
            for (const suffix of ["", ".pub"]) fs.rmSync(this.hostKeyFile(type) + suffix, { force: true });
            await keygen(this.hostKeyFile(type), { type });
        }));
    }

    async start(): Promise<void> {
        this.configure();
        const from = this.log().length;
        await this.router.run(this.options.service ? ["systemctl", "start", "ssh"] : ["/usr/sbin/sshd", "-f", `${inside}/sshd_config`, "-E", `${inside}/sshd.log`]);
        await this.listening(from);
    }

    /** Waits until the log says so, from this character on. */
    async listening(from: number): Promise<void> {
        await until("sshd to listen (its log is below)", () => this.log().includes("Server listening on", from)).catch((error: Error) => {
            throw new Error(`${error.message}\n${this.log().slice(from)}`);
        });
    }

    configure(): void {
        fs.writeFileSync(path.join(this.dir, "sshd_config"), [
            ...this.options.config ?? [],
            `Port ${this.port}`, `PidFile ${inside}/sshd.pid`, "LogLevel VERBOSE", "UsePAM no", "StrictModes no", "UseDNS no",
            "PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "MaxSessions 10",
            `AuthorizedKeysFile ${inside}/authorized_keys.%u`, "PrintMotd no", "PrintLastLog no", ...this.options.sftp ?? true ? ["Subsystem sftp internal-sftp"] : [],
            ...this.keyTypes.map(type => `HostKey ${inside}/host_${type}`),
        ].join("\n") + "\n");
    }

    /** Stops taking new connections; those that are open go on, as with a real service. */
    async stop(): Promise<void> {
        if (this.options.service) await this.router.run(["systemctl", "stop", "ssh"]);
        else await this.router.sh('kill "$(cat /etc/ssh/lab/sshd.pid)"');
        await until("sshd to stop", () => !fs.existsSync(path.join(this.dir, "sshd.pid")));
    }

    async restart(config?: string[]): Promise<void> {
        if (config) this.options.config = config;
        await this.stop();
        await this.start();
    }

    /** As after a reinstallation, or as an impostor: same address, other key. */
    async rotateHostKeys(): Promise<void> {
        await this.stop();
        await this.createHostKeys();
        await this.start();
    }

    authorize(user: string, key: string): void { fs.appendFileSync(this.authorizedKeys(user), `${key.trim()}\n`); }

    /** Takes a key away again; for all users if none is named. Sessions that are open go on. */
    revoke(key: string, user?: string): void {
        const body = key.trim().split(" ")[1] ?? key.trim();
        for (const file of user ? [this.authorizedKeys(user)] : this.allAuthorizedKeys()) {
            if (!fs.existsSync(file)) continue;
            fs.writeFileSync(file, fs.readFileSync(file, "utf8").split("\n").filter(line => !line.includes(body)).join("\n"));
        }
    }

    /** What sshd's log tells of all that happened since the lab's start. Subtract two counts to learn what one operation cost. */
    count(): SshdCount {
        const times = (pattern: RegExp): number => [...this.log().matchAll(pattern)].length;
        return {
            connections: times(/^Connection from /gm), accepted: times(/^Accepted \S+ for /gm),
            sessions: times(/^Starting session: /gm), failed: times(/^Failed /gm),
        };
    }

    log(): string { return fs.existsSync(this.logFile) ? fs.readFileSync(this.logFile, "utf8") : ""; }

    private authorizedKeys(user: string): string { return path.join(this.dir, `authorized_keys.${user}`); }
    private allAuthorizedKeys(): string[] {
        return fs.readdirSync(this.dir).filter(name => name.startsWith("authorized_keys.")).map(name => path.join(this.dir, name));
    }
}

/** A new key pair; gives the public half as one line. */
export async function keygen(file: string, options: { type?: KeyType; passphrase?: string; comment?: string } = {}): Promise<string> {
    await run(["ssh-keygen", "-q", "-t", options.type ?? "ed25519", "-N", options.passphrase ?? "", "-C", options.comment ?? "nvi-lab", "-f", file], { timeoutMs: 60_000 });
    return publicKey(`${file}.pub`);
}

const publicKey = (file: string): string => fs.readFileSync(file, "utf8").trim().split(" ").slice(0, 2).join(" ");
