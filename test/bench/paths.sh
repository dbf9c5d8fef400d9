#!/bin/sh
# Builds the path of each variant, proves that it does what it claims, and measures all of them in turn.
#
#   paths.sh FILES REPETITIONS PACKETS VARIANT...
#
# FILES has udp-flood, nvi.sh and what the product makes, rules.manifest and module.manifest. $TCP is how long iperf3 sends
# (-t 2, -n 50M), $CLOCK what udp-flood reads (empty, or tsc). A result is a line `= VARIANT METRIC VALUE`:
#
#   udp    what a packet of 64 bytes took: nanoseconds, or ticks
#   lost   how many of these packets did not arrive as they should
#   tcp    bulk transfer, bit/s as received
#
# It runs where nothing else is: in mount and process namespaces of its own, or in a machine of its own.
#
#   direct         A 10.0.0.5 ─── B, which is 192.0.2.10
#   forward        A ─── 10.0.0.1 lan0 R isp1 198.51.100.2 ─── 198.51.100.1 B
#   nat            as before; R translates 10.0.0.0/24 to 198.51.100.2, and passes its port 8080 on to A
#   double         A ─── R ─── 10.9.0.0/30 ─── S ─── B, where R and S each translate, both ways
#   rules module   as nat, but R is a two-stage NAT router that the product made
set -eu
files=$1
repetitions=$2
packets=$3
shift 3

WARM_UP=640 # as in udp-flood.c
TARGET=192.0.2.10
OUTSIDE=198.51.100.2

# In a node, which is a network namespace.
at() { ip netns exec "$@"; }

node() { # NAME
	ip netns add "$1"
	ip -n "$1" link set lo up
	# What systemd sets on every NIC. A new namespace has the values of the one that it is made in.
	at "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=2 net.ipv4.ip_forward=0 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=0
}

cable() { # NODE NIC ADDRESS NODE NIC ADDRESS
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
	ip -n "$1" address add "$3" dev "$2"
	ip -n "$4" address add "$6" dev "$5"
	ip -n "$1" link set "$2" up
	ip -n "$4" link set "$5" up
}

far_end() { # VARIANT SOURCE: B drops and counts what arrives, apart from that with another source
	ip -n "$1-B" address add "$TARGET/32" dev lo
	at "$1-B" nft -f - <<-END
		table ip far {
			counter arrived { }
			counter other { }
			chain in {
				type filter hook prerouting priority raw
				udp dport 9 ip saddr $2 counter name arrived drop
				udp dport 9 counter name other drop
			}
		}
	END
	at "$1-B" iperf3 -s -D
}

inside() { # VARIANT: from A to R
	for name in A B R; do node "$1-$name"; done
	cable "$1-A" eth0 10.0.0.5/24 "$1-R" lan0 10.0.0.1/24
	ip -n "$1-A" route add default via 10.0.0.1
	at "$1-R" sysctl -qw net.ipv4.ip_forward=1
}

uplink() { # VARIANT ROUTER: to B
	cable "$1-$2" isp1 $OUTSIDE/28 "$1-B" eth0 198.51.100.1/28
	ip -n "$1-$2" route add default via 198.51.100.1
	ip -n "$1-B" route add default via $OUTSIDE
}

translate() { # NODE PREFIX ADDRESS SERVER
	at "$1" nft -f - <<-END
		table inet nat {
			chain dstnat {
				type nat hook prerouting priority dstnat
				iifname "isp1" ip daddr $3 tcp dport 8080 dnat ip to $4
			}
			chain srcnat {
				type nat hook postrouting priority srcnat
				oifname "isp1" ip saddr $2 snat ip to $3
			}
		}
	END
}

# The router's own script makes what the manifest lists, as it does when the router starts.
product() { # VARIANT
	mkdir -p /etc/nvi
	at "$1-R" sh -euc '
		mount -t tmpfs tmpfs /etc/nvi
		mkdir -p /etc/nvi/objects/two-stage-nat.main
		cp "$1/$2.manifest" /etc/nvi/objects/two-stage-nat.main/manifest
		sh "$1/nvi.sh" restore early' sh "$files" "$1"
}

build() { # VARIANT
	case $1 in
	direct)
		node "$1-A"
		node "$1-B"
		cable "$1-A" eth0 10.0.0.5/24 "$1-B" eth0 10.0.0.1/24
		ip -n "$1-A" route add default via 10.0.0.1
		far_end "$1" 10.0.0.5
		;;
	forward)
		inside "$1"
		uplink "$1" R
		far_end "$1" 10.0.0.5
		;;
	nat)
		inside "$1"
		uplink "$1" R
		far_end "$1" $OUTSIDE
		translate "$1-R" 10.0.0.0/24 $OUTSIDE 10.0.0.5
		;;
	double)
		inside "$1"
		node "$1-S"
		cable "$1-R" isp1 10.9.0.2/30 "$1-S" lan0 10.9.0.1/30
		ip -n "$1-R" route add default via 10.9.0.1
		at "$1-S" sysctl -qw net.ipv4.ip_forward=1
		uplink "$1" S
		far_end "$1" $OUTSIDE
		translate "$1-R" 10.0.0.0/24 10.9.0.2 10.0.0.5
		translate "$1-S" 10.9.0.0/30 $OUTSIDE 10.9.0.2
		;;
	rules | module)
		inside "$1"
		uplink "$1" R
		far_end "$1" $OUTSIDE
		product "$1"
		;;
	*)
		fail "$1" "is no variant"
		;;
	esac
}

fail() { # VARIANT REASON
	echo "! $1: $2" >&2
	exit 1
}

within() { # TENTHS COMMAND...: until it succeeds
	left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.1
	done
}

counter() { # NODE TABLE NAME: packets
	at "$1" nft list counter $2 "$3" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

arrived() { counter "$1-B" "ip far" arrived; }

arrived_all() { [ "$(arrived "$1")" -ge "$2" ]; }

flood() { # VARIANT PACKETS: what one of them took
	at "$1-A" taskset 1 "$files/udp-flood" $TARGET "$2" ${CLOCK:-}
}

# Packets that cross a router as part of a connection, and those that come out of the NVI without any.
watch() { # NODE NVI
	at "$1" nft -f - <<-END
		table inet watch {
			counter tracked { }
			counter untracked { }
			chain forward {
				type filter hook forward priority 0
				udp dport 9 iifname "$2" ct state untracked counter name untracked
				udp dport 9 ct state != untracked counter name tracked
			}
		}
	END
}

watched() { # NODE TRACKED UNTRACKED
	found="$(counter "$1" "inet watch" tracked) $(counter "$1" "inet watch" untracked)"
	at "$1" nft delete table inet watch
	[ "$found" = "$2 $3" ] || fail "$1" "saw tracked and untracked packets: $found, not $2 $3"
}

device_is() { # NODE NIC KIND
	ip -n "$1" -d link show dev "$2" | grep -q "^ *$3 " || fail "$1" "$2 is no device of kind $3"
}

prove() { # VARIANT
	within 50 at "$1-A" ping -c 1 -W 1 $TARGET || fail "$1" "A does not reach B"
	case $1 in
	nat) watch "$1-R" none ;;
	double)
		watch "$1-R" none
		watch "$1-S" none
		;;
	rules)
		device_is "$1-R" nvi0 veth
		watch "$1-R" nvi0p
		;;
	module)
		device_is "$1-R" nvi0 nvi
		watch "$1-R" nvi0
		;;
	esac
	sent=$((WARM_UP + 1000))
	flood "$1" 1000 >/dev/null
	within 20 arrived_all "$1" $sent || fail "$1" "of $sent packets only $(arrived "$1") arrived with the right source, $(counter "$1-B" "ip far" other) with another one"
	case $1 in
	nat) watched "$1-R" $sent 0 ;;
	double)
		watched "$1-R" $sent 0
		watched "$1-S" $sent 0
		;;
	rules | module) watched "$1-R" $sent $sent ;;
	esac
	case $1 in
	direct | forward) ;;
	*)
		at "$1-A" iperf3 -s -p 8080 -D
		within 50 at "$1-B" iperf3 -c $OUTSIDE -p 8080 -n 100K || fail "$1" "port 8080 is not passed on to A"
		;;
	esac
	echo "$1: proven"
}

measure_udp() { # VARIANT
	before=$(arrived "$1")
	took=$(flood "$1" "$packets")
	wanted=$((before + WARM_UP + packets))
	within 20 arrived_all "$1" $wanted || :
	echo "= $1 udp $took"
	echo "= $1 lost $((wanted - $(arrived "$1")))"
}

# The sender on the first processor, the receiver on the last one.
measure_tcp() { # VARIANT
	report=$(at "$1-A" iperf3 -c $TARGET -A "0,$(($(nproc) - 1))" -J ${TCP:--t 1}) || fail "$1" "$report"
	echo "= $1 tcp $(echo "$report" | sed -n '/"sum_received"/,/}/s/.*"bits_per_second":[^0-9]*\([0-9.e+]*\).*/\1/p')"
}

for variant; do build "$variant"; done
for variant; do prove "$variant"; done
repetition=1
while [ "$repetition" -le "$repetitions" ]; do
	for variant; do measure_udp "$variant"; done
	for variant; do measure_tcp "$variant"; done
	repetition=$((repetition + 1))
done
echo "# done"
