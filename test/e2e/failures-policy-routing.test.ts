import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, office, seen } from "../lab";
import { diagnosticsOf, expectOneScreen } from "../unit/model/screen";
import { setup, type Setup } from "./office";

/*
 * ip rules by which the router chose its uplinks before: what they take never gets to the NVI, and leaves with the addresses of the LAN. They
 * are refused with the command that cures it; those that come later are drift.
 */

const LAN = "10.0.0.0/24";
const { client, gw1, internet, router } = office;

let s: Setup;

beforeAll(async () => {
    s = await setup();
    // As whoever writes such rules does: with the LAN, which the router answers to.
    await s.lab.router.sh(`for to in ${LAN} 2001:db8:a::/64; do ip route add $to dev lan0 table 100; done; for via in ${gw1.v4} ${gw1.v6}; do ip route add default via $via table 100; done`);
});
afterAll(async () => await s?.stop());

const answered = async (to: string) => (await seen(s.lab.node("client"), { to, port: 7 })).peer;

/** What the error says to type. */
const curesIn = (printed: string): string[] => [...diagnosticsOf(printed).matchAll(/cure: have it asked later, where it is made, too: (ip .*?); or /g)].map(([, command]) => command!);

async function refused(name: string): Promise<string> {
    const { code, all } = await s.stack.up([], { allowFailure: true });
    expect(code, all).not.toBe(0);
    expectOneScreen(name, all, ["preflight of two-stage-nat office: "]);
    return all;
}

describe("ip rules of somebody else's, asked before ours,", () => {
    it.each([
        ["by source", `priority 100 from ${LAN} lookup 100`, 4, "lan0"],
        ["by NIC, of IPv6", "priority 101 iif lan0 lookup 100", 6, "lan0"],
        ["for all, from a whole router's own table", "priority 102 lookup 100", 4, "lan0, isp2"],
    ] as const)("%s: refused until the printed cure is typed", async (name, words, family, nics) => {
        const { lab } = s;
        const before = await lab.dump();
        await lab.router.sh(`ip -${family} rule add ${words}`);
        const said = await refused(name);
        expect(diagnosticsOf(said)).toContain(`ipv${family} rule "${words}" comes before the NVI's at 2000: what comes in by ${nics} would go via ${family === 4 ? gw1.v4 : gw1.v6} dev isp1, untranslated`);
        for (const cure of curesIn(said)) await lab.router.sh(cure);
        await lab.router.sh(`ip -${family} rule del ${words.replace(/\d+/, "2002")}`);
        expect(diffDumps(before, await lab.dump()).filter((line) => !/ \/run\/nvi\b/.test(line))).toEqual([]);
    });

    it("that come later, as wg-quick's do: drift, which says what it does, until it is cured", async () => {
        const { lab, stack } = s;
        await stack.up();
        expect(await answered(internet.v4)).toMatch(/^(198\.51\.100|203\.0\.113)\.2$/);
        expect(await lab.spoofed()).toEqual({ isp1: 0, isp2: 0 });

        await lab.router.sh("ip rule add not fwmark 51820 lookup 100; ip rule add lookup main suppress_prefixlength 0");
        await expect(answered(internet.v4)).rejects.toThrow("no answer");
        expect((await lab.spoofedPackets()).join("\n")).toContain(`isp1: ${client.v4} . ${internet.v4}`);
        const { all } = await stack.refresh(["--diff"]);
        expect(all).toMatch(/in the way: ipv4 rule .*not fwmark 0xca6c\/0xffffffff lookup 100.* would go via 198\.51\.100\.1 dev isp1, untranslated/);
        expect(all).toMatch(/in the way: ipv4 rule .*lookup 254 suppress_prefixlength 0.* what comes in by lan0, isp1, isp2 would go by the main table, untranslated/);

        for (const cure of curesIn(await refused("later ones"))) await lab.router.sh(cure);
        await stack.up();
        expect(await answered(internet.v4)).toMatch(/^(198\.51\.100|203\.0\.113)\.2$/);
        await stack.preview(["--refresh", "--expect-no-changes"]);
        await lab.router.sh("ip rule del not fwmark 51820 lookup 100; ip rule del lookup main suppress_prefixlength 0");
    });

    it("that look up the table local later than ours would take the router's own addresses from it: refused", async () => {
        const { lab, stack } = s;
        await stack.destroy();
        await lab.router.sh("ip rule add priority 32765 lookup local; ip rule del priority 0");
        const said = diagnosticsOf(await refused("a late table local"));
        expect(said).toContain(`the ipv4 rule for the table local has priority 32765: what is for the router itself, SSH too, would be taken by the NVI's at `);
        const [, cure] = /cure: add one before: (ip .*)$/m.exec(said) ?? [];
        await lab.router.sh(cure!);
        await stack.up();
        expect((await seen(lab.node("internet"), { to: router.isp1v4, port: 8080 })).node).toBe("server");
    });

    it("that are exceptions are none of our business", async () => {
        const { lab, stack } = s;
        await lab.router.sh(`ip rule add priority 100 iif lan0 to 192.0.2.0/24 lookup 100; ip rule add priority 101 fwmark 7 lookup 100; ip rule add priority 102 lookup 220; ip rule add priority 103 iif lo lookup 100; ip rule add priority 104 from ${router.isp1v4} lookup 100`);
        await stack.preview(["--refresh", "--expect-no-changes"]);
        await stack.destroy();
    });
});
