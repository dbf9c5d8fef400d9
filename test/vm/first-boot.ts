import * as fs from "node:fs";
import * as path from "node:path";
import ts from "typescript";
import { labPasswordHash, type User } from "../lab/machine";
import type { NodeSpec, Wire } from "../lab/topology";
import type { Nic } from "./machine";

/** The topology in Debian's own words: NICs are named by udev, configured by ifupdown, sysctls are systemd-sysctl's. */
export function firstFiles(spec: NodeSpec, wires: Wire[], nics: Nic[]): Array<{ path: string; content: string; mode?: number }> {
    return [
        ...nics.map(nic => ({ path: `/etc/systemd/network/10-${nic.name}.link`, content: `[Match]\nMACAddress=${nic.mac}\nType=ether\n\n[Link]\nName=${nic.name}\n` })),
        { path: "/etc/network/interfaces", content: interfaces(spec, wires) },
        { path: "/etc/sysctl.d/99-lab.conf", content: sysctls(spec, nics) },
        // Linux 5.10 does not load a transport of 9p by itself, and udev may be too late for the mount. Conntrack brings sysctls, and would come with the first rule.
        { path: "/etc/modules-load.d/lab.conf", content: "9pnet_virtio\n9p\nnf_conntrack\n" },
        { path: "/etc/systemd/system/etc-ssh-lab.mount.d/lab.conf", content: "[Unit]\nWants=systemd-modules-load.service\nAfter=systemd-modules-load.service\n" },
        // ifdown may take its time, and what is killed half-way fails.
        { path: "/etc/systemd/system.conf.d/lab-stop.conf", content: "[Manager]\nDefaultTimeoutStopSec=90s\n" },
        ...agentFiles(),
    ];
}

/** Runs with the disk as its root, on no more than a kernel. */
export function firstScript(users: User[]): string {
    const lines = users.map((user, i) => `useradd -m -U -u ${2000 + i} -s ${user.shell ?? "/bin/sh"} -p '${labPasswordHash}' ${user.name}`);
    const sudoers = users.filter(user => user.sudo !== "none").map(user => `echo '${user.name} ALL=(ALL:ALL) ${user.sudo === "nopasswd" ? "NOPASSWD: " : ""}ALL' >>/etc/sudoers.d/lab`);
    return ["export PATH=/usr/sbin:/usr/bin:/sbin:/bin", "umask 022", ...lines, "umask 337", ...sudoers].join("\n") + "\n";
}

/** One command a NIC: ifupdown starts some ten processes for each stanza, which an emulated machine takes seconds for. */
function interfaces(spec: NodeSpec, wires: Wire[]): string {
    const stanzas = wires.flatMap(wire => wire.ends.filter(end => end.node === spec.name).flatMap(({ nic, addresses = [] }) => {
        const commands = [
            ...(wire.mtu === undefined ? [] : [`ip link set ${nic} mtu ${wire.mtu}`]), `ip link set ${nic} up`,
            ...addresses.map(address => `ip addr add ${address} dev ${nic}${address.includes(":") ? " nodad" : ""}`),
            ...(spec.routes ?? []).filter(route => route.includes(` dev ${nic}`)).map(route => `ip route add ${route}`),
        ];
        return [`auto ${nic}`, `iface ${nic} inet manual`, `    up ${commands.join(" && ")}`];
    }));
    return ["auto lo", "iface lo inet loopback", ...stanzas].join("\n") + "\n";
}

/**
 * systemd sets what its own files say on each NIC as it appears; with the NIC's name, ours wins. "-" because it tries at an
 * early point of the boot as well, when there is no such NIC.
 */
function sysctls(spec: NodeSpec, nics: Nic[]): string {
    const lines = spec.sysctls.map(([name, value]) => `${name} = ${value}`);
    const defaults = spec.sysctls.filter(([name]) => name.includes(".conf.default."));
    const each = nics.flatMap(nic => defaults.map(([name, value]) => `-${name.replace(".default.", `.${nic.name}.`)} = ${value}`));
    return [...lines, ...each].join("\n") + "\n";
}

/** Bullseye's node is of version 12. */
function agentFiles(): Array<{ path: string; content: string }> {
    const folder = path.join(__dirname, "..", "lab", "agent");
    return fs.readdirSync(folder).map(name => {
        const source = fs.readFileSync(path.join(folder, name), "utf8").replace(/require\("node:/g, 'require("');
        const { outputText } = ts.transpileModule(source, { fileName: name, compilerOptions: { allowJs: true, module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2019 } });
        return { path: `/opt/lab/agent/${name}`, content: outputText };
    });
}
