# --- steps: doing them, and undoing them

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
	module-remove-unloaded) [ -e /sys/module/nvi ] || (umask 022 && module_remove "$2" "$3") ;;
	module-unload) module_unload ;;
	module-unload-unused) module_unload_unused ;;
	boot) (umask 022 && "boot_$2") ;;
	put-unless) shift && put_unless "$@" ;;
	put-if-there) [ ! -e "/proc/sys/$2" ] || printf '%s\n' "$3" >"/proc/sys/$2" ;;
	*)
		echo "not a command of ours: $1" >&2
		return 1
		;;
	esac
}

# What does as well is somebody's choice.
put_unless() { # PATH VALUE ACCEPTED...
	found=$(cat "/proc/sys/$1") || return
	case " $* " in
	*" $found "*) ;;
	*) printf '%s\n' "$2" >"/proc/sys/$1" ;;
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
			begun=
			# Before anything of it is done: what cannot be undone for want of space is not begun.
			echo $step >>"$tx/journal" || {
				no_room "$RUN"
				return 1
			}
			;;
		do*)
			run_words "$words" >"$tx/out" 2>"$tx/err" || {
				status=$?
				# Nor is undoing it: that would take away what stood in its way.
				[ "$begun" ] || ! is_refusal $status "$words" || echo $((step - 1)) >>"$tx/journal"
				say failed-step "$status" "$label"
				say failed-command "$status" "$words"
				say_file failed-output "$status" "$tx/out" "$tx/err"
				return 1
			}
			begun=yes
			;;
		esac
	done <"$tx/steps"
}

# A command that is one change of the kernel's, and whose tool has come to its end with an error, has done nothing.
is_refusal() { # STATUS WORDS
	[ "$1" -lt 124 ] || return
	case $2 in
	ip"$TAB"* | nft"$TAB"* | put* | set"$TAB"*) ;;
	*) return 1 ;;
	esac
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
	while IFS= read -r words <"$tx/undo"; do
		undo_command "$words" || : >"$tx/unfinished"
		tail -n +2 "$tx/undo" >"$tx/undo.new" && mv "$tx/undo.new" "$tx/undo" || return
	done
	[ ! -e "$tx/unfinished" ]
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
