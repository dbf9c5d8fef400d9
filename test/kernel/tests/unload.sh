# shellcheck shell=sh
# The module leaves and comes back under traffic.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
B iperf3 -s -D
check "all is well at first" reaches_soon A 10.0.2.2

flood() { ip netns exec "$1" sh -c "while :; do ping -q -f -c 100000 -w 1000 $2 >/dev/null 2>&1; done" & }
flood A 10.0.2.2
flood A fd02::2
A iperf3 -u -c 10.0.2.2 -b 0 -l 1200 -t 600 >/dev/null 2>&1 &
moving() { above "$(statistic tx_packets)" "$1"; }
round() {
    within 100 moving 100 || return 1
    rmmod nvi || return 1
    insmod /nvi.ko || return 1
    stage_one || return 1
}
for i in 1 2 3 4 5 6 7 8; do check "unloaded and loaded under traffic, $i" round; done
check "traffic is back" within 100 moving 100
retagged() { for id in 1 2 0 78 0 78; do put tun_id $id || return 1; done; }
check "tun_id changes under traffic" retagged
deleted() { ip -n R link del nvi0 && stage_one && within 100 moving 100; }
for i in 1 2 3 4 5; do check "the device replaced under traffic, $i" deleted; done
nic_gone() { ip -n A link del a0 && cable A a0 eth0 1 && within 100 moving 100; }
for i in 1 2 3; do check "the NIC replaced under traffic, $i" nic_gone; done
check "the namespace deleted under traffic" ip netns del R
check "the module leaves" rmmod nvi
