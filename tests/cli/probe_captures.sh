# berth probe over captures of real machines that others took. Their licences keep them out of this tree: the
# folder $BERTH_CAPTURES holds the archives, and tests/captures.py says what becomes of each.
. tests/lib.sh
[ -d "${BERTH_CAPTURES:-}" ] || skip "BERTH_CAPTURES names no folder of captures"

mkdir "$T/raw"
for a in "$BERTH_CAPTURES"/*.tar.xz; do
	[ -e "$a" ] || skip "no archives in $BERTH_CAPTURES"
	tar -xJf "$a" -C "$T/raw" || fail "unpack $a" "tar says no"
done
if ! python3 tests/captures.py "$T/raw" "$T/machines" >"$T/list"; then
	fail "machines of the archives" "tests/captures.py failed"
	finish
fi

# fact MACHINE JQ-PATH VALUE: of its first GPU
fact() {
	got=$(python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))["gpus"][0]
for k in sys.argv[2].split("."):
    o = o[int(k) if k.isdigit() else k]
print(o)' "$T/$1.json" "$2" 2>&1)
	[ "$got" = "$3" ] && ok "$1 $2" || fail "$1 $2" "'$got', not '$3'"
}

while read -r n gpus; do
	exits "$n" 0 "$BERTH" probe --machine "$T/machines/$n"
	if awk 'length > 100 { exit 1 }' "$T/out"; then
		ok "$n fits 100 columns"
	else
		fail "$n fits 100 columns" "$(awk 'length > 100' "$T/out" | head -n 1)"
	fi
	exits "$n --json" 0 "$BERTH" probe -q --machine "$T/machines/$n" --capture "$T/cap-$n" --json
	cp "$T/out" "$T/$n.json"
	valid "$n" probe "$T/$n.json"
	got=$(grep -c '^      "pci":' "$T/$n.json")
	[ "$got" -eq "$gpus" ] && ok "$n has $gpus" || fail "$n has $gpus" "$got"
	run "$BERTH" probe --machine "$T/cap-$n" --json
	cmp -s "$T/out" "$T/$n.json" && ok "$n replays" ||
		fail "$n replays" "$(diff "$T/$n.json" "$T/out" | head -n 5)"
done <"$T/list"

# What is known of these machines from their owners.
fact lact-phoenix kind integrated
fact lact-vangogh kind integrated
fact lact-cometlake kind integrated
fact lact-b580 kind discrete
fact lact-rx7800xt kind discrete
fact lact-rx580 link.cause none
fact lact-rx7800xt links.0.kind unknown
fact lact-r7-240 link.cause unknown
fact lact-b580 link.bytes_per_s None
fact lact-vega56 vram_total_bytes 8573157376
fact kfd-mi210 kind discrete
fact hwloc-mic kind bmc
fact qemu-q35 kind virtual
fact prometheus-amdgpu vram_total_bytes 8573157376
finish
