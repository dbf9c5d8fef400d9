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
		'turn '*) planned=$value ;;
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

# Whose turn it was last, and whether it is over. Whatever is planned from an observation is planned for one turn: what another
# transaction begins, ends or undoes, and what comes back with a NIC, is another one. A number would not do: where nothing of ours is left it is
# forgotten, and where all is undone it would be the same as before.
turn() { cat "$RUN/turn" 2>/dev/null || echo none; }

next_turn() { # WORD
	if ! echo "$1" >"$RUN/turn.new" || ! mv "$RUN/turn.new" "$RUN/turn"; then rm -f "$RUN/turn" && return 1; fi
}

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

# With the last object goes all that is ours. Only for who holds the lock.
leave_if_last() {
	rmdir "$ETC/objects" 2>/dev/null
	[ ! -d "$ETC/objects" ] || return 0
	(umask 022 && boot_off) >/dev/null 2>&1
	rm -rf "$ETC"
}

# The rest of what is ours, for who holds the lock. A transaction that is arriving, or waits for the lock, has its files there,
# and so has whoever looks at the router.
leave_run() {
	[ ! -d "$ETC" ] || return 0
	for other in "$RUN"/tx/*/alive; do
		! is_locked "$other" || return 0
	done
	for path in "$RUN"/*; do
		is_locked "$path/alive" || rm -rf "$path"
	done
	rmdir "$RUN" 2>/dev/null
	return 0
}

# A guard that was killed in its middle leaves it to the next, from the start.
commit() {
	# The last removal took it all along, and what comes after it was cut off.
	[ "$remove" = 0 ] || [ -d "$ETC" ] || return 0
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
	current=$(turn)
	if [ "$current" != "$planned" ]; then
		say stale 1 "$current"
		return
	fi
	# Also what would undo it: an nft that doesn't take its own listing back must not be found out then.
	for file in "$tx"/*.nft "$tx"/*.undo; do
		[ -e "$file" ] || continue
		bounded nft -c -f "$file" >"$tx/out" 2>"$tx/err" </dev/null || {
			status=$?
			say failed-command "$status" "nft -c -f ${file##*/}"
			say_file failed-output "$status" "$tx/out" "$tx/err"
			say dry-run 1 ''
			return
		}
	done
	next_turn "${tx##*/}-begun" 2>"$tx/err" || {
		no_room "$RUN"
		return
	}
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
