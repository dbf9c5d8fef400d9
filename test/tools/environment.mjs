// @ts-check
import { delimiter, join } from "node:path";
import { cacheFolder, nodeFirst, root, toolPath } from "./path.mjs";

/** What the tests find their tools by. @param {{ bin: string }} engine @returns {Record<string, string>} */
export function environment({ bin }) {
    // Its pulumi-resource-pulumi-nodejs serves the dynamic providers.
    const sdk = join(root, "node_modules", "@pulumi", "pulumi");
    return {
        PATH: [bin, sdk, nodeFirst(toolPath())].join(delimiter),
        NVI_ENGINE_BIN: bin,
        // Root, as whom some run, would look in its own home.
        NVI_CACHE: cacheFolder(),
        PULUMI_SKIP_UPDATE_CHECK: "true",
    };
}
