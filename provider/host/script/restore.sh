# --- restore
#
# Brings back what the manifests list.

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
	changed=
	batch=-
	queued=0
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
		queued=$((queued + 1))
	done <"$work/sorted"
	restore_batch
	# Whoever has looked before has seen less.
	[ ! "$changed" ] || next_turn "$now-$$-restored"
	echo "nvi: restored; $failed commands failed, $waiting wait for a NIC"
	[ $failed = 0 ]
}

restore_one() { # OBJECT WHEN WORDS
	tx=$work/$1
	run_words "$3" >"$work/out" 2>"$work/err" && {
		case $3 in ip"$TAB"*) changed=yes ;; esac
		return
	}
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
	if bounded $batch -force -batch "$work/batch" >"$work/out" 2>"$work/err"; then changed=yes; else batch_failures $?; fi
	queued=0
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
	refused=0
	while IFS= read -r line; do
		case $line in
		'Command failed '*)
			while [ $number -lt "${line##*:}" ]; do
				IFS="$TAB" read -r one since what <&5
				number=$((number + 1))
			done
			not_restored "$one" "$since" "$what" "$said"
			refused=$((refused + 1))
			said=
			;;
		*) said="$said $line" ;;
		esac
	done <"$work/err" 5<"$work/batched"
	[ $refused = $queued ] || changed=yes
}
