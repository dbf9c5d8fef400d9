import * as pulumi from "@pulumi/pulumi";
import * as nvi from "pulumi-nvi";

const config = new pulumi.Config();
const edge = new nvi.Router("edge", {
    connection: config.requireObject<nvi.ConnectionArgs>("connection"),
    hostKey: config.require("hostKey"),
});

const office = new nvi.TwoStageNat("office", {
    router: edge,
    inside: ["lan0"],
    uplinks: {
        isp1: { addresses: ["198.51.100.2", "2001:db8:1::2"], gateway: "198.51.100.1", gateway6: "2001:db8:1::1", weight: 3 },
        isp2: { addresses: ["203.0.113.2", "2001:db8:2::2"], gateway: "203.0.113.1", gateway6: "2001:db8:2::1" },
    },
    translations: [
        { kind: "snat", from: ["10.0.0.0/24", "2001:db8:a::/64"], to: { uplinks: ["isp1", "isp2"] } },
        { kind: "dnat", on: ["isp1", "isp2"], port: "tcp/443", to: "10.0.0.80" },
    ],
});
export const rendered = office.rendered;
