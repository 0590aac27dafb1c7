#!/bin/sh
# Every header compiles alone, as C17 and without a warning: who includes one needs no other first.
set -u
: "${CC:=gcc}"
bad=0
cflags=$(pkg-config --cflags jansson 2>/dev/null)
for h in */*.h; do
	# shellcheck disable=SC2086
	printf '#include "%s"\nint berth_header_compiles_alone;\n' "$h" |
		$CC -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. $cflags -fsyntax-only -x c - || bad=1
done
exit "$bad"
