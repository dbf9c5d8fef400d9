/** Version of the kernel module (provider/kernel/nvi), as its MODULE_VERSION and its dkms.conf say: another version on a router is drift. */
export const MODULE_VERSION = "0.1.0";

/** The oldest kernel that the module is built and tested for. */
export const MODULE_KERNEL = [5, 10] as const;

/** What matters about a router for the module. */
export interface Ground {
    /** Whether the kernel loads modules at all. */
    loadable: boolean;
    /** Whether it takes only signed ones: Secure Boot's lockdown, or module.sig_enforce (Documentation/admin-guide/module-signing.rst). */
    signed: boolean;
    /** Whether the key that DKMS signs with is enrolled. */
    key: boolean;
    /** Of those that building needs: dkms, make, gcc. */
    tools: string[];
    /** Headers of the running kernel. */
    headers: boolean;
    /** Whether packages can be installed by apt. */
    apt: boolean;
    /** The version of the module that the running kernel has installed; none where it has none. */
    present?: string;
}

/** How the module may get to a router. */
export interface Ways {
    /** By kernel release, files of modules that were built elsewhere. */
    prebuilt?: Record<string, string>;
    /** Whether packages may be installed. */
    install: boolean;
}

/** Why a router can't have the module, in words; undefined where it can. */
export function unable({ prebuilt = {}, install }: Ways, release: string, ground: Ground): string | undefined {
    const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
    const releases = Object.keys(prebuilt);
    if (major < MODULE_KERNEL[0] || (major === MODULE_KERNEL[0] && minor < MODULE_KERNEL[1])) return `its kernel is ${release}; the module needs Linux ${MODULE_KERNEL.join(".")} or later`;
    if (!ground.loadable) return `its kernel ${release} loads no modules (there is no /proc/modules)`;
    // Whether a file that is given bears the right signature, the kernel says when it loads it.
    if (ground.signed && !ground.key && releases.length === 0) {
        return "its kernel takes only modules with a signature that it knows (Secure Boot, or module.sig_enforce), and no key of DKMS is enrolled there (mokutil --import /var/lib/dkms/mok.pub, and a reboot)";
    }
    if (releases.length > 0) return releases.includes(release) ? undefined : `no prebuilt module is given for its kernel ${release}; there are: ${releases.join(", ")}`;
    return install && ground.apt ? undefined : lacking(ground, release);
}

function lacking({ tools, headers }: Ground, release: string): string | undefined {
    const missing = ["dkms", "make", "gcc"].filter((tool) => !tools.includes(tool));
    if (!headers) missing.push(`the headers of kernel ${release}`);
    return missing.length === 0 ? undefined : `it lacks what building the module needs: ${missing.join(", ")}`;
}

/** The best backend that a router can run, and why. */
export function bestBackend(ways: Ways, release: string, ground: Ground): { backend: "rules" | "module"; reason: string } {
    // What works is not given up because it could not be built once more.
    if (ground.present === MODULE_VERSION) return { backend: "module", reason: `its kernel ${release} has the module` };
    const reason = unable(ways, release, ground);
    return reason === undefined ? { backend: "module", reason: `its kernel ${release} can load the module` } : { backend: "rules", reason };
}
