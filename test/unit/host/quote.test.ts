import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { loginShellLine, shellQuote } from "../../../provider/host/quote";

const hostile = [
    "",
    " ",
    "plain",
    "two words",
    "it's",
    "''",
    "'",
    "'\\''",
    "\\",
    "\\\\'",
    "a\\'b",
    '"double"',
    "$HOME ${HOME} $(id) `id`",
    "a;b&c|d<e>f(g){h}[i]!j",
    "line\nbreak\n",
    "\ttab\r",
    "*?[a-z]~",
    "-n",
    "--",
    "#comment",
    "=equals",
    "%percent",
    "é ü 漢字 🙂",
    "\u0001\u001b[31m",
    "a".repeat(10_000),
];

describe("shellQuote", () => {
    test.each(hostile.map((word) => [word]))("sh passes on %j as it is", (word) => {
        const { stdout, stderr } = spawnSync("sh", ["-c", `printf %s ${shellQuote(word)}`]);
        expect(stderr.toString()).toBe("");
        expect(stdout.toString()).toBe(word);
    });

    test("busybox's and bash's sh, too, and all words at once", () => {
        const script = `printf '%s\\0' ${hostile.map(shellQuote).join(" ")}`;
        for (const shell of [["busybox", "sh"], ["bash"], ["dash"]] as const) {
            const { stdout } = spawnSync(shell[0], [...shell.slice(1), "-c", script]);
            expect(stdout.toString().split("\0").slice(0, -1)).toEqual(hostile);
        }
    });

    test("leaves plain words readable", () => {
        expect(shellQuote("/usr/lib/nvi/nvi.sh")).toBe("/usr/lib/nvi/nvi.sh");
    });

    test("refuses a NUL byte", () => {
        expect(() => shellQuote("a\0b")).toThrow(/NUL/);
    });
});

describe("loginShellLine", () => {
    test.each(hostile.map((word) => [word]))("a script goes through two shells as it is: %j", (word) => {
        const { stdout } = spawnSync("sh", ["-c", loginShellLine(`printf %s ${shellQuote(word)}`)]);
        expect(stdout.toString()).toBe(word);
    });

    test("speaks English", () => {
        const { stdout } = spawnSync("sh", ["-c", loginShellLine("echo $LC_ALL")], { env: { ...process.env, LC_ALL: "de_DE.UTF-8" } });
        expect(stdout.toString()).toBe("C\n");
    });

    test("puts a prefix before sh", () => {
        expect(loginShellLine("id", "sudo -n --")).toBe("env LC_ALL=C sudo -n -- sh -c id");
    });

    test("refuses what the kernel would refuse later", () => {
        expect(() => loginShellLine("x".repeat(200_000))).toThrow(/send data by stdin/);
    });
});
