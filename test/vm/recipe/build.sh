#!/bin/sh
# build.sh RELEASE TARGET SOURCES: makes, in the folder TARGET, what a machine of this release boots from:
#   disk      the root file system, ext4 in a sparse file
#   kernel    its kernel, and its release in the file release
#   initrd    as much as it takes to find that disk
#   manifest  what is on the disk: kind, mode, owner, content of each path
# SOURCES is a file for sources.list. Root only: no file system is mounted, but files of many owners are made.
set -eu
release=$1 target=$2 sources=$3
recipe=$(cd "$(dirname "$0")" && pwd)
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C INITRD=No
root=$target/root
say() { echo "== $*"; }

# A kernel that unpacks itself in an emulated processor takes three seconds more. What follows it makes the tool complain.
unpacked() {
    at=$(LC_ALL=C grep -abom1 "$(printf '\375\067zXZ')" "$1" | head -n 1 | cut -d: -f1)
    [ -n "$at" ] || return 1
    tail -c +$((at + 1)) "$1" | xz -dc 2>/dev/null || :
}

say "installing packages"
packages=$(sed '/^#/d' "$recipe/packages" | tr -s ' \n' ',,' | sed 's/,$//')
# As Debian's installer has done it since before bullseye; the later releases see to it themselves.
merge='for dir in bin sbin lib lib64; do mkdir -p "$1/usr/$dir"; ln -s "usr/$dir" "$1/$dir"; done'
[ "$release" = bullseye ] || merge=true
# Bullseye's index of security updates is past its date, for good.
mmdebstrap --mode=root --variant=minbase --components=main --include="$packages" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --setup-hook="$merge" --skip=cleanup/apt/cache "$release" "$root" - <"$sources"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/apt "$root"/var/log/*.log "$root"/etc/ssh/ssh_host_*

say "configuring"
cp -a "$recipe/root/." "$root/"
mkdir -p "$root/opt/lab/bin"
chown -R 0:0 "$root/opt" "$root/etc/systemd" "$root/etc/network"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer \
    logrotate.timer systemd-tmpfiles-clean.timer systemd-timesyncd.service systemd-pstore.service systemd-logind.service \
    systemd-networkd.service systemd-networkd.socket systemd-binfmt.service proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount \
    sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount systemd-hwdb-update.service systemd-journal-catalog-update.service \
    getty@.service autovt@.service getty-static.service serial-getty@.service remote-fs.target modprobe@.service sys-fs-fuse-connections.mount \
    sys-kernel-config.mount systemd-update-utmp.service systemd-update-utmp-runlevel.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
mkdir -p "$root/etc/systemd/system/sysinit.target.wants" "$root/etc/ssh/lab"
ln -s /etc/systemd/system/lab-agent.service "$root/etc/systemd/system/sysinit.target.wants/lab-agent.service"
echo router >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 router\n::1 localhost ip6-localhost\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
: >"$root/etc/fstab"
# Without a machine id systemd takes every boot for the first one.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$root/etc/machine-id"; echo >>"$root/etc/machine-id"
# Tools for those who look on, out of the way of tests that hide or replace the router's own.
chroot "$root" sh -c 'for tool; do ln "$(readlink -f "$(command -v $tool)")" /opt/lab/bin/$tool; done' sh \
    nft ip tc sysctl tcpdump conntrack ping sh mount unshare
# Newer than all of /usr, or systemd does the work of an upgrade at each boot.
touch "$root/etc/.updated" "$root/var/.updated"

say "initrd"
kernel=$(basename "$(ls -d "$root"/lib/modules/*)")
echo "$kernel" >"$target/release"
unpacked "$root/boot/vmlinuz-$kernel" >"$target/kernel" || cp "$root/boot/vmlinuz-$kernel" "$target/kernel"
early=$target/early
mkdir -p "$early/bin" "$early/modules" "$early/proc" "$early/sys" "$early/dev" "$early/disk"
cp "$root/usr/bin/busybox" "$early/bin/busybox"
install -m 755 "$recipe/init" "$early/init"
# In the order of loading. -a: a dependency that is built in is no line.
for module in virtio_pci virtio_blk virtio_console ext4; do
    chroot "$root" modprobe -S "$kernel" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "$file")
    case $name in
        *.xz) name=${name%.xz}; xz -dc "$root$file" >"$early/modules/$name" ;;
        *.zst) name=${name%.zst}; zstd -dc "$root$file" >"$early/modules/$name" ;;
        *) cp "$root$file" "$early/modules/$name" ;;
    esac
    echo "$name" >>"$early/modules/order"
done
(cd "$early" && find . | busybox cpio -o -H newc) >"$target/initrd" 2>/dev/null
rm -rf "$early"

say "listing the files"
perl "$recipe/root/opt/lab/list.pl" "$root" 0 >"$target/manifest"

say "writing the disk"
# Inode tables done now are not done by the kernel at each first boot.
mkfs.ext4 -q -F -m 0 -L router -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$target/disk" 6G
# When the listing of the disk was true; what changes later was changed on a machine.
date +%s >"$target/used"
rm -rf "$root"
