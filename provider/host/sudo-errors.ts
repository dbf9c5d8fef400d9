/** A try to run something by sudo that failed before the command started. */
export interface SudoAttempt {
    /** The login user. */
    user: string;
    /** What sudo wrote. */
    said: string;
    /** Whether a password is configured. */
    hasPassword: boolean;
    /** How often sudo asked for it. */
    asked: number;
    /** The exit status, if it ended. */
    code?: number;
}

/** Why sudo did not start the command, and the cure. Knows sudo's messages and sudo-rs's, both in English. */
export function explainRefusal({ user, said, hasPassword, asked, code }: SudoAttempt): { reason: string; cure: string } {
    const fallback = asked > 0 ? WRONG_PASSWORD : hasPassword ? SILENT : UNCLEAR;
    // `env`, which should have run sudo, says so by its status: its words are in the login user's language.
    const known = code === 127 ? NOT_INSTALLED : CASES.find(([pattern]) => pattern.test(said));
    const [, reason, cure] = asked > 1 ? WRONG_PASSWORD : (known ?? fallback);
    return { reason: reason.replaceAll("USER", user), cure: cure.replaceAll("USER", user) };
}

type Case = readonly [pattern: RegExp, reason: string, cure: string];

const NOPASSWD = "the line `USER ALL=(root) NOPASSWD: ALL` by visudo";

const WRONG_PASSWORD: Case = [
    /incorrect password|Authentication failed|Sorry, try again/i,
    "sudo refused the password; it is not tried again, lest the account be locked",
    `correct \`sudoPassword\`, or add ${NOPASSWD}`,
];

const NOT_INSTALLED: Case = [/^/, "sudo is not installed, and USER is not root", "install sudo, or log in as root"];

const SILENT: Case = [/^/, "sudo neither asked for the password by our prompt nor started the command", `allow passprompt_override in sudoers, or add ${NOPASSWD}`];

const UNCLEAR: Case = [/^/, "sudo did not start the command", `see what \`sudo -v\` says on the router, or add ${NOPASSWD}`];

/** In order: sudo prints "a password is required" after other complaints, too. */
const CASES: readonly Case[] = [
    [/must have a tty|requiretty/i, "sudo wants a terminal (requiretty)", "add the line `Defaults:USER !requiretty` by visudo"],
    [
        /not in the sudoers file|not allowed to (execute|run)|may not run sudo|I'm sorry .*I'm afraid I can't do that/i,
        "USER may not run this by sudo",
        `everything runs by \`sh\` as root, so add ${NOPASSWD}`,
    ],
    WRONG_PASSWORD,
    [/account .*(expired|locked)|account validation|password .*expired/i, "sudo says that the account of USER, or its password, has expired or is locked", "renew it on the router"],
    [
        /password is required|interactive authentication is required|terminal is required|no askpass/i,
        "sudo asks for a password, and none is configured",
        `set \`sudoPassword\`, or add ${NOPASSWD}`,
    ],
];
