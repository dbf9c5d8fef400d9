import { afterAll, beforeAll, expect, test } from "vitest";
import { diffDumps, office as addresses, probe } from "../lab";
import { officeInputs, officeProgram, setup, type Setup } from "../e2e/office";
import { changedSince } from "../e2e/restart";

/* A kernel that was started with ipv6.disable=1: ip and sysctl fail there where they are asked for anything of IPv6's. */

const { isp1, isp2 } = officeInputs.uplinks;
const ipv4 = {
    ...officeInputs,
    uplinks: { isp1: { addresses: [isp1.addresses[0]], gateway: isp1.gateway }, isp2: { addresses: [isp2.addresses[0]], gateway: isp2.gateway } },
    translations: [{ kind: "snat", from: ["10.0.0.0/24"], to: { uplinks: ["isp1", "isp2"] } }, officeInputs.translations[1]],
};

let office: Setup;
let before: string;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, ipv4), { ipv6: false, router: { release: process.env.NVI_TEST_ROUTER!, kernelArguments: ["ipv6.disable=1"] } });
    before = await office.lab.dump();
});
afterAll(async () => await office?.stop());

const passes = async (): Promise<void> => expect(await probe(office.lab.node("client"), { to: addresses.internet.v4, port: 7 })).toMatchObject({ ok: true });

test("it has what is IPv4's, and no drift for want of the rest", async () => {
    await office.stack.up();
    await passes();
    await office.stack.preview(["--refresh", "--expect-no-changes"]);
});

test("so it has after a restart", async () => {
    const applied = await office.lab.dump();
    await office.lab.reboot();
    expect(await changedSince(office.lab, applied)).toEqual([]);
    expect((await office.lab.router.sh("systemctl list-units --failed --plain --no-legend 'nvi*'")).stdout).toBe("");
    await passes();
});

test("what is asked for of IPv6 is refused", async () => {
    office.stack.write({ "index.js": officeProgram(office.lab) });
    const { code, all } = await office.stack.up([], { allowFailure: true });
    expect(code).not.toBe(0);
    expect(all).toContain("its kernel has no IPv6 (ipv6.disable=1), but it is asked for:");
    await passes();
});

test("destroy leaves nothing", async () => {
    await office.stack.destroy();
    expect(diffDumps(before, await office.lab.dump()).filter((line) => !/^\+ sysctls: net\.(netfilter\.)?nf_/.test(line))).toEqual([]);
});
