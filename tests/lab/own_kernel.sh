#!/bin/sh
# Prints a folder that holds a kernel of our own: Debian's source with the few options of own.config, which Debian's kernels
# lack (iommufd) or which make it start in two seconds under emulation. As kernel.sh prints: vmlinuz, modules/ and release;
# and build/, what a module is built against.
#
# It takes some fifteen minutes of a processor, once: the cache keeps it by the source's version and the options.
#
#   LAB_CONFIG=FILE  more options, such as for a kernel that looks for bugs
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

# --- which source: the newest of unstable ---
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
cat "$here/own.config" ${LAB_CONFIG:+"$LAB_CONFIG"} >"$tmp/wanted"
key=own-$version-$(sha256sum "$tmp/wanted" | cut -c 1-12)

# Everything asked for is there as asked: an option that a new kernel calls otherwise must not vanish silently.
lost() {
	grep -v '^#' "$tmp/wanted" | while IFS='=' read -r name value; do
		[ -n "$name" ] || continue
		if [ "$value" = n ]; then
			! grep -q "^$name=" "$tmp/obj/.config" || echo "$name=n"
		else
			grep -qx "$name=$value" "$tmp/obj/.config" || echo "$name=$value"
		fi
	done
}

build() {
	# shellcheck disable=SC2086 # two words
	(cd "$tmp" && apt-get -qq $apt download "$source" && dpkg-deb -x "$source"_*.deb deb) >&2
	mkdir "$tmp/src" "$tmp/obj" "$tmp/out"
	tar -C "$tmp/src" --strip-components=1 -xf "$tmp"/deb/usr/src/linux-source-*.tar.xz
	make="make -s -C $tmp/src O=$tmp/obj -j$(nproc)"
	$make tinyconfig >&2
	cat "$tmp/wanted" >>"$tmp/obj/.config"
	$make olddefconfig >&2 2>/dev/null
	[ -z "$(lost)" ] || { echo "this kernel does not take $(lost | tr '\n' ' ')" && return 1; }
	$make bzImage modules >&2
	release=$($make kernelrelease)
	$make INSTALL_MOD_PATH="$tmp/mod" modules_install >&2
	$make run-command KBUILD_RUN_COMMAND="$tmp/src/scripts/package/install-extmod-build $tmp/out/build" >&2
	mkdir "$tmp/out/modules"
	cp "$tmp/obj/arch/x86/boot/bzImage" "$tmp/out/vmlinuz"
	cp "$tmp/obj/.config" "$tmp/out/config"
	mv "$tmp/mod/lib/modules/$release/kernel" "$tmp/mod/lib/modules/$release/modules.builtin" "$tmp/out/modules/"
	echo "$release" >"$tmp/out/release"
}

if [ ! -d "$cache/$key" ]; then
	for tool in gcc flex bison bc make xz; do
		command -v $tool >/dev/null || die "no $tool; base/deps/packages.sh lab installs it"
	done
	echo "lab: building $source $version, for some minutes" >&2
	# In a shell of its own, where a step that fails ends it.
	rc=0
	(build) >"$tmp/log" 2>&1 & wait $! || rc=$?
	[ $rc = 0 ] || { tail -n 20 "$tmp/log" >&2 && die "the kernel cannot be built"; }
	# Another lab may have been faster.
	mv -T "$tmp/out" "$cache/$key" 2>/dev/null || [ -d "$cache/$key" ] || die "cannot write $cache/$key"
fi
echo "$cache/$key"
