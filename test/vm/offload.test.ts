import { afterAll, beforeAll, expect, test } from "vitest";
import { Flow, office as addresses, until } from "../lab";
import { setup, type Setup } from "../e2e/office";

/* Flowtables of others, which take connections past the NVI's mark: for a kernel that has them. */

let office: Setup;
beforeAll(async () => {
    office = await setup();
    await office.stack.up();
});
afterAll(async () => await office?.stop());

const load = async (rule: string): Promise<void> => void (await office.lab.router.run(["nft", "-f", "-"], {
    stdin: `table inet fast {
    flowtable f { hook ingress priority filter; devices = { lan0, isp1, isp2 }; }
    chain forward { type filter hook forward priority filter; policy accept; ${rule}; }
}`,
}));

const flow = async (): Promise<Flow> => await Flow.start(office.lab.node("client"), { to: addresses.internet.v4, port: 7, pings: false });

const BROKEN = "meta l4proto { tcp, udp } flow add @f";
const CURED = `oifname != "nvi0" ${BROKEN}`;

test("without one a connection lasts", async () => {
    const held = await flow();
    for (let i = 0; i < 5; i++) expect(await held.alive()).toBe(true);
    await held.stop();
});

test("one that takes what enters the NVI ends connections, and is drift with its cure", async () => {
    await load(BROKEN);
    const { lab, stack } = office;
    // Linux 5.10 offloads it before it stands.
    const ended = await flow().catch(() => undefined);
    await until("the connection to be offloaded, and end", async () => !(await ended?.alive()), 30_000);
    await ended?.stop();
    const { all } = await stack.refresh(["--diff"]);
    expect(all).toMatch(/in the way: chain forward of nft table inet fast offloads connections to flowtable f: what comes in by lan0, isp1, isp2 would enter the NVI without its mark, and be dropped"? *: "cure: .*oifname != \\?"nvi0\\?" flow add @f"/);
    const refusal = await stack.up([], { allowFailure: true });
    expect(refusal.all).toContain("preflight of two-stage-nat office: chain forward of nft table inet fast offloads connections");
    await lab.router.run(["nft", "delete", "table", "inet", "fast"]);
});

test("one that leaves that out is none of our business", async () => {
    await load(CURED);
    const { stack } = office;
    const held = await flow();
    for (let i = 0; i < 5; i++) expect(await held.alive()).toBe(true);
    await held.stop();
    await stack.up();
    await stack.preview(["--refresh", "--expect-no-changes"]);
});
