# shellcheck shell=sh
# A has 10.0.1.2 and fd01::2, R is the router with one nvi device, B has 10.0.2.2 and fd02::2.
#
#   A a0 ---- eth0 R eth1 ---- b0 B
#                nvi0

number=0

# check NAME COMMAND...: a test is a command that succeeds.
check() {
    number=$((number + 1))
    name=$1
    shift
    if "$@" >/tmp/out 2>&1; then
        echo "ok $number - $FILE: $name"
    else
        echo "not ok $number - $FILE: $name ($*)"
        sed 's/^/#   /' /tmp/out
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $FILE: $1 # SKIP $2"
}

fails() { ! "$@"; }

# within TRIES COMMAND...: polled, ten times a second.
within() {
    tries=$1
    shift
    until "$@" >/tmp/last 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            cat /tmp/last
            return 1
        fi
        sleep 0.1
    done
}

R() { ip netns exec R "$@"; }
A() { ip netns exec A "$@"; }
B() { ip netns exec B "$@"; }

equals() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
above() { [ "$1" -gt "$2" ] || { echo "'$1' is not above $2"; return 1; }; }

ifindex() { R cat "/sys/class/net/$1/ifindex"; }
get() { R cat "/sys/class/net/nvi0/nvi/$1"; }
put() { R sh -c "echo '$2' > /sys/class/net/nvi0/nvi/$1"; }
statistic() { R cat "/sys/class/net/nvi0/statistics/$1"; }

reaches() { ip netns exec "$1" ping -q -c 1 -W 2 "$2"; }
reaches_soon() { within 20 ip netns exec "$1" ping -q -c 1 -W 1 "$2"; }

load_module() { lsmod | grep -q '^nvi ' || insmod /nvi.ko; }

clean() {
    for ns in $(ip netns list | cut -d' ' -f1); do
        ip netns pids "$ns" | xargs -r kill -9
        ip netns del "$ns"
    done
    rmmod nvi 2>/dev/null
    return 0
}

namespaces() {
    for ns in "$@"; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
    done
}

# cable HOST DEVICE NIC SUBNET: the host gets .2, the router's NIC gets .1
cable() {
    ip link add "$2" netns "$1" type veth peer name "$3" netns R
    ip -n "$1" addr add "10.0.$4.2/24" dev "$2"
    ip -n "$1" addr add "fd0$4::2/64" dev "$2" nodad
    ip -n "$1" link set "$2" up
    ip -n "$1" route add default via "10.0.$4.1"
    ip -n "$1" route add default via "fd0$4::1"
    router_address "$3" "$4"
}

router_address() {
    ip -n R addr add "10.0.$2.1/24" dev "$1"
    ip -n R addr add "fd0$2::1/64" dev "$1" nodad
    ip -n R link set "$1" up
    R sysctl -qw "net.ipv4.conf.$1.accept_local=1" "net.ipv4.conf.$1.rp_filter=0"
}

router() {
    namespaces A R B
    R sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0
    cable A a0 eth0 1
    cable B b0 eth1 2
}

# enter NIC [PRIORITY]: packets of the NIC take stage 1, by a rule of this priority, and stage 2 when they come back.
enter() {
    for family in -4 -6; do
        ip -n R $family rule add pref 10 iif "$1" tun_id 78 lookup main
        ip -n R $family rule add pref "${2:-20}" iif "$1" lookup 100
    done
}

stage_one() {
    ip -n R link add nvi0 type nvi
    ip -n R link set nvi0 up
    for family in -4 -6; do
        ip -n R $family route replace default dev nvi0 table 100
        ip -n R $family route replace unreachable default metric 4294967295 table 100
    done
}

# rule_of TABLE HOOK PRIORITY RULE: a table with one rule
rule_of() {
    R nft delete table inet "$1" 2>/dev/null
    R nft -f - <<NFT
table inet $1 {
    chain $1 {
        type filter hook $2 priority $3;
        $4
    }
}
NFT
}

# Sources in A's subnet become the router's own address on B's side; counters tell what stage 2 saw.
nat() {
    R nft -f - <<NFT
table inet nvi {
    counter untracked { }
    counter tracked { }
    counter big { }
    chain nat {
        type nat hook postrouting priority 100;
        oifname "nvi0" ip saddr 10.0.1.0/24 snat ip to 10.0.2.1
        oifname "nvi0" ip6 saddr fd01::/64 snat ip6 to fd02::1
    }
    chain ports {
        type nat hook prerouting priority -100;
        ip daddr 10.0.2.1 tcp dport 80 dnat ip to 10.0.1.2
        ip6 daddr fd02::1 tcp dport 80 dnat ip6 to fd01::2
    }
    chain forward {
        type filter hook forward priority 0;
        oifname { "eth0", "eth1" } ct state untracked counter name untracked
        oifname { "eth0", "eth1" } ct state != untracked counter name tracked
        oifname { "eth0", "eth1" } meta length > 3000 counter name big
    }
}
NFT
}

counter() { R nft list counter inet nvi "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }

two_stages() {
    load_module
    router
    stage_one
    nat
    enter eth0
    enter eth1
}
