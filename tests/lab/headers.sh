#!/bin/sh
# Prints a folder whose build/ is what modules for a Debian kernel are built against: headers.sh KERNEL-FOLDER, as
# kernel.sh prints it. The headers come by apt, and stay in the cache (deb.sh).
set -eu
first=linux-headers-$(cat "$1/release")
. tests/lab/deb.sh

# The headers of this build, those of all builds of this version, and the programs.
closure() {
	more=$(apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-\(headers\|kbuild\)-.*\)/\1/p' | tr '\n' ' ')
	echo "$1 ${more% }"
}

# They look for each other below /usr/src; ours lie elsewhere.
arrange() {
	own=$tmp/all/usr/src/$first
	[ -e "$own/Makefile" ] || die "$first holds no headers"
	# shellcheck disable=SC2016 # make's
	sed -i 's|^include /usr/src/|include $(dir $(lastword $(MAKEFILE_LIST)))../|' "$own/Makefile"
	mv "$tmp/all" "$tmp/out"
	ln -s "usr/src/$first" "$tmp/out/build"
}

unpacked
