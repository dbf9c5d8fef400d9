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
	if lock 20 cleaning; then
		recover
		[ -d "$ETC/objects" ] || { leave_if_last && leave_run; }
	fi
	end
	;;
*)
	echo "usage: nvi observe|apply|confirm|abort|result|restore|nic|clean" >&2
	exit 2
	;;
esac
