#!/bin/sh
# Every header compiles alone, as C17 and without a warning: who includes one needs no other first.
set -u
: "${CC:=gcc}"
bad=0
cflags=$(pkg-config --cflags jansson 2>/dev/null)
# The engine, where there is one: its private header stands for the library's.
engine=$(sed -n "s/^ENGINE_CFLAGS *:= *//p" "${ENGINE_BUILD:-build}/engine/engine.mk" 2>/dev/null)
for h in */*.h; do
	# The kernel's headers are not C17, and not here; what programs share with the module is.
	case $h in kmod/uapi.h) ;; kmod/*) continue ;; esac
	[ "$h" = core/engine_priv.h ] && [ -z "$engine" ] && continue
	# shellcheck disable=SC2086
	printf '#include "%s"\nint berth_header_compiles_alone;\n' "$h" |
		$CC -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. $cflags $engine -fsyntax-only -x c - || bad=1
done
exit "$bad"
