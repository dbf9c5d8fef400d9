/** The office network as data: what exists, who is wired to whom. Nothing here touches the machine. */

export type NicName = string;

export interface End {
    node: string;
    nic: NicName;
    addresses?: string[];
    /** The bridge of that node which this NIC is a port of. */
    master?: string;
    /** @default one made of the wire's number and the end's */
    mac?: string;
    /** Bytes. @default the wire's */
    mtu?: number;
}

export interface Wire { ends: [End, End]; mtu?: number | undefined }

export interface NodeSpec {
    name: string;
    /** Written before any NIC exists, in this order, so that NICs inherit the `default` ones. */
    sysctls: Array<[string, string]>;
    /** Addresses of lo. */
    loopback?: string[];
    bridge?: string;
    /** Arguments of `ip route add`. */
    routes?: string[];
    nft?: string;
    /** The addresses at which this node's echo service answers UDP; TCP is answered at every address. */
    answersAt?: string[];
}

export interface Topology { nodes: NodeSpec[]; wires: Wire[] }

export interface OfficeOptions {
    /** @default true */
    ipv6?: boolean;
    /** The router's ip_forward, both families. @default true */
    forwarding?: boolean;
    /** rp_filter of the router's NICs. systemd sets 2 on each NIC and leaves `all` at 0, as here. @default 2 */
    rpFilter?: 0 | 1 | 2;
    /** More sysctls of the router, written after all others and before its NICs exist. */
    routerSysctls?: Record<string, string>;
    /** ISPs drop packets that come from the customer with a source that isn't theirs (BCP 38), and count them. @default true */
    strictIsp?: boolean;
    /** Two tenant networks with the same subnet, on the router's NICs t1 and t2. @default false */
    tenants?: boolean;
    /** MTU of each link. `wan1` and `wan2` are the links beyond the ISPs' gateways. @default 1500 */
    mtu?: { lan?: number; isp1?: number; isp2?: number; wan1?: number; wan2?: number };
    /** Adds machines and links to the office before it is built. */
    extend?: (topology: Topology) => void;
}

/** Ports at which every end host answers from the start. */
export const echoPorts = [7, 53, 80, 443, 5001, 8080];

/** What the office's addresses are called in tests. */
export const office = {
    router: { lan4: "10.0.0.1", lan6: "2001:db8:a::1", isp1v4: "198.51.100.2", isp1v6: "2001:db8:1::2", isp2v4: "203.0.113.2", isp2v6: "2001:db8:2::2" },
    gw1: { v4: "198.51.100.1", v6: "2001:db8:1::1" },
    gw2: { v4: "203.0.113.1", v6: "2001:db8:2::1" },
    client: { v4: "10.0.0.5", v4b: "10.0.0.6", v6: "2001:db8:a::5" },
    server: { v4: "10.0.0.80", v6: "2001:db8:a::80" },
    internet: { v4: "192.0.2.10", v6: "2001:db8:99::10" },
    tenant: { v4: "10.1.0.5", v6: "2001:db8:b::5", router4: "10.1.0.1", router6: "2001:db8:b::1" },
} as const;

/** The n-th of 65,000 destinations that the internet node answers for. */
export const destination4 = (n: number): string => `100.64.${n >> 8}.${n & 255}`;
export const destination6 = (n: number): string => `2001:db8:99::1:${n.toString(16)}`;

const isV6 = (text: string): boolean => text.includes(":");

export function officeTopology(options: OfficeOptions = {}): Topology {
    const { strictIsp = true, tenants = false, mtu = {}, ipv6 = true } = options;
    const topology: Topology = {
        nodes: [
            routerNode(options),
            // "-" as in sysctl.d: some kernels have no br_netfilter, and where it is it must not look into a switch's frames.
            { name: "lan", sysctls: [...quiet(false), ["-net.bridge.bridge-nf-call-iptables", "0"], ["-net.bridge.bridge-nf-call-ip6tables", "0"]], bridge: "br0" },
            endHost("client", [office.client.v4, office.client.v4b, office.client.v6], office.router.lan4, office.router.lan6),
            endHost("server", [office.server.v4, office.server.v6], office.router.lan4, office.router.lan6),
            gateway("gw1", "172.31.1.2", "2001:db8:f1::2", strictIsp ? ["198.51.100.0/28", "2001:db8:1::/64"] : undefined),
            gateway("gw2", "172.31.2.2", "2001:db8:f2::2", strictIsp ? ["203.0.113.0/28", "2001:db8:2::/64"] : undefined),
            internetNode(),
        ],
        wires: [
            { mtu: mtu.lan, ends: [{ node: "router", nic: "lan0", addresses: ["10.0.0.1/24", "2001:db8:a::1/64"] }, { node: "lan", nic: "router", master: "br0" }] },
            { mtu: mtu.lan, ends: [{ node: "client", nic: "eth0", addresses: ["10.0.0.5/24", "10.0.0.6/24", "2001:db8:a::5/64"] }, { node: "lan", nic: "client", master: "br0" }] },
            { mtu: mtu.lan, ends: [{ node: "server", nic: "eth0", addresses: ["10.0.0.80/24", "2001:db8:a::80/64"] }, { node: "lan", nic: "server", master: "br0" }] },
            { mtu: mtu.isp1, ends: [{ node: "router", nic: "isp1", addresses: ["198.51.100.2/28", "2001:db8:1::2/64"] }, { node: "gw1", nic: "cust", addresses: ["198.51.100.1/28", "2001:db8:1::1/64"] }] },
            { mtu: mtu.isp2, ends: [{ node: "router", nic: "isp2", addresses: ["203.0.113.2/28", "2001:db8:2::2/64"] }, { node: "gw2", nic: "cust", addresses: ["203.0.113.1/28", "2001:db8:2::1/64"] }] },
            { mtu: mtu.wan1, ends: [{ node: "gw1", nic: "wan", addresses: ["172.31.1.1/30", "2001:db8:f1::1/64"] }, { node: "internet", nic: "g1", addresses: ["172.31.1.2/30", "2001:db8:f1::2/64"] }] },
            { mtu: mtu.wan2, ends: [{ node: "gw2", nic: "wan", addresses: ["172.31.2.1/30", "2001:db8:f2::1/64"] }, { node: "internet", nic: "g2", addresses: ["172.31.2.2/30", "2001:db8:f2::2/64"] }] },
        ],
    };
    for (const n of tenants ? [1, 2] : []) addTenant(topology, n);
    options.extend?.(topology);
    return ipv6 ? topology : withoutV6(topology);
}

function addTenant(topology: Topology, n: number): void {
    const { v4, v6, router4, router6 } = office.tenant;
    topology.nodes.push(endHost(`tenant${n}`, [v4, v6], router4, router6));
    topology.wires.push({ ends: [
        { node: "router", nic: `t${n}`, addresses: [`${router4}/24`, `${router6}/64`] },
        { node: `tenant${n}`, nic: "eth0", addresses: [`${v4}/24`, `${v6}/64`] },
    ] });
}

/**
 * A new namespace copies IPv4's `all` and `default` from the host it is made on, so everything that matters is written.
 * The lab's own nodes don't rate-limit ICMP errors, else one test eats the next one's. Address detection is off everywhere:
 * an address that is tentative for a second makes every start flaky.
 */
function quiet(forwarding: boolean): Array<[string, string]> {
    return [
        ...ordinary(forwarding), ["net.ipv4.icmp_ratelimit", "0"], ["net.ipv6.icmp.ratelimit", "0"],
        ...perNic("ipv4", "rp_filter", "0"), ...perNic("ipv4", "send_redirects", "0"),
    ];
}

function ordinary(forwarding: boolean): Array<[string, string]> {
    const on = forwarding ? "1" : "0";
    return [
        ["net.ipv4.ip_forward", on], ["net.ipv6.conf.all.forwarding", on], ["net.ipv6.conf.default.forwarding", on],
        ...["accept_local", "arp_announce", "arp_filter", "arp_ignore", "log_martians", "proxy_arp", "route_localnet", "src_valid_mark"].flatMap(name => perNic("ipv4", name, "0")),
        ...perNic("ipv6", "accept_dad", "0"),
    ];
}

const perNic = (family: string, name: string, value: string): Array<[string, string]> =>
    ["all", "default", "lo"].map(nic => [`net.${family}.conf.${nic}.${name}`, value]);

/** Stock Debian 12: the kernel's defaults, plus the rp_filter that systemd's 50-default.conf sets on every NIC but not on `all`. */
function routerNode(options: OfficeOptions): NodeSpec {
    const { forwarding = true, rpFilter = 2, routerSysctls = {} } = options;
    return {
        name: "router",
        sysctls: [
            ...ordinary(forwarding), ...perNic("ipv4", "send_redirects", "1"),
            ["net.ipv4.conf.all.rp_filter", "0"], ["net.ipv4.conf.default.rp_filter", `${rpFilter}`], ["net.ipv4.conf.lo.rp_filter", `${rpFilter}`],
            ...Object.entries(routerSysctls),
        ],
        routes: [`default via ${office.gw1.v4} dev isp1`, `::/0 via ${office.gw1.v6} dev isp1`],
    };
}

function endHost(name: string, addresses: string[], gateway4: string, gateway6: string): NodeSpec {
    return { name, sysctls: quiet(false), answersAt: addresses, routes: [`default via ${gateway4}`, `::/0 via ${gateway6}`] };
}

function gateway(name: string, beyond4: string, beyond6: string, customer?: [string, string]): NodeSpec {
    const node: NodeSpec = { name, sysctls: quiet(true), routes: [`default via ${beyond4}`, `::/0 via ${beyond6}`] };
    if (customer) {
        const [own4, own6] = customer;
        // The router's own refusal of what comes late to its second uplink keeps the main table, two stages or not.
        const late = name === "gw1" ? `ip saddr ${office.router.isp2v4} tcp flags & rst != 0 drop; ip6 saddr ${office.router.isp2v6} tcp flags & rst != 0 drop` : "";
        // Of an ICMP message the first port is its type and code.
        const ports = "meta l4proto . th sport . th dport";
        node.nft = `table inet isp {
      counter spoofed4 { }
      counter spoofed6 { }
      set dropped4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service; size 512; flags dynamic; }
      set dropped6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service; size 512; flags dynamic; }
      chain customer {
        type filter hook prerouting priority raw
        iifname != "cust" accept
        ${late}
        ip saddr != ${own4} add @dropped4 { ip saddr . ip daddr . ${ports} }
        ip6 saddr != { ${own6}, fe80::/10, :: } add @dropped6 { ip6 saddr . ip6 daddr . ${ports} }
        ip saddr != ${own4} counter name spoofed4 drop
        ip6 saddr != { ${own6}, fe80::/10, :: } counter name spoofed6 drop
      }
    }`;
    }
    return node;
}

/**
 * Answers for whole prefixes, so that tests can reach thousands of destinations. A UDP socket bound to no address would
 * answer from the outgoing NIC's, so UDP to the prefixes is translated to the one address that is bound: the service then
 * reports that address as `local`. TCP needs none of this.
 */
function internetNode(): NodeSpec {
    const { v4, v6 } = office.internet;
    return {
        name: "internet", sysctls: quiet(false), answersAt: [v4, v6], loopback: [`${v4}/32`, `${v6}/128`],
        routes: [
            "local 192.0.2.0/24 dev lo", "local 100.64.0.0/16 dev lo", "local 2001:db8:99::/64 dev lo",
            `198.51.100.0/28 via 172.31.1.1 src ${v4}`, `203.0.113.0/28 via 172.31.2.1 src ${v4}`,
            `2001:db8:1::/64 via 2001:db8:f1::1 src ${v6}`, `2001:db8:2::/64 via 2001:db8:f2::1 src ${v6}`,
        ],
        nft: `table inet world {
      chain anycast {
        type nat hook prerouting priority dstnat
        ip daddr { 192.0.2.0/24, 100.64.0.0/16 } meta l4proto udp dnat ip to ${v4}
        ip6 daddr 2001:db8:99::/64 meta l4proto udp dnat ip6 to ${v6}
      }
    }`,
    };
}

function withoutV6(topology: Topology): Topology {
    const only4 = (list: string[] | undefined): string[] => (list ?? []).filter(text => !isV6(text));
    return {
        nodes: topology.nodes.map(node => ({
            ...node, loopback: only4(node.loopback), routes: only4(node.routes), ...(node.answersAt ? { answersAt: only4(node.answersAt) } : {}),
            sysctls: [...node.sysctls, ...perNic("ipv6", "disable_ipv6", "1")],
        })),
        wires: topology.wires.map(wire => ({ ...wire, ends: wire.ends.map(end => ({ ...end, addresses: only4(end.addresses) })) as [End, End] })),
    };
}
