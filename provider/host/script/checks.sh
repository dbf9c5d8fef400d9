# --- checks
#
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
	# What it leaves running is none of the transaction.
	command) limited "$seconds" sh -c "$2" 8>&- 9>&- ;;
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
