# berth probe --diff: what moved, went, came and changed between two machines.
. tests/lib.sh
M=tests/machines

exits "the same" 0 "$BERTH" probe --diff "$M/three" "$M/three"
grep -qx 'no difference' "$T/out" && ok "says so" || fail "says so" "$(cat "$T/out")"
exits "the same, live values too" 0 "$BERTH" probe -v --diff "$M/three" "$M/three"

# The 4090 went to another slot, the 7900 to another driver; the GTX 1080 is gone.
tree=$T/later
cp -R "$M/three" "$tree"
old=$(cd "$tree" && find sys/devices -type d -name 0000:06:00.0)
mv "$tree/$old" "$tree/${old%0000:06:00.0}0000:07:00.0"
rm "$tree/sys/bus/pci/devices/0000:06:00.0" "$tree/sys/bus/pci/devices/0000:0a:00.0"
ln -s "../../../../${old%0000:06:00.0}0000:07:00.0" "$tree/sys/bus/pci/devices/0000:07:00.0"
sed 's/0000:06:00.0/0000:07:00.0/' "$M/three/answers/pci.json" >"$tree/answers/pci.json"
card=$(cd "$tree" && find sys/devices -type d -name 0000:03:00.0)
ln -sfn ../../../../../../bus/pci/drivers/vfio-pci "$tree/$card/driver"
echo 6.13.0 >"$tree/proc/sys/kernel/osrelease"
exits "a changed machine" 1 "$BERTH" probe --diff "$M/three" "$tree"
for line in '^vanished  0000:0a:00.0' '^moved     0000:07:00.0' '^          from 0000:06:00.0' \
	'^changed   0000:03:00.0' ' driver: amdgpu -> vfio-pci' ' kernel: 6.12.6 -> 6.13.0'; do
	grep -q -e "$line" "$T/out" && ok "says '$line'" || fail "says '$line'" "$(cat "$T/out")"
done
grep -q appeared "$T/out" && fail "nothing appeared" "$(cat "$T/out")" || ok "nothing appeared"
exits "as JSON" 1 "$BERTH" probe --json --diff "$M/three" "$tree"
valid "diff" diff "$T/out"
grep -q '"from": "0000:06:00.0"' "$T/out" && ok "JSON has the move" || fail "JSON has the move" "$(cat "$T/out")"

# What changes by itself counts only with -v.
echo 12345678 >"$tree/$card/mem_info_vram_used"
cp -R "$M/three" "$T/busy"
echo 12345678 >"$T/busy/$card/mem_info_vram_used"
exits "used memory is no change" 0 "$BERTH" probe --diff "$M/three" "$T/busy"
exits "-v tells it" 1 "$BERTH" probe -v --diff "$M/three" "$T/busy"
grep -q 'vram_used_bytes: .* -> 11.8 MiB' "$T/out" && ok "with its unit" || fail "with its unit" "$(cat "$T/out")"

# Now: a capture of this machine, taken now.
exits "capture" 0 "$BERTH" probe -q --capture "$T/here"
exits "nothing happened since" 0 "$BERTH" probe --diff "$T/here"
exits "now, by name" 0 "$BERTH" probe --diff "$T/here" now
exits "now first" 1 "$BERTH" probe --diff now "$M/three"

exits "no such folder" 1 "$BERTH" probe --diff "$T/absent"
one_sentence "no such folder is one sentence"
exits "three machines" 2 "$BERTH" probe --diff "$M/three" now now
exits "diff and device" 2 "$BERTH" probe --diff "$M/three" -d 03:00.0
exits "diff and env" 2 "$BERTH" probe --diff "$M/three" --format env
finish
