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
	mkdir -p "$RUN" && work=$(mktemp -d "$RUN/work.XXXXXX") && : >"$work/alive" || {
		say storage 1 "cannot write to $RUN"
		end
	}
	exec 8>>"$work/alive"
	flock 8
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM PIPE
}
