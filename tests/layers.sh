#!/bin/sh
# Hold every #include to the floors: a folder includes its own headers, the contract headers of the
# folders that its module.mk names, and nothing else of ours; X_priv.h stays home; a foreign library's
# header is included by one file only. docs/ARCHITECTURE.md draws the floors.
set -u
bad=0

complain() {
	echo "$1"
	bad=1
}

# uses FOLDER: the folders named in its module.mk
uses() {
	sed -n "s/^$1\.uses *:= *//p" "$1/module.mk"
}

# What other folders may include of each. base is the floor under all: every header but the private ones.
contracts() {
	case $1 in
	base) ls base/*.h | grep -v _priv ;;
	probe) echo probe/probe.h ;;
	vram-planner) printf '%s\n' vram-planner/plan.h vram-planner/model.h ;;
	kmod) echo kmod/uapi.h ;;
	esac
}

for mk in */module.mk; do
	folder=${mk%/module.mk}
	allowed=$(for u in $(uses "$folder"); do contracts "$u"; done)
	for f in "$folder"/*.[ch]; do
		[ -e "$f" ] || continue
		for inc in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$f"); do
			case $inc in
			"$folder"/*) continue ;;
			esac
			echo "$allowed" | grep -qx "$inc" || complain "$f includes $inc, which $folder may not"
		done
	done
done

# One foreign library, one file; libllama's is a private header of a few files.
while read -r pattern; do
	files=$(grep -lE "^[ \t]*#[ \t]*include[ \t]*<($pattern)>" */*.[ch] 2>/dev/null)
	n=$(echo "$files" | grep -c .)
	[ "$n" -le 1 ] || complain "<$pattern> is included by $n files, one is allowed: $(echo $files)"
done <<'LIBS'
pciaccess\.h
(lib)?drm/?.*\.h|xf86drm\.h
hwloc\.h
n?curses(w/[a-z]*)?\.h
jansson\.h
libudev\.h
systemd/.*\.h
sha2\.h
seccomp\.h
llama\.h
curl/curl\.h
microhttpd\.h
LIBS
for f in $(grep -l '"core/engine_priv\.h"' */*.[ch]); do
	case $f in
	core/engine.c | core/engine_[a-z]*.c) ;;
	*) complain "$f includes core/engine_priv.h: only core/engine*.c may see the engine" ;;
	esac
done
exit "$bad"
