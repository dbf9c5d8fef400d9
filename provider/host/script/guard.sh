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
	until flock -s "$tx/alive" true 7>&- 9>&-; do
		[ -d "$tx" ] || exit
		nap
	done
	if [ "$(head -n 1 "$tx/result" 2>/dev/null)" = '@ applied 0 0 0' ]; then await_confirmation; else verdict=incomplete; fi
	end_transaction "$verdict" >"$tx/outcome.new"
	next_turn "${tx##*/}-ended" 2>>"$tx/guard.log"
	mv "$tx/outcome.new" "$tx/outcome"
	# Those before have been fetched, or will never be; but some may be waiting for the lock. Whoever has set the clock back
	# has made this one the oldest.
	ls -t "$RUN/tx" | tail -n +9 | while read -r old; do [ "$old" = "${tx##*/}" ] || is_locked "$RUN/tx/$old/alive" || rm -rf "${RUN:?}/tx/$old"; done
}

# Where no confirmation is asked for, whoever made the change still looks at it, and may want it undone.
await_confirmation() {
	seconds=$confirm
	clock
	# Of a guard before, as long as there was room to write it.
	deadline=
	[ ! -e "$tx/deadline" ] || read -r deadline <"$tx/deadline"
	case $deadline in
	'' | *[!0-9]*)
		deadline=$((now + (seconds > 0 ? seconds : 60)))
		echo $deadline >"$tx/deadline"
		;;
	esac
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
	next_turn "$id-recovered"
}
