#!/bin/sh
# SPDX-License-Identifier: MIT
# Peers: the newest engine that Debian has, with its llama-server, and our core built for it; and nvtop. root.sh
# DIR leaves, below DIR, which is kept from run to run (remove it to have what Debian has by then):
#
#   root/            Debian's packages, unpacked, with a C library of their own; nothing of it is installed
#   llama-server     theirs, made to start with that C library
#   nvtop            the same
#   core/            our build for that engine; core/libexec/berth/core starts with the same C library
#   version          of the engine
#
# The mirror is the one that apt knows already. Exit: 0, or 77 and a sentence: it cannot be had here.
set -u
LC_ALL=C
export LC_ALL
packages='llama.cpp-tools libllama-dev libggml-dev libmicrohttpd12t64 libjansson4 libmd0 nvtop'
release=forky
libs=usr/lib/x86_64-linux-gnu

skip() {
	echo "$*"
	exit 77
}

# The release that the system's apt gets its packages from, with another release's name
mirror() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
		awk '$2 ~ /^[a-z]+$/ && $1 ~ /debian/ && $1 !~ /security/ { print $1; exit }'
}

# apt COMMAND...: with lists, caches and an idea of what is installed (nothing) of our own
apt() {
	apt-get -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$tmp/state" -o Dir::State::status="$tmp/status" -o Dir::Cache="$tmp/cache" \
		-o APT::Architecture=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Check-Valid-Until=false -o Debug::NoLocking=1 "$@"
}

load() {
	uri=$(mirror)
	[ -n "$uri" ] || skip "apt knows no mirror of Debian here"
	mkdir -p "$tmp/state/lists/partial" "$tmp/cache/archives/partial" "$tmp/root"
	: >"$tmp/status"
	echo "deb $uri $release main" >"$tmp/sources.list"
	# shellcheck disable=SC2086
	apt update && apt install -y --no-install-recommends --download-only $packages
}

unpack() {
	for deb in "$tmp"/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$tmp/root" || return 1
	done
	# A library that has a search path of its own does not ask for its program's
	patchelf --remove-rpath "$tmp/root/$libs"/lib*llama*.so.*.* "$tmp/root/$libs"/libmtmd.so.*.* \
		"$tmp/root/$libs"/llama/*.so
}

make_root() {
	tmp=$(mktemp -d "$dir/new.XXXXXX")
	load >"$dir/log" 2>&1 || skip "Debian's packages of the engine do not come: $(tail -n 1 "$dir/log")"
	unpack >"$dir/log" 2>&1 || skip "Debian's packages do not unpack: $(tail -n 1 "$dir/log")"
	mv "$tmp/root" "$dir/root"
}

# What starts with the root's loader and finds its libraries, the host's where it has none. Sets no rights
# and no root folder: anybody can run it.
make_program() {
	[ -x "$dir/$1" ] && return
	cp "$root/usr/bin/$1" "$dir/$1.new" &&
		patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$root/$libs:$root/$libs/llama" "$dir/$1.new" &&
		mv "$dir/$1.new" "$dir/$1"
}

# As core/engine/fetch.sh writes it for the pinned engine
write_mk() {
	mkdir -p "$dir/engine"
	cat >"$dir/engine/engine.mk.new" <<EOT
ENGINE_KIND := bench
ENGINE_VERSION := $version
ENGINE_BACKENDS := cpu
ENGINE_LIBDIR := $root/$libs/ggml/backends0
ENGINE_CFLAGS := -isystem $dir/engine/include
ENGINE_LIBS := -L$root/$libs -l:libllama.so.0 -l:libggml.so.0 -l:libggml-base.so.0
EOT
	mkdir -p "$dir/engine/include"
	# Not the root's folder itself: it has a C library's headers of another age in other releases
	cp "$root"/usr/include/llama*.h "$root"/usr/include/ggml*.h "$root"/usr/include/gguf.h "$dir/engine/include/"
	# Only when it changed: everything depends on it
	cmp -s "$dir/engine/engine.mk.new" "$dir/engine/engine.mk" ||
		mv "$dir/engine/engine.mk.new" "$dir/engine/engine.mk"
}

# What the host links against is older than what the root's libraries ask for, and these come first. The build
# folder as we were given it: ccache writes relative names of what depends on what, which make would not know.
make_core() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory BUILD="$1/core" ENGINE_BUILD="$dir" \
		LDFLAGS="-Wl,--allow-shlib-undefined -Wl,--dynamic-linker=$loader -Wl,--disable-new-dtags,-rpath,$root/$libs" \
		"$1/core/libexec/berth/core" >"$dir/log" 2>&1 ||
		skip "the core does not build for engine $version: $(grep -m 1 -e error -e Error "$dir/log")"
}

[ $# -eq 1 ] || exit 2
mkdir -p "$1" && dir=$(cd "$1" && pwd) || exit 2
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
[ "$(uname -m)" = x86_64 ] || skip "the peer is built for x86_64 only"
for tool in apt-get dpkg-deb patchelf; do
	command -v "$tool" >/dev/null || skip "the peer comes in Debian's packages, and there is no $tool here"
done
exec 9>"$dir/lock" && flock 9
rm -f "$dir/version" # there again when all is
root=$dir/root
loader=$root/$libs/ld-linux-x86-64.so.2
[ -x "$root/usr/bin/nvtop" ] || rm -rf "$root" "$dir/llama-server" # made before there was all that we want
[ -d "$root" ] || make_root
version=$(sed -n 's/^Version: *//p' "$root/$libs/pkgconfig/llama.pc") && [ -n "$version" ] ||
	skip "$root names no version of the engine"
for program in llama-server nvtop; do
	make_program "$program" || skip "patchelf cannot mend Debian's $program"
done
write_mk
make_core "${1%/}"
echo "$version" >"$dir/version"
