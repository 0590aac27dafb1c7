#!/bin/sh
# Prints a folder that holds a Debian kernel: vmlinuz, and modules/ with every module it has.
#
# The packages come through apt, so from where this system gets all its packages, and are unpacked into the
# cache, one folder per set of package versions. Nothing is installed: the system's /boot is not touched.
#
#   LAB_KERNEL=PACKAGE  another kernel than Debian's newest for this release
set -eu
LC_ALL=C
export LC_ALL
first=${LAB_KERNEL:-linux-image-amd64}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/lab
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

die() {
	echo "lab: $*" >&2
	exit 1
}

# The package named, and those parts of a kernel it depends on. Up to Linux 6.x linux-image-amd64 needs one
# package with everything; later the kernel and its modules are two more.
closure() {
	todo=$1 all=
	while [ -n "$todo" ]; do
		p=${todo%% *}
		todo=$(echo "${todo#"$p"}" | sed 's/^ *//')
		case " $all " in *" $p "*) continue ;; esac
		all="$all $p"
		more=$(apt-cache depends "$p" 2>/dev/null |
			sed -n 's/^ *|\{0,1\}Depends: \(linux-\(image\|binary\|modules\)-.*\)/\1/p' | tr '\n' ' ')
		todo="$todo${todo:+ }${more% }"
	done
	# shellcheck disable=SC2086 # one word per package
	echo $all
}

# Lines of URI, file name, size, hash: what apt would load, and so the versions.
plan() {
	# shellcheck disable=SC2046 # one word per package
	apt-get download --print-uris $(closure "$first") 2>/dev/null | grep "^'.*\.deb"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# Loads what the plan names into $tmp/deb. Not as the user _apt, who may not enter our folder: the hashes
# are checked all the same.
load() {
	rm -rf "$tmp/deb"
	mkdir "$tmp/deb"
	# shellcheck disable=SC2046 # one word per package
	(cd "$tmp/deb" && apt-get -qq -o APT::Sandbox::User=root download $(closure "$first") >"$tmp/log" 2>&1)
}

# One place for what the releases keep in several: boot/vmlinuz-V or modules/V/vmlinuz; lib or usr/lib.
arrange() {
	modules=$(find "$tmp/all" -type d -path '*lib/modules/*' -prune | head -n 1)
	kernel=$(find "$tmp/all" -name 'vmlinuz*' -type f | head -n 1)
	[ -n "$modules" ] && [ -n "$kernel" ] || die "the packages of $first hold no kernel with modules"
	mkdir -p "$tmp/out/modules"
	mv "$kernel" "$tmp/out/vmlinuz"
	mv "$modules/kernel" "$modules/modules.builtin" "$tmp/out/modules/"
	basename "$modules" >"$tmp/out/release"
}

# Sets key, by which the cache keeps them: the first of the packages that hold something.
resolve() {
	key=$(plan | awk '{ print $2 }' | grep -v "^${first}_" | sort | head -n 1)
	: "${key:=$(plan | awk '{ print $2; exit }')}"
	key=${key%.deb}
	[ -n "$key" ]
}

refresh() {
	echo "lab: reading the package lists" >&2
	as_root apt-get -qq update >&2 || die "apt-get update failed"
	resolve || die "apt knows no package $first"
}

command -v apt-get >/dev/null || die "the guest's kernel is a Debian package, and there is no apt-get here"
resolve || refresh
if [ ! -d "$cache/$key" ]; then
	mkdir -p "$cache"
	tmp=$(mktemp -d "$cache/new.XXXXXX")
	echo "lab: loading $key" >&2
	# Lists that are old name files that are gone: read them again, once.
	load || { refresh && load; } || die "$(tail -n 1 "$tmp/log")"
	for deb in "$tmp"/deb/*.deb; do
		dpkg-deb -x "$deb" "$tmp/all"
	done
	arrange
	# Another lab may have been faster.
	mv -T "$tmp/out" "$cache/$key" 2>/dev/null || [ -d "$cache/$key" ] || die "cannot write $cache/$key"
fi
echo "$cache/$key"
