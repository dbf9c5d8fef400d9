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
    /** The exit status, if it ended; null by a signal. */
    code?: number | null;
}

/** A reason and its cure, in both of which USER stands for the login user. */
interface Explanation {
    reason: string;
    cure: string;
}

/** Why sudo did not start the command, and the cure. Knows sudo's messages and sudo-rs's, both in English. */
export function explainRefusal(attempt: SudoAttempt): Explanation {
    const { reason, cure } = explanationOf(attempt);
    return { reason: reason.replaceAll("USER", attempt.user), cure: cure.replaceAll("USER", attempt.user) };
}

function explanationOf({ said, hasPassword, asked, code }: SudoAttempt): Explanation {
    // `env`, which should have run sudo, says so by its status: its words are in the login user's language.
    if (code === 127) return NOT_INSTALLED;
    if (asked > 1) return WRONG_PASSWORD;
    const known = CASES.find(([pattern]) => pattern.test(said))?.[1];
    if (known) return known;
    if (asked > 0 && code === undefined) return SLOW;
    return asked > 0 ? WRONG_PASSWORD : hasPassword ? SILENT : UNCLEAR;
}

const NOPASSWD = "the line `USER ALL=(root) NOPASSWD: ALL` by visudo";

const NOT_INSTALLED: Explanation = {
    reason: "sudo is not installed, and USER is not root",
    cure: "install sudo, or log in as root",
};

const WRONG_PASSWORD: Explanation = {
    reason: "sudo refused the password; it is not tried again, lest the account be locked",
    cure: `correct \`sudoPassword\`, or add ${NOPASSWD}`,
};

const SILENT: Explanation = {
    reason: "sudo neither asked for the password by our prompt nor started the command",
    cure: `allow passprompt_override in sudoers, or add ${NOPASSWD}`,
};

const SLOW: Explanation = {
    reason: "sudo took the password, and gave no answer in time",
    cure: "see on the router why it is slow: its PAM modules, its DNS",
};

const UNCLEAR: Explanation = {
    reason: "sudo did not start the command",
    cure: `see what \`sudo -v\` says on the router, whether USER's shell there runs commands, or add ${NOPASSWD}`,
};

/** In order: sudo prints "a password is required" after other complaints, too. */
const CASES: readonly (readonly [RegExp, Explanation])[] = [
    [
        /account is currently not available/i,
        { reason: "the login shell of USER runs no commands (nologin)", cure: "give USER a shell, e.g. `usermod -s /bin/sh USER`" },
    ],
    [
        /must have a tty|requiretty/i,
        { reason: "sudo wants a terminal (requiretty)", cure: "add the line `Defaults:USER !requiretty` by visudo" },
    ],
    [
        /not in the sudoers file|not allowed to (execute|run)|may not run sudo|I'm sorry .*I'm afraid I can't do that/i,
        { reason: "USER may not run this by sudo", cure: `everything runs by \`sh\` as root, so add ${NOPASSWD}` },
    ],
    [/incorrect password|Authentication failed, try again|Sorry, try again/i, WRONG_PASSWORD],
    [
        /account .*(expired|locked)|account validation|password .*expired/i,
        {
            reason: "sudo says that the account of USER, or its password, has expired or is locked",
            cure: "renew it on the router",
        },
    ],
    [
        /password is required|interactive authentication is required|interaction required|terminal is required|no askpass/i,
        {
            reason: "sudo asks for a password, and none is configured",
            cure: `set \`sudoPassword\`, or add ${NOPASSWD}`,
        },
    ],
];
