#!/bin/sh
# The router's side of pulumi-nvi. It observes and it applies; what to apply was decided elsewhere, and
# arrives as data: a bundle of files, of which `steps` lists commands as words separated by tabs. Nothing
# that arrives is ever evaluated by a shell. POSIX sh; dash and busybox ash both run it, by name: nothing under /run may be
# executed where initramfs-tools has mounted it, as Debian does.
#
#   observe SHA256        < bundle    what `requests` asks for
#   apply TX SHA256       < bundle    a transaction: all of it, or none of it
#   confirm TX                        keep it: whoever says so has reached the router anew
#   abort TX                          undo it now
#   result TX                         what became of a transaction whose connection was lost
#   clean                             remove what is left when no object is
#   restore early|late [detached]     after a restart: all that it took, or only what needs a NIC
#   nic NAME                          something has become of a NIC: what needs one, in the background
#
# An answer is made of blocks: a line `@ NAME EXIT STDOUT-BYTES STDERR-BYTES` for each section, an empty line, those bytes in
# the same order, a newline. Only an answer that closes with `@ end 0 0 0` is whole.
set -u
umask 077
export LC_ALL=C PATH="${PATH:-}:/usr/sbin:/usr/bin:/sbin:/bin"

ETC=/etc/nvi
RUN=/run/nvi
UNITS=/etc/systemd/system
# Of sysexits.h.
EX_IOERR=74
TAB=$(printf '\t')

say() { # NAME EXIT TEXT
	printf '@ %s %s %s 0\n\n%s\n' "$1" "$2" "${#3}" "$3"
}

say_file() { # NAME EXIT STDOUT-FILE STDERR-FILE
	printf '@ %s %s %s %s\n\n' "$1" "$2" "$(($(wc -c <"$3")))" "$(($(wc -c <"$4")))"
	cat "$3" "$4"
	printf '\n'
}

# What these gather, `say_sections` says. Processes are what an answer costs, and this way two will do for the bytes of them all.
section() { # NAME COMMAND...
	section_name=$1
	shift
	count=$((count + 1))
	section_out=$work/out.$count
	"$@" >"$section_out" 2>"$work/err.$count" </dev/null
	section_status=$?
	# What a tool could not write for want of space it may well call a success.
	if echo room >"$work/room" 2>/dev/null; then
		: >"$work/room"
		sections="$sections $section_name:$section_status"
		section_files="$section_files out.$count err.$count"
	else
		rm -f "$work/room" "$section_out" "$work/err.$count"
		say "$section_name" $EX_IOERR "No space left for its answer in $work"
	fi
}

say_sections() {
	cd "$work" || return
	set -f
	# shellcheck disable=SC2086 # none of these has a space
	wc -c $section_files | for one in $sections; do
		read -r out_bytes _ && read -r err_bytes _ || exit
		echo "@ ${one%:*} ${one##*:} $out_bytes $err_bytes"
	done
	echo
	# shellcheck disable=SC2086
	cat $section_files
	echo
	set +f
}

end() {
	say end 0 ''
	exit 0
}

# A tool that hangs must not hold the lock for ever.
bounded() { limited 60 "$@"; }

limited() { # SECONDS COMMAND...
	if [ -n "$timeout" ]; then $timeout "$@"; else shift && "$@"; fi
}

new_work() {
	mkdir -p "$RUN" && work=$(mktemp -d "$RUN/work.XXXXXX") || {
		say storage 1 "cannot write to $RUN"
		end
	}
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM PIPE
}

# --- bundles: lines `NAME BYTES`, an empty line, then the files' bytes one after the other

receive() { # SHA256 DIRECTORY
	cat >"$2/bundle" 2>/dev/null
	if [ "$(sha256sum <"$2/bundle" | cut -d' ' -f1)" != "$1" ]; then
		# A short file means a full disk here, or a cut connection; the free space tells which.
		say storage 1 "the upload did not arrive whole: $(($(wc -c <"$2/bundle"))) bytes in $2; $(df -k "$2" 2>/dev/null | tail -n 1)"
		# Whoever asks for this transaction later must learn that it never began.
		rm -rf "$2"
		end
	fi
	offset=0
	while IFS= read -r line; do
		offset=$((offset + ${#line} + 1))
		[ -n "$line" ] || break
	done <"$2/bundle"
	while IFS=' ' read -r name bytes; do
		[ -n "$name" ] || break
		tail -c +"$((offset + 1))" "$2/bundle" | head -c "$bytes" >"$2/$name" || {
			say storage 1 "cannot unpack $name in $2"
			end
		}
		offset=$((offset + bytes))
	done <"$2/bundle"
}

# --- observe

facts() {
	printf 'kernel\t%s\n' "$(uname -r)"
	printf 'architecture\t%s\n' "$(uname -m)"
	printf 'os\t%s\n' "$(. /etc/os-release 2>/dev/null && printf %s "${PRETTY_NAME:-}")"
	printf 'machine\t%s\n' "$(sha256sum </etc/machine-id 2>/dev/null | cut -c1-16)"
	for tool in nft ip unshare flock sha256sum mktemp head tail; do
		printf 'tool %s\t' "$tool"
		command -v $tool || echo
	done
	printf 'nft\t%s\n' "$(bounded nft --version 2>&1)"
	printf 'iproute2\t%s\n' "$(bounded ip -V 2>&1)"
	printf 'ipv6\t%s\n' "$(yes_if has_ipv6)"
	printf 'init\t%s\n' "$(init)"
	printf 'generation\t%s\n' "$(cat "$ETC/generation" 2>/dev/null || echo 0)"
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

# What there is of the kernel module, and what building one would need.
module_facts() {
	release=$(uname -r)
	printf 'loaded\t%s\n' "$(cat /sys/module/nvi/version 2>/dev/null)"
	version=$(modinfo -F version nvi 2>/dev/null)
	printf 'installed\t%s\n' "$version"
	[ -z "$version" ] || printf 'way\t%s\n' "$(module_way "$version")"
	while IFS="$TAB" read -r what path; do
		[ "$what" = kernel ] && [ -d "/lib/modules/$path" ] || continue
		printf 'kernel\t%s\n' "$path $(version_of "$(prebuilt_file "$path")")"
	done <"$work/requests"
	printf 'loadable\t%s\n' "$(yes_if test -e /proc/modules)"
	printf 'signed\t%s\n' "$(yes_if grep -qs -e '^Y' -e '\[integrity\]' -e '\[confidentiality\]' \
		/sys/module/module/parameters/sig_enforce /sys/kernel/security/lockdown)"
	printf 'key\t%s\n' "$(yes_if dkms_key_is_enrolled)"
	for tool in dkms make gcc; do printf 'tool\t%s\n' "$(command -v "$tool" >/dev/null && echo "$tool")"; done
	printf 'headers\t%s\n' "$(yes_if test -e "/lib/modules/$release/build/Makefile")"
	printf 'apt\t%s\n' "$(yes_if command -v apt-get)"
	return 0
}

# By what way the module came that modprobe would load. Some distributions' DKMS installs to where ours would be, too.
module_way() { # VERSION
	if [ "$(modinfo -n nvi)" != "$(prebuilt_file "$release")" ] || dkms_has_installed "$1" "$release"; then echo dkms; else echo prebuilt; fi
}

prebuilt_file() { # RELEASE
	echo "/lib/modules/$1/updates/nvi.ko"
}

version_of() { # FILE
	modinfo -F version "$1" 2>/dev/null
}

dkms_has_installed() { # VERSION RELEASE
	[ -e "/var/lib/dkms/nvi/$1/$2" ] && dkms status -m nvi -v "$1" -k "$2" | grep -q ': installed'
}

# mokutil's exit status has told different things over time.
dkms_key_is_enrolled() {
	for key in /var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der; do
		[ -e "$key" ] && mokutil --test-key "$key" | grep 'already enrolled' && return
	done
	return 1
}

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

# Tables whose chains can stop what the NVI forwards.
filter_tables() {
	bounded nft list chains >"$work/chains" || return
	case $(tail -n 1 "$work/chains") in
	'' | '}') ;;
	*) echo 'its listing ends in the middle' >&2 && return 1 ;;
	esac
	awk '/^table /{table=$2 " " $3} /type filter hook (forward|prerouting)/{print table}' "$work/chains" | sort -u
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

# --- boot
#
# What the router itself calls: after a restart, and when something has become of a NIC, which may appear late, come back with
# another number, or lose its routes by going down. Each call does what is to be done and ends.

# What this router starts things by; nothing where nobody would call us.
init() {
	if [ -d /run/systemd/system ]; then
		echo systemd
	# Debian's OpenRC has the links of sysvinit as well, and update-rc.d sees to both.
	elif command -v update-rc.d >/dev/null && [ -d /etc/rcS.d ] && grep -qs '^[^#]*:/etc/init.d/rcS' /etc/inittab; then
		echo sysvinit
	elif [ -d /run/openrc ] && [ -d /etc/runlevels/boot ]; then
		echo openrc
	fi
}

# PATH MODE of each file, PATH -> TARGET of each link. Those of sysvinit are update-rc.d's.
boot_files() { # INIT
	case $1 in
	systemd)
		for name in nvi.service nvi-late.service nvi-nic.service nvi-nic.socket; do echo "$UNITS/$name 644"; done
		for name in nvi.service nvi-late.service nvi-nic.socket; do echo "$UNITS/multi-user.target.wants/$name -> $UNITS/$name"; done
		return
		;;
	sysvinit) ;;
	openrc)
		echo "/etc/runlevels/boot/nvi -> /etc/init.d/nvi"
		echo "/etc/runlevels/default/nvi-late -> /etc/init.d/nvi-late"
		;;
	*) return ;;
	esac
	echo "/etc/init.d/nvi 755"
	echo "/etc/init.d/nvi-late 755"
	# Of ifupdown, pppd and NetworkManager, as far as they are there.
	for path in /etc/network/if-up.d/nvi /etc/ppp/ip-up.d/nvi /etc/ppp/ipv6-up.d/nvi /etc/NetworkManager/dispatcher.d/90-nvi; do
		if [ -d "${path%/*}" ]; then echo "$path 755"; fi
	done
}

boot_text() { # INIT PATH
	case "$1 $2" in
	systemd*) unit_text "${2##*/}" ;;
	sysvinit*/init.d/*) lsb_text "${2##*/}" ;;
	openrc*/init.d/*) openrc_text "${2##*/}" ;;
	*) hook_text ;;
	esac
}

WRITTEN='# Written by pulumi-nvi, which removes it with its last object here.'

# The names are systemd.special(7)'s. nftables.service flushes all rules when it starts.
unit_text() { # NAME
	echo "$WRITTEN"
	case $1 in
	nvi.service) cat <<-END ;;
		[Unit]
		Description=Two-stage NAT
		ConditionPathExists=$ETC/nvi
		DefaultDependencies=no
		RequiresMountsFor=$ETC
		After=local-fs.target systemd-modules-load.service systemd-sysctl.service nftables.service
		Before=network-pre.target shutdown.target
		Wants=network-pre.target
		Conflicts=shutdown.target

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		TimeoutStartSec=120
		ExecStart=/bin/sh $ETC/nvi restore early

		[Install]
		WantedBy=multi-user.target
	END
	nvi-late.service) cat <<-END ;;
		[Unit]
		Description=Two-stage NAT, what needs its NICs
		ConditionPathExists=$ETC/nvi
		After=nvi.service network.target network-online.target
		Wants=network-online.target

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		TimeoutStartSec=120
		ExecStart=/bin/sh $ETC/nvi restore late

		[Install]
		WantedBy=multi-user.target
	END
	# Whoever changes a NIC or its addresses, the kernel tells: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
	# What was before nvi.service is none of its business: a start is slow enough.
	nvi-nic.socket) cat <<-END ;;
		[Unit]
		Description=Two-stage NAT, news of NICs
		DefaultDependencies=no
		After=nvi.service
		Before=shutdown.target
		Conflicts=shutdown.target

		[Socket]
		ListenNetlink=route 273
		ReceiveBuffer=16M

		[Install]
		WantedBy=multi-user.target
	END
	# What comes while it reads is done with; for what comes later, systemd starts it again. Before the first commit there is nothing to bring back.
	nvi-nic.service) cat <<-END ;;
		[Unit]
		Description=Two-stage NAT, what needs a NIC that has changed
		After=nvi.service
		StartLimitIntervalSec=0

		[Service]
		Type=oneshot
		SuccessExitStatus=SIGTERM
		ExecStart=/bin/sh -c 'timeout 0.2 cat <&3 >/dev/null; [ ! -e $ETC/nvi ] || exec /bin/sh $ETC/nvi restore late 3<&-'
	END
	esac
}

# For insserv(8). A firewall of the distribution may only come when there is a network, and flushes all rules then: so all, once more.
lsb_text() { # NAME
	case $1 in
	nvi) cat <<-END ;;
		#!/bin/sh
		### BEGIN INIT INFO
		# Provides:          nvi
		# Required-Start:    mountkernfs \$local_fs
		# Required-Stop:
		# Should-Start:      procps kmod
		# X-Start-Before:    networking
		# Default-Start:     S
		# Default-Stop:
		# Short-Description: Two-stage NAT
		### END INIT INFO
		$WRITTEN
		case \$1 in
		start | restart | force-reload) [ ! -e $ETC/nvi ] || /bin/sh $ETC/nvi restore early ;;
		esac
	END
	nvi-late) cat <<-END ;;
		#!/bin/sh
		### BEGIN INIT INFO
		# Provides:          nvi-late
		# Required-Start:    \$network
		# Required-Stop:
		# Should-Start:      nvi nftables firewalld ufw netfilter-persistent
		# Default-Start:     2 3 4 5
		# Default-Stop:
		# Short-Description: Two-stage NAT, what needs its NICs
		### END INIT INFO
		$WRITTEN
		case \$1 in
		start | restart | force-reload) [ ! -e $ETC/nvi ] || /bin/sh $ETC/nvi restore early detached ;;
		esac
	END
	esac
}

openrc_text() { # NAME
	case $1 in
	nvi) cat <<-END ;;
		#!/sbin/openrc-run
		$WRITTEN
		description="Two-stage NAT"

		depend() {
			need localmount
			after modules sysctl nftables
			before net
		}

		start() {
			ebegin "Two-stage NAT"
			/bin/sh $ETC/nvi restore early
			eend \$?
		}
	END
	nvi-late) cat <<-END ;;
		#!/sbin/openrc-run
		$WRITTEN
		description="Two-stage NAT, what needs its NICs"

		depend() {
			after nvi net
		}

		start() {
			/bin/sh $ETC/nvi restore late detached
		}
	END
	esac
}

# ifupdown tells the NIC's name in a variable, the others as an argument.
hook_text() {
	cat <<-END
		#!/bin/sh
		$WRITTEN
		[ ! -e $ETC/nvi ] || exec /bin/sh $ETC/nvi nic "\${IFACE:-\${1:-}}"
	END
}

boot_state() {
	init=$(init)
	boot_files "$init" >"$work/boot"
	while read -r path mode target; do
		if [ "$mode" = '->' ]; then
			[ "$(readlink "$path")" = "$target" ]
		else
			[ "$(stat -c %a "$path" 2>/dev/null)" = "$mode" ] && boot_text "$init" "$path" | cmp -s - "$path"
		fi || {
			echo missing
			return
		}
	done <"$work/boot"
	case $init in
	systemd) bounded systemctl -q is-active nvi-nic.socket ;;
	sysvinit) set -- /etc/rcS.d/S[0-9][0-9]nvi /etc/rc2.d/S[0-9][0-9]nvi-late && [ -L "$1" ] && [ -L "$2" ] ;;
	openrc) ;;
	*) echo none && return ;;
	esac && echo there || echo missing
}

# Links are made as `systemctl enable` and `rc-update add` make them; the bus of systemctl may be away.
boot_on() {
	init=$(init)
	boot_files "$init" | while read -r path mode target; do
		mkdir -p "${path%/*}" && rm -f "$path" && if [ "$mode" = '->' ]; then
			ln -s "$target" "$path"
		else
			boot_text "$init" "$path" >"$path" && chmod "$mode" "$path"
		fi || exit
	done || return
	case $init in
	systemd) bounded systemctl daemon-reload && bounded systemctl restart nvi-nic.socket ;;
	# Links of what somebody has disabled would be kept as they are.
	sysvinit)
		rm -f /etc/rc?.d/[SK][0-9][0-9]nvi /etc/rc?.d/[SK][0-9][0-9]nvi-late
		for name in nvi nvi-late; do bounded update-rc.d "$name" defaults || return; done
		;;
	esac
}

# Whatever there is of it, even where the router had another init then.
boot_off() {
	if [ -d /run/systemd/system ]; then
		set --
		for name in nvi-nic.socket nvi-nic.service nvi-late.service nvi.service; do
			# It may be the one that runs us, because there was nothing to restore but much to undo.
			grep -q "/$name\$" "/proc/$$/cgroup" || set -- "$@" "$name"
		done
		bounded systemctl stop "$@"
	fi
	for init in systemd sysvinit openrc; do boot_files $init; done | while read -r path _; do rm -f "$path"; done
	if [ -d /run/systemd/system ]; then bounded systemctl daemon-reload; fi
	set -- /etc/rc?.d/[SK][0-9][0-9]nvi /etc/rc?.d/[SK][0-9][0-9]nvi-late
	rm -f "$@"
	# For its notes of what depends on what.
	if [ "$1" != '/etc/rc?.d/[SK][0-9][0-9]nvi' ]; then
		for name in nvi nvi-late; do bounded update-rc.d "$name" remove; done
	fi
}

restore() { # early|late [detached]
	if [ "${2:-}" = detached ]; then
		log=$(command -v logger) && log="$log -t nvi"
		# shellcheck disable=SC2086 # a command and its words
		(setsid /bin/sh "$0" restore "$1" 2>&1 | ${log:-cat}) </dev/null >/dev/null 2>&1 &
		return
	fi
	mkdir -p "$RUN" || return
	# Who already waits for the lock does it all, and once is enough. Nobody's confirmation takes longer than an hour.
	if [ "$1" = late ]; then
		exec 6>>"$RUN/waiting" && flock -n 6 || return 0
		seconds=4000
		pause="sleep 1"
	fi
	lock "${seconds:-60}" restore || {
		echo "nvi: the lock of $RUN is held by $(cat "$RUN/lock.owner")" >&2
		return 1
	}
	exec 6>&-
	# What was not confirmed is not brought back.
	recover
	[ -d "$ETC" ] || {
		rm -f "$RUN/lock" "$RUN/lock.owner" "$RUN/waiting"
		rmdir "$RUN" 2>/dev/null
		return 0
	}
	work=$(mktemp -d "$RUN/work.XXXXXX") || return
	trap 'rm -rf "$work"' EXIT
	for manifest in "$ETC"/objects/*/manifest; do
		[ -e "$manifest" ] || continue
		object=${manifest%/manifest}
		object=${object##*/}
		mkdir "$work/$object" && awk -F '\t' -v folder="$work/$object" -v object="$object" -v when="$1" '
			$1 == "file" { file = folder "/" $2 }
			/^\+/ { print substr($0, 2) >file }
			$1 == "do" && (when == "early" || $4 == "late") {
				order = $2 "\t" $3
				batch = $5 != "ip" ? "-" : $6 ~ /^-[46]$/ ? "ip " $6 : "ip"
				sub(/^do\t[^\t]*\t[^\t]*\t/, "")
				print order "\t" batch "\t" object "\t" $0
			}
		' "$manifest" || return
	done >"$work/steps"
	sort -s -t "$TAB" -k1,1n -k2,2n -k3,3 "$work/steps" >"$work/sorted" || return
	waiting=0
	failed=0
	batch=-
	# After a failure too: a stage that is not whole passes nothing, but one that is not there lets packets go untranslated.
	while IFS="$TAB" read -r _ _ next object when words; do
		has_ipv6 || case $words in *"$TAB-6$TAB"* | *net/ipv6/* | "ip$TAB"[an]*:*) continue ;; esac
		[ "$next" = "$batch" ] || restore_batch
		batch=$next
		case $batch in
		-)
			restore_one "$object" "$when" "$words"
			continue
			;;
		ip) printf '%s\n' "${words#ip?}" >>"$work/batch" ;;
		*) printf '%s\n' "${words#ip?-??}" >>"$work/batch" ;;
		esac
		printf '%s\t%s\t%s\n' "$object" "$when" "$words" >>"$work/batched"
	done <"$work/sorted"
	restore_batch
	echo "nvi: restored; $failed commands failed, $waiting wait for a NIC"
	[ $failed = 0 ]
}

restore_one() { # OBJECT WHEN WORDS
	tx=$work/$1
	run_words "$3" >"$work/out" 2>"$work/err" && return
	said=
	for file in "$work/err" "$work/out"; do
		while IFS= read -r line; do said="$said $line"; done <"$file"
	done
	not_restored "$1" "$2" "$3" "$said"
}

# Without a process of its own: before there is any network, all that needs a NIC comes here.
not_restored() { # OBJECT WHEN WORDS WHY
	case $4 in *'File exists'* | *'already assigned'*) return ;; esac
	if [ "$2" = early ]; then failed=$((failed + 1)); else waiting=$((waiting + 1)); fi
	told="nvi: $1:"
	old_ifs=$IFS
	IFS=$TAB
	set -f
	# shellcheck disable=SC2086 # splitting at tabs is the point
	for word in $3; do told="$told $word"; done
	set +f
	IFS=$old_ifs
	echo "$told:$4" >&2
}

# What follows each other for ip is one process of it: else a start would spend most of its time on processes.
restore_batch() {
	[ -s "$work/batch" ] || return 0
	# shellcheck disable=SC2086 # a command and its flag
	bounded $batch -force -batch "$work/batch" >"$work/out" 2>"$work/err" || batch_failures $?
	: >"$work/batch"
	: >"$work/batched"
}

# Of each that fails ip says why, and then `Command failed FILE:LINE`. Where it doesn't come to its end (EXIT_FAILURE) with that,
# nobody knows how far it came, and each is done by itself.
batch_failures() { # STATUS
	last=
	while IFS= read -r line; do last=$line; done <"$work/err"
	case "$1 $last" in
	'1 Command failed '*) ;;
	*)
		while IFS="$TAB" read -r one since what; do restore_one "$one" "$since" "$what"; done <"$work/batched"
		return
		;;
	esac
	said=
	number=0
	while IFS= read -r line; do
		case $line in
		'Command failed '*)
			while [ $number -lt "${line##*:}" ]; do
				IFS="$TAB" read -r one since what <&5
				number=$((number + 1))
			done
			not_restored "$one" "$since" "$what" "$said"
			said=
			;;
		*) said="$said $line" ;;
		esac
	done <"$work/err" 5<"$work/batched"
}

# From the hooks of whoever configures NICs: none of them is to wait for us.
nic() { # NAME
	if [ "$1" != lo ] && [ "$(cat "/sys/class/net/$1/ifalias" 2>/dev/null)" != pulumi-nvi ]; then restore late detached; fi
}

# --- apply
#
# Three processes take part, in a scope of their own where there is systemd. The worker (`_run`) takes the lock, checks,
# arms the guard, does the steps and looks at the router. The guard outlives it, and it alone ends a transaction: when the
# worker and all of its commands are gone it waits for the confirmation, and undoes everything where none comes, or where
# there is nothing to confirm. A second guard starts the first again should that be killed. Their files are in $tx:
#
#   begin        taken away by the worker when it begins
#   journal      the number of each step, written before it is done
#   result       what the worker says; `applied` where it got to its end
#   confirm      somebody has reached the router; `abort` instead: somebody wants it undone
#   undo         what is left to undo
#   outcome      how it ended
#
# The lock is held by all of them, so that there is never more than one transaction. /etc/nvi keeps the manifest of what
# is applied but not confirmed as `pending`: a restart of the router forgets it, and brings the confirmed one back.

read_meta() {
	# A name may well close with a blank, which `read` would drop.
	while IFS= read -r line; do
		value=${line#* }
		case $line in
		'object '*) object=$value ;;
		'generation '*) generation=$value ;;
		'remove '*) remove=$value ;;
		'wait '*) lock_wait=$value ;;
		'confirm '*) confirm=$value ;;
		'owner '*) owner=$value ;;
		esac
	done <"$tx/meta"
}

# `now`, in seconds since the start: no clock that somebody may set.
clock() {
	read -r now _ </proc/uptime && now=${now%.*}
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }

# flock is on the open file: where a clean-up has removed it meanwhile, take the new one.
lock() { # SECONDS [OWNER]
	clock
	deadline=$((now + $1))
	while :; do
		mkdir -p "$RUN" && exec 9>>"$RUN/lock" || return
		# busybox flock has no -w.
		until flock -n 9; do
			clock
			[ "$now" -lt "$deadline" ] || return 1
			${pause:-nap}
		done
		[ "$(stat -c %i "$RUN/lock" 2>/dev/null)" = "$(stat -L -c %i "/proc/$$/fd/9")" ] && break
	done
	held "${2:-$owner}, process $$, since $(date)"
}

held() { printf '%s\n' "$1" >"$RUN/lock.owner"; }

boot_id() { cat /proc/sys/kernel/random/boot_id; }

install_pending() {
	folder=$ETC/objects/$object
	mkdir -p "$folder" && {
		printf 'tx\t%s\t%s\n' "$(boot_id)" "${tx##*/}"
		awk -F '\t' '$1 == "undo"' "$tx/steps"
	} >"$folder/undo" && cp "$tx/manifest" "$folder/pending.new" && sync && mv "$folder/pending.new" "$folder/pending" &&
		[ "$(wc -c <"$folder/pending")" -eq "$(wc -c <"$tx/manifest")" ]
}

drop_pending() {
	rm -f "$folder/pending" "$folder/pending.new" "$folder/undo"
	rmdir "$folder" 2>/dev/null
	leave_if_last
}

# With the last object goes all that is ours.
leave_if_last() {
	rmdir "$ETC/objects" 2>/dev/null
	[ ! -d "$ETC/objects" ] || return 0
	(umask 022 && boot_off) >/dev/null 2>&1
	rm -rf "$ETC"
}

# A guard that was killed in its middle leaves it to the next, from the start.
commit() {
	# All that takes space comes first: from the first rename on there is no way back.
	cmp -s "$0" "$ETC/nvi" || cp "$0" "$ETC/nvi.new" || return
	stage_generation "$generation" || return
	if [ "$remove" = 1 ]; then
		rm -rf "$folder" || return
		leave_if_last
		[ -d "$ETC" ] || return 0
	else
		[ ! -e "$folder/pending" ] || mv "$folder/pending" "$folder/manifest" || return
		rm -f "$folder/undo"
	fi
	# Whatever brings the objects back has to understand all of their manifests.
	[ ! -e "$ETC/nvi.new" ] || mv "$ETC/nvi.new" "$ETC/nvi" || return
	mv "$ETC/generation.new" "$ETC/generation" && sync
}

stage_generation() { # GENERATION
	echo $(($1 + 1)) >"$ETC/generation.new"
}

next_generation() { # GENERATION
	stage_generation "$1" && mv "$ETC/generation.new" "$ETC/generation"
}

dkms_install() { # VERSION
	limited 600 dkms install -m nvi -v "$1" -k "$(uname -r)" --force
}

# modprobe finds nothing but what comes next. What was there stays, out of its sight (depmod goes by the end of the name),
# until all is confirmed.
module_aside() { # RELEASE
	for tree in /var/lib/dkms/nvi/*/"$1"; do
		version=${tree%/*}
		version=${version##*/}
		! dkms_has_installed "$version" "$1" || limited 60 dkms uninstall -m nvi -v "$version" -k "$1" || return
	done
	file=$(prebuilt_file "$1")
	version=$(version_of "$file")
	[ -z "$version" ] || mv "$file" "$file.$version"
}

# The headers of the kernels to come as well, where the distribution has a package of that (that of 6.1.0-56-amd64 and of
# 6.12.41+deb13-amd64 is linux-headers-amd64): with them DKMS builds the module when a kernel is installed.
install_packages() {
	kernel=$(uname -r)
	coming=linux-headers-$(echo "$kernel" | sed 's/^[0-9][^-]*-\([0-9][^-]*-\)*//')
	apt-cache show "$coming" >/dev/null 2>&1 || coming=
	# shellcheck disable=SC2086 # it may be none
	DEBIAN_FRONTEND=noninteractive limited 600 apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends dkms gcc make "linux-headers-$kernel" $coming
}

module_install() { # VERSION packages|as-is
	if [ "$2" = packages ]; then
		# Its lists of packages may be old, or none at all.
		{ install_packages || { bounded apt-get update && install_packages; }; } >"$tx/apt" 2>&1 || {
			tail -n 15 "$tx/apt" >&2
			return 1
		}
	fi
	source=/usr/src/nvi-$1
	mkdir -p "$source" || return
	for file in "$tx"/module.*; do
		name=${file##*/module.}
		case $name in
		kbuild) name=Kbuild ;;
		makefile) name=Makefile ;;
		esac
		cp "$file" "$source/$name" || return
	done
	chmod -R a+rX "$source"
	{ module_aside "$(uname -r)" && dkms_install "$1"; } >"$tx/dkms" 2>&1 && return
	{
		tail -n 5 "$tx/dkms"
		tail -n 20 "/var/lib/dkms/nvi/$1/build/make.log"
	} >&2
	return 1
}

module_install_prebuilt() { # VERSION RELEASE
	base64 -d <"$tx/nvi.ko.$2.base64" >"$tx/nvi.ko" || return
	version=$(version_of "$tx/nvi.ko")
	[ "$version" = "$1" ] || {
		echo "the prebuilt module says that it is version $version, not $1" >&2
		return 1
	}
	module_aside "$2" >&2 || return
	file=$(prebuilt_file "$2")
	mkdir -p "${file%/*}" && cp "$tx/nvi.ko" "$file.new" && mv "$file.new" "$file" && depmod -a "$2"
}

module_remove() { # VERSION dkms | VERSION prebuilt [RELEASE]
	if [ "$2" = dkms ]; then
		if [ -e "/var/lib/dkms/nvi/$1" ]; then dkms remove -m nvi -v "$1" --all >&2; fi
		rm -rf "/usr/src/nvi-$1" "/var/lib/dkms/nvi/$1"
		rmdir /var/lib/dkms/nvi 2>/dev/null
		return 0
	fi
	for folder in /lib/modules/${3:-*}/updates; do
		file=$folder/nvi.ko
		rm -f "$file.$1" "$file.new"
		if [ "$(version_of "$file")" = "$1" ]; then
			rm -f "$file"
			folder=${folder%/updates}
			depmod -a "${folder##*/}"
		fi
		rmdir "${file%/*}" 2>/dev/null
	done
	return 0
}

module_restore() { # VERSION dkms | VERSION prebuilt RELEASE
	if [ "$2" = dkms ]; then
		dkms_install "$1"
		return
	fi
	file=$(prebuilt_file "$3")
	[ ! -e "$file.$1" ] || { mv "$file.$1" "$file" && depmod -a "$3"; }
}

module_load() { # VERSION
	bounded modprobe nvi || {
		dmesg | tail -n 5 >&2
		return 1
	}
	[ "$(cat /sys/module/nvi/version)" = "$1" ] && return
	echo "modprobe nvi loaded version $(cat /sys/module/nvi/version), not $1" >&2
	return 1
}

# It may never have come, where this undoes a load that failed. modprobe would look for a file, and take along what other
# modules nvi needs, with others' settings of them.
module_unload() {
	[ ! -e /sys/module/nvi ] || bounded rmmod nvi
}

execute() { # WORD...
	case $1 in
	ip | nft | conntrack) cd "$tx" && bounded "$@" </dev/null ;;
	put) printf '%s\n' "$3" >"/proc/sys/$2" ;;
	set) printf '%s\n' "$3" >"/sys/$2" ;;
	# Their files are for everybody to read, and are changed by tools that go by the umask.
	module-install) (umask 022 && module_install "$2" "$3") ;;
	module-install-prebuilt) (umask 022 && module_install_prebuilt "$2" "$3") ;;
	module-restore) (umask 022 && module_restore "$2" "$3" "${4:-}") ;;
	module-remove) (umask 022 && module_remove "$2" "$3" "${4:-}") ;;
	module-load) module_load "$2" ;;
	module-unload) module_unload ;;
	boot) (umask 022 && "boot_$2") ;;
	put-if-there) [ ! -e "/proc/sys/$2" ] || printf '%s\n' "$3" >"/proc/sys/$2" ;;
	*)
		echo "not a command of ours: $1" >&2
		return 1
		;;
	esac
}

# Words are separated by tabs, and never empty.
run_words() {
	set -f
	old_ifs=$IFS
	IFS=$TAB
	# shellcheck disable=SC2086 # splitting at tabs is the point
	set -- $1
	IFS=$old_ifs
	set +f
	execute "$@"
}

run_steps() {
	step=0
	while IFS= read -r line; do
		words=${line#*"$TAB"}
		case $line in
		step*)
			step=$((step + 1))
			label=$words
			# Before anything of it is done: what cannot be undone for want of space is not begun.
			echo $step >>"$tx/journal" || {
				no_room "$RUN"
				return 1
			}
			;;
		do*)
			run_words "$words" >"$tx/out" 2>"$tx/err" || {
				status=$?
				say failed-step "$status" "$label"
				say failed-command "$status" "$words"
				say_file failed-output "$status" "$tx/out" "$tx/err"
				return 1
			}
			;;
		esac
	done <"$tx/steps"
}

# What the steps that have begun say to undo them, the latest first.
plan_undo() {
	awk -F '\t' '
		FNR == NR { begun = $1; next }
		$1 == "step" { step++ }
		$1 == "undo" && step <= begun { sub(/^undo\t/, ""); lines[step] = lines[step] $0 "\n" }
		END { for (; step > 0; step--) printf "%s", lines[step] }
	' "$tx/journal" "$tx/steps"
}

# Each line goes when it is done, so that a guard that was killed can be followed by another.
undo_steps() {
	[ -e "$tx/undo" ] || { plan_undo >"$tx/undo.new" && mv "$tx/undo.new" "$tx/undo"; } || return
	undone=0
	while IFS= read -r words <"$tx/undo"; do
		undo_command "$words" || undone=1
		tail -n +2 "$tx/undo" >"$tx/undo.new" && mv "$tx/undo.new" "$tx/undo" || return
	done
	return $undone
}

# A step may have been cut off before it did anything, and a line be tried a second time: what isn't there needs not go, and
# what is there needs not come. Anything else is tried again: the kernel may have been short of something for a moment.
undo_command() { # WORDS
	for _ in 1 2 3; do
		run_words "$1" >"$tx/out" 2>"$tx/err" && return
		case $1 in
		"nft$TAB-f"*) ;;
		*) grep -q -i -e 'no such' -e 'cannot find device' -e 'does not exist' -e 'exists' -e 'already assigned' -e 'not found' -e 'cannot assign' "$tx/err" && return ;;
		esac
		nap
	done
	say undo-failed 1 "$1"
	say_file undo-output 1 "$tx/out" "$tx/err"
	return 1
}

# The user's own conditions. A route may take a moment to be there, so each is tried until its time is over.
run_checks() {
	while IFS="$TAB" read -r what name seconds words; do
		[ "$what" = check ] || continue
		clock
		deadline=$((now + seconds))
		until (run_check "$seconds" "$words") >"$tx/out" 2>"$tx/err" </dev/null; do
			clock
			[ "$now" -lt "$deadline" ] || {
				say failed-check 1 "$name"
				say_file failed-output 1 "$tx/out" "$tx/err"
				return 1
			}
			nap
		done
	done <"$tx/checks"
}

run_check() { # SECONDS WORDS
	seconds=$1
	set -f
	old_ifs=$IFS
	IFS=$TAB
	# shellcheck disable=SC2086 # splitting at tabs is the point
	set -- $2
	IFS=$old_ifs
	set +f
	case $1 in
	ping) limited "$seconds" ping -n -c 1 -W 1 ${3:+-I "$3"} "$2" ;;
	connect) connect "$2" "$3" "${4:-}" ;;
	leaves) leaves "$@" ;;
	command) limited "$seconds" sh -c "$2" ;;
	*) echo "not a check of ours: $1" >&2 && return 1 ;;
	esac
}

connect() { # ADDRESS PORT [FROM]
	from=$3
	if [ -d "/sys/class/net/$from" ]; then
		case $1 in *:*) family=-6 ;; *) family=-4 ;; esac
		from=$(bounded ip -o $family address show dev "$from" scope global | awk '{ sub(/\/.*/, "", $4); print $4; exit }')
	fi
	if command -v nc >/dev/null; then
		limited 3 nc -z -w 2 ${from:+-s "$from"} "$1" "$2"
	elif command -v bash >/dev/null && [ -z "$from" ]; then
		limited 3 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2"
	else
		echo "a check of a TCP connection needs nc on the router (netcat-openbsd)${from:+, with a source of its own in any case}" >&2
		return 1
	fi
}

# `leaves DEVICE SOURCE INGRESS WORD...`: what `ip route get WORD...` says. Packets of stage 2 bear a mark.
leaves() {
	device=$2
	source=$3
	ingress=$4
	shift 4
	[ "$ingress" = any ] || set -- "$@" iif "$ingress"
	[ "$(cat "/sys/class/net/$ingress/ifalias" 2>/dev/null)" != pulumi-nvi ] || set -- "$@" mark 0x10000
	found=$(bounded ip -o route get "$@") || return
	case " $found " in
	*" dev $device "*) ;;
	*) echo "$found" && return 1 ;;
	esac
	case "$source $found " in
	"any "* | *" src $source "*) ;;
	*) echo "$found" && return 1 ;;
	esac
}

transaction() {
	read_meta || return
	lock "$lock_wait" || {
		say locked 1 "$(cat "$RUN/lock.owner" 2>/dev/null)"
		return
	}
	recover
	# What was planned for has just been undone.
	if [ $recovered = 1 ]; then
		say stale 1 ''
		return
	fi
	current=$(cat "$ETC/generation" 2>/dev/null || echo 0)
	if [ "$current" != "$generation" ]; then
		say stale 1 "$current"
		return
	fi
	for file in "$tx"/*.nft; do
		[ -e "$file" ] || continue
		bounded nft -c -f "$file" >"$tx/out" 2>"$tx/err" </dev/null || {
			status=$?
			say failed-command "$status" "nft -c -f ${file##*/}"
			say_file failed-output "$status" "$tx/out" "$tx/err"
			say dry-run 1 ''
			return
		}
	done
	install_pending 2>"$tx/err" || {
		no_room "$ETC"
		drop_pending
		return
	}
	arm || {
		say unarmed 1 "$(cat "$tx/guard.log" 2>/dev/null)"
		drop_pending
		return
	}
	run_steps || return
	run_checks || return
	say applied 0 ''
	work=$tx
	observe
	# This folder stays for a while.
	rm -f "$tx"/out.* "$tx"/err.*
}

no_room() { # FOLDER
	say storage 1 "cannot write $1: $(cat "$tx/err" 2>/dev/null); $(df -k "$1" 2>/dev/null | tail -n 1)"
}

# Undoing writes what is left to undo, and says how it went: on a disk that has become full meanwhile, too. `spare` is for the
# worker, to say that it could not say more.
reserve() {
	bytes=$((2 * $(wc -c <"$tx/steps") + 65536))
	head -c $bytes /dev/zero >"$tx/reserve" && head -c 4096 /dev/zero >"$tx/spare" && [ "$(wc -c <"$tx/reserve")" -eq $bytes ]
}

# --- guard

arm() {
	: >"$tx/journal" || return
	setsid /bin/sh "$0" _guard "${tx##*/}" 8>&- </dev/null >"$tx/guard.log" 2>&1 &
	clock
	deadline=$((now + 10))
	until [ -e "$tx/armed" ]; do
		clock
		[ "$now" -lt "$deadline" ] && kill -0 $! 2>>"$tx/guard.log" || return
		nap
	done
}

# What there is to be waited for at the end has to work at the beginning.
guard() {
	read_meta || return
	folder=$ETC/objects/$object
	sleep 0.05 || sleep 1 || return
	clock && : >"$tx/armed" || return
	# Asked again and again it would cost a slow router the time of the worker. A guard that is killed leaves nothing behind that seems to be one.
	until flock -s "$tx/alive" true 7>&- 9>&-; do nap; done
	if [ "$(head -n 1 "$tx/result" 2>/dev/null)" = '@ applied 0 0 0' ]; then await_confirmation; else verdict=incomplete; fi
	end_transaction "$verdict" >"$tx/outcome.new" && mv "$tx/outcome.new" "$tx/outcome"
	# Those before have been fetched, or will never be.
	ls -t "$RUN/tx" | tail -n +9 | while read -r old; do rm -rf "${RUN:?}/tx/$old"; done
}

# Where no confirmation is asked for, whoever made the change still looks at it, and may want it undone.
await_confirmation() {
	seconds=$confirm
	clock
	[ -e "$tx/deadline" ] || echo $((now + (seconds > 0 ? seconds : 60))) >"$tx/deadline"
	read -r deadline <"$tx/deadline"
	held "$owner, whose change waits for its confirmation, since $(date)"
	until [ -e "$tx/confirm" ] || [ -e "$tx/abort" ] || [ "$now" -ge "$deadline" ]; do
		nap
		clock
	done
	if [ -e "$tx/abort" ]; then
		verdict=aborted
	elif [ -e "$tx/confirm" ] || [ "$seconds" = 0 ]; then
		verdict=confirmed
	else
		verdict=unconfirmed
	fi
}

# The lines that say what to do once it is confirmed are what a restart would not forget.
end_transaction() { # VERDICT
	rm -f "$tx/reserve" "$tx/spare"
	if [ "$1" = confirmed ]; then
		if commit 2>"$tx/err"; then
			say committed 0 ''
			sed -n "s/^finally$TAB//p" "$tx/steps" | while IFS= read -r words; do
				run_words "$words" >"$tx/out" 2>"$tx/err" && continue
				say left-over 1 "$words"
				say_file left-output 1 "$tx/out" "$tx/err"
			done
			say end 0 ''
			return
		fi
		say storage 1 "cannot write $ETC: $(cat "$tx/err")"
	elif [ "$1" = incomplete ]; then
		# What the worker has said of it, less its end.
		[ ! -e "$tx/result" ] || sed '/^@ end 0 0 0$/,$d' "$tx/result"
	fi
	say rolled-back 1 "$1"
	if undo_steps; then
		drop_pending
		say undone 0 ''
	else
		say undone 1 ''
	fi
	say end 0 ''
}

# What is pending, and has no guard any more: the router was restarted meanwhile, or somebody killed it all.
recover() {
	recovered=0
	for pending in "$ETC"/objects/*/pending; do
		[ -e "$pending" ] || continue
		folder=${pending%/pending}
		recover_object
	done
	# Cut off before anything was begun, or after all was done.
	for left in "$ETC"/objects/*/undo; do
		folder=${left%/undo}
		[ ! -e "$left" ] || [ -e "$folder/pending" ] || drop_pending
	done
}

recover_object() {
	IFS="$TAB" read -r _ boot id <"$folder/undo" || return
	(
		tx=$RUN/tx/$id
		if [ "$boot" != "$(boot_id)" ]; then
			# The kernel has forgotten all but this.
			tx=$(mktemp -d "$RUN/work.XXXXXX") || exit
			sed -n -e "s/^undo$TAB\\(module-remove\\|module-restore\\)$TAB/\\1$TAB/p" "$folder/undo" >"$tx/undo"
			undo_steps && drop_pending
			rm -rf "$tx"
		elif [ -e "$tx/journal" ] && [ ! -e "$tx/outcome" ]; then
			end_transaction unguarded >"$tx/outcome.new" && mv "$tx/outcome.new" "$tx/outcome"
		# Undone, but its record could not be taken away then; or never begun.
		elif grep -qs '^@ undone 0 ' "$tx/outcome" || { [ -d "$tx" ] && [ ! -e "$tx/journal" ]; }; then
			drop_pending
		fi
	) >/dev/null
	[ ! -e "$folder/pending" ] || return
	recovered=1
	if [ -d "$ETC" ]; then next_generation "$(cat "$ETC/generation" 2>/dev/null || echo 0)"; fi
}

# --- answers

apply() { # TX SHA256
	tx=$RUN/tx/$1
	mkdir -p "$tx" || {
		say storage 1 "cannot write to $RUN"
		end
	}
	receive "$2" "$tx"
	reserve 2>"$tx/err" && : >"$tx/begin" || {
		no_room "$RUN"
		rm -rf "$tx"
		end
	}
	# Locked for as long as the worker, or a command of it, is there.
	exec 8>>"$tx/alive"
	flock 8
	# Detached from the channel: when the connection goes, the transaction goes on.
	setsid /bin/sh "$0" _apart "$1" </dev/null >"$tx/log" 2>&1 &
	exec 8>&-
	wait $!
	result "$1" wait
}

# Whether a process has this file locked.
is_locked() { [ -e "$1" ] && ! flock -n "$1" true; }

# What it came to, as far as that is known; waits for the guard's own work, and for the worker's where it is told to.
result() { # TX [wait]
	tx=$RUN/tx/$1
	until answer "${2:-}"; do nap; done
}

# Whether anybody still listens or not.
leave() {
	# The last to leave takes everything along.
	[ -d "$ETC" ] || [ ! -e "$tx/outcome" ] || rm -rf "$RUN"
	exit 0
}

answer() {
	if [ ! -d "$tx" ]; then
		say unknown-transaction 1 ''
		end
	elif [ -e "$tx/outcome" ]; then
		# Whoever comes back for it wants to know how the router looks, too.
		if grep -q '^@ committed ' "$tx/outcome"; then sed '/^@ end 0 0 0$/,$d' "$tx/outcome" && cat "$tx/result"; else cat "$tx/outcome"; fi
		leave
	elif [ -e "$tx/result" ] && { [ ! -e "$tx/armed" ] || [ "$(head -n 1 "$tx/result")" = '@ applied 0 0 0' ]; }; then
		cat "$tx/result"
		leave
	elif is_locked "$tx/alive"; then
		[ "$1" != wait ] || return
		say running 0 ''
		end
	elif is_locked "$tx/guarded"; then
		return 1
	elif [ -e "$tx/outcome" ]; then
		return 1
	elif [ ! -e "$tx/armed" ]; then
		# The upload was cut, or the worker killed, before anything was done.
		say unknown-transaction 1 ''
		end
	else
		lock 5 recovery && recover
		[ ! -e "$tx/outcome" ] || return
		say died 1 "$(cat "$tx/log" 2>/dev/null)"
		end
	fi
}

# confirm, abort
decide() { # VERB TX
	tx=$RUN/tx/$2
	if [ ! -d "$tx" ]; then
		say unknown-transaction 1 ''
		end
	fi
	: >"$tx/$1"
	until [ -e "$tx/outcome" ]; do
		is_locked "$tx/guarded" || {
			lock 5 recovery && recover
			[ -e "$tx/outcome" ] && break
			say died 1 'the guard of this transaction is gone'
			end
		}
		nap
	done
	cat "$tx/outcome"
	leave
}

timeout=$(command -v timeout || :)
verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
observe)
	new_work
	receive "$1" "$work"
	observe
	end
	;;
apply) apply "$1" "$2" ;;
_apart)
	# systemd ends what a login leaves behind where it is told to (KillUserProcesses= of logind.conf(5)), or where each connection
	# is a service of its own (Accept= of systemd.socket(5)); the guard has to outlive that.
	if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
		SYSTEMD_BUS_TIMEOUT=10s systemd-run --scope --quiet --collect --unit="nvi-$1" --description='Two-stage NAT, a change' /bin/sh "$0" _run "$1"
	fi
	[ ! -e "$RUN/tx/$1/begin" ] || exec /bin/sh "$0" _run "$1"
	;;
_run)
	tx=$RUN/tx/$1
	rm "$tx/begin" || exit
	{ transaction; say end 0 ''; } >"$tx/result.new" 2>>"$tx/log"
	[ "$(tail -n 3 "$tx/result.new" | head -n 1)" = '@ end 0 0 0' ] || {
		rm -f "$tx/spare" "$tx/result.new"
		{ no_room "$RUN"; say end 0 ''; } >"$tx/result.new"
	}
	[ -e "$tx/armed" ] || rm -f "$tx/reserve" "$tx/spare"
	mv "$tx/result.new" "$tx/result"
	;;
_guard)
	tx=$RUN/tx/$1
	exec 7>>"$tx/guarded"
	flock -s 7
	until [ -e "$tx/outcome" ] || [ ! -d "$tx" ]; do
		/bin/sh "$0" _guard-once "$1" || [ -e "$tx/armed" ] || exit
	done
	;;
_guard-once)
	tx=$RUN/tx/$1
	guard
	;;
confirm | abort) decide "$verb" "$1" ;;
result) result "$1" ;;
restore) restore "$@" ;;
nic) nic "${1:-}" ;;
clean)
	if [ ! -d "$ETC/objects" ]; then
		leave_if_last
		rm -rf "$RUN"
	fi
	end
	;;
*)
	echo "usage: nvi observe|apply|confirm|abort|result|restore|nic|clean" >&2
	exit 2
	;;
esac
