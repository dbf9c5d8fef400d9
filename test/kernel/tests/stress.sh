# shellcheck shell=sh
# Operations in an order that the seed decides, under traffic. Only the kernel's complaints and the end state count.
# A round: devices come, go and move, while settings change; then something larger happens to the router.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

DEVICES=40
SETTINGS=10
total=$(cat /test/stress)
seed=$(cat /test/seed)

# One line an operation, all random choices of a round at once. n0 to n7 live in R, nvi0 carries the traffic.
choose() {
    awk -v seed=$((seed * 100003 + $1)) -v devices=$DEVICES -v settings=$SETTINGS '
        function below(n) { return int(rand() * n) }
        BEGIN {
            srand(seed)
            for (i = 0; i < devices; i++) {
                dev = "n" below(8)
                what = below(10)
                if (what < 4) print "link add " dev " type nvi" > "/tmp/batch"
                else if (what < 7) print "link del " dev > "/tmp/batch"
                else if (what < 8) print "link set " dev " netns B" > "/tmp/batch"
                else if (what < 9) print "link set " dev " up" > "/tmp/batch"
                else print "link set nvi0 mtu " (1280 + below(64000)) > "/tmp/batch"
            }
            split("reinject self,reinject ingress,ingress connection,ingress packet,ingress mark,mark_mask 0xffff,mark_mask 0x7fffffff,ctmark_mask 0xff00,ctmark_mask 0x7fffffff,tun_id 0,tun_id 77,tun_id 78", choice, ",")
            for (i = 0; i < settings; i++) {
                split(choice[1 + below(12)], word, " ")
                print "echo " word[2] " > /sys/class/net/nvi0/nvi/" word[1] > "/tmp/settings"
            }
            split("replace unplug nicdown updown conntrack namespace reload replace unplug nicdown updown conntrack namespace reload router", large, " ")
            print large[1 + below(15)] > "/tmp/large"
        }'
}

plain_settings() {
    for setting in "reinject ingress" "ingress packet" "mark_mask 0x7fffffff" "ctmark_mask 0x7fffffff" "tun_id 78"; do
        put "${setting% *}" "${setting#* }"
    done
}

# Enough to meet every operation, and not so much that an emulated processor does nothing else.
traffic() {
    A sh -c 'while :; do ping -q -i 0.005 -w 100 10.0.2.2; sleep 0.1; done' >/dev/null 2>&1 &
    A sh -c 'while :; do ping -q -i 0.01 -w 100 -s 3000 fd02::2; sleep 0.1; done' >/dev/null 2>&1 &
    B sh -c 'while :; do iperf3 -s -1; sleep 0.1; done' >/dev/null 2>&1 &
    A sh -c 'while :; do iperf3 -c 10.0.2.2 -b 2M -t 100; sleep 0.2; done' >/dev/null 2>&1 &
}

router_again() {
    clean
    two_stages
    traffic
}

larger() {
    case $1 in
    replace) ip -n R link del nvi0; stage_one ;;
    unplug) ip -n A link del a0; cable A a0 eth0 1 ;;
    nicdown) ip -n R link set eth0 down; ip -n R link set eth0 up ;;
    updown)
        ip -n R link set nvi0 down
        ip -n R link set nvi0 up
        for family in -4 -6; do ip -n R $family route replace default dev nvi0 table 100; done
        ;;
    conntrack) R conntrack -F ;;
    namespace) ip netns add S; ip -n S link add nvi0 type nvi; ip -n S link set nvi0 up; ip netns del S ;;
    reload) rmmod nvi; insmod /nvi.ko; stage_one ;;
    router) router_again ;;
    esac
}

round() {
    choose "$1"
    ip -n R -force -batch /tmp/batch &
    batch=$!
    R sh /tmp/settings
    wait $batch
    larger "$(cat /tmp/large)"
}

router_again >/dev/null 2>&1
done=0
rounds=0
: > /tmp/all
while [ "$done" -lt "$total" ]; do
    round $rounds >/dev/null 2>&1
    rounds=$((rounds + 1))
    done=$((done + DEVICES + SETTINGS + 1))
    {
        cut -d' ' -f1,2 /tmp/batch
        sed 's/.*/setting/' /tmp/settings
        cat /tmp/large
    } >> /tmp/all
    if [ $((rounds % 4)) = 0 ]; then
        plain_settings 2>/dev/null
        within 5 reaches A 10.0.2.2 >/dev/null && carried=yes || carried=no
        echo "# $done operations after $(cut -d' ' -f1 /proc/uptime) s; traffic passes: $carried; nvi0 carried $(statistic tx_packets)"
    fi
done
echo "# seed $seed: $(sort /tmp/all | uniq -c | tr -s ' ' | tr '\n' ',')"
router_again >/dev/null 2>&1
check "after $done operations the two stages work, IPv4" reaches_soon A 10.0.2.2
check "after $done operations the two stages work, IPv6" reaches_soon A fd02::2
clean
check "nothing holds the module" fails grep -q '^nvi ' /proc/modules
