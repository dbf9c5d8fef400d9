import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { diffDumps, probe } from "../lab";
import { officeProgram, setup, type Setup } from "./office";
import { root } from "./project";
import { families } from "./traffic";

/** What the README has for a router that Pulumi can't reach. */
const [, script] = /<!-- tested -->\n```sh\n([^]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))!;

let office: Setup;
beforeAll(async () => {
    office = await setup(officeProgram);
});
afterAll(async () => await office?.stop());

it("all of ours can be taken away by hand, and made anew", async () => {
    const bare = await office.lab.dump();
    await office.stack.up();
    // A lab without systemd has no units to stop.
    await office.lab.router.sh(`systemctl() { :; }\n${script}`);
    await office.lab.router.sh("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    expect(diffDumps(bare, await office.lab.dump()).filter((line) => !/^. sysctls: net\./.test(line))).toEqual([]);
    const { all } = await office.stack.refresh();
    expect(all).toMatch(/TwoStageNat +office +deleted|1 deleted/);
    await office.stack.up();
    for (const words of families) expect(await probe(office.lab.node("client"), { to: words.internet, port: 443 })).toMatchObject({ ok: true });
    await office.stack.destroy();
});
