#!/bin/sh
# SPDX-License-Identifier: MIT
# --power-cap: the limits of a run's GPUs are set by the real `berth device` before its core starts and taken back once,
# whatever it ends by. The machine is a captured one, mounted over /sys where we may change it; NVIDIA's library a fake.
. tests/lib.sh
. tests/lib_spaces.sh
own_spaces n
tree=$T/power
cp -R "$(machine power)" "$tree"
amd=$(cd "$tree" && find sys/devices -type d -name 0000:03:00.0)
nvidia=$(cd "$tree" && find sys/devices -type d -name 0000:41:00.0)
# what only an awake device tells: it is not all ones
for f in "$amd" "$nvidia"; do
	python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex("02104c7407041000").ljust(64, b"\0"))' >"$tree/$f/config"
done
export BUILD tree amd
cat >"$T/script" <<'S'
. tests/lib.sh
. tests/lib_runs.sh
cp "$BUILD/libexec/berth/device" "$b/libexec/berth/"
mount --bind "$tree/sys" /sys
mkdir -p "$T/limits"
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
export BERTH_NVML FAKE_NVML=ok FAKE_NVML_LIMITS="$T/limits" XDG_CACHE_HOME="$T/cache" HOME="$T/home"
cap=/$amd/hwmon/hwmon3/power1_cap
here() {
	cat "$cap"
}
there() {
	cat "$T/limits/0000:41:00.0" 2>/dev/null || echo untouched
}
untouched() {
	is "$1" "236000000 $2" "$(here) $(there)"
}
# go ARGUMENTS...: a run on the AMD GPU, served
go() {
	cores serve
	run "$BERTH" launch -d --name a "$T/m.gguf" --listen "unix:$sock" --margin 1M "$@"
}
# done_so_far: transactions of the journal, those that were undone, and those that undid
done_so_far() {
	"$BERTH" device journal --json | python3 -c 'import json,sys
t = json.load(sys.stdin)["transactions"]
print(len([x for x in t if x["verb"] == "power"]), len([x for x in t if x["undone_by"]]), len([x for x in t if x["undoes"]]))'
}
caps() {
	"$BERTH" ps --json | python3 -c 'import json,sys
print(" ".join(c["pci"] + "=" + c["cap"] for r in json.load(sys.stdin)["runs"] for c in r["power_caps"]))'
}
echo "Vulkan0@0000:03:00.0 Vulkan1@0000:41:00.0" >"$T/devices"
one="--device 0000:03:00.0" both="--device 0000:03:00.0,0000:41:00.0 --split 5,4"

# --- told beforehand, and nothing set ---
run "$BERTH" launch "$T/m.gguf" --margin 1M $both --power-cap 250,41:00.0=default --dry-run
is "a dry run" 0 "$rc"
grep -q '^power limit: 0000:41:00.0 default$' "$T/out" && grep -q '^power limit: 0000:03:00.0 250 W$' "$T/out" &&
	ok "shows the limits" || fail "shows the limits" "$(cat "$T/out")"
run "$BERTH" launch "$T/m.gguf" --margin 1M $one --power-cap 250 --dry-run --json
valid "a dry run" launch "$T/out"
is "and as JSON" '[{"pci":"0000:03:00.0","cap":"250"}]' "$(python3 -c 'import json,sys; print(json.dumps(json.load(open(sys.argv[1]))["power_caps"], separators=(",", ":")))' "$T/out")"
go $one --power-cap 500
is "out of range" 4 "$rc"
says "the sentence of berth device" "500 W is outside of what 0000:03:00.0 can be set to: 212 to 280 W"
one_sentence "out of range: one sentence"
go $one --power-cap 250,0000:41:00.0=200
is "a GPU that the plan does not use" 4 "$rc"
says "which one" "--power-cap names 0000:41:00.0, which the plan does not use"
go $one --power-cap lots
is "no number" 2 "$rc"
untouched "nothing was set" untouched
is "nor noted" "0 0 0" "$(done_so_far)"
is "no core was started" "" "$(ls "$T"/core.starts 2>/dev/null)"

# --- set while it serves, taken back when it ends ---
go $both --power-cap 250,41:00.0=200
is "it serves" 0 "$rc"
is "both are limited" "250000000 200000" "$(here) $(there)"
is "as ps says" "0000:03:00.0=250 0000:41:00.0=200" "$(caps)"
"$BERTH" ps --json >"$T/ps"
valid "ps" ps "$T/ps"
"$BERTH" ps >"$T/ps"
grep -q '0000:03:00.0 is limited to 250 W' "$T/ps" && ok "and for people" || fail "ps for people" "$(cat "$T/ps")"
run "$BERTH" launch --serve --name b "$T/m.gguf" --listen "unix:$T/b.sock" --margin 1M $one --power-cap 220
is "a second run on the GPU is refused" 5 "$rc"
says "it names the first" "0000:03:00.0 is limited for the run a already"
run "$BERTH" restart a
is "a restart" "0 start 2" "$rc $(body)"
is "keeps them" "250000000 200000" "$(here) $(there)"
kill -9 "$(record core_pid)"
comes "so does a core that is started again" "start 3" body
is "they are set once" "2 0 0" "$(done_so_far)"
stop "a limited run"
untouched "both are taken back" 350000
is "once each" "2 2 2" "$(done_so_far)"

# --- the supervisor is killed ---
go $one --power-cap 250
core=$(record core_pid)
kill -9 "$(record supervisor_pid)"
gone "its core is gone" "$core"
rm -f "$sock"
is "the limit is still there" 250000000 "$(here)"
run "$BERTH" ps
untouched "the next command takes it back" 350000
says "and says so" "a launch of a was killed before it took its power limits back"
echo 230000000 >"$cap"
run "$BERTH" ps
is "once" "230000000 " "$(here) $(cat "$T/err")"
echo 236000000 >"$cap"
run "$BERTH" stop a
is "nothing of it is left" "" "$(ls "$T/run" | grep -v telem)"
# and a launch that is killed between the two: what it meant to do is written down
go $one --power-cap 250
kill -9 "$(record supervisor_pid)"
gone "killed again" "$(record core_pid)"
rm -f "$sock"
sed -i '/"set"/d' "$T"/run/*.caps
run "$BERTH" stop a
untouched "without the number of the transaction, too" 350000
is "and nothing of it is left" "" "$(ls "$T/run" | grep -v telem)"

# --- it changed meanwhile: that is its owner's wish ---
go $one --power-cap 250
echo 240000000 >"$cap"
run "$BERTH" stop a
is "what was set since stays" "0 240000000" "$rc $(here)"
echo 236000000 >"$cap"
run "$BERTH" ps
is "and nobody comes back to it" "" "$(cat "$T/err")"

# --- the core fails, a limit is refused, a device leaves ---
cores elsewhere
run "$BERTH" launch -d --name a "$T/m.gguf" --listen "unix:$sock" --margin 1M $one --power-cap 250
is "a wrong placement" 7 "$rc"
untouched "taken back" 350000
"$BERTH" stop a 2>/dev/null
FAKE_NVML=limit-denied go $both --power-cap 250,41:00.0=200
is "refused: nothing is started" "5 " "$rc $(ls "$T"/core.starts 2>/dev/null)"
says "in the words of berth device" "only root may set NVIDIA's power limit"
is "what was set is taken back, and nothing else is said to be" 1 "$(grep -c 'is taken back' "$T/err")"
untouched "what was set before is taken back" 350000
go $one --power-cap 250
rm "$tree/sys/bus/pci/devices/0000:03:00.0"
mv "$tree/${amd%/*}/0000:03:00.0" "$T/gone"
comes "its GPU leaves" failed record state
is "it took its limit with it" "" "$(ls "$T"/run/*.caps 2>/dev/null)"
mv "$T/gone" "$tree/${amd%/*}/0000:03:00.0"
ln -s "../../../${amd#sys/}" "$tree/sys/bus/pci/devices/0000:03:00.0"
"$BERTH" stop a 2>/dev/null
echo 236000000 >"$cap"

# given up by its driver, which comes back with limits of its own: a restart that uses it again sets them again
go $both --power-cap 250,41:00.0=200
python3 tests/fake/uevent.py 1 change "/${amd#sys/}/drm/card1" SUBSYSTEM=drm WEDGED=rebind
comes "one GPU fails: it goes on with the other" "start 2" body
echo 236000000 >"$cap"
run "$BERTH" restart a
is "used again, it is limited again" "0 250000000 200000" "$rc $(here) $(there)"
stop "with both again"
untouched "both are taken back, as ever" 350000

# --- a run that stays in the foreground, and one from a profile ---
cores serve
run "$BERTH" launch "$T/m.gguf" --margin 1M $one --power-cap 250 -v
is "a run that only proves its placement" 0 "$rc"
says "is limited meanwhile" "0000:03:00.0 is limited to 250 W"
untouched "and not afterwards" 350000
mkdir -p "$T/home/.config/berth/profiles.d"
printf 'model = %s\nmargin = 1M\ndevice = 0000:03:00.0\npower-cap = 250\nlisten = unix:%s\nname = a\ndetach = yes\n' "$T/m.gguf" "$sock" \
	>"$T/home/.config/berth/profiles.d/quiet.conf"
cores serve
run "$BERTH" launch quiet
is "a profile's limit" "0 250000000" "$rc $(here)"
stop "the profile's run"
cores serve
run "$BERTH" launch quiet --power-cap none
is "overruled" "0 236000000" "$rc $(here)"
stop "without it"
finish
S
$ns sh -c "$private; . $T/script" || failures=1
finish
