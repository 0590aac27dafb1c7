#!/bin/sh
# SPDX-License-Identifier: MIT
# Recordings of bridges: made, read, followed, replayed, compared (tests/bridge_record.py), and all that is no recording.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
export BERTH_RUNTIME_DIR="$T/run"
devices=bar-forward/devices

# bad NAME STATUS PATTERN WORDS...
bad() {
	refused_by bridge "$@"
}

seed=tests/fuzz/seeds/trace/session
bad "no such recording" 1 "no file and no bridge" trace "$T/none"
bad "no recording at all" 4 "no recording of a bridge" trace tests/lib.sh
bad "a recording that is cut" 4 "cut off" trace tests/fuzz/seeds/trace/cut
bad "no such region" 4 "names no region" trace $seed --only bar7
bad "no such range" 4 "is no range" trace $seed --only bar0:5
bad "no such kind" 4 "is no kind of event" trace $seed --kind zork
bad "no such time" 4 "is no time" trace $seed --since yesterday
bad "a map that is followed" 2 "exclude each other" trace $seed --heat --follow
bad "a recording that is too small" 2 "record-size" serve $devices/edu.json --socket "$T/s" --record "$T/r" --record-size 1K
bad "no folder for it" 1 "cannot create the recording" serve $devices/edu.json --socket "$T/s" --record "$T/none/r"
echo precious >"$T/mine" && mkfifo "$T/pipe"
bad "a file that is no recording" 4 "mine is there already, and is no recording; move it away" serve $devices/edu.json --socket "$T/s" --record "$T/mine"
bad "a copy over one" 4 "mine is there already, and is no recording" record $seed save "$T/mine"
[ "$(cat "$T/mine")" = precious ] && ok "it stays" || fail "it stays" "$(head -c 100 "$T/mine")"
bad "a pipe, or /dev/null" 4 "pipe is there already, and is no file" serve $devices/edu.json --socket "$T/s" --record "$T/pipe"
[ -p "$T/pipe" ] && ok "that stays, too" || fail "that stays, too" "$(ls -l "$T/pipe")"
bad "no order" 2 "record cannot 'zork'" record "$T/s" zork
bad "an order without its word" 2 "one more word" record "$T/s" start
bad "nobody to order" 1 "is no bridge that runs here, by its" record "$T/s" start "$T/r"
bad "a mark that is too long" 4 "a mark has 1 to 24" record $seed mark "$(printf '%030d' 0)"
bad "nothing to replay" 1 "no file and no bridge" replay "$T/none" --socket "$T/s"
bad "one file to compare" 2 "a word is missing" diff $seed
exits "it is the same as itself" 0 "$BERTH" bridge diff $seed $seed
exits "a recording is shown" 0 "$BERTH" bridge trace $seed
golden bridge-trace.txt "$T/out"
exits "a ring that has turned" 0 "$BERTH" bridge trace tests/fuzz/seeds/trace/turned
says "what is not whole is told" "4 records are not whole"
exits "a map" 0 "$BERTH" bridge trace $seed --heat --glyphs ascii
golden bridge-heat.txt "$T/out"
[ -z "$(ls "$T/run" 2>/dev/null)" ] && ok "nothing is left" || fail "nothing is left" "$(ls "$T/run")"

exits "recordings" 0 python3 tests/bridge_record.py "$BERTH" "$T" "$devices"
grep -v '^ok ' "$T/out" | head -n 40
grep '^ok ' "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -ge 11 ] && ok "all of them came to their end" || fail "recordings" "$(cat "$T/err")"
finish
