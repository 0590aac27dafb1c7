# berth probe on machines that misbehave: files that fail, vanish or hold nonsense, ten thousand devices, names
# that command the terminal, another architecture. Always an answer, valid JSON, and a reason for each fact.
. tests/lib.sh
amd=sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0
xe=sys/devices/pci0000:00/0000:00:01.1/0000:04:00.0/0000:05:01.0/0000:06:00.0

# copy NAME: a tree of our own in $tree
copy() {
	tree=$T/$1
	cp -R "$(machine sensors)" "$tree"
}

# answers NAME: the probe answers in both forms
answers() {
	exits "$1" 0 "$BERTH" probe -q -v --machine "$tree"
	exits "$1 --json" 0 "$BERTH" probe -q --machine "$tree" --json
	valid "$1" probe "$T/out"
	cp "$T/out" "$T/answer.json"
}

# is NAME EXPRESSION: true of the report r, and its GPUs by address g
is() {
	python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
g = {x["pci"]: x for x in r["gpus"]}
a, x = g.get("0000:03:00.0"), g.get("0000:06:00.0")
sys.exit(not eval(sys.argv[2]))' "$T/answer.json" "$2" && ok "$1" || fail "$1" "not $2"
}

# --- every read fails, in each way that the kernel knows ---
fails() {
	copy "$1"
	(cd "$tree" && find $amd $xe -type f) | grep -v '/class$' >"$T/files"
	while read -r f; do rm "$tree/$f"; done <"$T/files"
	sed "s|.*|\"&\": \"$1\",|; 1s/^/{/; \$s/,\$/}/" "$T/files" >"$tree/answers/errors.json"
	answers "$1 of every file"
	is "$1 leaves the others alone" 'len(g) == 5 and g["0000:09:00.0"]["live"]["core_mhz"] == 2400'
	is "$1: unknown, and why" "a['vendor'] is None and a['numa_node_why'] == '$2'"
}
fails EIO garbled
fails ENODEV garbled
fails EACCES 'needs root'
is "without a power state nothing is asked" 'a["awake"] is None and a["live"]["metrics_why"] == "asleep"'

# --- a sensor fails while the device is awake ---
copy sensor
rm "$tree/$amd/gpu_metrics" "$tree/$amd/hwmon/hwmon3/temp2_input" "$tree/$xe/hwmon/hwmon4/energy1_input" \
	"$tree/$xe/hwmon/hwmon4/energy2_input" "$tree/$xe/hwmon/hwmon4/temp3_input"
cat >"$tree/answers/errors.json" <<EOF
{"$amd/gpu_metrics": "EPERM", "$amd/hwmon/hwmon3/temp2_input": "EPERM",
 "$xe/hwmon/hwmon4/energy1_input": "EIO", "$xe/hwmon/hwmon4/energy2_input": "EREMOTEIO",
 "$xe/hwmon/hwmon4/temp3_input": "EOPNOTSUPP"}
EOF
answers "a sensor that fails"
is "amdgpu's EPERM means that it fell asleep" \
	'a["live"]["metrics_why"] == "asleep" and a["live"]["temp_hotspot_mc_why"] == "asleep"'
is "the other sensors are read" 'a["power_mw"] == 231000 and a["live"]["temp_memory_mc"] == 84000'
is "EIO is garbled" 'x["live"]["energy_uj_why"] == "garbled" and x["live"]["core_mhz"] == 2650'
is "what this chip has not is not exported" 'x["live"]["temp_memory_mc_why"] == "not exported"'
exits "a capture of it" 0 "$BERTH" probe -q --machine "$tree" --capture "$T/cap-sensor"
run "$BERTH" probe -q --machine "$T/cap-sensor" --json
cmp -s "$T/out" "$T/answer.json" && ok "and it replays" || fail "and it replays" "$(diff "$T/answer.json" "$T/out" | head -n 5)"

# --- the device answers with all ones ---
copy ones
for f in hwmon/hwmon3/power1_average hwmon/hwmon3/temp1_input hwmon/hwmon3/temp2_input hwmon/hwmon3/freq1_input \
	hwmon/hwmon3/fan1_input hwmon/hwmon3/pwm1 hwmon/hwmon3/in0_input gpu_busy_percent mem_busy_percent; do
	echo 18446744073709551615 >"$tree/$amd/$f"
done
head -c 4096 /dev/zero | tr '\0' '\377' >"$tree/$amd/config"
head -c 4096 /dev/zero | tr '\0' '\377' >"$tree/$amd/gpu_metrics"
rm "$tree/$amd"/pp_dpm_*
echo 65535000 >"$tree/$xe/hwmon/hwmon4/temp2_input"
echo 4294967295 >"$tree/$xe/tile0/gt0/freq0/act_freq"
echo 255 >"$tree/$xe/tile0/gt0/freq0/throttle/status"
answers "all ones"
is "no sensor has a value" 'all(a["live"][k] is None for k in ("core_mhz", "fan_rpm", "fan_percent", "voltage_mv",
	"temp_hotspot_mc", "mem_busy_percent", "metrics")) and a["power_mw"] is None and a["temp_mc"] is None'
is "they are garbled" 'a["config"]["bytes_why"] == a["live"]["metrics_why"] == a["busy_percent_why"] == "garbled"'
is "nor have smaller ones" 'x["temp_mc"] is None and x["live"]["core_mhz"] is None and x["live"]["throttle"] is None'

# --- it goes away while we look: whatever was read of it, the answer stands ---
copy vanishes
(
	while [ -d "$tree/$amd" ]; do
		mv "$tree/$amd" "$tree/gone" && mv "$tree/gone" "$tree/$amd"
	done
) &
away=$!
bad=0 seen=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	run "$BERTH" probe -q --machine "$tree" --json
	[ "$rc" -eq 0 ] && python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
assert len(r["gpus"]) + r["functions_unclassed"] == 5' "$T/out" 2>/dev/null || bad=$((bad + 1))
	grep -q '"functions_unclassed": 1' "$T/out" && seen=$((seen + 1))
done
kill $away
wait $away 2>/dev/null
[ "$bad" -eq 0 ] && ok "a device that comes and goes ($seen of 20 without it)" ||
	fail "a device that comes and goes" "$bad of 20 answers are wrong"

# --- what doctor looks at, which a capture keeps ---
copy evidence
mkdir -p "$tree/etc/modprobe.d" "$tree/$amd/../0000:03:00.1/power"
echo 'options amdgpu dc=0' >"$tree/etc/modprobe.d/*.conf"
(printf 'pci='; head -c 65531 /dev/zero | tr '\0' x) >"$tree/proc/cmdline"
for f in vendor=0x1002 device=0xab30 class=0x040300 power/runtime_status=suspended; do
	echo "${f#*=}" >"$tree/$amd/../0000:03:00.1/${f%%=*}"
done
head -c 64 /dev/zero >"$tree/$amd/../0000:03:00.1/config"
exits "a capture of it" 0 "$BERTH" probe -q --machine "$tree" --capture "$T/cap-evidence"
[ -f "$T/cap-evidence/etc/modprobe.d/*.conf" ] && ok "a name with a star is a name" ||
	fail "a name with a star is a name" "$(find "$T/cap-evidence/etc")"
[ "$(wc -c <"$T/cap-evidence/proc/cmdline")" = 65536 ] && ok "a file as long as may be" ||
	fail "a file as long as may be" "$(wc -c "$T/cap-evidence/proc/cmdline")"
[ -f "$T/cap-evidence/$amd/../0000:03:00.1/power/runtime_status" ] &&
	[ ! -e "$T/cap-evidence/$amd/../0000:03:00.1/config" ] && ok "the sound beside an awake GPU sleeps on" ||
	fail "the sound beside an awake GPU sleeps on" "$(find "$T/cap-evidence" -path '*03:00.1*')"

# --- ten thousand functions, a hundred of them GPUs ---
tree=$T/many
python3 - "$tree" <<'EOF_PY'
import os, sys
root = sys.argv[1]
bus = f"{root}/sys/bus/pci/devices"
os.makedirs(bus)
os.makedirs(f"{root}/proc")
with open(f"{root}/proc/meminfo", "w") as f:
    f.write("MemTotal: 1000 kB\nMemAvailable: 900 kB\n")
for i in range(10000):
    addr = f"{i >> 13:04x}:{i >> 5 & 255:02x}:{i & 31:02x}.0"
    d = f"{root}/sys/devices/pci{addr[:7]}/{addr}"
    os.makedirs(f"{d}/power")
    for name, value in (("class", "0x030000" if i % 100 == 7 else "0x010802"), ("vendor", "0x10de"),
                        ("device", "0x2684"), ("power/runtime_status", "active")):
        with open(f"{d}/{name}", "w") as f:
            f.write(value + "\n")
    os.symlink(f"../../../devices/pci{addr[:7]}/{addr}", f"{bus}/{addr}")
EOF_PY
started=$(date +%s)
answers "ten thousand functions"
took=$(($(date +%s) - started))
is "64 GPUs are shown, 36 are counted" 'len(g) == 64 and r["gpus_left_out"] == 36 and r["functions_unclassed"] == 0'
[ "$took" -lt 300 ] && ok "in sane time ($took s)" || fail "in sane time" "$took s"
run "$BERTH" probe -q --machine "$tree"
grep -q '36 more display functions are not shown' "$T/out" && ok "and the text says so" ||
	fail "and the text says so" "$(tail -n 12 "$T/out")"

# --- names with control bytes and broken UTF-8 ---
copy names
evil=$(printf 'evil\033[31m\007\302')
printf '%s\n' "$evil" >"$tree/$amd/product_name"
printf '%s\n' "$evil" >"$tree/$amd/vbios_version"
printf '%s\n' "$evil" >"$tree/$amd/power_dpm_force_performance_level"
printf '%s\n' "$evil" >"$tree/$amd/driver_override"
printf '%s\n' "$evil" >"$tree/proc/sys/kernel/osrelease"
rm -f "$tree/$xe/driver"
ln -s "../$evil" "$tree/$xe/driver"
answers "names that command the terminal"
is "they are cleaned" 'a["board"] == a["live"]["perf_state"] == x["driver"] == "evil?[31m??"'
run "$BERTH" probe -q -v --machine "$tree"
[ -z "$(LC_ALL=C tr -d '\n -~' <"$T/out")" ] && ok "no control byte reaches the terminal" ||
	fail "no control byte reaches the terminal" "$(LC_ALL=C tr -d '\n -~' <"$T/out" | od -c | head -n 3)"

# --- a capture from another architecture ---
copy arm
printf 'processor\t: 0\nBogoMIPS\t: 2000.00\nCPU implementer\t: 0x41\n\nprocessor\t: 1\nBogoMIPS\t: 2000.00\n' \
	>"$tree/proc/cpuinfo"
answers "an Arm machine"
is "its CPUs are counted" 'r["cpu"]["threads"] == 2'

finish
