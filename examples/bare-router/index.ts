import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as nvi from "pulumi-nvi";

const config = new pulumi.Config();
const connection = {
    host: config.require("host"),
    user: "root",
    privateKey: config.requireSecret("privateKey"),
    hostKey: config.require("hostKey"),
};

const packages = new remote.Command("packages", {
    connection,
    create: "apt-get update && apt-get install -y --no-install-recommends nftables iproute2",
});

const edge = new nvi.Router("edge", { connection }, { dependsOn: packages });

// A dialled uplink: its address is whatever its NIC has, and its table has no gateway.
const branch = new nvi.TwoStageNat("branch", {
    router: edge,
    inside: ["lan0"],
    uplinks: { dsl: { device: "ppp0" } },
    translations: [{ kind: "snat", from: "10.0.0.0/24", to: { uplinks: ["dsl"] } }],
});
export const rendered = branch.rendered;
