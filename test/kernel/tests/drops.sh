# shellcheck shell=sh
# Each reason to drop a packet has its counter, and all of them add up.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
ip -n R link add sink type dummy

# counts REASON COMMAND...: the command fails, and the reason's counter says why.
counts() {
    before=$(get "$1")
    reason=$1
    shift
    ! "$@" >/dev/null || return 1
    above "$(get "$reason")" "$before"
}
check "all is well at first" reaches_soon A 10.0.2.2

ip -n R route add 10.0.7.0/24 dev nvi0 src 10.0.1.1
check "no_nic: the router's own packet" counts drop_no_nic R ping -c 1 -W 1 10.0.7.1
ip -n R route add fd07::/64 dev nvi0
check "no_nic: the router's own packet, IPv6" counts drop_no_nic R ping -c 1 -W 1 fd07::1
put ingress mark
check "no_nic: a number that no NIC has" counts drop_no_nic R ping -c 1 -W 1 -m 12345 10.0.7.1
check "nic_down: a NIC that is down" counts drop_nic_down R ping -c 1 -W 1 -m "$(ifindex sink)" 10.0.7.1
check "loop: the nvi device itself" counts drop_loop R ping -c 1 -W 1 -m "$(ifindex nvi0)" 10.0.7.1
ip -n R link add nvi1 type nvi
check "loop: another nvi device" counts drop_loop R ping -c 1 -W 1 -m "$(ifindex nvi1)" 10.0.7.1
put ingress packet

for family in 4:10.0.2.2 6:fd02::2; do
    before=$(get drop_loop)
    sent=$(statistic tx_packets)
    ip -n R -${family%%:*} rule add pref 5 iif eth0 tun_id 78 lookup 100
    check "loop: a stage-2 route into the nvi, IPv${family%%:*}" fails reaches A "${family#*:}"
    check "loop: one drop, IPv${family%%:*}" equals $(($(get drop_loop) - before)) 1
    check "loop: one round, IPv${family%%:*}" equals $(($(statistic tx_packets) - sent)) 1
    ip -n R -${family%%:*} rule del pref 5
done
ip -n R link set nvi1 up
ip -n R route add default dev nvi1 table 101
ip -n R rule add pref 5 iif eth0 tun_id 78 lookup 101
before=$(R cat /sys/class/net/nvi1/nvi/drop_loop)
reaches A 10.0.2.2 >/dev/null
check "loop: from one nvi to another" equals $(($(R cat /sys/class/net/nvi1/nvi/drop_loop) - before)) 1
# A user's rule that runs in both stages and sets its own mark must not hide the loop.
rule_of user prerouting -300 'meta mark set 7'
before=$(R cat /sys/class/net/nvi1/nvi/drop_loop)
reaches A 10.0.2.2 >/dev/null
check "loop: seen in spite of the user's marks" equals $(($(R cat /sys/class/net/nvi1/nvi/drop_loop) - before)) 1
R nft delete table inet user
ip -n R rule del pref 5
check "no loop, no drop" reaches_soon A 10.0.2.2

# One packet in, two dozen fragments out at once: more than the queue takes.
backlog=$(sysctl -n net.core.netdev_max_backlog)
ip -n A link set a0 mtu 65535
ip -n R link set eth0 mtu 65535
ip -n R link set nvi0 mtu 1280
sysctl -qw net.core.netdev_max_backlog=3
burst() {
    A ping -q -c 1 -W 1 -s 30000 -M dont 10.0.2.2
    above "$(get drop_backlog)" 0
}
check "backlog: a full one" within 10 burst
sysctl -qw net.core.netdev_max_backlog="$backlog"
ip -n R link set nvi0 mtu 65535

# A packet that comes without an Ethernet header from a device that has none: tc may send what no stack would.
if R sh -c 'ip tuntap add mode tun name raw0 && ip link set raw0 up && tc qdisc add dev raw0 clsact && tc filter add dev raw0 ingress matchall action mirred egress redirect dev nvi0' 2>/tmp/tc; then
    R sh -c 'echo Etiny | socat -u - TUN,tun-name=raw0,iff-no-pi,tun-type=tun' 2>/tmp/socat
    check "short: less than an Ethernet header" above "$(get drop_short)" 0
else
    skip "short: less than an Ethernet header" "$(cat /tmp/tc)"
fi

check "a gone NIC is no NIC" sh -c 'ip -n R link del eth1 && ! ip netns exec A ping -q -c 1 -W 1 10.0.2.2'
sum() { R sh -c 'cat /sys/class/net/nvi0/nvi/drop_*' | { total=0; while read -r n; do total=$((total + n)); done; echo $total; }; }
check "tx_dropped is their sum" equals "$(statistic tx_dropped)" "$(sum)"
