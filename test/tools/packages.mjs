// @ts-check
import { fileURLToPath } from "node:url";
import { toolPath, which } from "./path.mjs";
import { becomeRoot } from "./privilege.mjs";
import { createProgress } from "./progress.mjs";
import { run } from "./run.mjs";

/** @type {Record<string, string>} executable to Debian packages */
const PACKAGES = {
    nft: "nftables",
    ip: "iproute2",
    tc: "iproute2",
    sshd: "openssh-server",
    ssh: "openssh-client",
    "ssh-keygen": "openssh-client",
    "ssh-agent": "openssh-client",
    conntrack: "conntrack",
    tcpdump: "tcpdump",
    ping: "iputils-ping",
    iperf3: "iperf3",
    sysctl: "procps",
    sudo: "sudo",
    modprobe: "kmod",
    busybox: "busybox",
    unshare: "util-linux",
    nsenter: "util-linux",
    setpriv: "util-linux",
    nc: "netcat-openbsd",
    socat: "socat",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    // The key with which Debian signs its packages comes along, for machines that are no Debian.
    mmdebstrap: "mmdebstrap debian-archive-keyring",
    "mkfs.ext4": "e2fsprogs",
    debugfs: "e2fsprogs",
    xz: "xz-utils",
    cpio: "cpio",
    gcc: "gcc libc6-dev",
    perl: "perl",
};

/** What the lab calls. `sudo` and `busybox` are for routers whose user is not root, and whose shell is ash. */
export const LAB_TOOLS = [
    "nft", "ip", "sshd", "ssh", "ssh-keygen", "ssh-agent", "conntrack", "tcpdump", "ping", "iperf3",
    "sysctl", "sudo", "modprobe", "busybox", "unshare", "nsenter",
];

const INSTALLER = fileURLToPath(new URL("apt-install.sh", import.meta.url));

/**
 * Sees to it that the executables are there (in a folder of `toolPath()`), with apt where something is missing.
 *
 * @param {{ need?: string[], progress?: import("./progress.mjs").Progress }} [options]
 * @returns {Promise<string | undefined>} why nothing could be installed, if this user may not
 */
export async function ensureTools({ need = LAB_TOOLS, progress = createProgress() } = {}) {
    const missing = need.filter((tool) => !which(tool, toolPath()));
    if (missing.length === 0) return undefined;
    const unknown = missing.filter((tool) => !PACKAGES[tool]);
    if (unknown.length > 0) throw new Error(`missing tools of which no package is known: ${unknown.join(", ")}`);
    const packages = [...new Set(missing.flatMap((tool) => /** @type {string} */ (PACKAGES[tool]).split(" ")))];
    if (!which("apt-get", toolPath())) {
        throw new Error(
            `missing tools: ${missing.join(", ")}. This is no Debian or Ubuntu, so install them by hand; ` +
                `Debian's names of the packages are ${packages.join(" ")}`,
        );
    }

    const become = becomeRoot();
    if (!become) return `missing tools: ${missing.join(", ")}, and only root may run: apt-get install ${packages.join(" ")}`;

    progress.step(`installing ${packages.join(" ")}, for ${missing.join(", ")}`);
    const [command, ...args] = [...become, "sh", INSTALLER, ...packages];
    await run(/** @type {string} */ (command), args, { label: "apt-get install", progress });

    const still = missing.filter((tool) => !which(tool, toolPath()));
    if (still.length > 0) throw new Error(`${packages.join(" ")} installed, but still missing: ${still.join(", ")}`);
    return undefined;
}
