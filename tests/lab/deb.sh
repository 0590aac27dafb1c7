# Packages of this system's release, unpacked: sourced by kernel.sh and udev.sh, which set `first`, the package that is
# wanted, and have functions closure PACKAGE, that prints it and the others that are needed with it, and arrange, that
# makes $tmp/out of what lies in $tmp/all.
#
# The packages come through apt, so from where this system gets all its packages, and are unpacked into the
# cache, one folder per set of package versions. Nothing is installed, and no script of a package runs.
# shellcheck shell=sh
LC_ALL=C
export LC_ALL
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/lab
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

die() {
	echo "lab: $*" >&2
	exit 1
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

# Prints the folder.
unpacked() {
	command -v apt-get >/dev/null || die "$first comes as a Debian package, and there is no apt-get here"
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
}
