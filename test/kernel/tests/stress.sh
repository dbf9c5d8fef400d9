# shellcheck shell=sh
# Operations in an order that the seed decides, under traffic. Only the kernel's complaints and the end state count.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

total=$(cat /test/stress)
state=$(cat /test/seed)
random() { # below $1, in $value
    state=$(((state * 1103515245 + 12345) & 0x7fffffff))
    value=$(((state >> 8) % $1))
}

traffic() {
    A sh -c 'while :; do ping -q -f -w 100 10.0.2.2; done' >/dev/null 2>&1 &
    A sh -c 'while :; do ping -q -f -w 100 -s 3000 fd02::2; done' >/dev/null 2>&1 &
}
rebuild() { clean; two_stages; traffic; }

operate() {
    random 100
    if [ "$value" -lt 30 ]; then op=create; random 8; ip -n R link add "n$value" type nvi
    elif [ "$value" -lt 50 ]; then op=destroy; random 8; ip -n R link del "n$value"
    elif [ "$value" -lt 60 ]; then
        op=setting
        random 10
        case $value in
        0) put reinject self ;;
        1) put reinject ingress ;;
        2) put ingress connection ;;
        3) put ingress packet ;;
        4) put ingress mark ;;
        5) put mark_mask 0xffff ;;
        6) put mark_mask 0x7fffffff ;;
        7) put ctmark_mask 0xff00 ;;
        8) put tun_id 0 ;;
        9) put tun_id 78 ;;
        esac
    elif [ "$value" -lt 68 ]; then op=updown; ip -n R link set nvi0 down; ip -n R link set nvi0 up; ip -n R route replace default dev nvi0 table 100; ip -n R -6 route replace default dev nvi0 table 100
    elif [ "$value" -lt 76 ]; then op=replace; ip -n R link del nvi0; stage_one
    elif [ "$value" -lt 82 ]; then op=move; random 8; ip -n R link set "n$value" netns B; ip -n B link set "n$value" netns R
    elif [ "$value" -lt 88 ]; then op=unplug; ip -n A link del a0; cable A a0 eth0 1
    elif [ "$value" -lt 92 ]; then op=nicdown; ip -n R link set eth0 down; ip -n R link set eth0 up
    elif [ "$value" -lt 96 ]; then op=conntrack; R conntrack -F
    elif [ "$value" -lt 97 ]; then op=namespace; ip netns add S; ip -n S link add nvi0 type nvi; ip -n S link set nvi0 up; ip netns del S
    elif [ "$value" -lt 99 ]; then op=reload; rmmod nvi; insmod /nvi.ko; stage_one
    else op=rebuild; rebuild
    fi
}

load_module
rebuild
i=0
: > /tmp/ops
while [ "$i" -lt "$total" ]; do
    operate >/dev/null 2>&1
    echo "$op" >> /tmp/ops
    i=$((i + 1))
    [ $((i % 500)) != 0 ] || echo "# $i operations after $(cut -d' ' -f1 /proc/uptime) s"
done
echo "# seed $(cat /test/seed): $(sort /tmp/ops | uniq -c | tr -s ' ' | tr '\n' ',')"
rebuild
check "after $i operations the two stages work, IPv4" reaches_soon A 10.0.2.2
check "after $i operations the two stages work, IPv6" reaches_soon A fd02::2
clean
check "nothing holds the module" fails grep -q '^nvi ' /proc/modules
