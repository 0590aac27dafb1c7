# Last known values of a sleeping GPU: stored while it is awake, shown with their age, planned with.
. tests/lib.sh
. tests/lib_spaces.sh
own_spaces
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
export BERTH_NVML FAKE_NVML=ok XDG_CACHE_HOME="$T/cache"
unset BERTH_NO_CACHE
tree=$T/nvidia2 file=$T/cache/berth/seen.json
cp -R "$(machine nvidia2)" "$tree"
model=$BUILD/tests/models/headers/llama-3.1-8b.gguf

# inside NAME STATUS COMMAND...: with the tree as /sys and a loaded NVIDIA driver
inside() {
	name=$1 want=$2
	shift 2
	exits "$name" "$want" $ns sh -c "$private"' && mount --bind "$0/sys" /sys && mount -t tmpfs none /proc/driver &&
		mkdir /proc/driver/nvidia && exec "$@"' "$tree" "$@"
}
has() {
	grep -q -e "$2" "$3" && ok "$1" || fail "$1" "no '$2' in: $(head -c 1500 "$3")"
}
fall_asleep() {
	find "$tree/sys/devices" -path '*61:00.0/power/runtime_status' | while read -r f; do echo suspended >"$f"; done
}

inside "BERTH_NO_CACHE" 0 env BERTH_NO_CACHE=1 "$BERTH" probe
[ -e "$T/cache" ] && fail "nothing is written" "$(find "$T/cache")" || ok "nothing is written"
inside "awake" 0 "$BERTH" probe
[ "$(stat -c %a "$file")" = 600 ] && ok "the file is one's own" || fail "the file is one's own" "$(ls -l "$file")"
has "it holds both" '0000:61:00.0 10de:2684' "$file"
cp "$file" "$T/first"
inside "awake again" 0 "$BERTH" probe
cmp -s "$file" "$T/first" && [ "$(find "$T/cache" -type f | wc -l)" -eq 1 ] && ok "what is known is not written again" ||
	fail "what is known is not written again" "$(diff "$T/first" "$file")"

# A capture's UUIDs are made up: kept, they would select no GPU.
inside "capture while awake" 0 env XDG_CACHE_HOME="$T/cache2" "$BERTH" probe -q --capture "$T/cap-awake"
[ -e "$T/cache2" ] && fail "a capture stores nothing" "$(grep -r uuid "$T/cache2")" || ok "a capture stores nothing"

fall_asleep
inside "asleep" 0 "$BERTH" probe --json
cp "$T/out" "$T/asleep.json"
valid "asleep" probe "$T/out"
# The library opens all of them, so the one that is awake is not asked either.
[ "$(grep -c '"vram_total_bytes_src": "cache"' "$T/out")" -eq 2 ] && ok "both totals are from the cache" ||
	fail "both totals are from the cache" "$(grep vram "$T/out")"
has "with their age" '"seen_s_ago_src": "cache"' "$T/out"
has "and the UUID" '"uuid_src": "cache"' "$T/out"
cmp -s "$file" "$T/first" && ok "a sleeping GPU is not stored" || fail "a sleeping GPU is not stored" "$(cat "$file")"
inside "asleep as text" 0 "$BERTH" probe
has "the age as text" 'last seen  awake [0-9]* seconds\? ago; from then: VRAM, UUID' "$T/out"

inside "capture" 0 "$BERTH" probe -q --capture "$T/cap" --json
cp "$T/out" "$T/live.json"
run "$BERTH" probe --machine "$T/cap" --json
cmp -s "$T/out" "$T/live.json" && ok "capture replays" || fail "capture replays" "$(diff "$T/live.json" "$T/out" | head -n 5)"
grep -rq 'GPU-[16]' "$T/cap" && fail "UUIDs are scrubbed" "$(grep -r 'GPU-[16]' "$T/cap")" || ok "UUIDs are scrubbed"
inside "a captured machine" 0 "$BERTH" probe --machine "$(machine asleep)"
cmp -s "$file" "$T/first" && ok "is not stored" || fail "is not stored" "$(cat "$file")"

if [ -e "$model" ]; then
	inside "plan with the cache" 0 "$BERTH" plan "$model"
	has "plan says so" 'sleeps: all its memory is counted as free' "$T/out"
	inside "plan without it" 3 env BERTH_NO_CACHE=1 "$BERTH" plan "$model"
	has "plan names --wake" '--wake' "$T/out"
	run "$BERTH" plan --machine "$(machine seen)" "$model"
	[ "$rc" -eq 0 ] && grep -q 'sleeps: all' "$T/out" && ok "plan for a captured one" || fail "plan for a captured one" "$(cat "$T/out")"
fi

for garbage in '' '{' '[]' '{"schema":"berth.seen/1","gpus":3}'; do
	printf '%s' "$garbage" >"$file"
	inside "a bad file: $garbage" 0 "$BERTH" probe
	has "is no file" 'unknown (asleep)' "$T/out"
	[ -s "$T/err" ] && fail "nor a message" "$(cat "$T/err")" || ok "nor a message"
done
rm "$file" && mkdir "$file"
inside "a folder in its place" 0 "$BERTH" probe
rmdir "$file" "$T/cache/berth" && : >"$T/cache/berth"
inside "a file in the folder's place" 0 "$BERTH" probe
finish
