# shellcheck shell=sh
# Devices come, go, move, and look as they should.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

load_module
namespaces R S

details() { ip -n R -d link show nvi0; }
has() { details | grep -q "$1"; }
feature() { ip netns exec R ethtool -k nvi0 | grep -q "^[[:space:]]*$1: on"; }
absent() { ! ip -n "$1" link show "$2"; }

check "a device is made with ip alone" ip -n R link add nvi0 type nvi
ip -n R link set nvi0 up
check "it is an nvi" has ' nvi '
check "it asks for no addresses of neighbours" has 'NOARP'
check "it has no queue" has 'qdisc noqueue'
check "its MTU is 65535" has 'mtu 65535'
for feature in tx-checksumming scatter-gather tcp-segmentation-offload generic-segmentation-offload tx-gso-list tx-checksum-sctp; do
    check "offload: $feature" feature $feature
done
check "ethtool names its driver" sh -c 'ip netns exec R ethtool -i nvi0 | grep -q "driver: nvi"'
check "ethtool and sysfs name the same drops" equals \
    "$(R ethtool -S nvi0 | sed -n 's/ *\(drop_[a-z_]*\):.*/\1/p' | sort)" "$(R ls /sys/class/net/nvi0/nvi | grep ^drop_ | sort)"
check "the module has a version" equals "$(cat /sys/module/nvi/version)" "$(cat /test/version)"

check "its MAC can be set" ip -n R link set nvi0 address 02:00:00:00:00:01
check "its MTU can be set" ip -n R link set nvi0 mtu 1280
check "no MTU above 65535" fails ip -n R link set nvi0 mtu 65536
check "no multicast MAC" fails ip -n R link add bad0 address 01:00:00:00:00:01 type nvi
check "it can be renamed, up or down" sh -c 'ip -n R link set nvi0 down && ip -n R link set nvi0 name other && ip -n R link set other up'
check "its settings come along" R test -f /sys/class/net/other/nvi/reinject
check "it can be deleted" ip -n R link del other
check "and is gone" absent R other

thirty() { for i in $(seq 30); do ip -n R link add "many$i" type nvi || return 1; done; }
check "thirty devices" thirty
check "have different MACs" equals "$(R sh -c 'cat /sys/class/net/many*/address' | sort -u | wc -l)" 30
ip netns del R
ip netns add R
check "are gone with their namespace" absent R many1
check "which can have new ones" thirty

ip -n R link add nvi0 type nvi
R sh -c 'echo self > /sys/class/net/nvi0/nvi/reinject'
check "a device moves to another namespace" ip -n R link set nvi0 netns S
check "with its settings" equals "$(ip netns exec S cat /sys/class/net/nvi0/nvi/reinject)" self
check "and back" ip -n S link set nvi0 netns R
check "the module leaves with devices in place" rmmod nvi
check "and they with it" absent R nvi0
check "it comes back" insmod /nvi.ko
check "a device can be made again" ip -n R link add nvi0 type nvi
