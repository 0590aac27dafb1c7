#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What can be found in the module's source without running it: check.sh KDIR [FOLDER]. Prints what it finds; exit 1: something.
#
#   sparse       by the kernel's build, into FOLDER (build.sh; left out without one)
#   kernel-doc   of everything that has such a comment; and everything that is shared has one
#   checkpatch   where KDIR has it, with --strict: the kernel's source, or headers made from it
#   coccinelle   our own semantic patches (cocci/), and those that KDIR has
#
# What the machine or KDIR lacks is left out, and said on stderr.
set -eu
kdir=${1:?} folder=${2:-}
case $folder in /* | '') ;; *) folder=$PWD/$folder ;; esac
kdir=$(cd "$kdir" && pwd -P)
cd "$(dirname "$0")"
found=$(mktemp) built=$(mktemp)
trap 'rm -f "$found" "$built"' EXIT

# Headers may be two folders, of which the second has the scripts.
source=$kdir
if [ ! -e "$kdir/scripts/checkpatch.pl" ] && [ ! -e "$kdir/scripts/kernel-doc" ]; then
	while read -r word at; do
		[ "$word" != include ] || source=$(make -s -f - <<-END
			MAKEFILE_LIST := $kdir/Makefile
			\$(info \$(dir $at))
			all:;
		END
		)
	done <"$kdir/Makefile"
fi

without() {
	echo "kmod: no $1 here: left out" >&2
}

if [ -z "$folder" ]; then
	:
elif command -v sparse >/dev/null; then
	KMOD_CHECK=1 sh build.sh "$kdir" "$folder" >"$built" 2>&1 || true
	grep -E '/kmod/[a-z_]+\.[ch]:' "$built" >>"$found" || true
	# A kernel says so itself, and builds on.
	! grep -q 'sparse is not available or not up to date' "$built" || without "sparse that is new enough for this kernel"
else
	without sparse
fi

if [ -e "$source/scripts/kernel-doc" ]; then
	for f in *.[ch]; do
		"$source/scripts/kernel-doc" -none -Werror "$f" 2>&1 | sed "s|^|kernel-doc: |" >>"$found" || true
	done
else
	without kernel-doc
fi
# Functions that are declared in the shared header are told of where they are defined.
for f in $(sed -n 's/^[a-z].*[ *]\(bv_[a-z_]*\)(.*/\1/p' berth_vfio_priv.h | grep -vx bv_of); do
	grep -q "^ \* $f - " ./*.c ./*.h || echo "$f has no comment of kernel-doc" >>"$found"
done

if [ -e "$source/scripts/checkpatch.pl" ]; then
	# Our mutexes are told of in kernel-doc; files of sysfs are made by macros, as the kernel's own are; a map's
	# operations are copied to change one, and what probes find is no option of the kernel. It does not know how
	# tracepoints are written.
	perl "$source/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary --max-line-length=100 \
		--ignore UNCOMMENTED_DEFINITION,MULTISTATEMENT_MACRO_USE_DO_WHILE,COMPLEX_MACRO,MACRO_ARG_REUSE,CONST_STRUCT,IS_ENABLED_CONFIG -f $(ls -- *.[ch] | grep -vx trace.h) >>"$found" 2>/dev/null || true
else
	without checkpatch
fi

if command -v spatch >/dev/null; then
	# What it would write with a helper that kernels we build for do not have.
	for c in cocci/*.cocci $(find "$source/scripts/coccinelle" -name '*.cocci' ! -name string_choices.cocci 2>/dev/null | sort); do
		timeout 120 spatch -D report --very-quiet --no-show-diff --include-headers-for-types -I .. --cocci-file "$c" ./*.c \
			2>/dev/null | sed "s|^|${c##*/}: |" >>"$found" || true
	done
else
	without spatch
fi
cat "$found"
[ ! -s "$found" ]
