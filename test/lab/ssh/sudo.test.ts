import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connect, type Session } from "../../../provider/host/ssh";
import type { NviError } from "../../../provider/model/errors";
import { newer } from "../newer";
import { run, until } from "../process";
import { TcpRelay } from "./relay";
import { Server, password } from "./server";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Sessions by what sudoers says of their user. */
const started: Server[] = [];
const sessions: Session[] = [];
afterAll(() => {
    for (const session of sessions) session.close();
    return Promise.all(started.map((server) => server.stop()));
});

async function start(...options: Parameters<typeof Server.start>): Promise<Server> {
    const server = await Server.start(...options);
    started.push(server);
    return server;
}
async function login(server: Server, user: string, sudoPassword?: string): Promise<Session> {
    const session = await connect({ ...(await server.endpoint(user)), sudoPassword });
    sessions.push(session);
    return session;
}
const failed = (what: Promise<unknown>): Promise<NviError> => what.then(() => expect.fail("it succeeded"), (error) => error as NviError);

let server: Server;
beforeAll(async () => {
    server = await start({ sudoers: ["ops ALL=(root) NOPASSWD: ALL", "deploy ALL=(root) ALL"] });
});

/** What must hold however sudo lets the command through. */
async function wholesome(session: Session): Promise<void> {
    const answer = await session.execAsRoot("id -u; cat; printf err >&2; exit 7", { stdin: Buffer.from("in\nput") });
    expect({ ...answer, stdout: answer.stdout.toString(), stderr: answer.stderr.toString() }).toEqual({ code: 7, stdout: "0\nin\nput", stderr: "err" });
    const stdin = randomBytes(4 * 1024 * 1024);
    const through = await session.execAsRoot("tee /dev/stderr", { stdin });
    expect([through.stdout.equals(stdin), through.stderr.equals(stdin)]).toEqual([true, true]);
    expect((await session.execAsRoot("cat; echo end")).stdout.toString()).toBe("end\n");
    expect((await session.execAsRoot("kill -9 $$")).code).toBe(137);
    expect((await session.execAsRoot("printf '%s' \"it's\"; echo $LC_ALL")).stdout.toString()).toBe("it'sC\n");
}

describe("lets the command through, with its input and output untouched", () => {
    test("without a password", async () => wholesome(await login(server, "ops")));
    test("without a password, though one is configured", async () => wholesome(await login(server, "ops", "never needed")));
    test("with a password", async () => wholesome(await login(server, "deploy", password)));
    test("with credentials that sudo keeps from the first command on", async () => {
        const keeping = await start({ sudoers: ["deploy ALL=(root) ALL", "Defaults timestamp_type=global"] });
        await wholesome(await login(keeping, "deploy", password));
    });
    test("in a pseudo-terminal of sudo's own (its default since 1.9.14)", async () => {
        const pty = await start({ sudoers: ["deploy ALL=(root) ALL", "Defaults use_pty"] });
        await wholesome(await login(pty, "deploy", password));
    });
    test("after a lecture", async () => {
        const lecturing = await start({ sudoers: ["deploy ALL=(root) ALL", "Defaults lecture=always"] });
        await wholesome(await login(lecturing, "deploy", password));
    });
    test("30 at once", async () => {
        const session = await login(server, "deploy", password);
        const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => session.execAsRoot("cat", { stdin: Buffer.from(`${i}`) })));
        expect(answers.map(({ stdout }) => stdout.toString())).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
    });
    test("exec stays the login user", async () => expect((await (await login(server, "deploy", password)).exec("id -un")).stdout.toString()).toBe("deploy\n"));
});

describe("does not", () => {
    test("a wrong password is given once, however many commands wait, and the refusal stays", async () => {
        const strict = await start({ sudoers: ["deploy ALL=(root) ALL", "Defaults logfile=/run/sudo/log, passwd_tries=3"] });
        const session = await login(strict, "deploy", "hunter2");
        const errors = await Promise.all(Array.from({ length: 6 }, () => failed(session.execAsRoot("id"))));
        errors.push(await failed(session.execAsRoot("id")));
        for (const error of errors) {
            expect(error).toMatchObject({ kind: "privilege", reason: expect.stringContaining("sudo refused the password") });
            expect(error.message).not.toContain("hunter2");
        }
        const root = await login(strict, "root");
        const { stdout } = await root.exec("grep -c 'incorrect password attempt' /run/sudo/log");
        expect(stdout.toString()).toBe("1\n");
        expect((await root.exec("tr -d '\\n' </run/sudo/log | grep -o '[0-9] incorrect password'")).stdout.toString()).toBe("1 incorrect password\n");
    });

    const rows: [string, string, string | undefined, string[], RegExp, RegExp][] = [
        ["a password is wanted and none is configured", "deploy", undefined, ["deploy ALL=(root) ALL"], /asks for a password, and none is configured/, /set `sudoPassword`, or add the line `deploy ALL=\(root\) NOPASSWD: ALL` by visudo/],
        ["not in sudoers", "nosudo", undefined, [], /asks for a password/, /NOPASSWD/],
        ["not in sudoers, with a password", "nosudo", password, [], /nosudo may not run this by sudo/, /`nosudo ALL=\(root\) NOPASSWD: ALL`/],
        ["only another command is allowed", "deploy", password, ["deploy ALL=(root) NOPASSWD: /usr/bin/id"], /deploy may not run this/, /everything runs by `sh` as root/],
        ["a terminal is required", "deploy", password, ["deploy ALL=(root) NOPASSWD: ALL", "Defaults requiretty"], /wants a terminal \(requiretty\)/, /Defaults:deploy !requiretty/],
    ];
    test.each(rows)("%s", async (_, user, sudoPassword, sudoers, reason, cure) => {
        const session = await login(await start({ sudoers }), user, sudoPassword);
        const error = await failed(session.execAsRoot("touch /run/never", { operation: "observe", stdin: Buffer.from("secret input") }));
        expect(error).toMatchObject({ kind: "privilege", operation: "observe", reason: expect.stringMatching(reason), cure: expect.stringMatching(cure) });
        expect(error.message).not.toContain(password);
        expect((await session.exec("test -e /run/never; echo $?")).stdout.toString()).toBe("1\n");
    });

    test("sudo that is not there", async () => {
        const without = await start({ sudo: "#!/nowhere\n" });
        expect(await failed((await login(without, "ops")).execAsRoot("id"))).toMatchObject({ kind: "privilege", reason: "sudo is not installed, and ops is not root" });
    });

    test("sudo that hangs is a time-out, and the next command may try again", async () => {
        const session = await login(await start({ sudo: "#!/bin/sh\nexec sleep 4722\n" }), "deploy", password);
        for (let i = 0; i < 2; i++) {
            expect(await failed(session.execAsRoot("id", { timeoutMs: 300 }))).toMatchObject({ kind: "timeout", reason: expect.stringContaining("neither asked for the password") });
        }
    });

    test("a connection cut at the prompt is disconnected, not a refusal", async () => {
        const host = await start({ sudo: "#!/bin/sh\nexec sleep 4723\n" });
        const relay = await TcpRelay.start(host.port);
        const endpoint = await host.endpoint("deploy");
        const session = await connect({ ...endpoint, connection: { ...endpoint.connection, port: relay.port }, sudoPassword: password });
        const answer = failed(session.execAsRoot("id"));
        await until("sudo to run", () => host.count(/^Starting session/) > 0);
        relay.cut();
        expect((await answer).kind).toBe("disconnected");
        await relay.stop();
    });
});

/** The talk of sudo-rs, whose prompts differ, by a script that stays the login user. Its words and its greed were measured on the real ones. */
const fake = (prompt: string, options: string, read: string) => `#!/bin/sh
${options}
printf '%s' "${prompt}" >&2
${read}
[ "$given" = '${password.replaceAll("'", "'\\''")}' ] || { echo "sudo: Authentication failed, try again." >&2; printf '%s' "${prompt}" >&2; cat >/dev/null; echo "sudo-rs: Maximum 3 incorrect authentication attempts" >&2; exit 1; }
echo >&2
exec "$@"
`;
const options = '[ "$1 $2" = "-S -p" ] && mark=$3 && [ "$4" = -- ] && shift 4';
const line = "IFS= read -r given";
/** As much as there is, like sudo-rs 0.2.5: what followed the password would be lost. */
const greedy = "given=$(dd bs=65536 count=1 2>/dev/null)";
const noPrompt = 'if [ "$2" = -p ]; then echo "invalid option provided" >&2; echo "usage: sudo -h | -K | -k | -V" >&2; exit 1; fi; shift 2';

describe("sudo-rs", () => {
    test.each([
        ["0.2.8", fake("[sudo: $mark] Password: ", options, line)],
        ["0.2.5, which swallows what follows the password", fake("[sudo: $mark] Password: ", options, greedy)],
        ["0.2.2, which knows no -p", fake("[sudo: authenticate] Password: ", noPrompt, greedy)],
    ])("%s", async (_, sudo) => {
        const host = await start({ sudo });
        const session = await login(host, "deploy", password);
        for (let i = 0; i < 3; i++) expect((await session.execAsRoot("cat", { stdin: Buffer.from("whole input") })).stdout.toString()).toBe("whole input");
        expect((await failed((await login(host, "deploy", "hunter2")).execAsRoot("id"))).reason).toMatch(/refused the password/);
    });
});

describe("the sudo-rs of Debian 13", () => {
    let programs: string | undefined;
    let missing: string | undefined;
    beforeAll(async () => void ({ programs, missing } = await newer()), 300_000);
    const real = (name: string, sudoers: string[], use: (host: Server) => Promise<void>) => test(name, async ({ skip }) => {
        skip(programs === undefined, missing);
        const host = await start({ programs, sudo: `${programs}/usr/bin/sudo-rs`, sudoers });
        expect((await (await login(host, "root")).exec("sudo --version 2>&1")).stdout.toString()).toMatch(/^sudo-rs /);
        await use(host);
    });

    real("with a password", ["deploy ALL=(root) ALL"], async (host) => wholesome(await login(host, "deploy", password)));
    real("without one", ["ops ALL=(root) NOPASSWD: ALL"], async (host) => wholesome(await login(host, "ops", "never needed")));
    real("with a terminal of its own", ["deploy ALL=(root) ALL", "Defaults use_pty"], async (host) => wholesome(await login(host, "deploy", password)));
    real("30 at once", ["deploy ALL=(root) ALL"], async (host) => {
        const session = await login(host, "deploy", password);
        const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => session.execAsRoot("cat", { stdin: Buffer.from(`${i}`) })));
        expect(answers.map(({ stdout }) => stdout.toString())).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
    });
    real("and what it refuses", ["deploy ALL=(root) ALL", "ops ALL=(root) NOPASSWD: /usr/bin/id"], async (host) => {
        const refusal = async (user: string, sudoPassword?: string) => (await failed((await login(host, user, sudoPassword)).execAsRoot("id"))).reason;
        expect(await refusal("deploy", "hunter2")).toMatch(/sudo refused the password/);
        expect(await refusal("deploy")).toMatch(/asks for a password, and none is configured/);
        expect(await refusal("nosudo", password)).toMatch(/nosudo may not run this by sudo/);
        expect(await refusal("ops", password)).toMatch(/ops may not run this by sudo/);
    });
});

test("no password in any process's arguments or environment while a command runs", async () => {
    const session = await login(server, "deploy", password);
    const running = session.execAsRoot("cat >/dev/null; sleep 4721");
    let seen = "";
    await until("the command to run", async () => {
        seen += (await run(["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a -v '^OLDPWD'"], { allowFailure: true })).stdout;
        return /sleep\n4721/.test(seen);
    });
    expect(seen).toContain("nvi-password-");
    expect(seen).not.toContain(password);
    session.close();
    await running.catch(() => undefined);
});
