# Memory by DRM ioctls on live machines: each driver's answers, who may not ask, what hangs or crashes, and
# that nobody asks a sleeping one. The nodes and their drivers are tests/fake/lib_drm_shim.c.
. tests/lib.sh
. tests/live.sh
SHIM=$(realpath "$BUILD/tests/fake/lib_drm_shim.so")
# The sanitizer's runtime wants to be the first library; the shim may come before it.
ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}
export ASAN_OPTIONS DRM_SHIM DRM_SHIM_LOG="$T/log"

# asks NAME STATUS NODES COMMAND...: inside $tree, with these nodes; what was opened is in $T/log
asks() {
	asks_name=$1 asks_want=$2 DRM_SHIM=$3
	shift 3
	: >"$T/log"
	inside "$asks_name" "$asks_want" env LD_PRELOAD="$SHIM" "$@"
}

# same NAME FILE FILE: the same JSON
same() {
	python3 -c 'import json, sys; a, b = (json.load(open(f)) for f in sys.argv[1:]); sys.exit(a != b)' "$2" "$3" &&
		ok "$1" || fail "$1" "$(diff "$2" "$3" | head -n 20)"
}

# line NAME PATTERN: the last command printed it, whatever the line breaks
line() {
	tr -s '\n ' ' ' <"$T/out" | grep -q -e "$2" && ok "$1" || fail "$1" "no '$2' in: $(cat "$T/out")"
}

# --- each driver; the machine folders hold just these answers ---
while read -r n nodes; do
	prepare "$n"
	asks "live $n" 0 "$nodes" "$BERTH" probe
	[ -s "$T/err" ] && fail "live $n is quiet" "$(cat "$T/err")" || ok "live $n is quiet"
	asks "capture of live $n" 0 "$nodes" "$BERTH" probe -q --capture "$T/cap-$n" --json
	cp "$T/out" "$T/live.json"
	run "$BERTH" probe --machine "$T/cap-$n" --json
	cmp -s "$T/out" "$T/live.json" && ok "capture of live $n replays" ||
		fail "capture of live $n replays" "$(diff "$T/live.json" "$T/out" | head -n 5)"
	same "$n holds what its drivers answer" "$(machine "$n")/answers/ioctl.json" "$T/cap-$n/answers/ioctl.json"
done <<'END'
strixhalo renderD128=amdgpu
b580 renderD128=xe:igpu,renderD129=xe
a770 renderD128=i915
nouveau renderD128=nouveau,renderD129=nouveau
END

# --- a sleeping device's node is not opened, by nobody's word but the user's; i915 sleeps on ---
tree=$T/nouveau
asks "asleep" 0 renderD128=nouveau,renderD129=nouveau "$BERTH" probe
has "the awake one is asked" 'open /dev/dri/renderD128' "$T/log"
grep -q renderD129 "$T/log" && fail "the sleeping one is not" "$(cat "$T/log")" || ok "the sleeping one is not"
line "and it is said" 'unknown (asleep)'
asks "--wake" 0 renderD128=nouveau,renderD129=nouveau "$BERTH" probe --wake
has "--wake asks it" 'open /dev/dri/renderD129' "$T/log"
tree=$T/a770
find "$tree" -name runtime_status | while read -r f; do echo suspended >"$f"; done
asks "i915 asleep" 0 renderD128=i915 "$BERTH" probe
line "i915 answers without waking" '15.9 GiB on the card; how much is free is unknown (needs root) (drm)'
find "$tree" -name runtime_status | while read -r f; do echo active >"$f"; done

# A card of which the files tell all is not opened: that would keep it awake for some seconds.
prepare mi210
asks "all told" 0 renderD128=amdgpu,renderD129=amdgpu,renderD130=amdgpu:root "$BERTH" probe
grep -q 'renderD12' "$T/log" && fail "who is told by files is not asked" "$(cat "$T/log")" ||
	ok "who is told by files is not asked"
has "who is not, is" 'open /dev/dri/renderD130' "$T/log"

# --- who may not, what fails, what hangs ---
tree=$T/a770
asks "root" 0 renderD128=i915:root "$BERTH" probe
line "root is told what is free" '15.9 GiB on the card, 3.0 GiB used, 12.9 GiB free (drm); the CPU reaches 256.0 MiB'
asks "denied" 0 renderD128=i915:denied "$BERTH" probe
line "no permission is said" 'unknown (needs root); the group of /dev/dri/renderD128 is told too'
asks "EIO" 0 renderD128=i915:eio "$BERTH" probe
line "an error is an unknown" 'memory unknown (garbled)'
asks "an old kernel" 0 renderD128=i915:old "$BERTH" probe
line "an old kernel does not export it" 'memory unknown (not exported)'
asks "short" 0 renderD128=i915:short "$BERTH" probe
line "a short answer is garbled" 'memory unknown (garbled)'
asks "another driver's node" 0 renderD128=i915:other "$BERTH" probe
line "another driver's node is not asked" 'memory unknown (garbled)'
grep -q 0xc0106479 "$T/log" && fail "nor is its ioctl sent" "$(cat "$T/log")" || ok "nor is its ioctl sent"
asks "no node" 0 '' "$BERTH" probe
line "a container without nodes" 'memory unknown (not exported)'
tree=$T/b580
asks "xe unprivileged" 0 renderD129=xe:user "$BERTH" probe
line "an older xe tells only the total" '11.9 GiB on the card; how much is free is unknown (needs root) (drm)'
asks "xe short" 0 renderD129=xe:short "$BERTH" probe
line "a short answer of xe is garbled" 'memory unknown (garbled)'
tree=$T/nouveau
asks "an older nouveau" 0 renderD128=nouveau:before "$BERTH" probe
line "an older nouveau tells the total" '7.9 GiB on the card; how much is free'
# The first hangs, and with --wake the second is asked by another child.
echo active >"$(find "$tree" -path '*0000:02:00.0/power/runtime_status')"
echo active >"$(find "$tree" -path '*0000:00:01.1/power/runtime_status')"
before=$(date +%s)
asks "hang" 0 renderD128=nouveau:hang,renderD129=nouveau "$BERTH" probe
[ $(($(date +%s) - before)) -le 60 ] && ok "a hang costs seconds" || fail "a hang costs seconds" "too long"
line "a hang is a time-out" 'memory unknown (timed out)'
line "the next device still answers" '7.9 GiB on the card, 96.0 MiB used'
# While the first hangs, the second falls asleep: whoever asks it now would wake it.
status=$(find "$tree" -path '*0000:02:00.0/power/runtime_status')
DRM_SHIM_SUSPENDS=$status asks "falls asleep" 0 renderD128=nouveau:hang,renderD129=nouveau "$BERTH" probe
grep -q suspended "$status" && ok "it fell asleep meanwhile" || fail "it fell asleep meanwhile" "$(cat "$status")"
grep -q 'open.*renderD129' "$T/log" && fail "who fell asleep is not asked" "$(cat "$T/log")" ||
	ok "who fell asleep is not asked"
line "and it is said of the second" 'unknown (asleep)'
echo active >"$status"
asks "crash" 0 renderD128=nouveau:crash,renderD129=nouveau "$BERTH" probe
line "a crash is an unknown" 'memory unknown (garbled)'
line "the next one still answers" '7.9 GiB on the card, 96.0 MiB used'

# --- one device id, several products: the revision tells them apart ---
if grep -q '^731F,.*C1,' /usr/share/libdrm/amdgpu.ids 2>/dev/null; then
	prepare usb4-phoenix-5700xt
	asks "AMD's names" 0 '' "$BERTH" probe
	has "amdgpu.ids names the product" '^GPU 0000:64:00.0  AMD Radeon RX 5700 XT' "$T/out"
fi

# --- what is integrated, by its driver's word ---
tree=$T/b580
asks "what is integrated" 0 renderD128=xe:igpu,renderD129=xe "$BERTH" probe -v
line "no region on the card" 'kind integrated: its driver says it is part of the processor'
line "a region on the card" 'kind discrete: its driver says it has memory of its own'
finish
