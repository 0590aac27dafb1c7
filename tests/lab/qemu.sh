#!/bin/sh
# Prints a folder with a root file system that has a QEMU which speaks vfio-user (10.1 or newer; 11.1 for DMA by
# message): `chroot FOLDER qemu-system-x86_64`. It is Debian's own, from backports, made once and kept in the cache by its
# version; nothing is installed here. Wants root, as mmdebstrap and chroot do.
set -eu
LC_ALL=C
export LC_ALL
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/lab
suite=trixie
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=tests/lab/suites.sh
. "$(dirname "$0")/suites.sh"

die() {
	echo "lab: $*" >&2
	exit 1
}

command -v mmdebstrap >/dev/null || die "no mmdebstrap; base/deps/packages.sh lab installs it"
[ "$(id -u)" = 0 ] || die "making a root file system wants root"
mirror=$(debian_mirror)
[ -n "$mirror" ] || die "apt has no Debian mirror here"
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/new.XXXXXX")
private_apt "$tmp/apt" "$suite-backports" >&2 || die "no $suite-backports at the system's mirror"
version=$(apt-cache -c "$tmp/apt/apt.conf" show qemu-system-x86 | sed -n '/^Version: /{s///p;q}')
[ -n "$version" ] || die "$suite-backports has no qemu-system-x86"
root=$cache/qemu-$(echo "$version" | tr -c 'A-Za-z0-9.+\n' _)
if [ ! -d "$root" ]; then
	echo "lab: making a root with QEMU $version" >&2
	sources "$suite" "$suite-backports" >"$tmp/sources.list"
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' \
		--aptopt="APT::Default-Release \"$suite-backports\"" --include=qemu-system-x86,seabios \
		"$suite" "$tmp/root" "$tmp/sources.list" >&2 || die "mmdebstrap failed"
	# Another lab may have been faster.
	mv -T "$tmp/root" "$root" 2>/dev/null || [ -d "$root" ] || die "cannot write $root"
fi
echo "$root"
