# shellcheck shell=sh
# What the settings are at first, what they accept, and who may set them.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

load_module
namespaces R
ip -n R link add nvi0 type nvi

is() { equals "$(get "$1")" "$2"; }
set_to() { put "$1" "$2" && is "$1" "${3:-$2}"; }
refuses() { ! put "$1" "$2" && is "$1" "$3"; }

check "reinject is ingress at first" is reinject ingress
check "ingress is packet at first" is ingress packet
check "mark_mask has 31 bits at first" is mark_mask 0x7fffffff
check "ctmark_mask has 31 bits at first" is ctmark_mask 0x7fffffff
check "tun_id is 78 at first" is tun_id 78

for value in self ingress; do check "reinject can be $value" set_to reinject $value; done
for value in mark connection packet; do check "ingress can be $value" set_to ingress $value; done
check "reinject: no other word" refuses reinject both ingress
check "ingress: no other word" refuses ingress nic packet
check "ingress: no empty word" refuses ingress '' packet

for mask in mark_mask ctmark_mask; do
    for value in 0xffffffff 0x00000001 0x80000000 0x00ff0000; do check "$mask can be $value" set_to $mask $value; done
    check "$mask in decimal" set_to $mask 255 0x000000ff
    for value in 0 0x5 0xff00ff00 0x80000001 -1 0x100000000 word ''; do check "$mask is not '$value'" refuses $mask "$value" 0x000000ff; done
done

for value in 1 4294967296 18446744073709551615 0; do check "tun_id can be $value" set_to tun_id $value; done
check "tun_id in hexadecimal" set_to tun_id 0x10 16
for value in -1 18446744073709551616 word ''; do check "tun_id is not '$value'" refuses tun_id "$value" 16; done

readonly_counters() {
    for file in $(R ls /sys/class/net/nvi0/nvi | grep -E "^drop_|_full$"); do
        [ "$(R stat -c %a "/sys/class/net/nvi0/nvi/$file")" = 444 ] || return 1
        ! put "$file" 0 || return 1
    done
}
check "counters are read-only" readonly_counters
check "counters are zero at first" equals "$(R sh -c 'cat /sys/class/net/nvi0/nvi/drop_* /sys/class/net/nvi0/nvi/ctmark_full' | sort -u)" 0

# Root of a user namespace is root to the file's mode, but not to the device's namespace.
if unshare -Ur true 2>/dev/null; then
    check "no setting without CAP_NET_ADMIN there" fails R unshare -Ur sh -c 'echo self > /sys/class/net/nvi0/nvi/reinject'
    check "nothing was set" is reinject ingress
else
    skip "no setting without CAP_NET_ADMIN there" "no user namespaces"
fi

ip -n R link add nvi1 type nvi
check "devices have their own settings" equals "$(R cat /sys/class/net/nvi1/nvi/tun_id)" 78
