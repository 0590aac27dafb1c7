#!/bin/sh
# Prints a folder with the kernel's own tests of VFIO (tools/testing/selftests/vfio of Debian's newest source), built without
# libraries, so that any guest runs them. They stay in the cache by the source's version and what is below.
set -eu
LC_ALL=C
export LC_ALL
here=$(dirname "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/lab
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=tests/lab/suites.sh
. "$here/suites.sh"

die() {
	echo "lab: $*" >&2
	exit 1
}

mirror=$(debian_mirror)
[ -n "$mirror" ] || die "apt has no Debian mirror here"
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/new.XXXXXX")
private_apt "$tmp/apt" sid >&2 || die "no sid at the system's mirror"
apt="-c $tmp/apt/apt.conf"
# shellcheck disable=SC2086 # two words
source=$(apt-cache $apt depends linux-source | sed -n 's/^ *Depends: \(linux-source-.*\)/\1/p' | head -n 1)
# shellcheck disable=SC2086 # two words
version=$(apt-cache $apt show "$source" | sed -n '/^Version: /{s///p;q}')
[ -n "$version" ] || die "sid has no linux-source"
key=selftests-$version-$(sha256sum "$0" | cut -c 1-12)

# The tests, what they include of the kernel's, and the headers of its interface as programs see them.
unpacked() {
	# shellcheck disable=SC2086 # two words
	(cd "$tmp" && apt-get -qq $apt download "$source" linux-libc-dev)
	dpkg-deb -x "$tmp"/linux-libc-dev_*.deb "$tmp/libc"
	mkdir "$tmp/src"
	dpkg-deb --fsys-tarfile "$tmp/$source"_*.deb | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -C "$tmp/src" --strip-components=1 -xJ --wildcards '*/scripts/subarch.include' '*/tools/include' '*/tools/arch/x86/include' \
			'*/include/linux/pci_ids.h' '*/tools/testing/selftests/*.h' '*/tools/testing/selftests/lib.mk' '*/tools/testing/selftests/vfio' \
			'*/drivers/dma/ioat/*.h' '*/drivers/dma/idxd/*.h'
}

build() {
	unpacked
	tests=$tmp/src/tools/testing/selftests
	# Thirty seconds a test are meant for processors that are none of a program's.
	sed -i 's/^#define TEST_TIMEOUT_DEFAULT 30$/#define TEST_TIMEOUT_DEFAULT 900/' "$tests/kselftest_harness.h"
	grep -q 'TIMEOUT_DEFAULT 900' "$tests/kselftest_harness.h"
	flags="-isystem $tmp/libc/usr/include/$(gcc -print-multiarch) -isystem $tmp/libc/usr/include"
	# 7.2.13 has a fix that uses what only later kernels define.
	grep -rq 'define calloc_assert' "$tests/vfio" || flags="$flags -Dcalloc_assert=calloc"
	mkdir "$tmp/out"
	make -s -C "$tests/vfio" OUTPUT="$tmp/out" LDFLAGS='-static -pthread' EXTRA_CFLAGS="$flags"
	find "$tmp/out" -mindepth 1 ! -name '*_test' -prune -exec rm -r {} +
	strip "$tmp"/out/*
}

if [ ! -d "$cache/$key" ]; then
	echo "lab: building the VFIO selftests of $source $version" >&2
	# In a shell of its own, where a step that fails ends it.
	rc=0
	(build) >"$tmp/log" 2>&1 & wait $! || rc=$?
	[ $rc = 0 ] || { tail -n 20 "$tmp/log" >&2 && die "the selftests cannot be built"; }
	# Another lab may have been faster.
	mv -T "$tmp/out" "$cache/$key" 2>/dev/null || [ -d "$cache/$key" ] || die "cannot write $cache/$key"
fi
echo "$cache/$key"
