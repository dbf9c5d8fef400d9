// @ts-check
// The file system of a Debian release: its kernel, headers, compiler and network tools. One more has the emulator. Made once, kept in the user's cache.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./shell.mjs";

const MIRROR = "http://deb.debian.org";

const BUILD = ["gcc", "make"];
const TOOLS = ["kmod", "busybox-static", "iproute2", "nftables", "conntrack", "iperf3", "iputils-ping", "ethtool"];
const PEERS = ["wireguard-tools", "socat"];

// The debug kernel is built in trixie's root, whose source has more of the debug options than bookworm's. It alone knows PPP.
const KERNEL_BUILD = ["linux-source-6.12", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "xz-utils", "cpio", "python3-minimal"];

/** @param {string} name */
const kernel = (name) => [`linux-image-${name}`, `linux-headers-${name}`];

// Bullseye's mirror lost the packages that name the newest kernel, so that one is named by itself.
/** @type {Record<string, { suite: string, packages: string[] }>} */
const RELEASES = {
    "5.10": { suite: "bullseye", packages: [...kernel("5.10.0-46-cloud-amd64"), ...BUILD, ...TOOLS, ...PEERS] },
    "6.1": { suite: "bookworm", packages: [...kernel("cloud-amd64"), ...BUILD, ...TOOLS, ...PEERS] },
    "6.12": { suite: "trixie", packages: [...kernel("cloud-amd64"), ...BUILD, ...TOOLS, ...PEERS, "ppp", "openssl-provider-legacy", ...KERNEL_BUILD] },
};

export const releases = Object.keys(RELEASES);

/** @type {typeof RELEASES} */
const ROOTS = { ...RELEASES, emulator: { suite: "trixie", packages: ["qemu-system-x86"] } };

export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-nvi");

/** @param {unknown} value */
export const digest = (value) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);

/** @param {string} name */
export function root(name) {
    const wanted = ROOTS[name];
    if (!wanted) throw new Error(`no root for ${name}`);
    const { suite, packages } = wanted;
    const path = join(cache, `root-${suite}-${digest([MIRROR, suite, packages])}`);
    if (existsSync(path)) return path;
    console.log(`# fetches the packages of ${name} into ${path}`);
    const made = `${path}.${process.pid}`;
    mkdirSync(cache, { recursive: true });
    try {
        run("nice", [
            ...["mmdebstrap", "--variant=minbase", "--mode=root", `--include=${packages.join(",")}`],
            ...["doc", "locale", "man"].map((unread) => `--dpkgopt=path-exclude=/usr/share/${unread}/*`),
            ...[suite, made, `deb ${MIRROR}/debian ${suite} main`, `deb ${MIRROR}/debian-security ${suite}-security main`],
        ], { env: { ...process.env, INITRD: "No" } });
        renameSync(made, path);
    } finally {
        rmSync(made, { recursive: true, force: true });
    }
    return path;
}
