# shellcheck shell=sh
# Operations in an order that the seed decides, under traffic. Only the kernel's complaints and the end state count.
# A round: devices come, go and move in two namespaces while settings change and something larger happens to the router,
# all at once. What fails, such as a device that is made while the module is away, is no operation.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

DEVICES=40
SETTINGS=10
total=$(cat /test/stress)
seed=$(cat /test/seed)
# The rest of the machine's time is for the end.
deadline=$(($(cat /test/minutes) * 60 * 8 / 10))

# All random choices of a round, one line each. n0 to n7 live in R and B, nvi0 carries the traffic.
choose() {
    awk -v seed=$((seed * 100003 + $1)) -v devices=$DEVICES -v settings=$SETTINGS -v in_r="$(R ls /sys/class/net)" -v in_b="$(B ls /sys/class/net)" '
        function below(n) { return int(rand() * n) }
        function change(here, there, other, file,    dev, what) {
            dev = "n" below(8)
            what = below(10)
            if (!(dev in here)) { here[dev]; print "link add " dev " type nvi" > file }
            else if (what < 3 && !(dev in there)) { delete here[dev]; there[dev]; print "link set " dev " netns " other > file }
            else if (what < 6) { delete here[dev]; print "link del " dev > file }
            else if (what < 8) print "link set " dev " up" > file
            else print "link set " dev " mtu " (1280 + below(64000)) > file
        }
        BEGIN {
            srand(seed)
            split(in_r, list); for (i in list) r[list[i]]
            split(in_b, list); for (i in list) b[list[i]]
            for (i = 0; i < devices; i++) if (below(3)) change(r, b, "B", "/tmp/batch.R"); else change(b, r, "R", "/tmp/batch.B")
            print "link set nvi0 mtu " (1280 + below(64000)) > "/tmp/batch.R"
            split("reinject self,reinject ingress,ingress connection,ingress packet,ingress mark,mark_mask 0xffff,mark_mask 0x7fffffff,ctmark_mask 0xff00,ctmark_mask 0x7fffffff,tun_id 0,tun_id 77,tun_id 78", choice, ",")
            for (i = 0; i < settings; i++) {
                split(choice[1 + below(12)], word, " ")
                print "echo " word[2] " > /sys/class/net/nvi0/nvi/" word[1] " || echo Command failed >&2" > "/tmp/settings"
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

# Enough to meet every operation. It takes what the operations leave: an emulated processor would do nothing else.
repeat() { ip netns exec "$1" sh -c "renice -n 10 -p \$\$; while :; do $2; sleep 0.1; done" >/dev/null 2>&1 & }
traffic() {
    repeat A 'ping -q -i 0.005 -w 100 10.0.2.2'
    repeat A 'ping -q -i 0.01 -w 100 -s 3000 fd02::2'
    repeat B 'iperf3 -s -1'
    repeat A 'iperf3 -c 10.0.2.2 -b 2M -t 100'
}

# The namespace goes first, with all that is in it and under way to it.
router_again() {
    ip netns del R
    clean
    two_stages
    traffic
}

default_routes() { for family in -4 -6; do ip -n R $family route replace default dev nvi0 table 100 || return 1; done; }

finish() {
    # shellcheck disable=SC2086
    wait $batches
}

larger() {
    case $1 in
    replace) ip -n R link del nvi0 && stage_one ;;
    unplug) ip -n A link del a0 && cable A a0 eth0 1 ;;
    # IPv6 addresses go when their device does.
    nicdown) ip -n R link set eth0 down && ip -n R link set eth0 up && ip -n R addr add fd01::1/64 dev eth0 nodad ;;
    updown) ip -n R link set nvi0 down && ip -n R link set nvi0 up && default_routes ;;
    conntrack) R conntrack -F ;;
    namespace) ip netns add S && ip -n S link add nvi0 type nvi && ip -n S link set nvi0 up && ip netns del S ;;
    reload) rmmod nvi && insmod /nvi.ko && stage_one ;;
    router) finish && router_again ;;
    esac
}

round() {
    rm -f /tmp/failed.*
    choose "$1"
    ip -n R -force -batch /tmp/batch.R 2>/tmp/failed.R &
    batches=$!
    ip -n B -force -batch /tmp/batch.B 2>/tmp/failed.B &
    batches="$batches $!"
    R sh /tmp/settings 2>/tmp/failed.settings &
    batches="$batches $!"
    larger "$(cat /tmp/large)" || echo "Command failed: $(cat /tmp/large)" >/tmp/failed.large
    finish
}

moving() { above "$(statistic tx_packets)" "$1"; }
passes() { within 20 reaches A 10.0.2.2 && within 20 reaches A fd02::2 && within 50 moving $(($(statistic tx_packets) + 50)); }
seconds() { cut -d. -f1 /proc/uptime; }

router_again >/dev/null 2>&1
done=0
rounds=0
failed=0
silent=0
begun=$(seconds)
: > /tmp/all
while [ "$done" -lt "$total" ] && [ "$(seconds)" -lt $deadline ]; do
    round $rounds >/dev/null 2>&1
    rounds=$((rounds + 1))
    cat /tmp/failed.* > /tmp/now
    refused=$(grep -c 'Command failed' /tmp/now)
    failed=$((failed + refused))
    done=$((done + DEVICES + 1 + SETTINGS + 1 - refused))
    {
        cut -d' ' -f1,2 /tmp/batch.*
        sed 's/.*/setting/' /tmp/settings
        cat /tmp/large
    } >> /tmp/all
    if [ $((rounds % 4)) = 0 ]; then
        plain_settings 2>/dev/null
        if ! passes >/dev/null; then
            silent=$((silent + 1))
            echo "# no traffic after $(cat /tmp/large): $(cat /tmp/last)"
        fi
        echo "# $done operations and $failed refused ones in $(($(seconds) - begun)) s; nvi0 carried $(statistic tx_packets)"
    fi
done
took=$(($(seconds) - begun))
echo "# seed $seed: $(sort /tmp/all | uniq -c | tr -s ' ' | tr '\n' ',')"
echo "# stress: $done of $total operations in $took s, $failed refused"
check "traffic passed each time that it was looked at" equals "$silent" 0
router_again >/dev/null 2>&1
check "after $done operations the two stages work, IPv4" reaches_soon A 10.0.2.2
check "after $done operations the two stages work, IPv6" reaches_soon A fd02::2
clean
check "nothing holds the module" fails grep -q '^nvi ' /proc/modules
