# shellcheck shell=sh
# Conntrack's confirm has the priority of the hook. Which is first depends on who registered first: nothing else may.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. /test/lib.sh

works() {
    put ingress "$2"
    R conntrack -F 2>/dev/null
    check "$1, $2: IPv4" reaches_soon A 10.0.2.2
    check "$1, $2: IPv6" reaches_soon A fd02::2
    check "$1, $2: untracked in stage 2" equals "$(counter tracked)" 0
}

two_stages
for source in packet connection; do works "conntrack after the hook" $source; done

R nft delete table inet nvi
ip -n R link del nvi0
nat
stage_one
for source in packet connection; do works "the hook after conntrack" $source; done
if R nft list hooks ip 2>/dev/null | tee /tmp/hooks | grep -q conntrack; then
    check "the hook is there" grep nvi_postrouting /tmp/hooks
    ip -n R link del nvi0
    R nft list hooks ip >/tmp/hooks
    check "and not without a device" fails grep nvi_postrouting /tmp/hooks
else
    skip "the hook is there only with a device" "this nft or kernel lists no hooks"
fi
