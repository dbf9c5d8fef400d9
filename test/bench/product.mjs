// @ts-check
// What the product makes of the bench's router: rendered and planned by the built package itself.
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../tools/path.mjs";

// The package is built as CommonJS, and that is what users run.
const load = createRequire(join(root, "dist", "index.js"));

/** One uplink, one network inside, one published port: what the peers' own rules do as well. */
const INPUTS = {
    inside: ["lan0"],
    uplinks: { isp1: { addresses: ["198.51.100.2"], gateway: "198.51.100.1" } },
    translations: [
        { kind: "snat", from: "10.0.0.0/24", to: { uplinks: ["isp1"] } },
        { kind: "dnat", on: "isp1", port: "tcp/8080", to: "10.0.0.5" },
    ],
};

/** The router-side script. @returns {Buffer} */
export const script = () => load("./provider/host/script").SCRIPT;

/**
 * What a router keeps of a `TwoStageNat`, with the steps that make it where nothing of it is there; `nvi.sh restore` runs them.
 *
 * @param {"rules" | "module"} backend
 */
export function manifest(backend) {
    /** @type {typeof import("../../provider/resources")} */
    const { resourceOf } = load("./provider/resources");
    /** @type {typeof import("../../provider/reconcile/restoration")} */
    const { restoration } = load("./provider/reconcile/restoration");
    /** @type {typeof import("../../provider/reconcile/objects")} */
    const { objectKey } = load("./provider/reconcile/objects");

    const resource = resourceOf("two-stage-nat");
    const inputs = resource.schema.parse({ ...INPUTS, backend });
    const faults = resource.faults(inputs);
    if (faults.length > 0) throw new Error(`the product refuses the bench's router: ${JSON.stringify(faults)}`);
    /** @type {import("../../provider/reconcile/objects").Manifest} */
    const manifest = { version: 1, object: objectKey({ kind: resource.kind, name: inputs.name }), owner: "bench", artifacts: resource.render(inputs).artifacts, nics: [], saved: {} };
    return `${JSON.stringify(manifest)}\n${restoration(manifest)}`;
}
