import { RESOURCES, type ResourceKind } from "../../provider/resources";
import type { DesiredObject } from "../../provider/reconcile/desired";
import { desiredOf } from "../e2e/drift-core";
import { officeInputs } from "../e2e/office";

/** A transaction: from what is there to what is to be there, on top of what it needs. */
export interface Scene {
    /** `update two-stage-nat` */
    name: string;
    needs: readonly DesiredObject[];
    from?: DesiredObject;
    to?: DesiredObject;
}

const { inside, uplinks, translations } = officeInputs;
const addressesOf = (name: "isp1" | "isp2") => uplinks[name].addresses;
const stage = { interface: "nvi0", inside, uplinks: { isp1: { addresses: addressesOf("isp1") }, isp2: { addresses: addressesOf("isp2") } }, translations };

const nvi = desiredOf("interface", { name: "nvi0" });
const routes = [{ to: "0.0.0.0/0", via: uplinks.isp1.gateway, device: "isp1" }, { to: "::/0", via: uplinks.isp1.gateway6, device: "isp1" }];

/** Two versions of each resource, and what has to be there before it. */
const VERSIONS: Record<ResourceKind, { needs: readonly DesiredObject[]; inputs: [object, object] }> = {
    interface: { needs: [], inputs: [{ name: "nvi0" }, { name: "nvi0", mtu: 9000, address: "169.254.78.2/32" }] },
    "ingress-mark": { needs: [nvi], inputs: [{ name: "mark", interface: "nvi0", nics: ["lan0", "isp1"] }, { name: "mark", interface: "nvi0", nics: ["lan0", "isp1", "isp2"], source: "connection" }] },
    "route-table": {
        needs: [nvi],
        inputs: [
            { name: "isp1", interface: "nvi0", table: 7101, errors: "isp1", routes, rules: addressesOf("isp1").map((from) => ({ from })) },
            { name: "isp1", interface: "nvi0", table: 7101, errors: "isp1", routes: routes.slice(0, 1), rules: [{ from: "198.51.100.0/28" }, { ingress: "lan0", priority: 1150 }] },
        ],
    },
    "nat-stage": { needs: [nvi], inputs: [{ name: "office", ...stage }, { name: "office", ...stage, translations: translations.slice(0, 2), table: 7800 }] },
    "two-stage-nat": {
        needs: [],
        inputs: [
            { name: "office", ...officeInputs },
            { name: "office", ...officeInputs, translations: translations.slice(0, 2), uplinks: { isp1: { ...uplinks.isp1, table: 7901 }, isp2: { ...uplinks.isp2, table: 7902 } } },
        ],
    },
};

/** Every resource, made, changed and taken away. */
export const SCENES: readonly Scene[] = (Object.keys(RESOURCES) as ResourceKind[]).flatMap((kind) => {
    const { needs, inputs } = VERSIONS[kind];
    const [first, second] = inputs.map((each) => desiredOf(kind, each as never)) as [DesiredObject, DesiredObject];
    return [
        { name: `create ${kind}`, needs, to: first },
        { name: `update ${kind}`, needs, from: first, to: second },
        { name: `delete ${kind}`, needs, from: second },
    ];
});

/** A look at every resource, which is to find it as it is. */
export const LOOKS: readonly Scene[] = (Object.keys(RESOURCES) as ResourceKind[]).map((kind) => {
    const object = desiredOf(kind, VERSIONS[kind].inputs[0] as never);
    return { name: `read ${kind}`, needs: VERSIONS[kind].needs, from: object, to: object };
});
