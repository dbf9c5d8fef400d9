# --- the kernel module: what there is of it, what building one would need, and how it comes and goes

# What there is of the kernel module, and what building one would need.
module_facts() {
	release=$(uname -r)
	printf 'loaded\t%s\n' "$(cat /sys/module/nvi/version 2>/dev/null)"
	version=$(modinfo -F version nvi 2>/dev/null)
	printf 'installed\t%s\n' "$version"
	[ -z "$version" ] || printf 'way\t%s\n' "$(module_way "$version")"
	while IFS="$TAB" read -r what path; do
		[ "$what" = kernel ] && [ -d "/lib/modules/$path" ] || continue
		printf 'kernel\t%s\n' "$path $(version_of "$(prebuilt_file "$path")")"
	done <"$work/requests"
	printf 'loadable\t%s\n' "$(yes_if test -e /proc/modules)"
	printf 'signed\t%s\n' "$(yes_if grep -qs -e '^Y' -e '\[integrity\]' -e '\[confidentiality\]' \
		/sys/module/module/parameters/sig_enforce /sys/kernel/security/lockdown)"
	printf 'key\t%s\n' "$(yes_if dkms_key_is_enrolled)"
	for tool in dkms make gcc; do printf 'tool\t%s\n' "$(command -v "$tool" >/dev/null && echo "$tool")"; done
	printf 'headers\t%s\n' "$(yes_if test -e "/lib/modules/$release/build/Makefile")"
	printf 'apt\t%s\n' "$(yes_if command -v apt-get)"
	return 0
}

# By what way the module came that modprobe would load. Some distributions' DKMS installs to where ours would be, too.
module_way() { # VERSION
	if [ "$(modinfo -n nvi)" != "$(prebuilt_file "$release")" ] || dkms_has_installed "$1" "$release"; then echo dkms; else echo prebuilt; fi
}

prebuilt_file() { # RELEASE
	echo "/lib/modules/$1/updates/nvi.ko"
}

version_of() { # FILE
	modinfo -F version "$1" 2>/dev/null
}

dkms_has_installed() { # VERSION RELEASE
	[ -e "/var/lib/dkms/nvi/$1/$2" ] && dkms status -m nvi -v "$1" -k "$2" | grep -q ': installed'
}

# mokutil's exit status has told different things over time.
dkms_key_is_enrolled() {
	for key in /var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der; do
		[ -e "$key" ] && mokutil --test-key "$key" | grep 'already enrolled' && return
	done
	return 1
}

dkms_install() { # VERSION
	limited 600 dkms install -m nvi -v "$1" -k "$(uname -r)" --force
}

# modprobe finds nothing but what comes next. What was there stays, out of its sight (depmod goes by the end of the name),
# until all is confirmed.
module_aside() { # RELEASE
	for tree in /var/lib/dkms/nvi/*/"$1"; do
		version=${tree%/*}
		version=${version##*/}
		! dkms_has_installed "$version" "$1" || limited 60 dkms uninstall -m nvi -v "$version" -k "$1" || return
	done
	file=$(prebuilt_file "$1")
	version=$(version_of "$file")
	[ -z "$version" ] || mv "$file" "$file.$version"
}

# The headers of the kernels to come as well, where the distribution has a package of that (that of 6.1.0-56-amd64 and of
# 6.12.41+deb13-amd64 is linux-headers-amd64): with them DKMS builds the module when a kernel is installed.
install_packages() {
	kernel=$(uname -r)
	coming=linux-headers-$(echo "$kernel" | sed 's/^[0-9][^-]*-\([0-9][^-]*-\)*//')
	apt-cache show "$coming" >/dev/null 2>&1 || coming=
	# shellcheck disable=SC2086 # it may be none
	DEBIAN_FRONTEND=noninteractive limited 600 apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends dkms gcc make "linux-headers-$kernel" $coming
}

module_install() { # VERSION packages|as-is
	if [ "$2" = packages ]; then
		# Its lists of packages may be old, or none at all; and one source that can't be reached is no reason.
		{ install_packages || { bounded apt-get update; install_packages; }; } >"$tx/apt" 2>&1 || {
			tail -n 15 "$tx/apt" >&2
			return 1
		}
	fi
	source=/usr/src/nvi-$1
	mkdir -p "$source" || return
	for file in "$tx"/module.*; do
		name=${file##*/module.}
		case $name in
		kbuild) name=Kbuild ;;
		makefile) name=Makefile ;;
		esac
		cp "$file" "$source/$name" || return
	done
	chmod -R a+rX "$source"
	{ module_aside "$(uname -r)" && dkms_install "$1"; } >"$tx/dkms" 2>&1 && return
	{
		tail -n 5 "$tx/dkms"
		tail -n 20 "/var/lib/dkms/nvi/$1/build/make.log"
	} >&2
	return 1
}

module_install_prebuilt() { # VERSION RELEASE
	base64 -d <"$tx/nvi.ko.$2.base64" >"$tx/nvi.ko" || return
	version=$(version_of "$tx/nvi.ko")
	[ "$version" = "$1" ] || {
		echo "the prebuilt module says that it is version $version, not $1" >&2
		return 1
	}
	module_aside "$2" >&2 || return
	file=$(prebuilt_file "$2")
	mkdir -p "${file%/*}" && cp "$tx/nvi.ko" "$file.new" && mv "$file.new" "$file" && depmod -a "$2"
}

module_remove() { # VERSION dkms | VERSION prebuilt [RELEASE]
	if [ "$2" = dkms ]; then
		if [ -e "/var/lib/dkms/nvi/$1" ]; then dkms remove -m nvi -v "$1" --all >&2; fi
		rm -rf "/usr/src/nvi-$1" "/var/lib/dkms/nvi/$1"
		rmdir /var/lib/dkms/nvi 2>/dev/null
		return 0
	fi
	for folder in /lib/modules/${3:-*}/updates; do
		file=$folder/nvi.ko
		rm -f "$file.$1" "$file.new"
		if [ "$(version_of "$file")" = "$1" ]; then
			rm -f "$file"
			folder=${folder%/updates}
			depmod -a "${folder##*/}"
		fi
		rmdir "${file%/*}" 2>/dev/null
	done
	return 0
}

module_restore() { # VERSION dkms | VERSION prebuilt RELEASE
	if [ "$2" = dkms ]; then
		dkms_install "$1"
		return
	fi
	file=$(prebuilt_file "$3")
	[ ! -e "$file.$1" ] || { mv "$file.$1" "$file" && depmod -a "$3"; }
}

# Undoing may find it still loaded.
module_load() { # VERSION
	[ "$(cat /sys/module/nvi/version 2>/dev/null)" != "$1" ] || return 0
	bounded modprobe nvi || {
		dmesg | tail -n 5 >&2
		return 1
	}
	[ "$(cat /sys/module/nvi/version)" = "$1" ] && return
	echo "modprobe nvi loaded version $(cat /sys/module/nvi/version), not $1" >&2
	return 1
}

# It may never have come, where this undoes a load that failed. modprobe would look for a file, and take along what other
# modules nvi needs, with others' settings of them.
module_unload() {
	[ ! -e /sys/module/nvi ] || bounded rmmod nvi
}

# Devices that are still there when ours have gone are somebody else's, and would go with it.
module_unload_unused() {
	devices=$(bounded ip -o link show type nvi) || return
	[ "$devices" ] || module_unload
}
