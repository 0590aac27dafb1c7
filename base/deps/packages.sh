#!/bin/sh
# Installs what is missing of the groups in packages.tsv: packages.sh [--dry-run] GROUP...
#
# Asks nothing and needs no rights when everything is there. Installs through apt-get, as root or by
# sudo; elsewhere it names the packages. --dry-run prints the command and runs nothing.
#
#   BERTH_OS_RELEASE=FILE  read this instead of /etc/os-release (tests)
#
# Exit: 0 everything is there now (or would be), 2 usage, 5 something is missing, and how to get it.

set -eu
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin	# ldconfig, lspci

table=$(dirname "$0")/packages.tsv
os_release=${BERTH_OS_RELEASE:-/etc/os-release}
lists=/var/lib/apt/lists
tab=$(printf '\t')
tmp=

note() { echo "packages: $*" >&2; }

die() {
	note "$*"
	exit 5
}

trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- which system, which names

# Every name packages.tsv may call this system by, the most exact first.
system_names() {
	ID='' VERSION_ID='' VERSION_CODENAME='' ID_LIKE=''
	# shellcheck disable=SC1090
	[ ! -r "$os_release" ] || . "$os_release"
	echo "$ID-$VERSION_ID $ID-$VERSION_CODENAME $ID $ID_LIKE"
}

# Lines of the table for the groups wanted: detect, tab, name. First the status and install rows.
# A system without a column gets Debian's names, to read them as a hint.
rows() {
	awk -F '\t' -v names="$(system_names)" -v groups=" $* " '
		/^#/ || NF < 3 { next }
		$1 == "group" {
			n = split(names, name, " ")
			for (i = 1; i <= n && !col; i++)
				for (c = 3; c <= NF; c++)
					if ($c == name[i] && !col) col = c
			known = col
			if (!col) col = 3
			next
		}
		$1 == "status" { print "status\t" (known ? $col : "unknown"); next }
		$1 == "install" { print "install\t" (known ? $col : "-"); next }
		{ pkg = $col == "=" ? $3 : $col }
		index(groups, " " $1 " ") && pkg != "none" { print $2 "\t" pkg }' "$table"
}

check_groups() {
	for g; do
		awk -F '\t' -v g="$g" '!/^#/ && $1 == g && $2 != "-" && g != "group" { ok = 1 }
			END { exit !ok }' "$table" || {
			echo "packages.sh: no group \"$g\"; they are: $(awk -F '\t' '!/^#/ && $2 != "-" &&
				$1 != "group" && !seen[$1]++ { printf "%s ", $1 }' "$table")" >&2
			exit 2
		}
	done
}

# ---- what is here

# $1: alternatives with commas between, as packages.tsv has them.
detected() {
	rest=$1,
	while [ -n "$rest" ]; do
		one=${rest%%,*}
		rest=${rest#*,}
		case $one in
		cmd:*) ! command -v "${one#*:}" >/dev/null || return 0 ;;
		pc:*) ! pkg-config --exists "${one#*:}" 2>/dev/null || return 0 ;;
		inc:*) [ ! -e "/usr/include/${one#*:}" ] || return 0 ;;
		lib:*) ! ldconfig -p 2>/dev/null | grep -q "^$tab${one#*:} " || return 0 ;;
		py:*) ! python3 -c "import ${one#*:}" 2>/dev/null || return 0 ;;
		file:*)
			for f in ${one#*:}; do
				[ ! -e "$f" ] || return 0
			done
			;;
		esac
	done
	return 1
}

# Sets missing, how (the install row) and status. dpkg answers for all in one quick question; only
# what it does not have is looked for in other ways.
find_missing() {
	all=$(rows "$@")
	missing='' how=- status=unknown
	have=
	if command -v dpkg-query >/dev/null; then
		# shellcheck disable=SC2046 # one word per package
		have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' \
			$(echo "$all" | cut -f 2 | grep -v ' ') 2>/dev/null) || :
	fi
	while IFS=$tab read -r detect name; do
		case $detect in
		status) status=$name ;;
		install) how=$name ;;
		*)
			case $nl$have$nl in *"$nl$name installed$nl"*) continue ;; esac
			case " $missing " in *" $name "*) continue ;; esac
			detected "$detect" || missing="$missing${missing:+ }$name"
			;;
		esac
	done <<-EOF
		$all
	EOF
}

# ---- apt

# Reads apt's output, keeps it for the day something fails, and shows how far it is on a terminal.
watch_apt() {
	while IFS= read -r line; do
		case $line in
		dlstatus:* | pmstatus:*)
			[ -t 2 ] || continue
			part=installing
			[ "${line#dl}" = "$line" ] || part=downloading
			line=${line#*:*:}
			printf '\r\033[Kpackages: %s %s %%' "$part" "${line%%[.:]*}" >&2
			;;
		*) echo "$line" >>"$tmp/log" ;;
		esac
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# The lock timeout waits for a running apt; --no-remove fails rather than take away what is here.
apt() {
	: >"$tmp/log"
	# A descriptor of its own for the status: apt closes it for the packages' scripts, and those that
	# write to their standard output then fail. It is made inside sudo, which closes all but three.
	{
		# shellcheck disable=SC2016 # the inner shell expands it
		$sudo env DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -c 'exec "$@" 3>&1' sh apt-get -qq -y --no-remove \
			--no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
			-o APT::Status-Fd=3 "$@" 2>&1 </dev/null && echo 0 >"$tmp/rc" || echo 1 >"$tmp/rc"
	} | watch_apt
	read -r rc <"$tmp/rc"
	return "$rc"
}

# Not being able to read one source's list is no reason to give up: the packages may be in another.
update() {
	note "reading the package lists"
	apt update || :
	trouble=$(grep -m 1 '^[EW]: ' "$tmp/log") || trouble=
}

have_lists() {
	for f in "$lists"/*_Packages*; do
		[ ! -e "$f" ] || return 0
	done
	return 1
}

install_apt() {
	tmp=$(mktemp -d)
	trouble='' updated=
	have_lists || {
		update
		updated=yes
	}
	note "installing $missing"
	# shellcheck disable=SC2086 # one word per package
	set -- install $missing
	apt "$@" && return 0
	# Lists that are old name files that are gone: read them again, once.
	[ -n "$updated" ] || {
		update
		apt "$@" && return 0
	}
	reason=$(grep -m 1 '^E: ' "$tmp/log") || reason=$(tail -n 1 "$tmp/log")
	die "could not install ($command): ${reason#E: }${trouble:+; apt-get update said: $trouble}"
}

# ---- the order of things

usage() {
	echo "usage: packages.sh [--dry-run] GROUP..." >&2
	exit 2
}

nl='
'
dry_run=
case ${1-} in
--dry-run)
	dry_run=yes
	shift
	;;
-*) usage ;;
esac
[ $# -gt 0 ] || usage
check_groups "$@"

find_missing "$@"
[ -n "$missing" ] || exit 0

command="apt-get install -y --no-install-recommends $missing"
case $how in
apt-get) ;;
-)
	die "this system is not one we have package names for." \
		"Debian calls what is missing: $missing. Install the like of it and run again"
	;;
*) command="$how $missing" ;;
esac
if [ -n "$dry_run" ]; then
	echo "$command"
	exit 0
fi
[ "$how" = apt-get ] || die "missing: $missing. Install them ($command) and run again"
[ "$status" = tested ] || note "the package names for this system are untested; tell us if one is wrong"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null ||
		die "missing: $missing. You are not root and there is no sudo; as root, run: $command"
	sudo=sudo
fi
install_apt
