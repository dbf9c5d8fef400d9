# shellcheck shell=sh
# The two stages: both families, both directions, small packets and large ones.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
B iperf3 -s -D
A iperf3 -s -p 80 -D

zero() { equals "$(counter "$1")" 0; }
bulk() { ip netns exec "$1" timeout 60 iperf3 -c "$2" -p "$3" -n "$4"; }
# What B sees as the source of A's packets.
seen_by_b() { B conntrack -L 2>/dev/null | grep -o "src=$1 dst=$2" | head -1; }

check "IPv4 from A to B" reaches_soon A 10.0.2.2
check "IPv6 from A to B" reaches_soon A fd02::2
check "stage 2 saw untracked packets" above "$(counter untracked)" 3
check "and only such" zero tracked
check "the connection is translated" sh -c 'ip netns exec R conntrack -L -p icmp 2>/dev/null | grep "src=10.0.1.2 dst=10.0.2.2 .*dst=10.0.2.1"'
check "so is the one of IPv6" sh -c 'ip netns exec R conntrack -L -f ipv6 2>/dev/null | grep "src=fd01::2 dst=fd02::2 .*dst=fd02::1"'

check "TCP from A to B" bulk A 10.0.2.2 5201 20M
check "TCP from A to B, IPv6" bulk A fd02::2 5201 20M
check "large packets stay whole in stage 2" above "$(counter big)" 100
check "a forwarded port, from B to A" bulk B 10.0.2.1 80 5M
check "a forwarded port, from B to A, IPv6" bulk B fd02::1 80 5M
check "all of it untracked in stage 2" zero tracked

sent=$(statistic tx_packets)
bytes=$(statistic tx_bytes)
dropped=$(statistic tx_dropped)
A ping -q -c 50 -i 0.01 -s 100 10.0.2.2 >/dev/null
check "each packet is counted once" equals "$(statistic tx_packets)" $((sent + 100))
check "with all its bytes" equals "$(statistic tx_bytes)" $((bytes + 100 * 142))
check "the receive side counts the same" equals "$(statistic rx_packets)" "$(statistic tx_packets)"
check "nothing was dropped meanwhile" equals "$(statistic tx_dropped)" "$dropped"
check "ethtool counts the same packets" equals "$(R ethtool -S nvi0 | sed -n 's/ *packets: //p')" "$(statistic tx_packets)"
both_cpus() {
    before=$(statistic tx_packets)
    for cpu in 1 2; do A taskset $cpu ping -q -c 40 -i 0.01 10.0.2.2; done
    equals "$(statistic tx_packets)" $((before + 160))
}
check "packets of all CPUs count" both_cpus

check "the router itself answers" reaches A 10.0.1.1
check "and on its other address" reaches A 10.0.2.1
check "one neighbour for IPv4" above 2 "$(ip -n R -4 neigh show dev nvi0 nud all | wc -l)"

# Policy by the translated source, in stage 2 only.
policy() {
    ip -n R "$1" rule add pref 5 from "$2" iif eth0 tun_id 78 lookup 200
    ip -n R "$1" route add unreachable default table 200
    ! reaches A "$3" || return 1
    ip -n R "$1" rule del pref 5
    reaches_soon A "$3"
}
check "stage 2 routes by the translated source" policy -4 10.0.2.1 10.0.2.2
check "stage 2 routes by the translated source, IPv6" policy -6 fd02::1 fd02::2
check "ip rule shows the tun_id, IPv4" sh -c 'ip -n R -4 rule | grep -q "iif eth0 tun_id 78 lookup main"'
check "ip rule shows the tun_id, IPv6" sh -c 'ip -n R -6 rule | grep -q "iif eth0 tun_id 78 lookup main"'
check "so does its JSON" sh -c 'ip -n R -j rule | grep -q "\"tun_id\":78"'

retag() {
    put tun_id "$1"
    for family in -4 -6; do
        for nic in eth0 eth1; do
            ip -n R $family rule del pref 10 iif $nic
            ip -n R $family rule add pref 10 iif $nic tun_id "$1" lookup main
        done
    done
    reaches_soon A 10.0.2.2 && reaches_soon A fd02::2
}
check "a tun_id of 32 bits and more" retag 4294967299
check "back to the first" retag 78

R sysctl -qw net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth1.rp_filter=2
check "loose rp_filter is no obstacle" reaches_soon A 10.0.2.2
R sysctl -qw net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0

exceeded() { ip netns exec A ping -c 1 -W 2 -t "$1" "$2" | grep -i 'time.*exceeded\|hop limit'; }
check "TTL that ends in stage 1: its sender is told" exceeded 1 10.0.2.2
check "TTL that ends in stage 2: its sender is told" exceeded 2 10.0.2.2
check "hop limit that ends in stage 1: its sender is told" exceeded 1 fd02::2
check "hop limit that ends in stage 2: its sender is told" exceeded 2 fd02::2
check "TTL 3 is enough" A ping -c 1 -W 2 -t 3 10.0.2.2

ip -n R link set eth1 mtu 1280
ip -n B link set b0 mtu 1280
too_big() { ip netns exec A ping -c 1 -W 2 -M 'do' -s 1300 "$1" | grep -i 'frag needed\|packet too big\|message too long'; }
check "a packet too big for B's link: A is told" too_big 10.0.2.2
check "a packet too big for B's link: A is told, IPv6" too_big fd02::2
check "fragments, both ways" A ping -c 2 -W 2 -s 4000 -M dont 10.0.2.2
check "fragments, both ways, IPv6" A ping -c 2 -W 2 -s 4000 fd02::2
check "TCP over the small link" bulk A 10.0.2.2 5201 2M
ip -n A route flush cache
ip -n R link set eth1 mtu 1500
ip -n B link set b0 mtu 1500

rule_of guard prerouting -250 'ct state untracked reject'
check "stage 2 may reject before it routes" fails reaches A 10.0.2.2
check "stage 2 may reject before it routes, IPv6" fails reaches A fd02::2
refused() { ip netns exec A socat -u OPEN:/dev/null "$1:5201,connect-timeout=5" 2>&1 | grep -i refused; }
rule_of guard prerouting -250 'ct state != untracked meta l4proto tcp reject with tcp reset'
if refused TCP4:10.0.2.2 >/dev/null; then
    rule_of guard prerouting -250 'ct state untracked meta l4proto tcp reject with tcp reset'
    check "or reset, before it routes" refused TCP4:10.0.2.2
    check "or reset, before it routes, IPv6" refused 'TCP6:[fd02::2]'
else
    skip "or reset, before it routes" "this kernel resets nothing in PREROUTING"
fi
R nft delete table inet guard
check "and accept again" reaches_soon A 10.0.2.2

tracked=$(counter tracked)
rule_of zones prerouting -300 'iifname { "eth0", "eth1" } ct state != untracked ct zone set 5'
check "a zone is set in stage 1" reaches_soon A 10.0.2.2
check "it is the connection's" sh -c 'ip netns exec R conntrack -L -p icmp 2>/dev/null | grep "zone=5"'
check "and leaves stage 2 untracked" equals "$(counter tracked)" "$tracked"
R nft delete table inet zones

# As when somebody listens to the wire, the kernel stamps what comes; fq drops what is to be sent much later.
R socat -u INTERFACE:eth0 OPEN:/dev/null &
listener=$!
if R tc qdisc replace dev eth1 root fq 2>/dev/null; then
    check "TCP by a queue that goes by time" bulk A 10.0.2.2 5201 2M
    R tc qdisc del dev eth1 root
else
    skip "TCP by a queue that goes by time" "no fq in this kernel"
fi
kill $listener

check "a device that the kernel refuses" fails ip -n R link add all type nvi
check "takes nothing along" reaches_soon A 10.0.2.2
check "nor does one that goes" sh -c 'ip -n R link add nvi1 type nvi && ip -n R link del nvi1'
check "all passes as before" reaches_soon A fd02::2
check "more transmit queues are fine" sh -c 'ip -n R link add nvi1 numtxqueues 8 type nvi && ip -n R link del nvi1'

ip -n R link set nvi0 down
check "nothing passes with the device down" fails reaches A 10.0.2.2
ip -n R link set nvi0 up
ip -n R -4 route replace default dev nvi0 table 100
ip -n R -6 route replace default dev nvi0 table 100
check "all passes with it up" reaches_soon A 10.0.2.2
