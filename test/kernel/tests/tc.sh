# shellcheck shell=sh
# What tc and nft do with packets that a NIC receives is done once: when they come, not when they come back.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
B iperf3 -s -D
before=0
filter() { R tc filter add dev eth0 ingress matchall action "$@"; }

if ! R tc qdisc add dev eth0 clsact 2>/tmp/tc || ! filter continue 2>>/tmp/tc; then
    skip "tc" "$(cat /tmp/tc)"
    exit
fi
R nft -f - <<NFT
table netdev seen {
    counter arrived { }
    chain eth0 {
        type filter hook ingress device eth0 priority 0;
        ip saddr 10.0.0.0/16 icmp type echo-request counter name arrived
    }
}
NFT
check "all is well at first" reaches_soon A 10.0.2.2
seen() { R nft list counter netdev seen arrived | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
before=$(seen)
A ping -q -c 5 -i 0.1 10.0.2.2 >/dev/null
check "nft ingress sees each packet once" equals "$(seen)" $((before + 5))
R nft delete table netdev seen
R tc filter del dev eth0 ingress

if R ip link add ifb0 type ifb 2>/tmp/ifb && R ip link set ifb0 up && filter mirred egress redirect dev ifb0 2>/tmp/ifb; then
    check "ifb, as shapers use it: IPv4" reaches_soon A 10.0.2.2
    check "ifb: IPv6" reaches_soon A fd02::2
    check "ifb: TCP" A timeout 60 iperf3 -c 10.0.2.2 -n 1M
    check "ifb: untracked in stage 2" equals "$(counter tracked)" 0
    before=$(get drop_loop)
    sent=$(statistic tx_packets)
    ip -n R rule add pref 5 iif eth0 tun_id 78 lookup 100
    check "ifb: a stage-2 route into the nvi" fails reaches A 10.0.2.2
    check "ifb: one drop" equals $(($(get drop_loop) - before)) 1
    check "ifb: one round" equals $(($(statistic tx_packets) - sent)) 1
    ip -n R rule del pref 5
    R tc filter del dev eth0 ingress
else
    skip "ifb" "$(cat /tmp/ifb)"
fi

# Past stage 1, so the mark has to be tc's: it comes back once.
if filter skbedit mark "$(ifindex eth0)" pipe action mirred egress redirect dev nvi0 2>/tmp/tc; then
    sent=$(statistic tx_packets)
    A ping -q -c 1 -W 1 10.0.2.2 >/dev/null
    check "tc may redirect what the NIC receives to the device" equals $(($(statistic tx_packets) - sent)) 2
    R tc filter del dev eth0 ingress
else
    skip "tc that redirects to the device" "$(cat /tmp/tc)"
fi
check "all passes as before" reaches_soon A fd02::2
