# berth probe: text and JSON of captured machines, capture and replay, --check, bad input.
. tests/lib.sh
M=tests/machines

for dir in "$M"/*/ "$BUILD"/tests/machines/*/; do
	[ -d "$dir/sys" ] || continue # the doctor's trees
	n=$(basename "$dir")
	exits "probe $n" 0 "$BERTH" probe --machine "$dir"
	golden "probe-$n.txt" "$T/out"
	if awk 'length > 100 { exit 1 }' "$T/out"; then
		ok "$n fits 100 columns"
	else
		fail "$n fits 100 columns" "$(awk 'length > 100' "$T/out" | head -n 1)"
	fi
	exits "probe $n --json" 0 "$BERTH" probe --machine "$dir" --json
	golden "probe-$n.json" "$T/out"
	valid "probe $n" probe "$T/out"

	# A capture of a captured machine replays to the same bytes: the recorder keeps all that is read.
	exits "capture $n" 0 "$BERTH" probe -q --machine "$dir" --capture "$T/cap-$n" --json
	cp "$T/out" "$T/live.json"
	run "$BERTH" probe --machine "$T/cap-$n" --json
	if cmp -s "$T/out" "$T/live.json"; then
		ok "capture of $n replays"
	else
		fail "capture of $n replays" "$(diff "$T/live.json" "$T/out" | head -n 5)"
	fi
done

# --- lines for other programs ---
for n in nvidia2 twosocket three; do
	exits "env of $n" 0 "$BERTH" probe --machine "$(machine $n)" --format env
	golden "probe-$n.env" "$T/out"
	exits "gres.conf of $n" 0 "$BERTH" probe --machine "$(machine $n)" --format slurm
	golden "probe-$n.gres" "$T/out"
done

# --- a machine without GPUs is a normal answer ---
run "$BERTH" probe --machine "$M/none"
if [ "$(grep -c 'No GPU' "$T/out")" -eq 1 ] && grep -q '^CPU ' "$T/out"; then
	ok "no GPU is one line, and the CPU"
else
	fail "no GPU is one line, and the CPU" "$(cat "$T/out")"
fi

# --- nothing that wakes is read of a sleeping device: the capture holds every file that was read ---
waking=$(cd "$T/cap-asleep" && find . -name config -o -name rom -o -name vpd -o -name '*_link_*' -o \
	-name pp_dpm_pcie -o -name '*_bus_number' -o -name 'resource?_resize' -size +1c)
[ -z "$waking" ] && ok "no waking attribute is read" || fail "no waking attribute is read" "$waking"
dgpu='0000:01:00.0/0000:02:00.0/0000:03:00.0'
hot=$(cd "$T/cap-asleep" && find . -path "*$dgpu/hwmon*" -o -path "*$dgpu/gpu_busy_percent")
[ -z "$hot" ] && ok "no sensor of a sleeping device is read" || fail "no sensor of a sleeping device is read" "$hot"
if [ -e "$T/cap-asleep/sys/devices/pci0000:00/0000:00:01.1/$dgpu/mem_info_vram_total" ]; then
	ok "its memory counters are read"
else
	fail "its memory counters are read" "mem_info_vram_total is not in the capture"
fi
# A box that nobody authorised leaves its controller asleep: what the driver has in memory is read, the
# firmware's version is not. What names one person's box is never read.
box=$T/cap-usb4-unauthorised/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1
[ -e "$box/authorized" ] && ok "a router of a sleeping controller is read" ||
	fail "a router of a sleeping controller is read" "authorized is not in the capture"
private=$(find "$T"/cap-* -path '*/domain*/unique_id' -o -name key -o -path "$box/nvm_version")
[ -z "$private" ] && ok "no router's own id is read" || fail "no router's own id is read" "$private"
serials=$(find "$T"/cap-who -name unique_id -o -name serial_number)
[ "$(echo "$serials" | wc -l)" -eq 3 ] && [ -z "$(cat $serials | tr -d '0\n-')" ] &&
	ok "a capture keeps the form of serial numbers" ||
	fail "a capture keeps the form of serial numbers" "$(head $serials)"
# --- a folder with more routers than any machine has, and files that make no sense ---
cp -R "$(machine usb4-unauthorised)" "$T/many"
bus=$T/many/sys/bus/thunderbolt/devices
for i in $(seq 16 60); do
	mkdir -p "$bus/0-$(printf %x "$i")" "$bus/domain$i"
done
for i in 0-1.0 0-0:1.1 usb4_port1 domainX 0-ZZ 9999999-1; do mkdir "$bus/$i"; done
box=$T/many/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1
printf '99999999999999999999.0 Gb/s\n' >"$box/rx_speed"
printf '7\n' >"$box/authorized"
printf 'Ra\033[2Jzer\377\n' >"$box/vendor_name"
head -c 9000 /dev/zero | tr '\0' x >"$box/device_name"
rmdir "$bus/0-1f" && ln -s ../../../../../../../../0-1 "$bus/0-1f"
exits "45 routers too many" 0 "$BERTH" probe --machine "$T/many" --json
valid "45 routers too many" probe "$T/out"
python3 - "$T/out" <<'EOF' && ok "what is left out is counted" || fail "what is left out is counted" "$(cat "$T/out")"
import json, sys
u = json.load(open(sys.argv[1]))["usb4"]
box = next(r for r in u["routers"] if r["name"] == "0-1")
assert len(u["domains"]) == 8 and len(u["routers"]) == 32
assert u["left_out"] == 1 + 45 - 8 + 2 + 45 - 32, u["left_out"]
assert box["rx_lane_mbps_why"] == box["authorized_why"] == box["device_name_why"] == "garbled"
assert box["vendor_name"] == "Ra?[2Jzer?", box["vendor_name"]
EOF

run "$BERTH" probe --machine "$M/asleep" --wake --device 03:00.0 --json
if grep -q '"power_mw": 666000' "$T/out"; then
	ok "--wake reads the sensors"
else
	fail "--wake reads the sensors" "$(grep power "$T/out")"
fi

# --- who holds what: of a sleeping one only that it is held; of a capture no names that tell ---
H=$(machine holders)
run "$BERTH" probe --machine "$H"
if grep -q 'held by *ollama_llama_se (1234) 9.0 GiB, kwin_wayland (900) 120.0 MiB, alices-diary (1300)$' "$T/out"; then
	ok "holders, the largest first"
else
	fail "holders, the largest first" "$(grep 'held by' "$T/out")"
fi
if [ "$(grep -c 'kwin_wayland (900)$' "$T/out")" -eq 1 ]; then
	ok "a client of a sleeping device is not read"
else
	fail "a client of a sleeping device is not read" "$(grep 'held by' "$T/out")"
fi
run "$BERTH" probe --machine "$H" --wake --device 05:00.0
grep -q 'held by *kwin_wayland (900) 666.0 MiB' "$T/out" && ok "--wake reads it" ||
	fail "--wake reads it" "$(grep 'held by' "$T/out")"
if grep -rq -e alice -e '"pid": 1234' "$T/cap-holders"; then
	fail "a capture names no private process" "$(grep -r -e alice -e 1234 "$T/cap-holders")"
else
	ok "a capture names no private process"
fi
grep -q '"name": "process"' "$T/cap-holders/answers/procs.json" && ok "but that there is one" ||
	fail "but that there is one" "$(cat "$T/cap-holders/answers/procs.json")"
[ -e "$T/cap-holders/proc/1234" ] && fail "nor copies its files" "$(ls "$T/cap-holders/proc")" ||
	ok "nor copies its files"

# --- this very machine ---
exits "live" 0 "$BERTH" probe
grep -q '^CPU ' "$T/out" && ok "live shows the CPU" || fail "live shows the CPU" "$(cat "$T/out")"
exits "live --json" 0 "$BERTH" probe --json
valid "live" probe "$T/out"
exits "live capture" 0 "$BERTH" probe -q --capture "$T/here" --json
cp "$T/out" "$T/live.json"
run "$BERTH" probe --machine "$T/here" --json
cmp -s "$T/out" "$T/live.json" && ok "live capture replays byte for byte" ||
	fail "live capture replays byte for byte" "$(diff "$T/live.json" "$T/out" | head -n 5)"
[ "$(cat "$T/here/proc/sys/kernel/hostname")" = machine ] && ok "the host name is scrubbed" ||
	fail "the host name is scrubbed" "$(cat "$T/here/proc/sys/kernel/hostname")"
grep -q '"host": "machine"' "$T/live.json" && ok "so is the JSON beside the capture" ||
	fail "so is the JSON beside the capture" "$(head -n 3 "$T/live.json")"
out=$(find "$T/here" -type l | while read -r l; do
	case $(realpath -m "$l") in "$T/here/"*) ;; *) echo "$l" ;; esac
done)
[ -z "$out" ] && ok "no link leaves the capture" || fail "no link leaves the capture" "$out"
exits "live --check" 0 "$BERTH" probe --check

# --- --check sees what is planted ---
# plant NAME MACHINE/ANSWER SED-EXPRESSION PATTERN: the answer, so changed, is a disagreement that says
# PATTERN
plant() {
	from=$M/${2%/*} answer=answers/${2#*/}.json
	rm -rf "$T/planted"
	cp -R "$from" "$T/planted"
	sed "$3" "$from/$answer" >"$T/planted/$answer"
	if cmp -s "$from/$answer" "$T/planted/$answer"; then
		fail "check $1" "the planting changed nothing"
	fi
	exits "check $1" 1 "$BERTH" probe --machine "$T/planted" --check
	grep -q -e "$4" "$T/out" && ok "check $1 says it" || fail "check $1 says it" "$(cat "$T/out")"
}
exits "check agrees" 0 "$BERTH" probe --machine "$M/three" --check
says "a driverless function is a note" "0000:0a:00.0: libdrm does not list it"
plant "ids" three/pci 's/0x744c/0x744d/' '0000:03:00.0: device: the scan says 744c, libpciaccess 744d'
plant "BAR size" three/pci 's/34359738368/268435456/' '0000:03:00.0: BAR 0: the scan says 32.0 GiB, libpciaccess 256.0 MiB'
plant "present in one" three/pci 's/"0000:06:00.0"/"0000:07:00.0"/' '0000:07:00.0: libpciaccess lists it'
plant "absent in one" three/pci 's/"0000:06:00.0"/"0000:07:00.0"/' '0000:06:00.0: the scan lists it'
plant "DRM node" three/drm 's/card0/card7/' '0000:03:00.0: card node: the scan says /dev/dri/card0, libdrm /dev/dri/card7'
plant "DRM absent" three/drm 's/"0000:03:00.0"/"0000:0a:00.0"/' '0000:03:00.0: the scan lists /dev/dri/card0'
plant "NUMA node" server/hwloc 's/"numa_node": 0/"numa_node": 1/' 'NUMA node: the scan says 0, hwloc places its CPUs (0-55,112-167) on 1'
run "$BERTH" probe --machine "$T/planted" --check --json
[ "$rc" -eq 1 ] && grep -q '"disagreements": \[$' "$T/out" && ok "check --json" || fail "check --json" "$(cat "$T/out")"
valid "check" check "$T/out"
"$BERTH" probe --machine "$M/three" --check >/dev/full 2>"$T/err"
[ $? -eq 5 ] && ok "check to a full disk" || fail "check to a full disk" "not 5"
exits "check without answers" 3 "$BERTH" probe --machine "$M/badfiles" --check

# --- selecting ---
exits "select by address" 0 "$BERTH" probe --machine "$M/three" --device 03:00.0,0000:00:02.0
[ "$(grep -c '^GPU' "$T/out")" -eq 2 ] && head -n 1 "$T/out" | grep -q 03:00.0 && ok "in the order given" ||
	fail "in the order given" "$(cat "$T/out")"
exits "select by UUID" 0 "$BERTH" probe --machine "$M/nvidia2" --device GPU-00000000-0000-0000-0000-000000000001
exits "select nothing" 1 "$BERTH" probe --machine "$M/three" --device 'RTX 5090'
one_sentence "select nothing says so once"
exits "select too much" 4 "$BERTH" probe --machine "$M/three" --device NVIDIA

# --- bad input ---
exits "no such folder" 1 "$BERTH" probe --machine "$T/absent"
one_sentence "no such folder is one sentence"
exits "a file is no machine" 4 "$BERTH" probe --machine README.md
one_sentence "a file is one sentence"
mkdir "$T/empty" "$T/hollow" "$T/hollow/sys"
exits "an empty folder is no machine" 4 "$BERTH" probe --machine "$T/empty"
exits "a hollow folder is no machine" 4 "$BERTH" probe --machine "$T/hollow"
one_sentence "a hollow folder is one sentence"
exits "unknown option" 2 "$BERTH" probe --jsno
one_sentence "unknown option is one sentence"
exits "operand" 2 "$BERTH" probe card0
exits "check and capture" 2 "$BERTH" probe --check --capture "$T/x"
exits "capture over files" 4 "$BERTH" probe --capture "$M"
one_sentence "capture over files is one sentence"
exits "capture below a file" 4 "$BERTH" probe --capture README.md/x
exits "capture in no folder" 1 "$BERTH" probe --capture "$T/absent/x"
exits "a failed capture" 4 "$BERTH" probe --machine "$T/hollow" --capture "$T/failed"
left=$(find "$T" -maxdepth 1 -name 'failed*')
[ -z "$left" ] && ok "a failed capture leaves nothing" || fail "a failed capture leaves nothing" "$left"
exits "capture into an empty folder" 0 "$BERTH" probe -q --capture "$T/empty"
[ -d "$T/empty/sys" ] && ok "is filled" || fail "is filled" "$(ls "$T/empty")"

finish
