# berth doctor: each check has a machine that fires it and a near miss; no machine gets advice that
# contradicts itself; text, JSON, exit codes, bundle, bad input.
. tests/lib.sh

# The ids that a machine's findings have, one a line.
ids() {
	sed -n 's/^ *"id": "\([^"]*\)".*/\1/p' "$1"
}

# examine NAME DIR: $T/NAME.json, with the exit code that its worst finding asks for
examine() {
	run "$BERTH" doctor --machine "$2" --json
	cp "$T/out" "$T/answers/$1.json"
	want=0
	grep -q '"severity": "warning"' "$T/out" && want=10
	grep -q '"severity": "error"' "$T/out" && want=1
	if [ "$want" -eq 0 ] && [ "$rc" -eq 3 ]; then
		want=3
		grep -q '"gpus": 0' "$T/out" && grep -q '"kernel_log": false' "$T/out" || want=0
	fi
	[ "$rc" -eq "$want" ] || fail "exit of $1" "$rc, not $want: $(head -c 300 "$T/err")"
}

mkdir "$T/answers"

# --- every check ---
"$BERTH" doctor --list >"$T/list"
sed -n 's/^| [0-9]* | `\([^`]*\)` .*/\1/p' "$T/list" >"$T/ids"
for id in $(cat "$T/ids"); do
	if [ ! -d "$BUILD/tests/doctor/$id.fires" ] || [ ! -d "$BUILD/tests/doctor/$id.near" ]; then
		fail "$id" "has no tests/machines/doctor/$id.tree with the variants fires and near"
		continue
	fi
	examine "$id.fires" "$BUILD/tests/doctor/$id.fires"
	ids "$T/out" | grep -qx "$id" && ok "$id fires" || fail "$id fires" "found: $(ids "$T/out" | tr '\n' ' ')"
	examine "$id.near" "$BUILD/tests/doctor/$id.near"
	ids "$T/out" | grep -qx "$id" && fail "$id spares the near miss" "it fires" || ok "$id spares the near miss"
done
for tree in tests/machines/doctor/*.tree; do
	id=$(basename "$tree" .tree)
	grep -qx "$id" "$T/ids" || fail "$tree" "there is no such check"
done
made=$(wc -l <"$T/ids")
[ "$made" -ge 1 ] && ok "$made checks" || fail "checks" "none"

# --- docs/doctor.md is the list ---
if cmp -s "$T/list" docs/doctor.md; then
	ok "docs/doctor.md is the list"
elif [ -n "${UPDATE:-}" ]; then
	cp "$T/list" docs/doctor.md
else
	fail "docs/doctor.md is the list" "write it with 'berth doctor --list >docs/doctor.md'"
fi

# --- all other machines ---
for dir in tests/machines/*/ "$BUILD"/tests/machines/*/; do
	[ -d "$dir/sys" ] || continue
	examine "$(basename "$dir")" "$dir"
done

# Every answer fits the schema, and no two of its remedies exclude each other, all in one go.
cat >"$T/check.py" <<'PY'
import glob, json, sys
import jsonschema
schema = json.load(open("docs/schema/doctor.json"))
validator = jsonschema.Draft202012Validator(schema)
bad = 0
for name in sorted(glob.glob(sys.argv[1] + "/*.json")):
    try:
        answer = json.load(open(name))
    except ValueError as e:
        print(name, "is no JSON:", e)
        bad += 1
        continue
    for e in validator.iter_errors(answer):
        print(name, "/".join(map(str, e.absolute_path)), e.message)
        bad += 1
    sets = {}
    for f in answer.get("findings", []):
        for word in f["remedy"]["advice"]:
            sets.setdefault(word, f["id"])
        if f["remedy"]["kind"] == "command" and not f["remedy"]["undo"]:
            print(name, f["id"], "has a command without its undo")
            bad += 1
    for a, b in (("host-reset-off", "host-reset-on"), ("realloc-on", "realloc-off"), ("realloc-on", "host-reset-off"),
                 ("windows-more", "windows-less"), ("iommu-on", "iommu-off"), ("kernel-newer", "kernel-older"),
                 ("ports-awake", "ports-sleep"), ("aspm-kernel", "aspm-off")):
        if a in sets and b in sets:
            print(name, sets[a], "and", sets[b], "contradict each other:", a, b)
            bad += 1
sys.exit(bad > 0)
PY
if python3 "$T/check.py" "$T/answers" >"$T/bad"; then
	ok "$(ls "$T/answers" | wc -l) answers fit the schema and agree with themselves"
else
	fail "answers" "$(head -n 20 "$T/bad")"
fi

# --- a capture keeps what doctor looked at ---
D=$BUILD/tests/doctor/bar-unassigned.fires
exits "capture" 0 "$BERTH" probe -q --machine "$D" --capture "$T/cap"
run "$BERTH" doctor --machine "$T/cap" --json
cmp -s "$T/out" "$T/answers/bar-unassigned.fires.json" && ok "a capture's findings are the machine's" ||
	fail "a capture's findings are the machine's" "$(diff "$T/out" "$T/answers/bar-unassigned.fires.json" | head -n 5)"

# --- text for people ---
for m in bar-unassigned.fires options-contradict.fires tb-half-rate.fires no-bus-numbers.near; do
	run "$BERTH" doctor --machine "$BUILD/tests/doctor/$m"
	golden "doctor-$m.txt" "$T/out"
	awk 'length > 100 { exit 1 }' "$T/out" && ok "$m fits 100 columns" || fail "$m fits 100 columns" "it does not"
done
exits "bar" 0 "$BERTH" doctor bar 05:00.0 --machine "$BUILD/tests/doctor/options-contradict.fires"
golden doctor-bar.txt "$T/out"
exits "link" 0 "$BERTH" doctor link 05:00.0 --machine "$BUILD/tests/doctor/options-contradict.fires"
golden doctor-link.txt "$T/out"

# --- the BAR tree, by the order of the kernel log ---
# advises NAME WORD LOG-LINE...: a small BAR behind Thunderbolt, with this log
advises() {
	name=$1 word=$2
	shift 2
	printf '%s\n' "$@" >"$T/log"
	run "$BERTH" doctor --machine "$BUILD/tests/doctor/bar-resize-needs-unbind.fires" --kmsg "$T/log" --json
	python3 - "$T/out" bar-small "$word" <<'PY' >"$T/bad" && ok "$name" || fail "$name" "$(cat "$T/bad")"
import json, sys
says = [f["remedy"] for f in json.load(open(sys.argv[1]))["findings"] if f["id"] == sys.argv[2]]
print(says)
sys.exit(len(says) != 1 or (sys.argv[3] not in says[0]["advice"] if sys.argv[3] != "none" else says[0]["advice"] != []))
PY
}
bus='[    0.300000] pci_bus 0000:00: root bus resource [bus 00-fe]'
card='[    0.410000] pci 0000:05:00.0: [10de:2d04] type 00 class 0x030000 PCIe Endpoint'
late='[   95.410000] pci 0000:05:00.0: [10de:2d04] type 00 class 0x030000 PCIe Endpoint'
driver='[    2.000000] thunderbolt 0-1: new device found, vendor=0x68 device=0x1'
advises "firmware's tunnel is kept" host-reset-off "$bus" "$card" "$driver"
advises "a hot add keeps the host reset" host-reset-on "$bus" "$driver" "$late"
advises "early without a word of the driver" host-reset-off "$bus" "$card"
advises "late without a word of the driver" host-reset-on "$bus" "$late"
advises "a log without the card decides nothing" none "$bus" "$driver"

# --- one device only ---
run "$BERTH" doctor --machine "$BUILD/tests/machines/rebar" --device 0000:99:00.0
[ "$rc" -eq 1 ] && ok "--device of nothing" || fail "--device of nothing" "exit $rc"
run "$BERTH" doctor --machine "$BUILD/tests/machines/a6000x4-idle" --device 41:00.0 --json
n=$(ids "$T/out" | grep -c bar-small)
[ "$n" -eq 1 ] && ok "--device leaves out the others" || fail "--device leaves out the others" "$n findings: $(grep device "$T/out")"

# --- the kernel log of a file ---
printf 'Sep 01 12:00:00 host kernel: pcieport 0000:04:02.0: No bus number available for hot-added bridge\n' >"$T/log"
run "$BERTH" doctor --machine tests/machines/apu --kmsg "$T/log" --json
ids "$T/out" | grep -qx no-bus-numbers && ok "--kmsg is read" || fail "--kmsg is read" "$(ids "$T/out")"
printf '[   60.0] NVRM: Xid (PCI:0000:05:00): 79, GPU has fallen off the bus.\n' >"$T/log"
run "$BERTH" doctor --kmsg "$T/log"
says "a failing card's library is left alone" "NVIDIA's library is not asked"
exits "--kmsg of nothing" 1 "$BERTH" doctor --kmsg "$T/nothing"
one_sentence "--kmsg of nothing is one sentence"

# --- this very machine ---
run "$BERTH" doctor --json
case $rc in 0 | 1 | 3 | 10) ok "live: exit $rc" ;; *) fail "live" "exit $rc: $(cat "$T/err")" ;; esac
valid "live" doctor "$T/out"
cp "$T/out" "$T/live.json"
exits "live capture" 0 "$BERTH" probe -q --capture "$T/here"
run "$BERTH" doctor --machine "$T/here" --json
cmp -s "$T/out" "$T/live.json" && ok "live findings replay" ||
	fail "live findings replay" "$(diff "$T/out" "$T/live.json" | head -n 5)"

# --- the bundle ---
mkdir "$T/tmp"
export TMPDIR="$T/tmp"
run "$BERTH" doctor --machine "$D" --bundle "$T/report.tar.gz" --show
[ ! -e "$T/report.tar.gz" ] && grep -q 'sys/bus/pci/devices/0000:03:00.0' "$T/out" && ok "--show writes nothing" ||
	fail "--show writes nothing" "$(head -n 3 "$T/out")"
exits "--bundle" 1 "$BERTH" doctor -q --machine "$D" --bundle "$T/report.tar.gz"
mkdir "$T/unpacked"
tar xzf "$T/report.tar.gz" -C "$T/unpacked"
run "$BERTH" doctor --machine "$T/unpacked/berth-report" --json
cmp -s "$T/out" "$T/unpacked/berth-report/doctor.json" && ok "the bundle replays" ||
	fail "the bundle replays" "$(diff "$T/out" "$T/unpacked/berth-report/doctor.json" | head -n 5)"
exits "a bundle is never written over" 4 "$BERTH" doctor --machine "$D" --bundle "$T/report.tar.gz"
rmdir "$T/tmp" && ok "no folder is left behind" || fail "no folder is left behind" "$(ls "$T/tmp")"
unset TMPDIR

# --- usage ---
exits "an unknown word" 2 "$BERTH" doctor wheel 05:00.0
one_sentence "an unknown word is one sentence"
exits "--show alone" 2 "$BERTH" doctor --show
exits "an absent device" 1 "$BERTH" doctor link 99:00.0 --machine "$D"
one_sentence "an absent device is one sentence"
exits "no machine" 4 "$BERTH" doctor --machine tests/golden
exits "a full disk" 5 sh -c '"$0" doctor --machine "$1" >/dev/full' "$BERTH" "$D"

finish
