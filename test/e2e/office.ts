import { Lab, type LabOptions } from "../lab";
import { stack, type Stack } from "./pulumi";

/** What does the NVI's work in these tests; the module needs an emulated router, whose kernel can load it. */
const { NVI_TEST_BACKEND: backend = "rules", NVI_TEST_MODULES: prebuilt } = process.env;

/** What says so in inputs. */
export const chosen = backend === "rules" ? {} : { backend, ...(prebuilt === undefined ? {} : { prebuilt: JSON.parse(prebuilt) as Record<string, string> }) };

/** Where packets come back from the office's NVI. */
export const farEnd = backend === "module" ? "nvi0" : "nvi0p";

/** The office's uplinks and translations, as most tests have them. */
export const officeInputs = {
    ...chosen,
    inside: ["lan0"],
    uplinks: {
        isp1: { addresses: ["198.51.100.2", "2001:db8:1::2"], gateway: "198.51.100.1", gateway6: "2001:db8:1::1" },
        isp2: { addresses: ["203.0.113.2", "2001:db8:2::2"], gateway: "203.0.113.1", gateway6: "2001:db8:2::1" },
    },
    translations: [
        { kind: "snat", from: ["10.0.0.0/24", "2001:db8:a::/64"], to: { uplinks: ["isp1", "isp2"] } },
        { kind: "dnat", on: ["isp1", "isp2"], port: "tcp/8080", to: "10.0.0.80", toPort: 7 },
        { kind: "dnat", on: ["isp1", "isp2"], port: "tcp/8080", to: "2001:db8:a::80", toPort: 7 },
    ],
};

/** Arguments of `Router` for a lab's router. */
export const routerArgs = (lab: Lab) => ({
    connection: { host: lab.ssh.host, port: lab.ssh.port, user: lab.ssh.user, privateKeyPath: lab.ssh.privateKeyPath },
    hostKey: lab.ssh.hostKey,
});

/** A program with a Router `edge` and one TwoStageNat `office`. */
export function officeProgram(lab: Lab, inputs: object = officeInputs): string {
    return `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(lab))});
const office = new nvi.TwoStageNat("office", { router, ...${JSON.stringify(inputs)} });
exports.rendered = office.rendered;
exports.facts = router.facts;
`;
}

/** The same office of single resources: NVI, mark, one route table an uplink, the main table for the inside, NAT stage. */
export function piecesProgram(lab: Lab): string {
    const table = (name: string, number: number) => {
        const { addresses, gateway, gateway6 } = officeInputs.uplinks[name as "isp1"];
        const routes = [{ to: "0.0.0.0/0", via: gateway, device: name }, { to: "::/0", via: gateway6, device: name }];
        return `new nvi.RouteTable("${name}", { router, interface: nvi0, table: ${number}, errors: "${name}", routes: ${JSON.stringify(routes)}, rules: ${JSON.stringify(addresses.map((from) => ({ from })))} })`;
    };
    const { inside, uplinks, translations } = officeInputs;
    const stage1 = Object.fromEntries(Object.entries(uplinks).map(([name, { addresses }]) => [name, { addresses }]));
    return `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(lab))});
const nvi0 = new nvi.Interface("nvi0", { router, ...${JSON.stringify(chosen)} });
const mark = new nvi.IngressMark("mark", { router, interface: nvi0, nics: ["lan0", "isp1", "isp2"] });
const inwards = new nvi.RouteTable("inwards", { router, interface: nvi0, table: "main", rules: [{ to: "10.0.0.0/24", priority: 1050 }, { to: "2001:db8:a::/64", priority: 1050 }] });
const isp1 = ${table("isp1", 7101)};
const isp2 = ${table("isp2", 7102)};
new nvi.NatStage("office", { router, interface: nvi0, mark, routeTables: [inwards, isp1, isp2], inside: ${JSON.stringify(inside)}, uplinks: ${JSON.stringify(stage1)}, translations: ${JSON.stringify(translations)} });
`;
}

export interface Setup {
    lab: Lab;
    stack: Stack;
    stop(): Promise<void>;
}

/** A lab, and a stack whose program is made for it. */
export async function setup(program: (lab: Lab) => string = officeProgram, options: LabOptions = {}): Promise<Setup> {
    const lab = await Lab.start(options);
    try {
        const made = await stack({ files: { "index.js": program(lab) } });
        return {
            lab, stack: made,
            stop: async () => {
                made.close();
                await lab.stop();
            },
        };
    } catch (error) {
        await lab.stop();
        throw error;
    }
}
