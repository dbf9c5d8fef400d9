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

# From the hooks of whoever configures NICs: none of them is to wait for us.
nic() { # NAME
	if [ "$1" != lo ] && [ "$(cat "/sys/class/net/$1/ifalias" 2>/dev/null)" != pulumi-nvi ]; then restore late detached; fi
}
