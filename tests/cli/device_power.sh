#!/bin/sh
# SPDX-License-Identifier: MIT
# berth device power and sleep on a captured machine, and for real on one that is mounted over /sys where we may change it.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/device" ] || skip "device was not built"
. tests/lib_record.sh
m=$(machine power)

# --- shown, and planned, on a captured machine ---
for d in 03:00.0 04:00.0 06:00.0 09:00.0 0a:00.0 0b:00.0 41:00.0 51:00.0; do
	"$BERTH" device power "$d" -m "$m" 2>&1
done >"$T/shown"
golden device-power.txt "$T/shown"
{
	"$BERTH" device power 03:00.0 --cap 250 --profile compute -m "$m"
	"$BERTH" device power 41:00.0 --cap default -m "$m"
	"$BERTH" device power 06:00.0 --profile power-saving -m "$m"
	"$BERTH" device sleep 03:00.0 shallow --persist -m "$m"
} >"$T/planned" 2>&1
golden device-power-steps.txt "$T/planned"
# a rule that is there already, of another choice, is written anew; one of a card that is gone is listed
cp -R "$m" "$T/kept"
mkdir -p "$T/kept/etc/udev/rules.d"
echo '# older' >"$T/kept/etc/udev/rules.d/85-berth-sleep-0000:03:00.0.rules"
cp "$T/kept/etc/udev/rules.d/85-berth-sleep-0000:03:00.0.rules" "$T/kept/etc/udev/rules.d/85-berth-sleep-0000:77:00.0.rules"
exits "a rule that is there" 0 "$BERTH" device sleep 03:00.0 shallow --persist -m "$T/kept" --json
python3 -c 'import json, sys
save = [s for s in json.load(sys.stdin)["steps"] if s["op"] == "save"]
sys.exit(not (len(save) == 1 and save[0]["state"] == "done" and save[0]["before"] == "# older\n"))' <"$T/out" &&
	ok "a rule that is there is written anew" || fail "a rule that is there is written anew" "$(cat "$T/out")"
exits "a rule without a card" 0 "$BERTH" device list -m "$T/kept"
grep -q 'sleep .*85-berth-sleep-0000:77:00.0.rules; it is not here' "$T/out" &&
	ok "a rule without a card is listed" || fail "a rule without a card is listed" "$(cat "$T/out")"
exits "a rule without a card, in JSON" 0 "$BERTH" device list -m "$T/kept" --json
valid "a rule without a card" device_list "$T/out"
for row in "1 0000:99:00.0 --cap 200" "4 03:00.0 --cap 281" "4 03:00.0 --cap lots" "3 09:00.0 --cap default" "5 0a:00.0 --cap 200" \
	"5 0b:00.0 --cap 150" "5 51:00.0 --cap 200" "4 03:00.0 --profile turbo" "2 03:00.0 --persist --cap 250"; do
	# shellcheck disable=SC2086 # words
	exits "refused: ${row#* }" ${row%% *} "$BERTH" device power -m "$m" ${row#* }
	one_sentence "refused: ${row#* }: one sentence"
done
for row in "03:00.0" "41:00.0" "0b:00.0" "06:00.0 --profile power-saving" "03:00.0 --cap 250 --for us"; do
	# shellcheck disable=SC2086 # words
	run "$BERTH" device power -m "$m" --json $row
	valid "power $row" device "$T/out"
done
exits "a sleeper that may be woken" 0 "$BERTH" device power 0b:00.0 --cap 150 --wake -m "$m"

# --- for real ---
. tests/lib_spaces.sh
own_spaces n
tree=$T/m
cp -R "$m" "$tree"
amd=$(cd "$m" && find sys/devices -type d -name 0000:03:00.0)
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
mkdir "$T/limits" "$T/state"
export BERTH_NVML FAKE_NVML=ok FAKE_NVML_LIMITS="$T/limits" BERTH_STATE_DIR="$T/state" tree amd
cat >"$T/script" <<'S'
. tests/lib.sh
. tests/lib_record.sh
mount --bind "$tree/sys" /sys
there() {
	cat "$FAKE_NVML_LIMITS/0000:41:00.0"
}
exits "a limit by a file" 0 "$BERTH" device power 03:00.0 --cap 250 --json
is "it is written" 250000000 "$(cat "/$amd/hwmon/hwmon3/power1_cap")"
is "and told" "done 1 0000:03:00.0 is limited to 250 W" \
	"$(python3 -c 'import json,sys; o=json.load(open(sys.argv[1])); print(o["result"], o["transaction"], o["says"])' "$T/out")"
exits "the same again" 0 "$BERTH" device power 03:00.0 --cap 250
grep -q "it is so already" "$T/out" && ok "is nothing to do" || fail "the same again" "$(cat "$T/out")"
exits "undo" 0 "$BERTH" device undo
is "it is as it was" 236000000 "$(cat "/$amd/hwmon/hwmon3/power1_cap")"
exits "a limit near the one in force" 0 "$BERTH" device power 03:00.0 --cap 235 --for us
is "is set nevertheless" 235000000 "$(cat "/$amd/hwmon/hwmon3/power1_cap")"
exits "a limit by NVIDIA's library" 0 "$BERTH" device power 41:00.0 --cap 201.5
is "it is set" 201500 "$(there)"
FAKE_NVML=limit-rounds exits "a driver that rounds" 0 "$BERTH" device power 41:00.0 --cap 230
grep -q "0000:41:00.0 is limited to 225 W, which its driver made of the 230 W asked for" "$T/out" && ok "what is in force is told" ||
	fail "what is in force is told" "$(cat "$T/out")"
exits "undo by name" 0 "$BERTH" device undo --for us
is "takes back that, and nothing else" "236000000 225000" "$(cat "/$amd/hwmon/hwmon3/power1_cap") $(there)"
exits "by a name that has nothing left" 0 "$BERTH" device undo --for us
grep -q "nothing that was done for 'us' is left" "$T/out" && ok "says so" || fail "says so" "$(cat "$T/out")"
exits "by two" 2 "$BERTH" device undo 1 --for us
for mode in limit-denied limit-none lost limit-crash; do
	case $mode in lost | limit-crash) want=6 ;; *) want=5 ;; esac
	FAKE_NVML=$mode exits "refused by the driver: $mode" $want "$BERTH" device power 41:00.0 --cap 300
	one_sentence "refused by the driver: $mode: one sentence"
done
is "nothing of that was set" 225000 "$(there)"
exits "sleep" 0 "$BERTH" device sleep 06:00.0 forbid
is "is forbidden" on "$(cat /sys/bus/pci/devices/0000:06:00.0/power/control)"
exits "undo of it" 0 "$BERTH" device undo
is "as before" auto "$(cat /sys/bus/pci/devices/0000:06:00.0/power/control)"
finish
S
$ns sh -c "$private; . $T/script" || failures=1
finish
