import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatAddress, parseAddress } from "../../provider/model/address";
import { office, seen } from "../lab";
import { random } from "../unit/model/random";
import { officeInputs, routerArgs, setup, type Setup } from "./office";

/* Inputs that only a real engine and a real router put to the test: outputs that preview doesn't know, names full of syntax. */

let s: Setup;
beforeAll(async () => {
    s = await setup(() => "");
});
afterAll(async () => await s?.stop());

/** An office fed by a resource of which preview knows nothing until it is created. */
const lookup = (): string => `const pulumi = require("@pulumi/pulumi");
const nvi = require("pulumi-nvi");
const provider = { async create() { return { id: "lookup", outs: ${JSON.stringify({ ...officeInputs.uplinks.isp1, to: officeInputs.translations[0]!.to })} }; } };
class Lookup extends pulumi.dynamic.Resource {
    constructor(name) { super(provider, name, { addresses: undefined, gateway: undefined, gateway6: undefined, to: undefined }); }
}
const found = new Lookup("found");
const { uplinks, translations, ...rest } = ${JSON.stringify(officeInputs)};
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(s.lab))});
const inputs = {
    ...rest,
    uplinks: { ...uplinks, isp1: { addresses: found.addresses, gateway: found.gateway, gateway6: found.gateway6 } },
    translations: [{ ...translations[0], to: found.to }, ...translations.slice(1)],
};
exports.rendered = new nvi.TwoStageNat("office", { router, ...inputs }).rendered;`;

describe("outputs of a resource that is not there yet", () => {
    it("are no fault in preview, and arrive in `up`", async () => {
        s.stack.write({ "index.js": lookup() });
        const { all } = await s.stack.preview();
        expect(all).toMatch(/TwoStageNat +office +create/);
        await s.stack.up();
        const { rendered } = (await s.stack.outputs()) as { rendered: Record<string, string> };
        expect(rendered["nft nvi_nat_office uplink_isp1 uplinks.isp1 IPv4"]).toBe("snat ip to 198.51.100.2");
        expect((await seen(s.lab.node("client"), { to: office.internet.v4, port: 7 })).node).toBe("internet");
        await s.stack.preview(["--refresh", "--expect-no-changes"]);
        await s.stack.destroy();
    });
});

/** Resources' names that do something, were they ever more than names. */
const NAMES = [`a"; $(touch /tmp/pwned) 'x`, "`touch /tmp/pwned`\n\tundo\tip\tlink\tdel\tdev\tlan0\n@ end 0 0 0 \\ é"];
const pwned = (): string[] => ["/tmp/pwned", `${s.lab.machine.root}/tmp/pwned`].filter((file) => existsSync(file));

describe("a resource's name full of syntax", () => {
    it("is the owner's name on the router, and no more", async () => {
        const { lab, stack } = s;
        const marks = NAMES.map((name, i) => `new nvi.IngressMark(${JSON.stringify(name)}, { router, interface: nvi0, nics: ["lan0"], name: "mark-${i}" });`);
        stack.write({ "index.js": `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(lab))});
const nvi0 = new nvi.Interface("nvi0 $(touch /tmp/pwned)", { router });
${marks.join("\n")}
new nvi.IngressMark("named by \`touch /tmp/pwned\`", { router, interface: nvi0, nics: ["lan0"] });` });
        await stack.up();
        const objects = `${lab.machine.root}/etc/nvi/objects`;
        expect(readdirSync(objects).sort()).toEqual(["ingress-mark.mark-0", "ingress-mark.mark-1", "ingress-mark.named-by-touch-tmp-pwned", "interface.nvi0"]);
        const owner = (object: string) => (JSON.parse(readFileSync(`${objects}/${object}/manifest`, "utf8").split("\n")[0]!) as { owner: string }).owner;
        expect(NAMES.map((_, i) => owner(`ingress-mark.mark-${i}`))).toEqual(NAMES.map((name) => `organization/nvi-test/dev/${name}`));
        await stack.preview(["--refresh", "--expect-no-changes"]);
        await stack.destroy();
        expect(existsSync(objects)).toBe(false);
        expect(pwned()).toEqual([]);
        expect((await lab.router.run(["ip", "link", "show", "lan0"])).code).toBe(0);
    });
});

describe("addresses as ip and nft print them", () => {
    const { bits } = random(7);
    const special = ["::1", "::1.2.3.4", "::0.1.2.3", "::0.0.1.2", "::ffff:1.2.3.4", "::ffff:0.0.0.0", "::ffff:0:1.2.3.4", "64:ff9b::1.2.3.4", "1::", "1:0:0:2::3", "2001:db8:0:1:1:1:1:1", "0:1:2:3:4:5:6:7", "1:2:3:4:5:6:7:0"];
    const values = [...special.map((text) => parseAddress(text)!.value), ...Array.from({ length: 300 }, () => bits(128))];
    const ours = [...new Set(values)].map((value) => formatAddress(6, value));

    it("are as we write them: nft", async () => {
        const rules = ours.map((text) => `add rule inet scratch c ip6 saddr ${text} accept\n`).join("");
        await s.lab.router.run(["nft", "-f", "-"], { stdin: `add table inet scratch\nadd chain inet scratch c\n${rules}` });
        const { stdout } = await s.lab.router.run(["nft", "list", "chain", "inet", "scratch", "c"]);
        await s.lab.router.run(["nft", "delete", "table", "inet", "scratch"]);
        expect([...stdout.matchAll(/saddr (\S+) accept/g)].map(([, text]) => text)).toEqual(ours);
    });

    it("are as we write them: ip", async () => {
        // The kernel takes no rule from the unspecified address: that is every address.
        const some = ours.filter((text) => text !== "::");
        const batch = some.map((text, i) => `rule add priority ${10_000 + i} from ${text} lookup main\n`).join("");
        await s.lab.router.run(["ip", "-6", "-batch", "-"], { stdin: batch });
        const { stdout } = await s.lab.router.run(["ip", "-N", "-j", "-6", "rule", "show"]);
        await s.lab.router.run(["ip", "-6", "-batch", "-"], { stdin: some.map((_, i) => `rule del priority ${10_000 + i}\n`).join("") });
        const found = (JSON.parse(stdout) as { priority: number; src: string }[]).filter(({ priority }) => priority >= 10_000 && priority < 20_000);
        expect(found.map(({ src }) => src)).toEqual(some);
    });
});
