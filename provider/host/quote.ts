import { NviError } from "../model/errors";

/** Linux refuses a single argument of 128 KiB; the rest is room for our own wrapping and its quotes. */
const LONGEST_COMMAND = 96 * 1024;

/**
 * One word for a POSIX shell, so that the shell passes it on as it is.
 *
 * A login shell that is not POSIX sees our quotes first. An apostrophe is therefore written `'"'"'`, without the
 * backslash of the usual form, which fish takes for an escape when quotes are nested. What remains: inside quotes fish
 * reads `\\` and `\'` as escapes, and csh stops at a line break and expands `!`. Commands that keep clear of these work in
 * every login shell.
 *
 * @throws NviError `invalid` for a NUL byte, which no argument can carry.
 */
export function shellQuote(word: string): string {
    if (word.includes("\0")) {
        throw invalid("a word of it contains a NUL byte, which no command line can carry");
    }
    return /^[A-Za-z0-9_/.:@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/**
 * The line sent to the login shell, whichever shell that is, so that `script` is run by `sh`.
 * `env` sets the locale because `LC_ALL=C command` is not a command to csh. With LC_ALL=C the tools, and sudo,
 * speak the language in which their messages are recognised.
 *
 * @param prefix a command that runs what follows it, e.g. `sudo -n --`, already quoted.
 * @throws NviError `invalid` when the script is too long for an argument: it belongs in stdin.
 */
export function loginShellLine(script: string, prefix = ""): string {
    const line = `env LC_ALL=C ${prefix ? `${prefix} ` : ""}sh -c ${shellQuote(script)}`;
    const length = Buffer.byteLength(line);
    if (length <= LONGEST_COMMAND) return line;
    throw invalid(`it has ${length} bytes, and a command line takes no more than ${LONGEST_COMMAND}`, "send data by stdin");
}

function invalid(reason: string, cure?: string): NviError {
    return new NviError({ kind: "invalid", operation: "quote", subject: "a command", reason, cure });
}
