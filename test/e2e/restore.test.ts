import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure } from "../../provider/reconcile/engine";
import { Lab } from "../lab";
import { coreRouter, officeObject } from "./core";
import { changedSince } from "./restart";

/* How a router brings it all back, where ip's own way with many commands at once, `-batch`, is not what it should be. */

let lab: Lab;
let applied: string;
beforeAll(async () => {
    lab = await Lab.start();
    const { host, close } = coreRouter(lab, { confirmTimeout: 10 });
    await ensure(host, officeObject());
    close();
    applied = await lab.dump();
});
afterAll(async () => await lab?.stop());

const restore = async (when: string): Promise<string> => (await lab.router.sh(`/bin/sh /etc/nvi/nvi restore ${when} 2>&1`, [], { timeoutMs: 60_000 })).stdout;

async function restart(): Promise<[early: string, late: string]> {
    const told = ["", ""] as [string, string];
    await lab.reboot({ beforeNics: async () => void (told[0] = await restore("early")), beforeSshd: async () => void (told[1] = await restore("late")) });
    return told;
}

it("names what waits for a NIC, and nothing else", async () => {
    const [early, late] = await restart();
    const named = early.split("\n").slice(0, -2);
    expect(named.length).toBeGreaterThanOrEqual(6);
    for (const line of named) expect(line).toMatch(/^nvi: two-stage-nat\.office: .*\bisp[12]\b/);
    expect(early).toContain(`nvi: restored; 0 commands failed, ${named.length} wait for a NIC\n`);
    expect(late).toBe("nvi: restored; 0 commands failed, 0 wait for a NIC\n");
    expect(await changedSince(lab, applied)).toEqual([]);
});

it("says nothing of what is there already", async () => {
    for (const when of ["early", "late"]) expect(await restore(when)).toBe("nvi: restored; 0 commands failed, 0 wait for a NIC\n");
    expect(await changedSince(lab, applied)).toEqual([]);
});

it.each([["0", "0"], ["2", "2"], ["1", "2"]])("finds rp_filter %s and leaves it at %s: what does as well is somebody's choice", async (found, left) => {
    const path = "/proc/sys/net/ipv4/conf/isp1/rp_filter";
    await lab.router.sh(`echo ${found} >${path}`);
    for (const when of ["early", "late"]) {
        expect(await restore(when)).toBe("nvi: restored; 0 commands failed, 0 wait for a NIC\n");
        expect((await lab.router.run(["cat", path])).stdout).toBe(`${left}\n`);
    }
});

describe("with an ip", () => {
    const REAL = "/etc/ssh/lab/hidden/ip";
    const fake = async (inBatch: string): Promise<void> => await lab.fake("/usr/sbin/ip", `#!/bin/sh\nfor word; do\n\tif [ "$word" = -batch ]; then ${inBatch}; fi\ndone\nexec ${REAL} "$@"\n`);

    it.each([
        ["that crashes in a batch", "kill -SEGV $$"],
        ["that knows no batch", 'echo "Option \\"-batch\\" is unknown, try \\"ip -help\\"." >&2; exit 255'],
        ["that crashes in the middle of one, after what was there", `head -n 1 "$last" | ${REAL} $family -force -batch -; printf "RTNETLINK answers: File exists\\nCommand failed -:1\\n" >&2; kill -SEGV $$`],
    ])("%s, does each by itself", async (_, inBatch) => {
        await fake(`for last; do :; done; family=; case $1 in -[46]) family=$1 ;; esac; ${inBatch}`);
        const [, late] = await restart().finally(async () => await lab.unhide("/usr/sbin/ip"));
        expect(late).toBe("nvi: restored; 0 commands failed, 0 wait for a NIC\n");
        expect(await changedSince(lab, applied)).toEqual([]);
    });
});
