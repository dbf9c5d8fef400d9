# --- observe

facts() {
	printf 'kernel\t%s\n' "$(uname -r)"
	printf 'architecture\t%s\n' "$(uname -m)"
	printf 'os\t%s\n' "$(. /etc/os-release 2>/dev/null && printf %s "${PRETTY_NAME:-}")"
	for tool in nft ip unshare flock sha256sum mktemp head tail; do
		printf 'tool %s\t' "$tool"
		command -v $tool || echo
	done
	printf 'nft\t%s\n' "$(bounded nft --version 2>&1)"
	printf 'iproute2\t%s\n' "$(bounded ip -V 2>&1)"
	printf 'ipv6\t%s\n' "$(yes_if has_ipv6)"
	printf 'init\t%s\n' "$(init)"
	printf 'generation\t%s\n' "$(cat "$ETC/generation" 2>/dev/null || echo 0)"
	printf 'turn\t%s\n' "$(turn)"
	printf 'installed\t%s\n' "$([ -d "$ETC" ] && echo yes || echo no)"
	for unit in systemd-networkd NetworkManager firewalld ufw docker; do
		is_running "$unit" && printf 'manager\t%s\n' "$unit"
	done
	return 0
}

# The link that systemd keeps for a running unit leads nowhere: its target is the invocation's id.
is_running() { [ -L "/run/systemd/units/invocation:$1.service" ]; }

# What networkd goes by, in the order of networkd.conf(5): the first main file; then the drop-ins by name, of those of one
# name the first. Each file begins outside of any section.
networkd_settings() {
	is_running systemd-networkd || return 0
	set -- /etc/systemd /run/systemd /usr/local/lib/systemd /usr/lib/systemd /lib/systemd
	first_of networkd.conf "$@" || return
	for folder; do
		for file in "$folder"/networkd.conf.d/*.conf; do [ ! -e "$file" ] || echo "${file##*/}"; done
	done | sort -u >"$work/names"
	while read -r name; do
		first_of "networkd.conf.d/$name" "$@" || return
	done <"$work/names"
}

first_of() { # PATH FOLDER...
	path=$1
	shift
	for folder; do
		[ -e "$folder/$path" ] || continue
		printf '[]\n' && cat "$folder/$path" && echo
		return
	done
}

# Not where the kernel was started with ipv6.disable=1.
has_ipv6() { [ -e /proc/net/if_inet6 ]; }

# What ip has to say of IPv6, in JSON: without it, it fails.
ip6() {
	if has_ipv6; then bounded ip -N -j -6 "$@"; else echo '[]'; fi
}

yes_if() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }

# What the files hold that `requests` names; what doesn't exist isn't told.
requested() { # KIND ROOT
	while IFS="$TAB" read -r what path; do
		[ "$what" = "$1" ] && [ -e "$2/$path" ] || continue
		value=$(cat "$2/$path") || return
		printf '%s\t%s\n' "$path" "$value"
	done <"$work/requests"
}

objects() {
	for folder in "$ETC"/objects/*; do
		for file in manifest pending; do
			[ -e "$folder/$file" ] || continue
			printf '%s\t%s\t' "$file" "${folder##*/}"
			# What follows is for `restore`.
			head -n 1 "$folder/$file" || return
			printf '\n'
		done
	done
}

sysctls() {
	requested sysctl /proc/sys || return
	# What the kernel changes by itself when forwarding is switched. One process for all: a router may have hundreds of NICs,
	# and some may go while it looks.
	grep -sH '' /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/all/accept_redirects \
		/proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra | sed "s|^/proc/sys/||; s/:/$TAB/"
	return 0
}

# Tables whose chains can stop what the NVI forwards, or translate what enters it.
filter_tables() {
	bounded nft list chains >"$work/chains" || return
	case $(tail -n 1 "$work/chains") in
	'' | '}') ;;
	*) echo 'its listing ends in the middle' >&2 && return 1 ;;
	esac
	awk '/^table /{table=$2 " " $3} /type (filter hook (forward|prerouting)|nat hook postrouting)/{print table}' "$work/chains" | sort -u
}

# What nft doesn't list: the filter table of the older kernel interface, after a line with the command that made it. To ask
# for a table that isn't there would make one.
legacy_filter() { # iptables|ip6tables
	grep -qsx filter "/proc/net/${1%tables}_tables_names" || return 0
	for tool in "$1-legacy" "$1"; do
		command -v "$tool-save" >/dev/null || continue
		case $(bounded "$tool-save" -V) in *nf_tables*) continue ;; esac
		echo "$tool"
		bounded "$tool-save" -t filter
		return
	done
	echo none
}

# How this router's own nft lists the wanted table: loaded in a network namespace of its own, it touches nothing.
canonical() { # NAME FILE
	bounded unshare -n sh -c 'nft -f "$2" && exec nft -a -s list table inet "$1"' sh "$1" "$2"
}

observe() {
	count=0
	sections=
	section_files=
	section facts facts
	section objects objects
	section links bounded ip -j -d link show
	section addresses bounded ip -N -j address show
	section rules4 bounded ip -N -j -4 rule show
	section rules6 ip6 rule show
	section ra ip6 route show table all proto 9
	section neighbours bounded ip -N -j neighbour show proxy
	section sysctls sysctls
	section settings requested setting /sys
	section module module_facts
	section boot boot_state
	section networkd networkd_settings
	section tables bounded nft list tables
	while IFS="$TAB" read -r what name file; do
		case $what in
		route)
			section "route4/$name" bounded ip -N -j -4 route show table "$name"
			section "route6/$name" ip6 route show table "$name"
			;;
		default)
			section "default4/$name" bounded ip -N -j -4 route show table "$name" exact default
			section "default6/$name" ip6 route show table "$name" exact default
			;;
		nft)
			section "nft/$name" bounded nft -a -s list table inet "$name"
			[ "$file" = - ] || section "canonical/$name" canonical "$name" "$work/$file"
			;;
		forward)
			section forward filter_tables
			cp "$section_out" "$work/forward"
			section legacy/iptables legacy_filter iptables
			section legacy/ip6tables legacy_filter ip6tables
			while read -r family table; do
				section "foreign/$family/$table" bounded nft -s list table "$family" "$table"
			done <"$work/forward"
			;;
		esac
	done <"$work/requests"
	say_sections
}
