#!/bin/sh
# apt-install.sh PACKAGE...: installs Debian packages, as root, without starting any service of theirs.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/sbin:/sbin"

# Debian asks this file whether a service may start, and 101 means no: the lab wants the programs sshd and nft, not a
# server on port 22 and a rule set on the machine that happens to run the tests.
policy=/usr/sbin/policy-rc.d
kept=$policy.before-nvi
ours="# pulumi-nvi: for the time of an installation only"

restore() {
    if [ -e "$kept" ] || [ -L "$kept" ]; then mv -f "$kept" "$policy"
    elif grep -qsF "$ours" "$policy"; then rm -f "$policy"
    fi
}
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What a run that was killed left behind.
restore
if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$kept"; fi
printf '#!/bin/sh\n%s\nexit 101\n' "$ours" >"$policy"
chmod 755 "$policy"

install() {
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

# Package lists may be missing (images of containers) or so old that the files they name are gone.
if ! install "$@"; then
    apt-get -o DPkg::Lock::Timeout=300 update
    install "$@"
fi
