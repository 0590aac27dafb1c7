#!/bin/sh
# Brings the inference engine's libraries and headers: fetch.sh [BUILD_DIR]
#
# Leaves BUILD_DIR/engine/{lib,include,licenses,engine.mk}. The folder appears whole, by one rename,
# so engine.mk exists only beside a complete engine. What is wanted comes from pins.tsv; nothing is
# used that does not have the sha512 written there. With nothing to do it is quick and offline.
#
#   BERTH_ENGINE_BACKENDS="cpu vulkan"  these and no others, whatever this machine has
#   BERTH_ENGINE_PINS=FILE              another pins.tsv (tests)
#   BERTH_CACHE_DIR=DIR                 where the packages are kept (else ~/.cache/berth)
#
# Exit: 0 there it is, 2 usage, 5 this environment will not let us, and why.

set -eu
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin	# ldconfig, for people who are not root
umask 022
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE	# set when make runs inside a git hook

here=$(dirname "$0")
pins=${BERTH_ENGINE_PINS:-$here/pins.tsv}
build=${1:-build}
build=${build%/}
engine=$build/engine
tab=$(printf '\t')

stage='' tmp='' running=''

note() { echo "engine: $*" >&2; }

die() {
	note "$*"
	exit 5
}

cleanup() {
	if [ -n "$running" ]; then
		set +u	# $! is unset until there is a child
		kill $! 2>/dev/null || :
		wait $! || :	# or it would still be writing into what we remove
	fi
	[ -z "$tmp" ] || rm -rf "$tmp"
	[ -n "$stage" ] || return 0
	# Interrupted between the two renames of install(): the engine we had is still good.
	if [ -d "$stage.old" ] && [ ! -e "$engine" ]; then
		mv "$stage.old" "$engine"
	fi
	rm -rf "$stage" "$stage.old"
}

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what is wanted

# The row of pins.tsv that gives $1, in variables named like its columns.
pin() {
	while IFS=$tab read -r gives package version file bytes from dir take needs sha512; do
		[ "$gives" != "$1" ] || return 0
	done <"$pins"
	return 1
}

# One alternative of a "needs": lib:NAME or path:GLOB.
present() {
	case $1 in
	lib:*)
		case $libraries in *"$tab${1#lib:} (libc6,x86-64"*) return 0 ;; esac
		;;
	path:*)
		for f in ${1#path:}; do
			[ ! -e "$f" ] || return 0
		done
		;;
	esac
	return 1
}

holds() {
	for word in $1; do
		rest=$word\|
		while [ -n "$rest" ]; do
			! present "${rest%%|*}" || continue 2
			rest=${rest#*|}
		done
		return 1
	done
}

# The backends to have, in the order of pins.tsv; the CPU's always.
choose_backends() {
	backends=
	for b in ${BERTH_ENGINE_BACKENDS:-}; do
		case $b in headers | system | '#'*) false ;; *) pin "$b" ;; esac ||
			die "BERTH_ENGINE_BACKENDS names \"$b\", which no row of $pins gives"
	done
	libraries=$(ldconfig -p 2>/dev/null) || libraries=
	while IFS=$tab read -r gives _ _ _ _ _ _ _ needs _; do
		case $gives in
		'#'* | '' | headers | system) continue ;;
		cpu) ;;
		*)
			if [ -n "${BERTH_ENGINE_BACKENDS:-}" ]; then
				case " $BERTH_ENGINE_BACKENDS " in *" $gives "*) ;; *) continue ;; esac
			else
				holds "$needs" || continue
			fi
			;;
		esac
		backends="$backends${backends:+ }$gives"
	done <"$pins"
}

# A libllama of the distribution is used only in a version someone tested, for its structures change
# without its soname changing. Sets kind, and sysver to what pkg-config found.
choose_kind() {
	kind=npm sysver=
	sysver=$(pkg-config --modversion llama 2>/dev/null) || return 0
	while IFS=$tab read -r gives package version file bytes from dir take needs sha512; do
		if [ "$gives" = system ] && [ "$version" = "$sysver" ]; then
			kind=system
			return 0
		fi
	done <"$pins"
}

# True when engine.mk was written for the same wishes and nothing it names has gone since.
up_to_date() {
	[ -f "$engine/engine.mk" ] || return 1
	same=
	while read -r var _ value; do
		case $var in
		ENGINE_KEY)
			[ "$value" = "$key" ] || return 1
			same=yes
			;;
		ENGINE_FILES)
			for f in $value; do
				[ -f "$engine/$f" ] || return 1
			done
			;;
		esac
	done <"$engine/engine.mk"
	[ -n "$same" ]
}

# ---- the packages

check_machine() {
	arch=$(uname -m)
	libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc="another C library"
	[ "$arch" = x86_64 ] || die "the pinned engine is built for x86_64 only, and this is $arch;" \
		"it needs a libllama of the system in a tested version (rows \"system\" in $pins)"
	case $libc in
	"glibc 2."*) [ "${libc#glibc 2.}" -ge 34 ] 2>/dev/null ;;
	*) false ;;
	esac || die "the pinned engine needs glibc 2.34 or later, and this system has $libc"
	for tool in git patchelf sha512sum tar gzip flock; do
		command -v $tool >/dev/null || die "$tool is missing; run: make deps"
	done
}

verified() { echo "$sha512  $1" | sha512sum -c --status 2>/dev/null; }

# Leaves the tarball that gives $1 in the cache. A cached file is not believed either.
obtain() {
	pin "$1" || die "no row of $pins gives $1"
	if [ -f "$cache/$file" ]; then
		! verified "$cache/$file" || return 0
		note "$cache/$file is damaged (its sha512 is not the pinned one); fetching it again"
		rm -f "$cache/$file"
	fi
	download
}

# npm prints codes, a reason and advice. The reason is the line a person needs.
npm_reason() {
	said=$(sed -n 's/^npm ERR! //p; s/^npm error //p' "$tmp/err" |
		grep -vE '^(code|errno|syscall|path|cwd|A complete log|[A-Z0-9]+ *$)|^ *$') || :
	reason=$(echo "$said" | grep -m 1 'reason:') || reason=$(echo "$said" | head -n 1)
	[ -n "$reason" ] || reason=$(tail -n 1 "$tmp/err")
	[ -n "$reason" ] || reason="npm gave no reason (exit status $rc)"
}

download() {
	command -v npm >/dev/null || sh "$here/../../base/deps/packages.sh" npm || :
	command -v npm >/dev/null ||
		die "$package $version cannot be fetched without npm; install it and run: make deps"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	note "fetching $package $version ($(((bytes + 999999) / 1000000)) MB)"
	# Its own cache folder: nothing is left in ~/.npm, and HOME need not be writable. In the
	# background, because a shell answers a signal during wait but not during a command.
	rc=0
	running=yes
	(cd "$tmp" && exec npm pack --ignore-scripts --loglevel=error --cache="$tmp/npm" \
		--update-notifier=false --fetch-retries=2 --fetch-retry-mintimeout=1000 \
		--fetch-retry-maxtimeout=5000 "$package@$version" \
		</dev/null >"$tmp/out" 2>"$tmp/err") &
	wait $! || rc=$?
	running=
	if [ "$rc" != 0 ]; then
		npm_reason
		die "cannot fetch $package $version: ${reason%.}." \
			"Check the network and run again: make deps"
	fi
	[ -f "$tmp/$file" ] || die "npm pack $package@$version left no $file; see npm's own settings"
	if ! verified "$tmp/$file"; then
		got=$(wc -c <"$tmp/$file")
		why="its sha512 is not the pinned one"
		[ "$got" = "$bytes" ] || why="$got bytes instead of $bytes"
		die "$package $version came damaged or changed ($why), so it was thrown away." \
			"Try again: make deps. If it stays so, do not use this source"
	fi
	mv "$tmp/$file" "$cache/$file"
	rm -rf "$tmp"
	tmp=
}

# ---- from packages to a folder of libraries

# $1's files, from its package into the stage.
unpack() {
	pin "$1"
	un=$stage/un/$1
	mkdir -p "$un"
	set -f	# tar expands the patterns, not we
	set -- package/LICENSE
	[ ! -e "$stage/lib/libggml-base.so" ] || set -- "$@" "package/$dir/libggml-base.so"
	for f in $take; do
		set -- "$@" "package/$dir/$f"
	done
	set +f
	tar -xzf "$cache/$file" -C "$un" --strip-components=1 --no-same-owner --no-same-permissions \
		--wildcards "$@" || die "cannot unpack $cache/$file into $build"
	# A backend works on libggml-base's private structures: another build's would corrupt memory.
	if [ -e "$stage/lib/libggml-base.so" ]; then
		cmp -s "$un/$dir/libggml-base.so" "$stage/lib/libggml-base.so" ||
			die "$package is of another build than the cpu package (libggml-base.so differs)"
		rm "$un/$dir/libggml-base.so"
	fi
	mv "$un/$dir"/*.so "$stage/lib/"
	mv "$un/LICENSE" "$stage/licenses/node-llama-cpp"
	rm -rf "$un"
}

# The headers come as the project's history in a git bundle: one commit, most of it not ours to keep.
unpack_headers() {
	pin headers
	un=$stage/un/headers
	mkdir -p "$un/tree"
	tar -xzf "$cache/$file" -C "$un" --strip-components=1 --no-same-owner "package/$dir" ||
		die "cannot unpack $cache/$file into $build"
	(
		# Nobody's own git settings.
		export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
		git -c init.defaultBranch=main clone -q --bare "$un/$dir" "$un/git" &&
			git -C "$un/git" archive "$take" include ggml/include LICENSE >"$un/tree.tar" &&
			tar -xf "$un/tree.tar" -C "$un/tree" --no-same-owner
	) || die "cannot take the headers of commit $take out of $cache/$file"
	mv "$un"/tree/include/*.h "$un"/tree/ggml/include/*.h "$stage/include/"
	mv "$un/tree/LICENSE" "$stage/licenses/llama.cpp"
	rm -rf "$un"
}

# As built, the libraries' RUNPATH ends in a colon: an empty part, which is the current directory,
# from which anyone could hand us a libgcc_s. With it gone the program need not name the C++
# libraries itself. It only gets shorter, so patchelf moves nothing in the file.
mend_runpaths() {
	chmod 644 "$stage"/lib/* "$stage"/include/* "$stage"/licenses/*
	# shellcheck disable=SC2016 # $ORIGIN is the loader's, not the shell's
	patchelf --set-rpath '$ORIGIN' "$stage"/lib/*.so || die "patchelf cannot mend the libraries"
	for so in "$stage"/lib/*.so; do
		runpath=$(patchelf --print-rpath "$so")
		# shellcheck disable=SC2016
		[ "$runpath" = '$ORIGIN' ] ||
			die "${so##*/} searches \"$runpath\" after patchelf, not \$ORIGIN alone"
		for n in $(patchelf --print-needed "$so"); do
			case $n in
			libggml* | libllama*)
				[ -f "$stage/lib/$n" ] || die "${so##*/} needs $n, which is not taken" ;;
			esac
		done
	done
}

files_of_stage() {
	for f in "$stage"/lib/* "$stage"/include/* "$stage"/licenses/*; do
		[ ! -f "$f" ] || printf ' %s' "${f#"$stage"/}"
	done
}

# $1 version, $2 folder of the backends, $3 cflags, $4 libs
write_mk() {
	{
		echo "# Written by core/engine/fetch.sh. ENGINE_VERSION is what llama_version() must say;"
		echo "# the core loads its backends from ENGINE_LIBDIR; ENGINE_FILES are ours, in $engine."
		echo "ENGINE_KIND := $kind"
		echo "ENGINE_VERSION := $1"
		echo "ENGINE_BACKENDS := $backends"
		echo "ENGINE_LIBDIR := $2"
		echo "ENGINE_CFLAGS := $3"
		echo "ENGINE_LIBS := $4"
		echo "ENGINE_FILES :=$(files_of_stage)"
		echo "ENGINE_KEY := $key"
	} >"$stage/engine.mk"
}

from_packages() {
	check_machine
	cache=${BERTH_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-$PWD/$build}/.cache}/berth}/engine
	mkdir -p "$cache" || die "cannot write to $cache; set BERTH_CACHE_DIR to a folder that can be written"
	cache=$(cd "$cache" && pwd)
	find "$cache" -maxdepth 1 -name 'tmp.*' -mmin +60 -exec rm -rf {} +	# left by a kill -9
	for b in $backends headers; do
		obtain "$b"
	done
	mkdir "$stage/lib" "$stage/include" "$stage/licenses" "$stage/un"
	for b in $backends; do
		unpack "$b"
	done
	unpack_headers
	rmdir "$stage/un"
	mend_runpaths
	pin cpu
	# By exact file name, which carries the version: -lllama could find some other libllama.
	libs=-L$engine/lib
	for f in $take; do
		case $f in *\**) ;; *) libs="$libs -l:$f" ;; esac
	done
	write_mk "$from" "$engine/lib" "-isystem $engine/include" "$libs"
}

# The distribution's libraries, also by exact name: the soname of what pkg-config points at.
from_system() {
	libdir=$(pkg-config --variable=libdir llama)
	libs=-L$libdir
	for f in $take; do
		soname=$(patchelf --print-soname "$libdir/lib$f.so") || soname=
		[ -n "$soname" ] ||
			die "the system's llama $sysver has no $libdir/lib$f.so to link"
		libs="$libs -l:$soname"
	done
	backends=
	for f in "$libdir/$dir"/libggml-*.so; do
		[ -f "$f" ] || die "the system's llama $sysver has no backends in $libdir/$dir"
		f=${f##*/libggml-}
		f=${f%.so}
		case " $backends " in *" ${f%%-*} "*) ;; *) backends="$backends${backends:+ }${f%%-*}" ;; esac
	done
	write_mk "$from" "$libdir/$dir" "$(pkg-config --cflags llama)" "$libs"
}

install() {
	chmod 755 "$stage"
	[ ! -e "$engine" ] || mv "$engine" "$stage.old"
	mv "$stage" "$engine"
	rm -rf "$stage.old"
	stage=
}

# ---- the order of things

case $#${1-} in
0 | 1[!-]*) ;;
*)
	echo "usage: fetch.sh [BUILD_DIR]" >&2
	exit 2
	;;
esac
[ -r "$pins" ] || die "cannot read $pins"

choose_kind
[ "$kind" = system ] || choose_backends
key=$({
	cat "$0" "$pins"
	echo "$build|$kind|$sysver|${backends-}"
} | sha512sum)
key=${key%% *}
! up_to_date || exit 0

mkdir -p "$build" || die "cannot write to $build"
exec 9>"$build/.engine-lock"	# two makes at once: the second waits, then finds it done
flock 9 || die "cannot lock $build/.engine-lock"
! up_to_date || exit 0
rm -rf "$build"/.engine.*	# left by a kill -9; ours alone, for we hold the lock

[ -z "$sysver" ] || [ "$kind" = system ] ||
	note "the system's libllama $sysver is not a version we have tested; using the pinned packages"
stage=$(mktemp -d "$build/.engine.XXXXXX")
if [ "$kind" = system ]; then
	from_system
else
	from_packages
fi
install
note "$kind engine in $engine, backends: $backends"
