#!/bin/sh
# SPDX-License-Identifier: MIT
# berth bridge: a real server at a real socket, and clients of every kind (tests/bridge.py) that talk to it, and servers
# of every kind (tests/bridge_servers.py).
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
export BERTH_RUNTIME_DIR="$T/run"
devices=bar-forward/devices

# bad NAME STATUS PATTERN WORDS...
bad() {
	refused_by bridge "$@"
}

# words, options, files
bad "sockets that are not one for each" 2 "give --socket PATH for each device" serve a b --socket "$T/s"
bad "a file and a function" 2 "cannot be served together: one of them is a file" serve $devices/edu.json 03:00.0 --socket "$T/s" --socket "$T/t"
two="serve $devices/edu.json $devices/gpu.json --socket $T/s --socket $T/t"
# shellcheck disable=SC2086 # words
for o in "--policy $T/p" "--record $T/r" "--bar 1=64M" "--policy 03:00.0=$T/p"; do
	bad "of two: ${o% *} for none of them" 4 "for none of the devices; of several it is given as ${o% *} $devices/edu.json[=:]" $two $o
done
# shellcheck disable=SC2086 # words
bad "of two: a recording of both" 4 "each needs a file of its own" $two --record "$devices/edu.json=$T/r" --record "$devices/gpu.json=$T/r"
# shellcheck disable=SC2086 # words
bad "of two: rules twice" 4 "given twice for $devices/edu.json" $two --policy "$devices/edu.json=a" --policy "$devices/edu.json=b"
bad "rules twice" 4 "given twice for $devices/edu.json" serve $devices/edu.json --socket "$T/s" --policy a --policy b
bad "a socket twice" 4 "is given twice" serve $devices/edu.json $devices/gpu.json --socket "$T/s" --socket "$T/s"
bad "a word missing" 2 "a word is missing: serve DEV" serve
bad "an option of another verb" 2 "status takes no --socket" status --socket s
bad "a user that is none" 4 "there is no such user" serve $devices/edu.json --socket "$T/s" --user zork
bad "an owner that is none" 4 "there is no user 'zork'" serve $devices/edu.json --socket "$T/s" --socket-owner zork
bad "an owner's group that is none" 4 "there is no group 'zork'" serve $devices/edu.json --socket "$T/s" --socket-owner :zork
[ "$(id -u)" = 0 ] || bad "another user's processes" 5 "only root" serve $devices/edu.json --socket "$T/s" --user root
bad "no socket" 2 "give --socket PATH" serve $devices/edu.json
bad "two to be asked" 2 "give --qmp or --libvirt, not both" serve $devices/edu.json --socket "$T/s" --qmp a --libvirt b
bad "a monitor's path that is too long" 4 "at most 107" serve $devices/edu.json --socket "$T/s" --qmp "/$(printf '%0200d' 0)"
bad "no such back end" 2 "zork" serve $devices/edu.json --socket "$T/s" --backend zork
bad "a path that is too long" 4 "at most 107" serve $devices/edu.json --socket "/$(printf '%0200d' 0)"
bad "no description" 1 "none.json" serve "$T/none.json" --socket "$T/s"
echo '{"schema":"berth.pcidevice/1"}' >"$T/bad.json"
bad "a description that is none" 4 "bad.json" serve "$T/bad.json" --socket "$T/s"
printf 'bar0 0x0+8 deny\nbar0 0x4+4 log\n' >"$T/overlap"
bad "rules that overlap" 4 "lines 1 and 2 overlap" serve $devices/edu.json --socket "$T/s" --policy "$T/overlap"
echo 'bar3 0x0+8 deny' >"$T/elsewhere"
bad "rules for a BAR that is not there" 4 "elsewhere: .*bar3" serve $devices/edu.json --socket "$T/s" --policy "$T/elsewhere"
printf 'bar0 0x0+8 log\n\000bar0 0x8+8 deny\n' >"$T/nul"
bad "rules behind a NUL" 4 "nul: it is no text: there is a NUL in it" serve $devices/edu.json --socket "$T/s" --policy "$T/nul"
mkfifo "$T/pipe"
bad "rules from a pipe" 4 "pipe is a pipe, which cannot be read anew" serve $devices/edu.json --socket "$T/s" --policy "$T/pipe"
bad "no policy" 1 "nothing" serve $devices/edu.json --socket "$T/s" --policy "$T/nothing"
serve_edu="serve $devices/edu.json --socket $T/s"
serve_gpu="serve $devices/gpu.json --socket $T/s"
# shellcheck disable=SC2086 # words
bad "a mode that is none" 2 "zork" $serve_gpu --mode zork
bad "a size that is none" 4 "'3M' is no size of a BAR" $serve_gpu --bar 1=3M
bad "a BAR that is none" 4 "'7=1M' is no BAR's size" $serve_gpu --bar 7=1M
bad "a BAR that is not there" 4 "has no bar2" $serve_gpu --bar 2=1M
bad "a BAR that would grow" 4 "shown smaller, never larger" $serve_gpu --bar 1=512M
bad "a BAR without its interrupts" 4 "table of interrupts" $serve_gpu --bar 3=16K
sed 's/0xbe47/0xbe48/' $devices/gpu.json >"$T/unknown.json"
bad "no register keeps the order" 4 "no register of 1234:be48 is known" serve "$T/unknown.json" --socket "$T/s" --order
echo 'bar1 all map' >"$T/map"
bad "a map in trap mode" 4 "map: a rule says map, and --mode trap maps nothing" $serve_gpu --mode trap --policy "$T/map"
echo 'bar0 0x0+0x1000 map' >"$T/map"
bad "a map that cannot be" 4 "bar0 cannot be mapped" $serve_gpu --policy "$T/map"
echo file >"$T/file"
bad "a relative socket" 4 "--socket s is not an absolute path" serve $devices/edu.json --socket s
bad "a file in the socket's place" 5 "file is there already, and is no socket" serve $devices/edu.json --socket "$T/file"
bad "a folder that is not there" 5 "cannot listen" serve $devices/edu.json --socket "$T/none/s"
[ -e "$T/s" ] && fail "nothing is left" "$T/s" || ok "nothing is left"

# no bridge
exits "status of none" 0 "$BERTH" bridge status
says "status of none: says so" "no bridge runs"
exits "status of none in JSON" 0 "$BERTH" bridge status --json
valid "status of none" bridge "$T/out"

# what it costs here
mkdir "$T/tmp"
export TMPDIR="$T/tmp"
exits "bench" 0 "$BERTH" bridge bench $devices/gpu.json --json
valid "bench" bridge_bench "$T/out"
[ "$(grep -c '"median_ns": [1-9]' "$T/out")" -eq 5 ] && ok "bench: all of it was measured" || fail "bench: all of it was measured" "$(cat "$T/out")"
exits "bench of a device without a register to read" 0 "$BERTH" bridge bench $devices/edu.json
grep -q "No register of it is known" "$T/out" && ok "bench: says so" || fail "bench: says so" "$(cat "$T/out")"
bad "bench of nothing" 1 "none.json" bench "$T/none.json"
bad "bench: an option of serve" 2 "bench takes no --once" bench $devices/edu.json --once
[ -z "$(ls -A "$T/tmp")" ] && ok "bench leaves nothing" || fail "bench leaves nothing" "$(ls -A "$T/tmp")"

# everything that goes over a socket
exits "clients" 0 python3 tests/bridge.py "$BERTH" "$T" "$devices"
grep -v '^ok ' "$T/out" | head -n 20
grep '^ok ' "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -ge 25 ] && ok "all clients came to their end" || fail "clients" "$(cat "$T/err")"
exits "servers" 0 python3 tests/bridge_servers.py "$BERTH" "$T" "$devices"
grep -v '^ok ' "$T/out" | head -n 20
grep '^ok ' "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -ge 20 ] && ok "all servers came to their end" || fail "servers" "$(cat "$T/err")"
valid "status of one" bridge "$T/status.json"
exits "several" 0 python3 tests/bridge_several.py "$BERTH" "$T" "$devices"
grep '^ok ' "$T/out"
[ "$(grep -c '^ok ' "$T/out")" -eq 6 ] && ok "several: all of it" || fail "several" "$(cat "$T/err")"
[ -z "$(ls "$T/run")" ] && ok "no page is left" || fail "no page is left" "$(ls "$T/run")"
finish
