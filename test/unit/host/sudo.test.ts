import { describe, expect, test, vi } from "vitest";
import { NviError } from "../../../provider/model/errors";
import { SudoGate, SudoPrologue, sudoCall, type SudoTalk } from "../../../provider/host/sudo";
import { explainRefusal } from "../../../provider/host/sudo-errors";

const error = (kind: NviError["kind"]) => new NviError({ kind, operation: "run", subject: "edge", reason: "no" });
const talk = (password?: string): SudoTalk => ({ user: "ops", password, started: vi.fn(), refused: (kind, reason) => new NviError({ kind, operation: "run", subject: "edge", reason }) });
const prologue = () => new SudoPrologue("MARK", "PROMPT", talk("secret"));
const hear = (p: SudoPrologue, text: string) => p.hear(Buffer.from(text));

describe("SudoPrologue", () => {
    test("sends the password when asked, then starts", () => {
        const p = prologue();
        expect(hear(p, "PROMPT")).toEqual({ say: "secret\n" });
        expect(hear(p, "\n")).toBe("wait");
        expect(hear(p, "MARK\n")).toEqual({ started: Buffer.alloc(0) });
    });

    test("sends none when sudo does not ask", () => expect(hear(prologue(), "MARK\n")).toEqual({ started: Buffer.alloc(0) }));

    test("gives the command's stderr, and nothing of what came before it", () => {
        expect(hear(prologue(), "sudo: unable to resolve host\nMARK\nerr\n")).toEqual({ started: Buffer.from("err\n") });
    });

    test("byte by byte", () => {
        const p = prologue();
        const steps = [..."noise\n[sudo: PROMPT] Password: \nMARK\n"].map((byte) => hear(p, byte));
        expect(steps.filter((step) => step !== "wait")).toEqual([{ say: "secret\n" }, { started: Buffer.alloc(0) }]);
    });

    test("the mark inside a longer line, e.g. an echoed command, is not the start", () => expect(hear(prologue(), "sudo: bad command: echo MARK >&2\n")).toBe("wait"));

    test("ends the input at the second prompt, and never sends the password twice", () => {
        const p = prologue();
        hear(p, "PROMPT");
        expect(hear(p, "Sorry, try again.\nPROMPT")).toBe("stop");
        expect(hear(p, "PROMPT")).toBe("stop");
        for (const code of [1, null, undefined]) expect(p.refusal(code)).toMatchObject({ kind: "privilege", reason: expect.stringMatching(/refused the password/) });
    });

    test("two prompts in one piece are a refusal of a password that was not ours", () => expect(hear(prologue(), "PROMPTPROMPT")).toBe("stop"));

    test("ends the input when asked without having a password", () => expect(hear(new SudoPrologue("MARK", "PROMPT", talk()), "PROMPT")).toBe("stop"));
});

test("a time-out is not a refusal, which would be remembered", () => {
    expect(prologue().refusal()).toMatchObject({ kind: "timeout", reason: expect.stringContaining("neither asked") });
    const p = prologue();
    hear(p, "PROMPT");
    expect(p.refusal()).toMatchObject({ kind: "timeout", reason: expect.stringContaining("no answer in time") });
});

describe("sudoCall", () => {
    test("never asks without a password, and never has it in the line", () => {
        expect(sudoCall("id", talk()).line).toMatch(/^env LC_ALL=C sudo -n -- sh -c 'echo nvi-started-[0-9a-f]{24} >&2; id'$/);
        expect(sudoCall("id", talk("hunter2")).line).toMatch(/^env LC_ALL=C sudo -S -p nvi-password-[0-9a-f]{24} -- sh -c /);
        expect(sudoCall("id", talk("hunter2")).line).not.toContain("hunter2");
        expect(sudoCall("id", talk("hunter2"), true).line).not.toContain(" -p ");
    });

    test.each(["a\nb", "a\n", "a\r"])("refuses a password of two lines: %j", (password) => expect(() => sudoCall("id", talk(password))).toThrow(/line break/));

    test("sudo-rs 0.2.2 does not know -p", () => {
        const p = sudoCall("id", talk("x")).prologue;
        p.hear(Buffer.from("invalid option provided\nusage: sudo -h | -K | -k | -V\n"));
        expect(p.lacksPrompt).toBe(true);
        expect(prologue().lacksPrompt).toBe(false);
    });
});

describe("explainRefusal: words of sudo 1.9.13 and sudo-rs 0.2.2 to 0.2.8", () => {
    const rows: [said: string, asked: number, reason: RegExp][] = [
        ["sudo: a password is required\n", 0, /none is configured/],
        ["sudo-rs: interactive authentication is required\n", 0, /none is configured/],
        ["sudo-rs: authentication failed: interaction required\n", 0, /none is configured/],
        ["sudo: a terminal is required to read the password; either use the -S option ...\nsudo: a password is required\n", 0, /none is configured/],
        ["ops is not in the sudoers file.\n", 1, /may not run/],
        ["ops is not in the sudoers file.  This incident will be reported.\n", 1, /may not run/],
        ["Sorry, user ops is not allowed to execute '/bin/sh -c id' as root on edge.\n", 1, /may not run/],
        ["Sorry, user ops may not run sudo on edge.\n", 0, /may not run/],
        ["sudo-rs: I'm sorry ops. I'm afraid I can't do that\n", 0, /may not run/],
        ["sudo: sorry, you must have a tty to run sudo\n", 0, /requiretty/],
        ["Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n", 2, /refused the password/],
        ["[sudo: PROMPT] Password: sudo: Authentication failed, try again.\nsudo-rs: Maximum 3 incorrect authentication attempts\n", 1, /refused the password/],
        ["[sudo: PROMPT] Password: sudo-rs: PAM error: Permission denied\n", 1, /refused the password/],
        ["sudo: Account expired or PAM config lacks an \"account\" section for sudo, contact your system administrator\nsudo: a password is required\n", 0, /expired or is locked/],
        ["", 0, /did not start/],
    ];
    test.each(rows)("%j", (said, asked, reason) => expect(explainRefusal({ user: "ops", said, asked, hasPassword: false, code: 1 }).reason).toMatch(reason));

    test("not installed, in any language", () => expect(explainRefusal({ user: "ops", said: "env: »sudo«: Datei nicht gefunden", asked: 0, hasPassword: true, code: 127 }).reason).toMatch(/not installed/));
    test("a prompt that is not ours", () => expect(explainRefusal({ user: "ops", said: "LDAP Password: ", asked: 0, hasPassword: true }).cure).toMatch(/passprompt_override/));
    test("the cure names the user", () => expect(explainRefusal({ user: "ops", said: "", asked: 0, hasPassword: false }).cure).toContain("`ops ALL=(root) NOPASSWD: ALL`"));
});

describe("SudoGate", () => {
    const result = { code: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    const pending = () => {
        let end = (_: typeof result | Error): void => undefined;
        const promise = new Promise<typeof result>((resolve, reject) => (end = (value) => (value instanceof Error ? reject(value) : resolve(value))));
        return { promise, end };
    };
    const settle = () => new Promise((resolve) => setImmediate(resolve));

    test("one command goes first; the rest follow when it has started, not when it has ended", async () => {
        const gate = new SudoGate();
        const first = pending();
        let start = (): void => undefined;
        const one = gate.pass((started) => ((start = started), first.promise));
        const second = vi.fn(async () => result);
        const two = [gate.pass(second), gate.pass(second)];
        await settle();
        expect(second).not.toHaveBeenCalled();
        start();
        await Promise.all(two);
        expect(second).toHaveBeenCalledTimes(2);
        first.end(result);
        expect(await one).toBe(result);
    });

    test("after a refusal nobody tries again", async () => {
        const gate = new SudoGate();
        const refused = error("privilege");
        const tries = vi.fn(() => Promise.reject(refused));
        const all = await Promise.allSettled([1, 2, 3, 4].map(() => gate.pass(tries)));
        expect(tries).toHaveBeenCalledTimes(1);
        expect(all.map((each) => (each as PromiseRejectedResult).reason)).toEqual([refused, refused, refused, refused]);
    });

    test("after a lost connection the next one may try", async () => {
        const gate = new SudoGate();
        const tries = vi.fn(() => Promise.reject(error("disconnected")));
        await Promise.allSettled([1, 2, 3].map(() => gate.pass(tries)));
        expect(tries).toHaveBeenCalledTimes(3);
    });
});
