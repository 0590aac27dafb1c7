#!/bin/sh
# The build itself: a second make does nothing, a changed header rebuilds its users and only them, a
# missing library skips its part in one line, and STRICT=1 makes that an error.
. tests/lib.sh
# What the make that runs us was told is not for the makes that we run.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES STRICT
mk="make --no-print-directory CC=${CC:-gcc} SAN= BUILD=$T/b MODULES=base"

# A private copy: the tree under test is left alone.
mkdir "$T/tree" && cp -R Makefile base probe tui docs tests "$T/tree/" && cd "$T/tree" || exit 1

$mk programs >"$T/log" 2>&1 && ok "builds in a folder of its own" || fail "builds in a folder of its own" "$(tail -n 3 "$T/log")"
$mk programs >"$T/log" 2>&1
grep -q 'Nothing to be done' "$T/log" && ok "a second make does nothing" || fail "a second make does nothing" "$(head -n 3 "$T/log")"

sleep 1
touch base/hash.h
$mk programs V=1 >"$T/log" 2>&1
n=$(grep -c ' -c -o ' "$T/log")
users=$(grep -l '"base/hash.h"' base/*.c | wc -l)
[ "$n" -eq "$users" ] && ok "a header rebuilds its $users users" || fail "a header rebuilds its users" "$n compiled, $users include it"

$mk programs CFLAGS=-DOTHER >"$T/log" 2>&1
grep -q 'CC .*base/err.c' "$T/log" && ok "another flag rebuilds" || fail "another flag rebuilds" "$(head -n 3 "$T/log")"

# The link to the engine is made once, though the engine.mk is younger than the folder it names.
mkdir -p "$T/e f/engine/lib" "$T/e f/other" && cd "$T/e f" && cp -R "$T/tree/Makefile" "$T/tree/base" .
echo "ENGINE_LIBDIR := engine/lib" >engine/engine.mk
touch -d '1 hour ago' engine/lib
lk="make --no-print-directory SAN= BUILD=b ENGINE_BUILD=. MODULES=base b/lib/berth"
$lk >"$T/log" 2>&1
[ "$(readlink b/lib/berth)" = "$PWD/engine/lib" ] && ok "links the engine" || fail "links the engine" "$(tail -n 2 "$T/log")"
$lk >"$T/log" 2>&1
grep -q -e 'up to date' -e 'Nothing to be done' "$T/log" && ok "links it once" || fail "links it once" "$(head -n 3 "$T/log")"
echo "ENGINE_LIBDIR := other" >engine/engine.mk
$lk >"$T/log" 2>&1
[ "$(readlink b/lib/berth)" = "$PWD/other" ] && ok "links another engine" || fail "links another engine" "$(readlink b/lib/berth)"
cd "$T/tree" || exit 1

# pkg-config that knows nothing of ncurses stands in for a machine without it.
cat >"$T/pkg-config" <<'P'
#!/bin/sh
case "$*" in *ncursesw*) exit 1 ;; esac
exec pkg-config "$@"
P
chmod +x "$T/pkg-config"
$mk -n MODULES='base probe tui' PKGCONF="$T/pkg-config" programs >"$T/log" 2>&1
n=$(grep -c 'tui is skipped: no ncursesw' "$T/log")
[ "$n" -eq 1 ] && ok "a missing library skips its part in one line" || fail "a missing library skips its part in one line" "$n lines"
if $mk -n MODULES='base probe tui' PKGCONF="$T/pkg-config" STRICT=1 programs >"$T/log" 2>&1; then
	fail "STRICT=1 makes it an error" "make went on"
else
	grep -q 'tui cannot be built' "$T/log" && ok "STRICT=1 makes it an error" || fail "STRICT=1 makes it an error" "$(tail -n 2 "$T/log")"
fi

# The scripts that guard the floors and the headers see what they are there for.
echo '#include "tui/view.h"' >>probe/probe.h
sh tests/layers.sh >"$T/log" 2>&1 && fail "layers sees a breach" "passed" || ok "layers sees a breach"
echo 'struct nothing_else { uint1024_t x; };' >>base/own.h
sh tests/headers.sh >"$T/log" 2>&1 && fail "headers sees one that needs another" "passed" || ok "headers sees one that needs another"

finish
