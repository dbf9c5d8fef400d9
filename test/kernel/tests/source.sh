# shellcheck shell=sh
# Where the ingress NIC of a packet is known from: the packet, the connection, the user's mark.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

two_stages
eth0=$(ifindex eth0)

ctmark() { R conntrack -L -p icmp 2>/dev/null | sed -n 's/.*mark=\([0-9]*\).*/\1/p' | head -1; }
fresh() { R conntrack -F 2>/dev/null; reaches_soon A 10.0.2.2; }
mark_rule() { rule_of user postrouting 400 "$1"; }

# The user's own mark is overwritten in the mask, and only there.
mark_rule 'meta mark set 0xdeadbeef'
R nft add table inet seen
R nft add chain inet seen forward '{ type filter hook forward priority 0; }'
R nft add rule inet seen forward ct state untracked meta mark "$(printf '0x%x' $((0x80000000 | eth0)))" counter
seen() { R nft list chain inet seen forward | grep -q 'packets [1-9]'; }
check "packet: any mark of the user is no obstacle" reaches_soon A 10.0.2.2
check "packet: bit 31 stays the user's" seen
put mark_mask 0x00ff0000
check "packet: with a mask in the middle" reaches_soon A 10.0.2.2
put mark_mask 0x1
check "packet: a number that does not fit is no NIC" fails reaches A 10.0.2.2
put mark_mask 0x7fffffff

put ingress mark
check "mark: a wrong mark is no NIC" fails reaches A 10.0.2.2
mark_rule "meta mark set meta iifname map { \"eth0\" : $eth0, \"eth1\" : $(ifindex eth1) }"
check "mark: a right one is" reaches_soon A 10.0.2.2
check "mark: IPv6" reaches_soon A fd02::2
# The marks of stage 1 are still there when the packet returns, and a packet may be untracked in stage 1 as well.
rule_of plain prerouting -300 "meta mark set meta iifname map { \"eth0\" : $eth0, \"eth1\" : $(ifindex eth1) } ip daddr 10.0.2.99 notrack"
ip -n B addr add 10.0.2.99/32 dev b0
loops=$(get drop_loop)
put ingress packet
R nft delete table inet user
check "packet: untracked in stage 1, its mark already the NIC's number" reaches_soon A 10.0.2.99
check "packet: that is no loop" equals "$(get drop_loop)" "$loops"
R nft delete table inet plain

put ingress connection
check "connection: works" fresh
check "connection: the NIC is in the connection's mark" equals "$(ctmark)" "$eth0"
check "connection: IPv6" reaches_soon A fd02::2
put ctmark_mask 0x0000ff00
check "connection: in other bits" fresh
check "connection: shifted" equals "$(ctmark)" $((eth0 << 8))
R nft add rule inet nvi ports ct mark set ct mark or 0x5
check "connection: the user's bits" fresh
check "connection: live beside it" equals "$(ctmark)" $((eth0 << 8 | 5))
full=$(get ctmark_full)
put ctmark_mask 0x1
R nft flush chain inet nvi ports
check "connection: a number that does not fit" fresh
check "connection: is counted" above "$(get ctmark_full)" "$full"
put ctmark_mask 0x7fffffff

# Replies come back as received on the connection's NIC: stage 2 can tell whom they belong to.
R conntrack -F 2>/dev/null
ip -n R rule add pref 4 iif eth0 tun_id 78 to 10.0.1.0/24 lookup 300
ip -n R route add 10.0.1.0/24 dev eth0 table 300
ip -n R rule add pref 5 iif eth1 tun_id 78 unreachable
check "connection: replies return on the connection's NIC" reaches_soon A 10.0.2.2
put ingress packet
check "packet: they return on their own" fails reaches A 10.0.2.2
ip -n R rule del pref 5
ip -n R rule del pref 4

# A connection is not taken over by the first packet that happens to be a reply.
R conntrack -F 2>/dev/null
put ingress packet
reaches_soon A 10.0.2.2 >/dev/null
check "packet: nothing is stored" equals "$(ctmark)" 0

# Stage 1 sets the priority after IPv4's forwarding did; stage 2 forwards once more.
put ingress packet
rule_of user postrouting 400 'oifname "nvi0" meta priority set 1:42'
R nft -f - <<NFT
table inet user {
    counter kept { }
    chain late {
        type filter hook postrouting priority 500;
        oifname "eth1" ct state untracked meta priority 1:42 counter name kept
    }
}
NFT
kept() { above "$(R nft list counter inet user kept | sed -n 's/.*packets \([0-9]*\).*/\1/p')" "$1"; }
check "priority: through stage 2, IPv6" reaches_soon A fd02::2
check "priority: kept by IPv6" kept 0
R nft reset counter inet user kept >/dev/null
check "priority: through stage 2, IPv4" reaches_soon A 10.0.2.2
check "priority: set anew by IPv4" fails kept 0
R sysctl -qw net.ipv4.ip_forward_update_priority=0
check "priority: through stage 2, IPv4, not set anew" reaches_soon A 10.0.2.2
check "priority: kept by IPv4" kept 0
R sysctl -qw net.ipv4.ip_forward_update_priority=1
