import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { connect, shellQuote } from "../../../provider/host/ssh";
import { Child, run } from "../process";
import { Server, password, keygen, freePort } from "./server";
import { mkdtempSync, writeFileSync, chmodSync, mkdirSync } from "node:fs";
vi.setConfig({ testTimeout: 60_000 });
const shells = ["/tmp/sshlab/root/bin/tcsh", "/tmp/sshlab/root/usr/bin/fish", "/usr/bin/bash"];
test.each(shells)("login shell %s", async (shell) => {
    // as the login shell would get it: shell -c line
    const { loginShellLine } = await import("../../../provider/host/quote");
    for (const word of ["plain", "two words", "it's", '"dq"', "$x `y` $(id)", "a!b", "line\nbreak", "back\\slash", "two\\\\", "\\'", "a;b|c&d>e*?[x]{a,b}~"]) {
        const line = loginShellLine(`printf %s ${shellQuote(word)}; printf %s "$LC_ALL"`, "env");
        let out = "";
        try { out = execFileSync(shell, ["-c", line], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LD_LIBRARY_PATH: "/tmp/sshlab/root/usr/lib/x86_64-linux-gnu", HOME: "/tmp/sshlab" } }).toString(); } catch (e) { out = "ERR " + String((e as {stderr: Buffer}).stderr); }
        console.log(shell.split("/").pop(), JSON.stringify(word), out === `${word}C` ? "ok" : JSON.stringify(out));
    }
});
test("dropbear", async () => {
    const dir = mkdtempSync("/tmp/db-"); chmodSync(dir, 0o755);
    const lib = "/tmp/sshlab/root/usr/lib/x86_64-linux-gnu";
    const env = { ...process.env, LD_LIBRARY_PATH: lib };
    await run([`/tmp/sshlab/root/usr/bin/dropbearkey`, "-t", "ed25519", "-f", `${dir}/host`], { env });
    const port = await freePort();
    const key = await keygen(`${dir}/key`);
    mkdirSync(`${dir}/.ssh`, { mode: 0o700 });
    writeFileSync(`${dir}/.ssh/authorized_keys`, `${key}\n`, { mode: 0o600 });
    writeFileSync(`${dir}/passwd`, `root:x:0:0::${dir}:/bin/sh\n`);
    const d = new Child(["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-ec", `mount --bind ${dir}/passwd /etc/passwd; mount --bind ${dir} /root; exec /tmp/sshlab/root/usr/sbin/dropbear -F -E -p 127.0.0.1:${port} -r ${dir}/host -P ${dir}/pid`], { env, stdin: "" });
    try {
        await d.waitFor(/Not backgrounding/);
        const pub = (await run([`/tmp/sshlab/root/usr/bin/dropbearkey`, "-y", "-f", `${dir}/host`], { env })).stdout.match(/ssh-ed25519 \S+/)![0];
        const c = await connect({ name: "owrt", keepalive: 0.2, hostKey: pub, connection: { host: "127.0.0.1", port, privateKeyPath: `${dir}/key`, dialErrorLimit: 1 } }, { channels: Number(process.env.CH ?? 1) });
        const stdin = randomBytes(4e6);
        expect((await c.exec("cat", { stdin })).stdout.equals(stdin)).toBe(true);
        const all = await Promise.all(Array.from({ length: 300 }, (_, i) => c.exec(`sleep 0.0${i % 5}; echo ${i}`).catch((e) => { console.log("FAILED", i, d.stderr); throw e; })));
        expect(all.length).toBe(300);
        expect((await c.exec("sleep 2; exit 3")).code).toBe(3);
        console.log(await c.exec("kill -9 $$"));
        c.close();
        const x = await connect({ name: "owrt", hostKey: pub, connection: { host: "127.0.0.1", port, password: "nope", dialErrorLimit: 1 } }).catch((e) => e);
        console.log(x.message);
        console.log(d.stderr.slice(-1500));
    } finally { await d.stop("SIGKILL"); }
});
