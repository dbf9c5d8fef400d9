import type { Release } from "./image.mjs";
import { prebuiltModule } from "./module";

/** What the project `vm-module` begins with: the tests' programs ask for the backend `module`, and have it prebuilt. */
export async function setup(): Promise<void> {
    process.env.NVI_TEST_MODULES = JSON.stringify(await prebuiltModule((process.env.NVI_TEST_ROUTER ?? "bookworm") as Release));
}
