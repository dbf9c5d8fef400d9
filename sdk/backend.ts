import * as pulumi from "@pulumi/pulumi";
import { bestBackend, type Ways } from "../provider/model/module";
import type { Facts, Router } from "./router";

/** What does the work of an NVI, and how it gets to the router. */
export interface BackendArgs {
    /**
     * `rules`: a veth pair, nft and ip rules; any kernel from 5.5 on. `module`: a device of our own kernel module; from 5.10 on.
     * `auto`: the module where the router's facts say that it can have it, else the rules. Another backend is an update: packets
     * through the NVI are answered "unreachable" for a moment.
     *
     * @default "rules"
     */
    backend?: pulumi.Input<"rules" | "module" | "auto">;
    /**
     * Let apt install what building the module needs, where it is missing: dkms, gcc, make, the headers of the kernel that runs and, where the
     * distribution has a package of them (Debian's `linux-headers-amd64`), of the kernels to come, so that DKMS builds for those, too. They stay.
     *
     * @default false: the router has them, or preflight says what it lacks
     */
    installPackages?: pulumi.Input<boolean>;
    /**
     * Modules that were built elsewhere: paths of files on the machine that runs Pulumi, by kernel release (`uname -r`). The one for the
     * kernel that runs is loaded. Those for other kernels that the router has are put there for a restart: before one with a new kernel, name
     * its module here and run `pulumi up`, else nothing is forwarded until the next `up`.
     *
     * @default {}: built on the router
     */
    prebuilt?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

export type Backend = "rules" | "module";

/** The backend that the program names, or that suits the router; what was chosen, and why, is said with the resource. */
export function backendOf(args: BackendArgs & { router: Router }, type: string, name: string): pulumi.Output<Backend> {
    return pulumi.output(args.backend ?? "rules").apply((backend) => {
        if (backend !== "auto") return pulumi.output(backend);
        return pulumi.all([args.router.facts, args.installPackages ?? false, pulumi.output(args.prebuilt ?? {})]).apply(([facts, install, prebuilt]): Backend => {
            const { backend: best, reason } = chosen({ install, prebuilt }, facts);
            void pulumi.log.info(`${type} ${name}: backend ${best}, because of the router: ${reason}`);
            return best;
        });
    });
}

/** States of older versions have fewer facts, and mocks of programs' own unit tests most often none. */
function chosen(ways: Ways, facts: Partial<Facts> | undefined): ReturnType<typeof bestBackend> {
    if (facts?.kernel === undefined || facts.module === undefined) return { backend: "rules", reason: "its facts say nothing of the module; `pulumi refresh` looks" };
    return bestBackend(ways, facts.kernel, facts.module);
}
