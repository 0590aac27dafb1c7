# The configuration space: lspci reads the same bytes to the same end; a capture holds no serial number.
. tests/lib.sh
command -v lspci >/dev/null || skip "lspci is not installed"
tree=$(machine rebar)
gpu=0000:03:00.0

exits "probe" 0 "$BERTH" probe -q --machine "$tree" --device $gpu --json
cp "$T/out" "$T/ours.json"
lspci -A linux-sysfs -O "sysfs.path=$tree/sys/bus/pci" -vvv -s $gpu >"$T/lspci" 2>/dev/null

# ours EXPRESSION: of the GPU g and its config c
ours() {
	python3 -c 'import json, sys
g = json.load(open(sys.argv[1]))["gpus"][0]
c = g["config"]
print(eval(sys.argv[2]))' "$T/ours.json" "$1"
}
# lspci_says SED: what the expression finds
lspci_says() {
	sed -n "$1" "$T/lspci"
}
# agree NAME OURS THEIRS
agree() {
	[ -n "$2" ] && [ "$2" = "$3" ] && ok "lspci agrees about $1" ||
		fail "lspci agrees about $1" "'$2', lspci '$3'"
}
agree "the link" "$(ours '"%dGT/s x%d" % (c["speed_mts"] / 1000, c["width"])')" \
	"$(lspci_says 's/.*LnkSta:.*Speed \([^, ]*\).*Width \(x[0-9]*\).*/\1 \2/p')"
agree "the best link" "$(ours '"%dGT/s x%d" % (c["max_speed_mts"] / 1000, c["max_width"])')" \
	"$(lspci_says 's/.*LnkCap:.*Speed \([^, ]*\).*Width \(x[0-9]*\).*/\1 \2/p')"
agree "ASPM" "$(ours 'c["aspm"]')" "$(lspci_says 's/.*LnkCtl:.*ASPM \(.*\) Enabled.*/\1/p')"
agree "the capabilities" "$(ours 'len(c["capabilities"].split())')" "$(grep -c Capabilities: "$T/lspci")"
# Newer versions write them on two lines.
agree "uncorrectable errors" "$(ours 'bin(c["aer_uncorrectable"]).count("1")')" \
	"$(lspci_says '/UESta:/,/UEMsk:/p' | grep -v UEMsk: | grep -o '+' | wc -l)"
agree "the sizes of BAR 0" \
	"$(ours '" ".join("%dMB" % (s >> 20) if s < 1 << 30 else "%dGB" % (s >> 30) for s in g["bars"][0]["sizes_bytes"])')" \
	"$(lspci_says 's/.*BAR 0: current size:.*supported: //p')"

# the kernel's files and the registers are compared
cp -R "$tree" "$T/planted"
link=$T/planted/sys/devices/pci0000:00/0000:00:01.0/$gpu
echo '8.0 GT/s PCIe' >"$link/current_link_speed"
run "$BERTH" probe --machine "$T/planted" --check
says "another speed is a note" "$gpu: link: the kernel's file says 8000 MT/s, the configuration space 16000"
echo 8 >"$link/current_link_width"
exits "another width is a disagreement" 1 "$BERTH" probe --machine "$T/planted" --check
grep -q "$gpu: link: the kernel's file says x8, the configuration space x16" "$T/out" && ok "and is said" ||
	fail "and is said" "$(cat "$T/out")"

# lspci sees the serial number in the folder, and none in a capture of it
grep -q 'Serial Number 88-77' "$T/lspci" && ok "there is a serial number" ||
	fail "there is a serial number" "$(grep Serial "$T/lspci")"
exits "capture" 0 "$BERTH" probe -q --machine "$tree" --capture "$T/cap"
serial=$(od -An -tx1 -j 628 -N 8 "$T/cap/sys/devices/pci0000:00/0000:00:01.0/$gpu/config")
[ "$serial" = " 00 00 00 00 00 00 00 00" ] && ok "a capture has zeros" || fail "a capture has zeros" "$serial"

# of the sleeping one nothing was read, but that there is a file
asleep=$T/cap/sys/devices/pci0000:00/0000:00:03.0/0000:05:00.0
[ ! -e "$asleep/config" ] && [ -z "$(cat "$asleep/resource1_resize")" ] &&
	ok "a sleeping device's space is not read" || fail "a sleeping device's space is not read" "$(ls "$asleep")"

finish
