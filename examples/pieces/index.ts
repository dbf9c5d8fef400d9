import * as pulumi from "@pulumi/pulumi";
import * as nvi from "pulumi-nvi";

const config = new pulumi.Config();
const router = new nvi.Router("edge", {
    connection: config.requireObject<nvi.ConnectionArgs>("connection"),
    hostKey: config.require("hostKey"),
});

const nvi0 = new nvi.Interface("nvi0", { router });
const mark = new nvi.IngressMark("mark", { router, interface: nvi0, nics: ["lan0", "isp1", "isp2"] });

// What is for the inside goes by the main table, whichever way it came.
const inwards = new nvi.RouteTable("inwards", {
    router,
    interface: nvi0,
    table: "main",
    rules: [
        { to: "10.0.0.0/24", priority: 1050 },
        { to: "2001:db8:a::/64", priority: 1050 },
    ],
});

// What was translated to an uplink's address leaves by that uplink.
const isp1 = new nvi.RouteTable("isp1", {
    router,
    interface: nvi0,
    table: 7101,
    errors: "isp1",
    routes: [
        { to: "0.0.0.0/0", via: "198.51.100.1", device: "isp1" },
        { to: "::/0", via: "2001:db8:1::1", device: "isp1" },
    ],
    rules: [{ from: "198.51.100.2" }, { from: "2001:db8:1::2" }],
});
const isp2 = new nvi.RouteTable("isp2", {
    router,
    interface: nvi0,
    table: 7102,
    errors: "isp2",
    routes: [
        { to: "0.0.0.0/0", via: "203.0.113.1", device: "isp2" },
        { to: "::/0", via: "2001:db8:2::1", device: "isp2" },
    ],
    rules: [{ from: "203.0.113.2" }, { from: "2001:db8:2::2" }],
});

// Last, and first to go: this diverts packets into the NVI.
const office = new nvi.NatStage("office", {
    router,
    interface: nvi0,
    mark,
    routeTables: [inwards, isp1, isp2],
    inside: ["lan0"],
    uplinks: {
        isp1: { addresses: ["198.51.100.2", "2001:db8:1::2"] },
        isp2: { addresses: ["203.0.113.2", "2001:db8:2::2"] },
    },
    translations: [{ kind: "snat", from: ["10.0.0.0/24", "2001:db8:a::/64"], to: { uplinks: ["isp1", "isp2"] } }],
});
export const rendered = office.rendered;
