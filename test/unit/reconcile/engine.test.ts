import { describe, expect, it, vi } from "vitest";
import { ensure, read, remove, renderedOf } from "../../../provider/reconcile/engine";
import { NviError } from "../../../provider/model/errors";
import type { Rule } from "../../../provider/syntax/artifact";
import { commandsIn, FakeRouter, section } from "./fake-router";
import { OWNER, diversion, forwarding, guard, loose, manifestOf, object } from "./things";

const all = object(forwarding, diversion, guard, loose);
const told = (files: Parameters<typeof commandsIn>[0]) => commandsIn(files).map((words) => words.join(" "));

describe("ensure", () => {
    it("makes what is missing, device and stages first, forwarding last", async () => {
        const router = new FakeRouter();
        const { rendered } = await ensure(router, all);
        expect(rendered).toEqual(renderedOf(all));
        expect(told(router.applied[0]!)).toEqual([
            "put-unless net/ipv4/conf/isp1/rp_filter 2 0", "nft -f nvi_nat_main.nft", "ip -4 rule add priority 2000 iif lan0 lookup 7700 protocol 78", "put net/ipv4/ip_forward 1",
        ]);
    });

    it("writes a manifest with what is there and what was there before", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        expect(JSON.parse(router.objects.get("nat-stage.main")!)).toMatchObject({ version: 1, object: "nat-stage.main", owner: OWNER, artifacts: all.artifacts, saved: { "net/ipv4/ip_forward": "0", "net/ipv4/conf/isp1/rp_filter": "1" } });
    });

    it("is the owner's under another name, where Pulumi's state knows the one before", async () => {
        const router = new FakeRouter();
        await ensure(router, object(diversion));
        const renamed = { ...object(diversion), owner: "organization/renamed/dev/office" };
        await expect(ensure(router, renamed)).rejects.toMatchObject({ kind: "foreign" });
        const { rendered } = await ensure(router, { ...renamed, formerOwner: OWNER });
        expect(rendered).toEqual(renderedOf(renamed));
        expect(JSON.parse(router.objects.get("nat-stage.main")!)).toMatchObject({ owner: renamed.owner });
    });

    it("says so where an object is of a newer version", async () => {
        const router = new FakeRouter();
        await ensure(router, object(diversion));
        router.objects.set("route-table.other", manifestOf([{ kind: "tunnel" } as never]));
        await expect(ensure(router, object(diversion, forwarding))).rejects.toMatchObject({ reason: expect.stringContaining("made by a newer pulumi-nvi") as string });
    });

    it("writes nothing where nothing differs", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        await ensure(router, all);
        expect(router.applied).toHaveLength(1);
    });

    it("repairs what differs, and only that", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        router.sysctls.set("net/ipv4/ip_forward", "0");
        await ensure(router, all);
        expect(told(router.applied[1]!)).toEqual(["put net/ipv4/ip_forward 1"]);
    });

    it("keeps a value that does as well, and the one from before over later ones", async () => {
        const router = new FakeRouter();
        router.sysctls.set(loose.path, "0");
        await ensure(router, object(loose));
        expect(commandsIn(router.applied[0]!)).toEqual([]);
        router.sysctls.set(loose.path, "1");
        await ensure(router, object(loose));
        expect(JSON.parse(router.objects.get("nat-stage.main")!).saved).toEqual({ [loose.path]: "0" });
    });

    it("adds what is new before it takes away what is old, the latest first", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        const moved: Rule = { ...diversion, priority: 2100 };
        await ensure(router, object(forwarding, moved));
        expect(told(router.applied[1]!)).toEqual([
            "ip -4 rule add priority 2100 iif lan0 lookup 7700 protocol 78", "ip -4 rule del priority 2000 iif lan0 lookup 7700 protocol 78", "nft delete table inet nvi_nat_main", "put net/ipv4/conf/isp1/rp_filter 1",
        ]);
    });

    it.each<[string, Partial<Rule>, Partial<Rule>, string, string]>([
        ["narrower", {}, { from: "10.0.0.0/8" }, "iif lan0", "from 10.0.0.0/8 iif lan0"],
        ["wider", { from: "10.0.0.0/8" }, {}, "from 10.0.0.0/8 iif lan0", "iif lan0"],
    ])("takes away a rule first where the new one is %s, as ip takes one for the other; undoing goes back the same way", async (_what, before, after, old, made) => {
        const router = new FakeRouter();
        const kept: Rule = { ...diversion, iif: "lan1" };
        await ensure(router, object(forwarding, kept, { ...diversion, ...before }));
        await ensure(router, object(kept, { ...diversion, ...after }));
        const change = (verb: string, selectors: string) => `ip -4 rule ${verb} priority 2000 ${selectors} lookup 7700 protocol 78`;
        expect(told(router.applied[1]!)).toEqual([change("del", old), change("add", made), "put net/ipv4/ip_forward 0"]);
        const undo = router.applied[1]!.steps!.split("\n").filter((line) => line.startsWith("undo\tip")).map((line) => line.split("\t").slice(1).join(" "));
        expect(undo).toEqual([change("add", old), change("del", made)]);
    });

    it("undoes in the order opposite to what it did", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        const undo = router.applied[0]!.steps!.split("\n").filter((line) => line.startsWith("undo")).map((line) => line.split("\t").slice(1).join(" "));
        expect(undo).toEqual(["put-if-there net/ipv4/conf/isp1/rp_filter 1", "nft delete table inet nvi_nat_main", "ip -4 rule del priority 2000 iif lan0 lookup 7700 protocol 78", "put-if-there net/ipv4/ip_forward 0"]);
    });

    it("completes what a transaction began that never ended, and forgets nothing of it", async () => {
        const router = new FakeRouter();
        await ensure(router, object(forwarding));
        router.pending.set("nat-stage.main", manifestOf([forwarding, guard]));
        await router.apply({ meta: "object other\n", manifest: "{}", steps: "do\tnft\t-f\tx.nft\n", "x.nft": "table inet nvi_nat_main {\n}\n", requests: "" });
        router.pending.delete("other");
        await ensure(router, object(forwarding));
        expect(told(router.applied.at(-1)!)).toEqual(["nft delete table inet nvi_nat_main"]);
        expect(router.pending.size).toBe(0);
    });
});

describe("ensure when something comes in between", () => {
    const stale = [section("stale", "7", 1)];

    it("looks and plans again", async () => {
        const router = new FakeRouter();
        router.answers = [stale, stale];
        await ensure(router, all);
        expect(router.applied).toHaveLength(3);
    });

    it("gives up after some times, and says so", async () => {
        const router = new FakeRouter();
        router.answers = Array.from({ length: 6 }, () => stale);
        vi.stubEnv("NVI_LOCK_WAIT", "0");
        await expect(ensure(router, all)).rejects.toMatchObject({ kind: "locked", reason: "other transactions keep coming in between" });
        expect(router.applied).toHaveLength(6);
        vi.unstubAllEnvs();
    });

    it("goes on for as long as it would wait for the lock", async () => {
        const router = new FakeRouter();
        router.answers = Array.from({ length: 30 }, () => stale);
        await ensure(router, all);
        expect(router.applied).toHaveLength(31);
    });

    it.each([
        ["locked", [section("locked", "organization/other/dev/x, process 7", 1)], { kind: "locked", reason: /organization\/other\/dev\/x/ }],
        ["storage", [section("storage", "cannot write /etc/nvi", 1)], { kind: "storage", reason: /cannot write \/etc\/nvi; the router is as it was/ }],
        ["a step that failed", [section("failed-step", "ipv4 rule", 2), section("failed-command", "ip\t-4\trule", 2), section("failed-output", "", 2, "RTNETLINK"), section("undone")], { kind: "tool", reason: /exit status 2; the router has undone it and is as it was/, command: "ip -4 rule", output: "RTNETLINK" }],
        ["a step that failed, and its undoing", [section("failed-step", "x", 2), section("failed-command", "ip", 2), section("undo-failed", "ip\tlink\tdel", 1), section("undone", "", 1)], { kind: "half-done", reason: /UNDOING FAILED.*ip link del/ }],
        ["a dry run", [section("failed-command", "nft -c -f x.nft", 1), section("failed-output", "", 1, "syntax error"), section("dry-run", "", 1)], { kind: "tool", operation: /dry run/, reason: /the router is as it was/ }],
        ["a dry run of undoing it", [section("failed-command", "nft -c -f nvi_nat_x.undo", 1), section("failed-output", "", 1, "syntax error"), section("dry-run", "", 1)], { kind: "tool", operation: /dry run of undoing it/, reason: /table inet nvi_nat_x could not be brought back.*nothing was changed/, cure: /take away what somebody has added/ }],
        ["a tool that crashed", [section("failed-step", "x", 139), section("failed-command", "nft", 139), section("undone")], { kind: "tool", reason: /ended by signal 11/ }],
        ["a worker that was killed", [section("rolled-back", "incomplete", 1), section("undone")], { kind: "rolled-back", reason: /ended in its middle.*as it was/ }],
        ["a guard that can't be had", [section("unarmed", "setsid: not found", 1)], { kind: "tool", reason: /can't be started on the router; nothing was changed/, output: /setsid/ }],
        ["a check that failed", [section("failed-check", "the data centre answers", 1), section("failed-output", "", 1, "no reply"), section("rolled-back", "incomplete", 1), section("undone")], { kind: "rolled-back", reason: /"the data centre answers" failed; the router has undone it/, output: "no reply" }],
        ["nothing", [], { kind: "protocol", reason: /no result/ }],
    ])("reports %s", async (_what, answer, parts) => {
        const router = new FakeRouter();
        router.answers = [answer];
        const error = await ensure(router, all).then(() => undefined, (one: object) => one) as Record<string, string>;
        for (const [key, wanted] of Object.entries(parts)) expect(error[key]).toMatch(wanted);
    });

    it("has undone what is not what was asked for, though every command succeeded", async () => {
        const router = new FakeRouter();
        router.broken = [section("sysctls", "net/ipv4/ip_forward\t0\n")];
        await expect(ensure(router, object(forwarding))).rejects.toMatchObject({ kind: "rolled-back", output: "sysctl ipv4/ip_forward: wanted 1, found 0" });
        expect(router.calls.slice(-1)).toEqual(["abort"]);
    });

    it("has undone what can't be looked at afterwards", async () => {
        const router = new FakeRouter();
        const real = router.apply.bind(router);
        router.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, sections: applied.sections.map((one) => (one.name === "rules4" ? section("rules4", "[{", 0) : one)) };
        };
        await expect(ensure(router, object(forwarding))).rejects.toMatchObject({ kind: "rolled-back", reason: expect.stringMatching(/can't be told.*as it was/) as string });
        expect(router.calls.slice(-1)).toEqual(["abort"]);
    });

    it("has undone what can't be compared afterwards", async () => {
        const router = new FakeRouter();
        const real = router.apply.bind(router);
        router.apply = async (files) => {
            const applied = await real(files);
            return { ...applied, sections: applied.sections.map((one) => (one.name.startsWith("canonical/") ? section(one.name, "", 1, "unshare: Cannot allocate memory\n") : one)) };
        };
        const error = await ensure(router, object(guard)).catch((one: unknown) => one as NviError);
        expect(error).toMatchObject({ kind: "rolled-back", output: expect.stringContaining("Cannot allocate memory") as string });
        expect((error as NviError).reason).not.toContain("nothing was changed");
        expect(router.calls.slice(-1)).toEqual(["abort"]);
    });

    it("has undone an update that leaves what was to go", async () => {
        const router = new FakeRouter();
        await ensure(router, object(forwarding, diversion));
        router.broken = [section("rules4", JSON.stringify(router.rules.map(({ json }) => json)))];
        await expect(ensure(router, object(forwarding))).rejects.toMatchObject({ kind: "rolled-back", output: expect.stringMatching(/wanted nothing, found lookup 7700/) as string });
    });

    it("has undone a removal that leaves something", async () => {
        const router = new FakeRouter();
        await ensure(router, object(diversion));
        router.broken = [section("rules4", JSON.stringify(router.rules.map(({ json }) => json)))];
        await expect(remove(router, object())).rejects.toMatchObject({ kind: "rolled-back", output: expect.stringMatching(/wanted nothing, found/) as string });
        expect(router.calls.slice(-1)).toEqual(["abort"]);
    });
});

describe("a change that is not confirmed", () => {
    const gone = new NviError({ kind: "unreachable", operation: "dial", subject: "edge", reason: "no route to host" });
    const outcome = (verdict: string, exit = 0) => [section("rolled-back", verdict, 1), ...(exit === 0 ? [] : [section("undo-failed", "ip\trule\tdel", 1), section("undo-output", "", 1, "no buffer space")]), section("undone", "", exit)];

    it.each([
        ["because the router can't be reached anew", outcome("unconfirmed"), gone, { kind: "rolled-back", operation: /^confirm/, reason: /not confirmed through a new connection within 30 s; the router has undone it/, output: "dial: no route to host", cure: /cut the way/ }],
        ["in time", outcome("unconfirmed"), undefined, { kind: "rolled-back", reason: /not confirmed through a new connection/ }],
        ["because its guard was killed", outcome("unguarded"), undefined, { kind: "rolled-back", reason: /was killed/ }],
        ["and can't be undone", outcome("unconfirmed", 1), gone, { kind: "half-done", reason: /UNDOING FAILED.*ip rule del: no buffer space/, cure: /look at the router now/ }],
        ["because the disk is full", [section("storage", "cannot write /etc/nvi: No space left", 1), ...outcome("confirmed")], undefined, { kind: "rolled-back", reason: /No space left; the router has undone it/, cure: /free space/ }],
    ])("%s fails, and says what the router has done", async (_what, sections, trouble, parts) => {
        const router = new FakeRouter();
        const real = router.apply.bind(router);
        router.apply = async (files) => ({ ...(await real(files)), confirm: async () => ({ sections, trouble }) });
        const error = await ensure(router, all).then(() => undefined, (one: object) => one) as Record<string, string>;
        for (const [key, wanted] of Object.entries(parts)) expect(error[key]).toMatch(wanted);
    });

    it("is told from one that is, but leaves something behind", async () => {
        const router = new FakeRouter();
        router.confirmations = [[section("committed"), section("left-over", "module-remove\t0.1.0", 1), section("left-output", "", 1, "busy")]];
        await expect(ensure(router, all)).rejects.toMatchObject({ kind: "tool", reason: expect.stringContaining("in effect and confirmed") as string, command: "module-remove 0.1.0", output: "busy" });
    });
});

describe("ensure where the manifest is lost", () => {
    const lost = async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        router.objects.clear();
        return router;
    };

    it("refuses what stands in its place, for all that is known", async () => {
        await expect(ensure(await lost(), all)).rejects.toMatchObject({ kind: "preflight", reason: expect.stringContaining("nvi_nat_main") as string });
    });

    it.each([["the object is known to have been there", { known: true }, {}], ["it is to be adopted", {}, { adopt: true }]])("takes it over where %s", async (_, known, adopt) => {
        const router = await lost();
        const { rendered } = await ensure(router, { ...all, ...adopt }, known);
        expect(rendered).toEqual(renderedOf(all));
        expect(commandsIn(router.applied.at(-1)!)).toEqual([]);
    });
});

describe("read", () => {
    it("finds nothing on a router that has nothing", async () => {
        expect(await read(new FakeRouter(), all)).toMatchObject({ exists: false });
    });

    it("takes a sysctl that happens to be as wanted for no proof of presence", async () => {
        const router = new FakeRouter();
        router.sysctls.set("net/ipv4/ip_forward", "1");
        expect(await read(router, all)).toMatchObject({ exists: false, rendered: { "sysctl ipv4/ip_forward": "1" } });
    });

    it.each(["manifest", "pending"] as const)("takes a %s for proof, by itself", async (what) => {
        const router = new FakeRouter();
        (what === "manifest" ? router.objects : router.pending).set("nat-stage.main", manifestOf([]));
        expect(await read(router, all)).toMatchObject({ exists: true, rendered: { owner: OWNER } });
    });

    it("takes any artifact of ours for proof, without a manifest", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        router.objects.clear();
        router.tables.clear();
        const found = await read(router, all);
        expect(found.exists).toBe(true);
        expect(found.rendered).not.toHaveProperty("owner");
    });

    it("takes nothing for proof that another object may have brought: sysctls, the module, the units of systemd", async () => {
        const router = new FakeRouter();
        router.broken = [section("module", "loaded\t0.1.0\ninstalled\t0.1.0\n"), section("boot", "there\n")];
        const shared = object(forwarding, { kind: "module", phase: "device", version: "0.1.0", install: false }, { kind: "boot", phase: "forward" });
        expect((await read(router, shared)).exists).toBe(false);
    });
});

describe("remove", () => {
    it("takes away what the manifest lists, in the order opposite to creation, and puts back what was there", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        await remove(router, object());
        expect(told(router.applied[1]!)).toEqual(["put net/ipv4/ip_forward 0", "ip -4 rule del priority 2000 iif lan0 lookup 7700 protocol 78", "nft delete table inet nvi_nat_main", "put net/ipv4/conf/isp1/rp_filter 1"]);
        expect(router.objects.size).toBe(0);
    });

    it("leaves what somebody has set since then", async () => {
        const router = new FakeRouter();
        await ensure(router, object(loose));
        router.sysctls.set(loose.path, "0");
        await remove(router, object(loose));
        expect(commandsIn(router.applied[1]!)).toEqual([]);
    });

    it("leaves what another object needs, which puts it back in its turn", async () => {
        const router = new FakeRouter();
        const other = { ...object(forwarding), id: { kind: "nat-stage", name: "other" } };
        await ensure(router, object(forwarding));
        await ensure(router, other);
        await remove(router, object(forwarding));
        expect(router.sysctls.get("net/ipv4/ip_forward")).toBe("1");
        await remove(router, other);
        expect(router.sysctls.get("net/ipv4/ip_forward")).toBe("0");
    });

    it("refuses what belongs to somebody else, and changes nothing", async () => {
        const router = new FakeRouter();
        router.objects.set("nat-stage.main", manifestOf([guard], { owner: "organization/other/dev/x" }));
        await expect(remove(router, all)).rejects.toMatchObject({ kind: "foreign", reason: expect.stringContaining("organization/other/dev/x") as string });
        expect(router.applied).toEqual([]);
    });

    it("without a manifest goes by the inputs, less what others claim", async () => {
        const router = new FakeRouter();
        await ensure(router, all);
        router.objects.clear();
        router.objects.set("nat-stage.other", manifestOf([guard], { object: "nat-stage.other" }));
        await remove(router, all);
        expect(told(router.applied[1]!)).toEqual(["ip -4 rule del priority 2000 iif lan0 lookup 7700 protocol 78"]);
        expect([...router.tables.keys()]).toEqual(["nvi_nat_main"]);
    });

    it("only cleans up where nothing is left", async () => {
        const router = new FakeRouter();
        await remove(router, all);
        expect(router.applied).toEqual([]);
        expect(router.calls.at(-1)).toBe("clean");
    });
});
