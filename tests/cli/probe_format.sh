# berth probe --format: lines for a shell's environment and for Slurm (what they say is golden in probe.sh).
. tests/lib.sh

for n in nvidia2 twosocket three; do
	run "$BERTH" probe --machine "$(machine $n)" --format env
	# A shell takes the lines as they are, and nothing is run.
	if env -i sh -ec 'set -a; . "$0"; env' "$T/out" >"$T/env" 2>&1; then
		ok "a shell reads the lines of $n"
	else
		fail "a shell reads the lines of $n" "$(cat "$T/env")"
	fi
done
exits "env of one GPU" 0 "$BERTH" probe --machine "$(machine twosocket)" --format env -d af:00.0
grep -qx ONEAPI_DEVICE_SELECTOR=level_zero:0 "$T/out" && grep -qx DRI_PRIME=pci-0000_af_00_0 "$T/out" &&
	! grep -q ROCR "$T/out" && ok "only its own variables" || fail "only its own variables" "$(cat "$T/out")"
exits "no GPU" 0 "$BERTH" probe --machine "$(machine none)" --format env
[ -s "$T/out" ] && fail "no GPU, no line" "$(cat "$T/out")" || ok "no GPU, no line"
exits "--format json is --json" 0 "$BERTH" probe --machine "$(machine three)" --format json
valid "--format json" probe "$T/out"

exits "live gres.conf" 0 "$BERTH" probe --format slurm
exits "two forms" 2 "$BERTH" probe --json --format env
one_sentence "two forms are one sentence"
exits "env of a capture" 2 "$BERTH" probe --capture "$T/x" --format env
exits "unknown form" 2 "$BERTH" probe --format yaml

# --- a card in MIG mode is selected by its instances ---
run "$BERTH" probe --machine "$(machine nvml)" --device 41:00.0 --format env
grep -q '^CUDA_VISIBLE_DEVICES=MIG-[0-9-]*,MIG-[0-9-]*$' "$T/out" && ok "MIG instances are selected" ||
	fail "MIG instances are selected" "$(cat "$T/out")"

# --- what a bug report may hold ---
run "$BERTH" probe --machine "$(machine nvml)" --json --scrub
cp "$T/out" "$T/scrubbed.json"
exits "capture to compare" 0 "$BERTH" probe -q --machine "$(machine nvml)" --json --capture "$T/cap"
cmp -s "$T/out" "$T/scrubbed.json" && ok "--scrub shows what a capture holds" ||
	fail "--scrub shows what a capture holds" "$(diff "$T/out" "$T/scrubbed.json" | head -n 5)"
exits "--scrub and env" 2 "$BERTH" probe --scrub --format env
finish
