# shellcheck shell=sh
# Ingress NICs of every kind: VLAN, bridge, bond, VRF, IP in IP, WireGuard, tun, PPP.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
ip -n R addr flush dev eth0
ip -n A addr flush dev a0

# end HOST DEVICE SUBNET: A's end of a NIC of the router
end() {
    ip -n A addr add "10.0.$2.2/24" dev "$1"
    ip -n A addr add "fd0$2::2/64" dev "$1" nodad
    ip -n A link set "$1" up
    ip -n A route replace 10.0.2.0/24 via "10.0.$2.1" dev "$1"
    ip -n A route replace fd02::/64 via "fd0$2::1" dev "$1"
}

# passes KIND NIC SUBNET [PORT]: both families, then a bulk transfer. Without a port the NIC has the address itself.
passes() {
    router_address "${4:-$2}" "$3"
    enter "$2" ${4:+1010}
    [ $# = 3 ] || enter "$4" 1010
    R nft add rule inet nvi nat oifname nvi0 ip saddr "10.0.$3.0/24" snat ip to 10.0.2.1
    R nft add rule inet nvi nat oifname nvi0 ip6 saddr "fd0$3::/64" snat ip6 to fd02::1
    sent=$(statistic tx_packets)
    check "$1: IPv4" reaches_soon A 10.0.2.2
    check "$1: IPv6" reaches_soon A fd02::2
    check "$1: TCP" A timeout 120 iperf3 -c 10.0.2.2 -n 1M
    check "$1: TCP, IPv6" A timeout 120 iperf3 -c fd02::2 -n 1M
    check "$1: through the nvi" above "$(statistic tx_packets)" $((sent + 10))
    check "$1: untracked in stage 2" equals "$(counter tracked)" 0
}
B iperf3 -s -D

ip -n A link set a0 up
ip -n A link add link a0 name vlan5 type vlan id 5
ip -n R link add link eth0 name eth0.5 type vlan id 5
end vlan5 3
passes "VLAN" eth0.5 3
ip -n A link del vlan5
ip -n R link del eth0.5

ip link add p0 netns A type veth peer name port0 netns R
ip -n R link add br0 type bridge
ip -n R link set port0 master br0 up
end p0 4
passes "bridge" br0 4
ip -n A link set p0 down

ip link add q0 netns A type veth peer name slave0 netns R
ip -n R link add bond0 type bond mode active-backup miimon 100
ip -n R link set slave0 master bond0
ip -n A link set q0 up
end q0 5
passes "bond" bond0 5
ip -n A link set q0 down

# Packets come back on the VRF. In stage 1, IPv4's rules see the port on some kernels and the VRF on others, IPv6's the VRF.
# They come after the kernel's own rule for VRFs (1000): its addresses are in its table, and else nobody would answer ARP for
# them. The way back is in the VRF's table.
ip link add v0 netns A type veth peer name port1 netns R
if ip -n R link add vrf0 type vrf table 400; then
    ip -n R link set vrf0 up
    R sysctl -qw net.ipv4.conf.vrf0.accept_local=1 net.ipv4.conf.vrf0.rp_filter=0
    ip -n R link set port1 master vrf0
    ip -n R -4 rule add pref 5 iif eth1 tun_id 78 to 10.0.9.0/24 lookup 400
    ip -n R -6 rule add pref 5 iif eth1 tun_id 78 to fd09::/64 lookup 400
    end v0 9
    passes "VRF" vrf0 9 port1
else
    skip "VRF" "not in this kernel"
fi
ip -n A link del v0

ip -n A addr add 10.0.1.2/24 dev a0
ip -n R addr add 10.0.1.1/24 dev eth0
if ip -n R link add ipip0 type ipip local 10.0.1.1 remote 10.0.1.2 && ip -n A link add ipip0 type ipip local 10.0.1.2 remote 10.0.1.1; then
    ip -n A addr add 10.0.6.2/24 dev ipip0
    ip -n A link set ipip0 up
    ip -n A route replace 10.0.2.0/24 dev ipip0
    router_address ipip0 6
    enter ipip0
    R nft add rule inet nvi nat oifname nvi0 ip saddr 10.0.6.0/24 snat ip to 10.0.2.1
    check "IP in IP: IPv4" reaches_soon A 10.0.2.2
    check "IP in IP: TCP" A timeout 120 iperf3 -c 10.0.2.2 -n 1M
    ip -n A link del ipip0
else
    skip "IP in IP" "not in this kernel"
fi

if ip -n R link add wg0 type wireguard && ip -n A link add wg0 type wireguard; then
    for ns in R A; do
        wg genkey > /tmp/key.$ns
        wg pubkey < /tmp/key.$ns > /tmp/pub.$ns
    done
    R wg set wg0 private-key /tmp/key.R listen-port 51820 peer "$(cat /tmp/pub.A)" allowed-ips 10.0.7.0/24,fd07::/64
    A wg set wg0 private-key /tmp/key.A peer "$(cat /tmp/pub.R)" endpoint 10.0.1.1:51820 allowed-ips 0.0.0.0/0,::/0
    end wg0 7
    passes "WireGuard" wg0 7
else
    skip "WireGuard" "not in this kernel"
fi

# Not UDP4, which ends when the other end is not there yet.
R socat UDP4-DATAGRAM:10.0.1.2:9000,bind=10.0.1.1:9000 TUN,tun-name=tun0,iff-no-pi,iff-up 2>/tmp/socat.R &
A socat UDP4-DATAGRAM:10.0.1.1:9000,bind=10.0.1.2:9000 TUN,tun-name=tun0,iff-no-pi,iff-up 2>/tmp/socat.A &
if within 50 ip -n A link show tun0 >/dev/null && within 50 ip -n R link show tun0 >/dev/null; then
    end tun0 8
    ip -n A -4 route replace 10.0.2.0/24 dev tun0
    ip -n A -6 route replace fd02::/64 dev tun0
    passes "tun" tun0 8
else
    skip "tun" "$(cat /tmp/socat.*)"
fi
if [ -c /dev/ppp ]; then
    R pppd nodetach nolock noauth local +ipv6 10.0.3.1:10.0.3.2 pty \
        'ip netns exec A pppd notty nodetach nolock noauth local +ipv6' >/tmp/ppp 2>&1 &
    # Ready when the peer has an address.
    if within 100 sh -c 'ip -n A -4 addr show dev ppp0 | grep inet && ip -n R -4 addr show dev ppp0 | grep inet'; then
        end ppp0 3
        ip -n A -4 route replace 10.0.2.0/24 dev ppp0
        ip -n A -6 route replace fd02::/64 dev ppp0
        passes "PPP" ppp0 3
    else
        check "PPP: a link" fails cat /tmp/ppp /tmp/last
    fi
else
    skip "PPP" "not in this kernel"
fi
