# --- answers

apply() { # TX SHA256
	tx=$RUN/tx/$1
	mkdir -p "$tx" && : >"$tx/alive" || {
		say storage 1 "cannot write to $RUN"
		end
	}
	# Locked for as long as it arrives, and as the worker, or a command of it, is there.
	exec 8>>"$tx/alive"
	flock 8
	receive "$2" "$tx"
	reserve 2>"$tx/err" && : >"$tx/begin" || {
		no_room "$RUN"
		rm -rf "$tx"
		end
	}
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
	# The last to leave takes everything along; who is in the middle of something will be the last.
	[ -d "$ETC" ] || [ ! -e "$tx/outcome" ] || ! lock 2 leaving || leave_run
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
