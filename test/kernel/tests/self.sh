# shellcheck shell=sh
# reinject=self: stage 2 receives on the nvi device.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

load_module
router
stage_one
nat
put reinject self
router_address nvi0 9
for family in -4 -6; do
    ip -n R $family rule add pref 10 iif nvi0 lookup main
    for nic in eth0 eth1; do ip -n R $family rule add pref 20 iif $nic lookup 100; done
done
R sysctl -qw net.ipv4.conf.eth0.accept_local=0 net.ipv4.conf.eth1.accept_local=0
B iperf3 -s -D

check "IPv4" reaches_soon A 10.0.2.2
check "IPv6" reaches_soon A fd02::2
check "TCP" A timeout 120 iperf3 -c 10.0.2.2 -n 10M
check "stage 2 is untracked" equals "$(counter tracked)" 0
check "the mark holds the ingress NIC" sh -c "ip -n R rule add pref 9 iif nvi0 fwmark $(ifindex eth0) unreachable && ! ip netns exec A ping -c 1 -W 1 10.0.2.2"
ip -n R rule del pref 9
check "with a stage 2 that knows" reaches_soon A 10.0.2.2

put reinject ingress
check "the other way needs other rules" fails reaches A 10.0.2.2
put reinject self
check "settings can change under traffic" reaches_soon A 10.0.2.2

before=$(get drop_loop)
ip -n R rule add pref 9 iif nvi0 lookup 100
reaches A 10.0.2.2 && echo unexpected
check "a loop is one drop" equals $(($(get drop_loop) - before)) 1
