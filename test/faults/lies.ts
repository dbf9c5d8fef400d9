import { vi } from "vitest";
import type { Router } from "../../provider/host/router";
import { read, renderedOf } from "../../provider/reconcile/engine";
import { Bench, DONE, outcomeOf, type Point } from "./bench";

/*
 * A tool of the router lies at one of its calls: it crashes, prints half, hangs, is gone. Or the disk is full from there on. What it
 * said must not be taken for "nothing there": either it is an error that says which router, which step and what the tool said, or it
 * made no difference.
 */

interface Lie {
    /** Lines of sh in the place of the call, or before it. */
    does: string;
    /** What the error has of it. */
    says: RegExp;
    /** Ends what goes on after the call. */
    heal?: string;
    /** Lines of the dumps' difference that are of the lie's own making. */
    stays?: RegExp;
}

/** Where the dump doesn't look, and the disk isn't full. */
const HALF = "/etc/ssh/lab/half";
/** What the router's tmpfs takes still, so that it is soon full. */
const FREE = 2 * 1024 * 1024;

export const LIES: Readonly<Record<string, Lie>> = {
    "crashes": { does: "kill -SEGV $$;", says: /exit status 139|ended by signal 11|Segmentation fault/ },
    "prints half": { does: `"/etc/ssh/lab/hidden/\${0##*/}" "$@" >${HALF}; s=$?; head -c $(($(wc -c <${HALF}) / 2)) ${HALF}; exit $s;`, says: /can't be read|is missing|something else than|in its middle/ },
    "has no buffer space": { does: "echo 'netlink: Error: cache initialization failed: No buffer space available' >&2; exit 1;", says: /No buffer space available/ },
    "hangs": { does: "exec sleep 1000;", says: /exit status 124|did not end in time|no end after/ },
    "is missing": { does: "echo \"sh: 1: ${0##*/}: not found\" >&2; exit 127;", says: /exit status 127|not found/ },
    "takes the connection along": { does: "pkill -KILL -f '^sshd: root' || :;", says: /was lost|was closed|the connection ended|ended without|not confirmed/ },
    "finds the disk full": { does: "cat /dev/zero >/var/full 2>/dev/null || :;", says: /No space left|does not fit|did not arrive whole|cannot (write|unpack)|the router needs a writable \/run/, heal: "rm -f /var/full" },
    "finds /etc read-only": { does: "mount --rbind /etc /etc && mount -o remount,bind,ro /etc;", says: /Read-only file system/, heal: "! mountpoint -q /etc || umount -R /etc", stays: /^\+ files: \w+ \/etc\/nvi(\/objects(\/[^/ ]+(\/(pending|undo))?)?)? / },
};

/** Ways in which both clocks may jump from one look to the next, in seconds. */
export const JUMPS: Readonly<Record<string, number>> = { "clocks jump forward": 86_400, "clocks jump back": -86_400 };

/** `at` counts the calls of ip and nft in the operation. */
export class LieBench extends Bench {
    protected readonly counted = "*";

    describe({ scene, cut, at }: Point): string {
        return cut in JUMPS ? `${scene}, ${cut}` : `${scene}, a tool that ${cut} at call ${at} of ${this.commands}`;
    }

    protected override stays({ cut }: Point): RegExp | undefined {
        return LIES[cut]?.stays;
    }

    /** Of a scene that changes nothing it is a refresh. */
    protected override async operate(host: Router): Promise<void> {
        const { from, to } = this.scene;
        if (from === undefined || from !== to) return await this.put(host, to);
        const { exists, rendered } = await read(host, from);
        if (!exists) throw new Error("what is there is taken for absent");
        const wanted = renderedOf(from);
        const differs = [...new Set([...Object.keys(wanted), ...Object.keys(rendered)])].filter((key) => wanted[key] !== rendered[key]);
        if (differs.length > 0) throw new Error(`what is there is taken for something else: ${differs.join(", ")}`);
    }

    protected async attempt({ cut, at }: Point): Promise<string> {
        const { host, close } = this.router();
        try {
            if (cut in JUMPS) return await this.whileClocksJump(JUMPS[cut]!, host);
            const { does, says, heal } = LIES[cut]!;
            // A tool that hangs has a minute; here it is a second.
            await this.lab.fake("/usr/bin/timeout", "#!/bin/sh\nshift\nexec /etc/ssh/lab/hidden/timeout 1 \"$@\"\n");
            if (heal) await this.lab.limitDisk(FREE);
            await this.instrument(this.counted, at, does);
            const said = await outcomeOf(this.operate(host));
            if (heal) await this.lab.limitDisk(undefined);
            if (heal) await this.lab.router.sh(heal);
            if (said !== DONE && !(/^edge \(root@\S+\): [^:"]+(?:"[^"]*")?: /.test(said) && says.test(said))) throw new Error(`${this.describe({ scene: this.scene.name, cut, at })}: the error does not say what happened: ${said}`);
            return said;
        } finally {
            await this.lab.limitDisk(undefined);
            await this.lab.router.sh(Object.values(LIES).flatMap(({ heal }) => heal ?? []).join("; "));
            await this.restoreTools();
            await this.lab.unhide("/usr/bin/timeout").catch(() => undefined);
            close();
        }
    }

    private async whileClocksJump(seconds: number, host: Router): Promise<string> {
        let now = Date.now();
        const clock = vi.spyOn(Date, "now").mockImplementation(() => (now += seconds * 1000));
        await this.lab.fake("/usr/bin/date", `#!/bin/sh\necho $(($(cat ${HALF} 2>/dev/null || echo 1000000000) + ${seconds})) | tee ${HALF}\n`);
        try {
            return await outcomeOf(this.operate(host));
        } finally {
            clock.mockRestore();
            await this.lab.unhide("/usr/bin/date");
            await this.lab.router.sh(`rm -f ${HALF}`);
        }
    }
}
