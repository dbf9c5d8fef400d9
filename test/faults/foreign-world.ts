import type { DesiredObject } from "../../provider/reconcile/desired";
import type { Rule } from "../../provider/syntax/artifact";
import { hasTokens } from "../../provider/reconcile/resolve";
import { ruleCommand } from "../../provider/syntax/iproute";

/*
 * A router's other inhabitants, as they leave it: tables in the shape and under the names of firewalld, ufw, Docker, libvirt,
 * fail2ban and wg-quick; rules and routes of FRR, BIRD, wg-quick and VRFs; links, neighbours, sysctls and IPsec policies. Where
 * the lab's kernel lacks a kind of link, another has its name. Priorities and tables lie between those that the cases use; some
 * names are ours all but a letter or the family. Forward chains let the NVI's packets through, as preflight asks of their owners.
 */

const DOOR = `iifname "nvi*" accept\n oifname "nvi*" accept`;

const FIREWALLD = `table inet firewalld {
 set geo { type ipv4_addr; flags interval; elements = { 192.0.2.0/28, 198.18.0.0/15 } }
 chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; policy accept; }
 chain nat_PREROUTING { type nat hook prerouting priority dstnat + 10; policy accept; jump nat_PRE_public; }
 chain nat_POSTROUTING { type nat hook postrouting priority srcnat + 10; policy accept; oifname "virbr0" ip saddr 192.168.122.0/24 masquerade; }
 chain nat_PRE_public { ip daddr 198.51.100.6 tcp dport 2222 dnat ip to 172.17.0.9:22; }
 chain filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; }
 chain filter_INPUT { type filter hook input priority filter + 10; policy accept; ct state { established, related } accept; iifname "lo" accept; ip saddr @geo drop; goto filter_IN_public; }
 chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept
 ct state { established, related } accept
 ct status dnat accept
 iifname "lo" accept
 ${DOOR}
 ct state { invalid } drop
 reject with icmpx admin-prohibited; }
 chain filter_IN_public { iifname "virbr0" tcp dport 53 accept; }
}
`;

const UFW_USER = ` chain ufw-user-input { tcp dport 22 counter accept; ip saddr 203.0.113.9 udp dport 51820 counter accept comment "wg"; }`;

const DOCKER_USER = ` chain DOCKER-USER { ${DOOR}\n counter return; }`;

const TABLES = `${FIREWALLD}
table ip filter {
 chain ufw-before-input { iifname "lo" counter accept; ct state related,established counter accept; }
${UFW_USER}
 chain ufw-user-forward { }
 chain ufw-user-limit { limit rate 3/minute burst 5 packets counter log prefix "[UFW LIMIT BLOCK] "; counter reject; }
 chain INPUT { type filter hook input priority filter; policy accept; counter jump ufw-before-input; counter jump ufw-user-input; }
${DOCKER_USER}
 chain DOCKER { ip daddr 172.17.0.2 iifname != "docker0" oifname "docker0" tcp dport 80 counter accept; }
 chain DOCKER-ISOLATION-STAGE-1 { iifname "docker0" oifname != "docker0" counter jump DOCKER-ISOLATION-STAGE-2; counter return; }
 chain DOCKER-ISOLATION-STAGE-2 { oifname "docker0" counter drop; counter return; }
 chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; counter jump DOCKER-ISOLATION-STAGE-1; oifname "docker0" ct state related,established counter accept; oifname "docker0" counter jump DOCKER; iifname "docker0" counter accept; counter jump ufw-user-forward; }
}
table ip nat {
 chain DOCKER { iifname "docker0" counter return; iifname != "docker0" tcp dport 8088 counter dnat to 172.17.0.2:80; }
 chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
 chain OUTPUT { type nat hook output priority -100; policy accept; ip daddr != 127.0.0.0/8 fib daddr type local counter jump DOCKER; }
 chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade; }
}
table ip mangle {
 chain LIBVIRT_PRT { oifname "virbr0" udp dport 68 counter; }
 chain POSTROUTING { type filter hook postrouting priority mangle; policy accept; counter jump LIBVIRT_PRT; }
 chain PREROUTING { type filter hook prerouting priority mangle; policy accept; iifname "wg0" counter meta mark set mark and 0xff000000 or 0x1; }
}
table ip6 filter {
 chain ufw6-before-input { iifname "lo" counter accept; }
 chain ufw6-user-input { tcp dport 22 counter accept; }
 chain INPUT { type filter hook input priority filter; policy accept; counter jump ufw6-before-input; counter jump ufw6-user-input; }
 chain FORWARD { type filter hook forward priority filter; policy drop
 ${DOOR}
 counter drop; }
}
table ip libvirt_network {
 chain guest_output { iifname "virbr0" counter reject; }
 chain forward { type filter hook forward priority filter; policy accept; ip saddr 192.168.122.0/24 iifname "virbr0" counter accept; iifname "virbr0" jump guest_output; }
 chain guest_nat { type nat hook postrouting priority srcnat; policy accept; ip saddr 192.168.122.0/24 ip daddr 224.0.0.0/24 return; }
}
table inet f2b-table {
 set addr-set-sshd { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 } }
 chain f2b-chain { type filter hook input priority filter - 1; policy accept; tcp dport 22 ip saddr @addr-set-sshd reject; }
}
table ip wg-quick-wg0 {
 chain preraw { type filter hook prerouting priority raw; policy accept; iifname != "wg0" ip daddr 10.66.0.2 fib saddr type != local drop; }
 chain premangle { type filter hook prerouting priority mangle; policy accept; meta l4proto udp ct mark 0xca6c meta mark set ct mark; }
 chain postmangle { type filter hook postrouting priority mangle; policy accept; meta l4proto udp mark 0xca6c ct mark set mark; }
}
table inet own {
 map ports { type inet_service : verdict; elements = { 22 : accept, 443 : continue } }
 counter seen { }
 chain late { type filter hook postrouting priority 2147483646; policy accept; counter name "seen"; }
 chain early { type filter hook prerouting priority -450; policy accept; tcp dport vmap @ports; }
 chain dormant { type filter hook forward priority -300; policy accept; }
}
table ip nvi_if_nvi0 {
 chain loop { type filter hook forward priority -300; policy accept; iifname "nvi0p" counter; }
}
table ip6 nvi_nat_office {
 chain c { comment "not ours"; }
}
table inet nvi_if_nvi {
 chain untrack { type filter hook prerouting priority -450; policy accept; }
}
table inet nvi { }
table bridge filter {
 chain FORWARD { type filter hook forward priority filter; policy accept; ether type arp accept; }
}
table arp filter {
 chain INPUT { type filter hook input priority filter; policy accept; }
}
table netdev guard {
 chain isp1in { type filter hook ingress device "isp1" priority -500; policy accept; ip saddr 192.0.2.250 drop; }
}
`;

/** In both families; `lookup 51820` is wg-quick's. */
const RULES = [
    "pref 985 fwmark 0x80000/0xff0000 lookup main proto 3", "pref 900 l3mdev proto 2", "pref 991 iif lo fwmark 0x7e lookup 4242 proto 11", "pref 999 iif lan0 lookup 52", "pref 1001 iif lan0 lookup 52 proto 12",
    "pref 1099 fwmark 0x10000/0x10000 lookup 4242", "pref 1101 ipproto tcp dport 25 lookup 4300 proto 3", "pref 1500 iif nvi0p lookup 4300 proto 79", "pref 1899 iif vnet0 goto 32000", "pref 1951 iif isp1 lookup 4242 proto 78",
    "pref 2050 uidrange 100-200 lookup 4300", "pref 2099 tos 0x10 lookup 4300", "pref 5210 fwmark 0x80000/0xff0000 lookup main", "pref 5230 fwmark 0x40000/0xff0000 unreachable", "pref 5270 lookup 52",
    "pref 32000 oif docker0 lookup 4242", "pref 32765 not fwmark 51820 table 51820", "pref 32764 table main suppress_prefixlength 0",
];

/** Nobody's links of ours: some names come near. */
const LINKS = `
for name in docker0 virbr0; do ip link add $name type bridge forward_delay 0 mcast_snooping 0; done
for pair in vethd0:vethd0x vnet0:vnet0x nvi9:nvi9p nvi0x:nvi0y; do ip link add \${pair%:*} type veth peer name \${pair#*:}; done
ip link add wg0 type wireguard 2>/dev/null || ip link add wg0 type ifb
ip link add link isp2 name isp2.100 type vlan id 100 2>/dev/null || ip link add isp2.100 type veth peer name vlan100
ip link add dummy0 type dummy 2>/dev/null || ip link add dummy0 type ifb
ip tuntap add tun0 mode tun
ip link set vethd0 master docker0; ip link set vnet0 master virbr0; ip link set nvi9 alias pulumi; ip link set isp2.100 mtu 1400
for name in docker0 virbr0 vethd0 vethd0x vnet0 vnet0x wg0 isp2.100 dummy0 nvi9 nvi9p; do ip link set $name up; done
ip address add 172.17.0.1/16 brd + dev docker0; ip address add 192.168.122.1/24 dev virbr0; ip address add 10.66.0.1/24 dev wg0
ip address add 198.51.100.6/28 dev isp1 label isp1:1; ip address add 2001:db8:66::1/64 dev wg0 nodad; ip address add 10.255.0.1/32 dev lo; ip address add 169.254.77.9/32 dev nvi9`;

const ROUTES = `
ip nexthop add id 10 via 198.51.100.1 dev isp1 protocol zebra; ip nexthop add id 11 via 203.0.113.1 dev isp2 protocol zebra; ip nexthop add id 12 group 10,2/11,3 protocol zebra
ip -6 nexthop add id 20 via 2001:db8:1::1 dev isp1 protocol zebra; ip -6 nexthop add id 21 via 2001:db8:2::1 dev isp2; ip nexthop add id 22 group 20/21; ip nexthop add id 23 blackhole
ip route add 192.0.2.64/26 nhid 12 proto bgp metric 20; ip route add 192.0.2.128/26 nhid 10 proto ospf metric 110; ip -6 route add 2001:db8:99:1::/64 nhid 22 proto bgp; ip route add 192.0.2.240/29 nhid 23 proto 196
ip route add 192.0.2.0/26 proto bird nexthop via 198.51.100.1 dev isp1 weight 2 nexthop via 203.0.113.1 dev isp2 weight 1
ip route add 192.0.2.0/26 via 203.0.113.1 proto static metric 7; ip route append 192.0.2.0/26 via 198.51.100.3 dev isp1 proto static metric 7
ip route add default via 203.0.113.1 metric 500 proto dhcp; ip -6 route add default via 2001:db8:2::1 metric 2048 proto bird; ip route add unreachable default metric 4294967295 proto static
ip route add 10.0.0.0/8 proto zebra via 10.0.0.5 metric 30; ip -6 route add unreachable 2001:db8:dead::/48 proto zebra
ip -6 route add 2001:db8:99:2::/64 proto 186 nexthop via 2001:db8:1::1 dev isp1 nexthop via 2001:db8:2::1 dev isp2
ip route add default dev wg0 table 51820; ip -6 route add default dev wg0 table 51820; ip route add 192.0.2.128/25 via 198.51.100.1 table 4242 proto 78
ip route add 100.64.0.0/10 dev wg0 table 52; ip -6 route add fd7a:115c:a1e0::/48 dev wg0 table 52
for table in 4242 4300 7699 7100 7102; do ip route add default via 198.51.100.1 dev isp1 table $table proto 11; ip -6 route add default via 2001:db8:1::1 dev isp1 table $table proto 11; done
ip route add throw 192.0.2.0/24 table 4242; ip route add prohibit 198.18.0.0/15 table 4242 proto 188; ip route add default nhid 12 table 10000 proto zebra`;

const NEIGHBOURS = `
ip neigh add 10.0.0.200 lladdr 02:00:00:00:02:00 dev lan0 nud permanent protocol zebra; ip neigh add 2001:db8:a::200 lladdr 02:00:00:00:02:00 dev lan0 nud permanent
for proxy in "198.51.100.14 dev isp1" "198.51.100.5 dev lan0" "198.51.100.7 dev isp2" "2001:db8:1::5 dev lan0" "2001:db8:1::9 dev isp1"; do ip neigh add proxy $proxy; done
bridge fdb add 02:00:00:00:03:00 dev vnet0 master static
ip xfrm policy add src 10.0.0.0/24 dst 10.80.0.0/24 dir out priority 375423 tmpl src 198.51.100.2 dst 192.0.2.80 proto esp reqid 1 mode tunnel || :
tc qdisc add dev isp1 clsact || :`;

const SYSCTLS = `
for knob in ipv4.conf.docker0.route_localnet=1 ipv4.conf.wg0.src_valid_mark=1 ipv4.conf.isp1.log_martians=1 ipv4.conf.virbr0.rp_filter=1 ipv6.conf.docker0.disable_ipv6=1 ipv6.conf.isp2.accept_ra=0 ipv6.conf.wg0.addr_gen_mode=1 \\
    ipv4.conf.vnet0.proxy_arp=1 ipv6.conf.virbr0.accept_ra=0 ipv4.neigh.lan0.gc_stale_time=99 ipv4.tcp_syncookies=2 ipv4.ping_group_range="0 1000" netfilter.nf_conntrack_tcp_loose=0; do sysctl -q -w "net.$knob"; done`;

const FILES = `
mkdir -p /etc/ufw /etc/firewalld/zones /etc/nvi-notes /etc/sysctl.d /run/frr
echo 'net.ipv4.ip_forward = 1' >/etc/sysctl.d/99-docker.conf; echo ':ufw-user-input' >/etc/ufw/user.rules; echo 100 >/run/frr/zebra.pid; echo mine >/etc/nvi-notes/manifest; echo mine >/etc/nvi.conf`;

const both = (rules: readonly string[], verb: string): string => rules.flatMap((rule) => [`ip rule ${verb} ${rule}`, `ip -6 rule ${verb} ${rule}`]).join("\n");
const nft = (ruleset: string): string => `nft -f - <<'END'\n${ruleset}\nEND`;

/** Makes it all, on a router of the lab. */
export const WORLD = ["set -e", LINKS, ROUTES, NEIGHBOURS, nft(TABLES), both(RULES, "add"), SYSCTLS, FILES].join("\n");

/** What one of them does of its own between two of our operations, and what ends it. */
export interface Doing {
    name: string;
    script: string;
    undo: string;
    /** It makes or removes a link, whose switches begin as the router's own. */
    links?: true;
}

const oneUser = "tcp dport 8443 counter accept";

export const DOINGS: readonly Doing[] = [
    { name: "firewalld makes its table anew", script: nft(`delete table inet firewalld\n${FIREWALLD}`), undo: "" },
    { name: "ufw fills a chain again", script: nft(`flush chain ip filter ufw-user-input\ntable ip filter {\n${UFW_USER}\n}\nadd rule ip filter ufw-user-input ${oneUser}`), undo: nft(`flush chain ip filter ufw-user-input\ntable ip filter {\n${UFW_USER}\n}`) },
    {
        name: "Docker starts a container", links: true,
        script: `ip link add vethd1 type veth peer name vethd1x; ip link set vethd1 master docker0; ip link set vethd1 up; ip link set vethd1x up\n${nft("add rule ip nat DOCKER iifname != \"docker0\" tcp dport 8089 counter dnat to 172.17.0.3:80")}`,
        undo: `ip link del vethd1\n${nft("flush chain ip nat DOCKER\nadd rule ip nat DOCKER iifname \"docker0\" counter return\nadd rule ip nat DOCKER iifname != \"docker0\" tcp dport 8088 counter dnat to 172.17.0.2:80")}`,
    },
    { name: "Docker drops what others forward", script: nft(`flush chain ip filter DOCKER-USER\nadd rule ip filter DOCKER-USER counter return`), undo: nft(`flush chain ip filter DOCKER-USER\ntable ip filter {\n${DOCKER_USER}\n}`) },
    { name: "fail2ban bans", script: "nft add element inet f2b-table addr-set-sshd '{ 192.0.2.99 }'", undo: "nft delete element inet f2b-table addr-set-sshd '{ 192.0.2.99 }'" },
    { name: "somebody makes a table", script: nft("table inet late {\n chain c { type filter hook postrouting priority 2147483647; policy accept; counter; }\n}"), undo: "nft delete table inet late" },
    { name: "FRR moves a route", script: "ip route replace 192.0.2.128/26 nhid 11 proto ospf metric 110; ip nexthop replace id 10 via 198.51.100.3 dev isp1 protocol zebra", undo: "ip nexthop replace id 10 via 198.51.100.1 dev isp1 protocol zebra; ip route replace 192.0.2.128/26 nhid 10 proto ospf metric 110" },
    { name: "BIRD learns routes", script: "for n in 1 2 3 4; do ip route add 100.100.$n.0/24 via 203.0.113.1 proto bird metric 32; ip -6 route add 2001:db8:b1d:$n::/64 via 2001:db8:1::1 proto bird; done", undo: "for n in 1 2 3 4; do ip route del 100.100.$n.0/24 proto bird; ip -6 route del 2001:db8:b1d:$n::/64 proto bird; done" },
    { name: "wg-quick goes down", script: "for f in -4 -6; do ip $f rule del not fwmark 51820 table 51820; ip $f rule del table main suppress_prefixlength 0; ip $f route flush table 51820; done", undo: "for f in -4 -6; do ip $f route add default dev wg0 table 51820; ip $f rule add pref 32764 table main suppress_prefixlength 0; ip $f rule add pref 32765 not fwmark 51820 table 51820; done" },
    { name: "a VRF comes", script: "for f in -4 -6; do ip $f rule add pref 1000 l3mdev proto 2; done", undo: "for f in -4 -6; do ip $f rule del pref 1000 l3mdev; done" },
    // The kernel makes the route to it a moment later (net/ipv6/addrconf.c, addrconf_dad_work).
    { name: "a NIC gets an address", script: "ip address add 198.51.100.11/28 dev isp1; ip address add 2001:db8:a::77/64 dev lan0 nodad; until ip -6 route show table local | grep -q a::77; do sleep 0.05; done; ip neigh replace 10.0.0.200 lladdr 02:00:00:00:02:01 dev lan0 nud permanent", undo: "ip address del 198.51.100.11/28 dev isp1; ip address del 2001:db8:a::77/64 dev lan0; ip neigh replace 10.0.0.200 lladdr 02:00:00:00:02:00 dev lan0 nud permanent protocol zebra" },
    { name: "an administrator sets sysctls", script: "sysctl -q -w net.ipv4.conf.lan0.send_redirects=1 net.ipv4.conf.wg0.rp_filter=2 net.ipv6.conf.lan0.hop_limit=63", undo: "sysctl -q -w net.ipv4.conf.lan0.send_redirects=0 net.ipv4.conf.wg0.rp_filter=0 net.ipv6.conf.lan0.hop_limit=64" },
];

/** Rules that say themselves what they select. */
export const rulesOf = ({ artifacts }: DesiredObject): Rule[] => artifacts.flatMap((one) => (one.kind === "rule" && !hasTokens([one]) ? [one] : []));

/**
 * Somebody adds rules that differ from ours in the protocol, or in what they select. As after a restart ours come behind: the
 * first that a deletion means is somebody else's. Two objects may have rules of one kind, and an object may not be there.
 */
export function twins(object: DesiredObject): Doing {
    const foreign = (verb: "add" | "del") => rulesOf(object).flatMap((rule) => {
        const other = `ip ${rule.family === 4 ? "-4" : "-6"} rule ${verb} priority ${rule.priority} oif wg0 lookup 4242 protocol 3`;
        return [`${ruleCommand(verb, rule).join(" ").replace(/ protocol \d+$/, " protocol 3")} || :`, `${other} || :`];
    });
    const behind = rulesOf(object).map((rule) => `${ruleCommand("del", rule).join(" ")} && ${ruleCommand("add", rule).join(" ")} || :`);
    return { name: "somebody adds rules beside ours", script: [...new Set(foreign("add")), ...behind].join("\n"), undo: [...new Set(foreign("del"))].join("\n") };
}
