import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Router } from "../../provider/host/router";
import type { PathCheck } from "../../provider/model/path-check";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import type { Rule } from "../../provider/syntax/artifact";
import { diffDumps, Lab, office as topology, probe, until } from "../lab";
import { abandon, coreRouter, officeObject } from "./core";
import { desiredOf, withoutHousekeeping } from "./drift-core";

/*
 * A change that nobody confirms is undone by the router itself. The core is driven directly, with a confirmTimeout of 2 s.
 */

let lab: Lab;
let before: string;
const closing: (() => void)[] = [];
beforeAll(async () => {
    lab = await Lab.start();
    before = await lab.dump();
});
afterEach(() => closing.splice(0).forEach((close) => close()));
afterAll(() => lab?.stop());

function router(more: Parameters<typeof coreRouter>[1] = {}) {
    const { host, close } = coreRouter(lab, more);
    closing.push(close);
    return host;
}

const office = officeObject();
/** Another version of it: an uplink's table has another number. */
const moved = officeObject({ table: 7800 });

/** What became of a transaction is kept below /run for whoever may still ask. */
const asBefore = async () => expect(diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"))).toEqual([]);
const processes = async () => (await lab.router.sh("pgrep -fa '/run/nvi/[0-9a-f]*/nvi' || :")).stdout.trim().split("\n").filter(Boolean);
const quiet = async () => await until("the script to end", async () => (await processes()).length === 0, 20_000);
const failure = async (attempt: Promise<unknown>) => await attempt.then(() => undefined, (error: Error & { kind?: string }) => error);

describe("a change that is confirmed", () => {
    it("stays, and leaves nothing that waits", async () => {
        const host = router();
        await ensure(host, office);
        await quiet();
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        expect((await lab.router.sh("find /etc/nvi -type f | sort; ls /run/nvi")).stdout).not.toMatch(/pending|undo/);
        await new Promise((resolve) => setTimeout(resolve, 3000));
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        expect(await probe(lab.node("client"), { to: topology.internet.v4, port: 7 })).toMatchObject({ ok: true });
    });

    it("is confirmed through a connection of its own, one a transaction", async () => {
        const host = router();
        const { opened } = await lab.relay.count();
        await ensure(host, moved);
        expect((await lab.relay.count()).opened - opened).toBe(2);
        await ensure(host, moved);
        expect((await lab.relay.count()).opened - opened).toBe(2);
    });

    it("goes away confirmed, and with it all of ours", async () => {
        await remove(router(), moved);
        await quiet();
        await asBefore();
    });
});

describe("a table of the name of ours, that somebody makes once we have looked,", () => {
    const theirs = "table inet nvi_nat_office {\n\tchain theirs {\n\t\tcounter packets 0 bytes 0\n\t}\n}\n";

    it("is theirs, and nothing is changed", async () => {
        const host = router();
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            await lab.router.run(["nft", "-f", "-"], { stdin: theirs });
            return await apply(files);
        };
        const error = await failure(ensure(host, office));
        expect(error!.message).toMatch(/dry run[\s\S]*nvi_nat_office[\s\S]*File exists/);
        expect((await lab.router.run(["nft", "list", "table", "inet", "nvi_nat_office"])).stdout).toBe(theirs);
        await lab.router.run(["nft", "delete", "table", "inet", "nvi_nat_office"]);
        await quiet();
        await asBefore();
    });
});

describe("a dozen stacks at once", () => {
    /** More than the router keeps records of, once they have ended. */
    const objects = Array.from({ length: 12 }, (_, i) => desiredOf("ingress-mark", { name: `stack${i}`, nics: ["lan0"] }, `organization/many/stack${i}/mark`));

    it("each gets its turn, and what waits for it is not taken for what has ended", async () => {
        await Promise.all(objects.map(async (object) => await ensure(router({ confirmTimeout: 30 }), object)));
        for (const object of objects) expect((await read(router(), object)).rendered).toEqual(renderedOf(object));
        await Promise.all(objects.map(async (object) => await remove(router({ confirmTimeout: 30 }), object)));
        await quiet();
        await asBefore();
    });

    it("one that comes as the last object of another goes finds what it needs", async () => {
        const [one, other] = objects as [DesiredObject, DesiredObject];
        await ensure(router(), one);
        for (const [going, coming] of Array.from({ length: 4 }, () => [[one, other], [other, one]] as const).flat()) {
            await Promise.all([remove(router({ confirmTimeout: 30 }), going), ensure(router({ confirmTimeout: 30 }), coming), remove(router(), objects[2]!)]);
            expect((await read(router(), coming)).rendered).toEqual(renderedOf(coming));
        }
        await remove(router(), one);
        await quiet();
        await asBefore();
    });
});

describe("a change that is not confirmed is undone", () => {
    /** Takes the way back to whoever manages the router, as a table that captures its address would. */
    const capture: Rule = { kind: "rule", phase: "divert", family: 4, priority: 5, to: "10.0.0.5", action: "unreachable" };
    const locksOut = (): DesiredObject => ({ ...office, artifacts: [...office.artifacts, capture] });
    afterEach(async () => {
        await quiet();
        await asBefore();
    });

    it("because it cuts the way to the router, which comes back", async () => {
        const error = await failure(ensure(router(), locksOut()));
        expect(error).toMatchObject({ kind: "rolled-back", message: expect.stringContaining("the router has undone it and is as it was") as string });
        expect(error!.message).toMatch(/it was applied, but not confirmed through a new connection within 2 s[\s\S]*cure: .*your own address/);
    });

    it("because the provider was killed between applying and confirming", async () => {
        const applied = await abandon(router(), office);
        expect(applied.sections.map(({ name }) => name)).toContain("applied");
        await quiet();
        await asBefore();
        // Whoever comes back too late is told so.
        const late = (await applied.confirm()).sections;
        expect(late.map(({ name, stdout }) => `${name} ${stdout.trim()}`)).toEqual(expect.arrayContaining(["rolled-back unconfirmed", "undone "]));
        expect(late.map(({ name }) => name)).not.toContain("committed");
    });

    it("because the confirmation comes too late", async () => {
        const host = router();
        const real = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, confirm: async () => { await quiet(); return await applied.confirm(); } };
        };
        expect(await failure(ensure(host, office))).toMatchObject({ kind: "rolled-back", reason: expect.stringContaining("not confirmed through a new connection within 2 s") as string });
    });

    it("because the router does not look as it should", async () => {
        // The nft of this router says that it did, and doesn't.
        await lab.fake("/usr/sbin/nft", '#!/bin/sh\ncase "$*" in "-f nvi_nat_office.nft") exit 0 ;; esac\nexec /etc/ssh/lab/hidden/nft "$@"\n');
        const error = await failure(ensure(router(), office)).finally(() => lab.unhide("/usr/sbin/nft"));
        expect(error).toMatchObject({ kind: "rolled-back", operation: "verify two-stage-nat.office", output: expect.stringMatching(/nft nvi_nat_office .*: wanted .*, found nothing/) as string });
    });

    it.each<[string, PathCheck, RegExp]>([
        ["a ping", { kind: "ping", within: 1, to: "10.0.0.99" }, /the check "ping 10.0.0.99" failed/],
        ["a ping from a NIC", { kind: "ping", within: 1, to: "192.0.2.10", from: "lan0" }, /the check "ping 192.0.2.10 from lan0" failed/],
        ["a connection", { kind: "connect", within: 1, to: "10.0.0.80", port: 9 }, /the check "connect to 10.0.0.80 port 9" failed/],
        ["a way", { kind: "leaves", within: 1, to: "192.0.2.10", from: "198.51.100.2", ingress: "nvi0p", by: "isp2" }, /"packets to 192.0.2.10 from 198.51.100.2 leave by isp2" failed/],
        ["a source", { kind: "leaves", within: 1, to: "192.0.2.10", by: "isp1", source: "203.0.113.2" }, /leave by isp1 with source 203.0.113.2" failed/],
        ["a command", { kind: "command", name: "the data centre answers", within: 1, command: "echo 'no answer from dc1' >&2; exit 3" }, /the check "the data centre answers" failed/],
    ])("because a check of the user's fails: %s", async (_, check, says) => {
        const error = await failure(ensure(router(), officeObject({}, [check])));
        expect(error).toMatchObject({ kind: "rolled-back", operation: "check after apply two-stage-nat.office", reason: expect.stringMatching(says) as string });
        if (check.kind === "command") expect(error).toMatchObject({ output: "no answer from dc1\n" });
        if (check.kind === "leaves") expect(error).toMatchObject({ output: expect.stringContaining("dev isp1") as string });
    });
});

it("checks that succeed let it pass", async () => {
    const checks: PathCheck[] = [
        { kind: "ping", within: 5, to: "192.0.2.10", from: "198.51.100.2" },
        { kind: "ping", within: 5, to: "2001:db8:99::10" },
        { kind: "connect", within: 5, to: "192.0.2.10", port: 7 },
        { kind: "leaves", within: 5, to: "192.0.2.10", from: "203.0.113.2", ingress: "nvi0p", by: "isp2" },
        { kind: "leaves", within: 5, to: "2001:db8:99::10", by: "isp1", source: "2001:db8:1::2" },
        { kind: "command", within: 5, command: "test $(id -u) = 0" },
    ];
    await ensure(router(), officeObject({}, checks));
    await remove(router(), officeObject({}, checks.slice(0, 3)));
    await quiet();
    await asBefore();
});

describe("an update that is not confirmed", () => {
    let applied: string;
    beforeAll(async () => {
        await ensure(router(), office);
        await quiet();
        applied = await lab.dump();
    });
    afterAll(async () => {
        await remove(router(), office);
        await quiet();
        await asBefore();
    });
    // Among rules of one priority that don't overlap, and among tables, the order means nothing.
    const unchanged = async () => {
        await quiet();
        expect(withoutHousekeeping(diffDumps(applied, await lab.dump())).filter((line) => !line.startsWith("~"))).toEqual([]);
    };

    it("leaves the old version", async () => {
        expect(await failure(ensure(router(), { ...moved, artifacts: [...moved.artifacts, { kind: "rule", phase: "divert", family: 4, priority: 5, to: "10.0.0.5", action: "unreachable" }] }))).toMatchObject({ kind: "rolled-back" });
        await unchanged();
    });

    it("leaves the old version where it was to go", async () => {
        const host = router();
        const real = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, confirm: async () => ({ sections: await applied.abort() }) };
        };
        expect(await failure(remove(host, office))).toMatchObject({ kind: "rolled-back" });
        await unchanged();
    });

    it("makes another wait for it, by name and reason; then the other is told if it lasts too long", async () => {
        await abandon(router({ confirmTimeout: 4 }), moved);
        process.env.NVI_LOCK_WAIT = "1";
        try {
            const other: DesiredObject = { ...office, id: { kind: "two-stage-nat", name: "other" }, owner: "organization/nvi-test/prod/other", artifacts: [] };
            expect(await failure(ensure(router(), other))).toMatchObject({ kind: "locked", reason: expect.stringMatching(/organization\/nvi-test\/dev\/office, whose change waits for its confirmation/) as string });
            process.env.NVI_LOCK_WAIT = "20";
            await ensure(router(), other);
            await remove(router(), other);
        } finally {
            delete process.env.NVI_LOCK_WAIT;
        }
        await unchanged();
    });

    it.each<[string, (host: Router) => Promise<unknown>]>([
        ["the version before it", async (host) => await ensure(host, office, { known: true })],
        ["its end, in favour of the version before it", async (host) => {
            await remove(host, office);
            await ensure(host, office);
        }],
    ])("is no ground for what was planned on it: %s", async (_, change) => {
        await abandon(router(), moved);
        // It looks now, and waits until what it has seen is undone.
        await change(router({ confirmTimeout: 30 }));
        expect((await read(router(), office)).rendered).toEqual(renderedOf(office));
        await quiet();
        expect(withoutHousekeeping(diffDumps(applied, await lab.dump())).filter((line) => !/^~|manifest|^. files: file \/etc\/nvi\/generation/.test(line))).toEqual([]);
    });
});

describe("what stands in the way only when a change is carried out", () => {
    it("is not taken away when the change is undone", async () => {
        const host = router();
        const apply = host.apply.bind(host);
        host.apply = async (files) => {
            await lab.router.sh("ip link add nvi0 type bridge");
            return await apply(files);
        };
        expect(await failure(ensure(host, office))).toMatchObject({ kind: "tool", message: expect.stringMatching(/File exists/) as string });
        expect((await lab.router.sh("ip -d -o link show nvi0")).stdout).toMatch(/ bridge /);
        await lab.router.sh("ip link del nvi0");
        await quiet();
        await asBefore();
    });
});

it("what a check leaves running holds nothing up", async () => {
    const left: PathCheck = { kind: "command", command: "sleep 77 >/dev/null 2>&1 & exit 0", within: 5 };
    const since = performance.now();
    await ensure(router(), { ...office, checks: [left] });
    expect(performance.now() - since).toBeLessThan(30_000);
    expect(await failure(ensure(router(), { ...moved, checks: [left, { kind: "command", command: "exit 1", within: 0 }] }))).toMatchObject({ kind: "rolled-back" });
    expect((await read(router(), office)).rendered).toEqual(renderedOf(office));
    await lab.router.sh("pkill -fx 'sleep 77'");
    await remove(router(), office);
    await quiet();
    await asBefore();
});

it("a clock that jumps is none of its business", async () => {
    await lab.fake("/usr/bin/date", '#!/bin/sh\necho $(($(cat /etc/ssh/lab/jump 2>/dev/null || echo 1000000000) - 100000000)) | tee /etc/ssh/lab/jump\n');
    const host = router();
    const real = host.apply.bind(host);
    try {
        await ensure(host, office);
        host.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, confirm: async () => ({ sections: [] }) };
        };
        const since = performance.now();
        await failure(remove(host, office));
        await quiet();
        expect(performance.now() - since).toBeGreaterThan(2000);
        host.apply = real;
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        await remove(host, office);
    } finally {
        await lab.unhide("/usr/bin/date");
    }
    await quiet();
    await asBefore();
});

describe("where no confirmation is asked for", () => {
    it("no new connection is made, and what is not as it should be is undone all the same", async () => {
        const { opened } = await lab.relay.count();
        const host = router({ confirmTimeout: 0 });
        await ensure(host, office);
        expect((await lab.relay.count()).opened - opened).toBe(1);
        await lab.fake("/usr/sbin/nft", '#!/bin/sh\ncase "$*" in "-f nvi_nat_office.nft") exit 0 ;; esac\nexec /etc/ssh/lab/hidden/nft "$@"\n');
        const changed = officeObject({ translations: [] });
        expect(await failure(ensure(host, changed)).finally(() => lab.unhide("/usr/sbin/nft"))).toMatchObject({ kind: "rolled-back" });
        await remove(host, office);
        await quiet();
        await asBefore();
    });
});

describe("what is to undo the change", () => {
    const killed = async (what: string) => await lab.router.sh(`pkill -KILL -f '/run/nvi/[0-9a-f]*/nvi ${what}'`);
    const unconfirmed = async (then: () => Promise<unknown>) => {
        const host = router({ confirmTimeout: 3 });
        const real = host.apply.bind(host);
        host.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, confirm: async () => { await then(); return { sections: [] }; } };
        };
        await failure(ensure(host, office));
    };
    afterEach(async () => {
        await quiet();
        await asBefore();
    });

    it.each([["the guard itself", "_guard-once"], ["what would start it again", "_guard "]])("survives %s being killed", async (_, what) => {
        await unconfirmed(async () => {
            await killed(what);
            expect((await processes()).length).toBeGreaterThan(0);
            await quiet();
        });
    });

    it("is done by whoever comes next, where all of it was killed", async () => {
        await unconfirmed(async () => {
            await lab.router.sh("pkill -KILL -f '/run/nvi/[0-9a-f]*/nvi _guard'");
            expect(await processes()).toEqual([]);
            expect(diffDumps(before, await lab.dump())).not.toEqual([]);
        });
        // Another object's transaction is enough: office is not there any more.
        const host = router();
        const other: DesiredObject = { ...office, id: { kind: "two-stage-nat", name: "other" }, owner: "organization/nvi-test/prod/other", artifacts: [] };
        await ensure(host, other);
        expect((await read(host, office)).exists).toBe(false);
        await remove(host, other);
    });

    it("leaves no files where a restart came before it had anything to undo, or after", async () => {
        const folder = "/etc/nvi/objects/two-stage-nat.office";
        await lab.router.sh(`mkdir -p ${folder} && echo undo >${folder}/undo && echo half >${folder}/pending.new`);
        const host = router();
        const other: DesiredObject = { ...office, id: { kind: "two-stage-nat", name: "other" }, owner: "organization/nvi-test/prod/other", artifacts: [] };
        await ensure(host, other);
        expect((await lab.router.sh("ls /etc/nvi/objects")).stdout.trim()).toBe("two-stage-nat.other");
        await remove(host, other);
    });

    it("must be there before anything is changed", async () => {
        await lab.fake("/usr/bin/sleep", "#!/bin/sh\nexit 1\n");
        const error = await failure(ensure(router(), office)).finally(() => lab.unhide("/usr/bin/sleep"));
        expect(error).toMatchObject({ kind: "tool", reason: expect.stringContaining("nothing was changed") as string });
    });

    it("is loud where it can't, and says what is there now", async () => {
        await lab.fake("/usr/sbin/ip", '#!/bin/sh\ncase "$*" in *" rule del "*) echo "RTNETLINK answers: No buffer space available" >&2; exit 2 ;; esac\nexec /etc/ssh/lab/hidden/ip "$@"\n');
        const error = await failure(ensure(router(), officeObject({}, [{ kind: "command", within: 1, command: "false" }]))).finally(() => lab.unhide("/usr/sbin/ip"));
        expect(error).toMatchObject({ kind: "half-done", reason: expect.stringMatching(/UNDOING FAILED: the router is neither as it was nor as wanted.*No buffer space available/s) as string });
        const host = router();
        await ensure(host, office, { known: true });
        expect((await read(host, office)).rendered).toEqual(renderedOf(office));
        await remove(host, office);
    });
});
