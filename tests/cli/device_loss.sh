#!/bin/sh
# SPDX-License-Identifier: MIT
# A run whose device goes: unplugged, dead, let go by its driver, given up. The machine is a captured one, mounted
# over /sys where we may change it, and the kernel's events come from a network name space of our own.
. tests/lib.sh
. tests/lib_spaces.sh
own_spaces n
tree=$T/three
cp -R "$(machine three)" "$tree"
amd=$(cd "$tree" && find sys/devices -type d -name 0000:03:00.0)
nvidia=$(cd "$tree" && find sys/devices -type d -name 0000:06:00.0)
# captured without what only an awake device tells, and bound to vfio-pci
python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex("02104c7407041000").ljust(64, b"\0"))' >"$tree/$amd/config"
rm -f "$tree/$nvidia/driver"
ln -s ../../../../bus/pci/drivers/nvidia "$tree/$nvidia/driver"
export BUILD tree amd nvidia
cat >"$T/script" <<'S'
. tests/lib.sh
. tests/lib_runs.sh
mount --bind "$tree/sys" /sys
event() {
	action=$1 path=$2
	shift 2
	python3 tests/fake/uevent.py 1 "$action" "/${path#sys/}" "$@"
}
unplug() {
	rm -f "$tree/sys/bus/pci/devices/0000:03:00.0"
	event remove "$amd" SUBSYSTEM=pci PCI_CLASS=30000
}
plug() {
	ln -sfn "../../../${amd#sys/}" "$tree/sys/bus/pci/devices/0000:03:00.0"
}
devices() {
	seen "$1" '" ".join(d["pci"] + "/" + str(d["layers"]) for d in o["plan"]["devices"])'
}
both() {
	echo "Vulkan0@0000:03:00.0 Vulkan1@0000:06:00.0" >"$T/devices"
	cores serve
	run "$BERTH" launch -d --name a "$T/m.gguf" --listen "unix:$sock" --margin 1M "$@"
	[ "$rc" -eq 0 ] || fail "start" "exit $rc: $(cat "$T/err")"
}

# --- unplugged: the kernel says so, and nobody waits for a second to pass ---
both --device 0000:03:00.0,0000:06:00.0 --split 5,4
is "both are used" "0000:03:00.0/5 0000:06:00.0/4" "$(devices 1)"
core=$(record core_pid)
echo "Vulkan1@0000:06:00.0" >"$T/devices"
unplug
gone "the core is killed" "$core"
comes "planned again for the one that is left" "start 2" body
is "it is used alone" "0000:06:00.0/9" "$(devices 2)"
is "which device it was is told" "device lost the device 0000:03:00.0 left the bus while the engine used it" \
	"$(record last_class) $(record last_sentence)"
is "and that it runs without" "runs without 0000:03:00.0" "$(record notice)"
run "$BERTH" restart a
is "not back: restart goes on without it" "0 0000:06:00.0/9 runs without 0000:03:00.0" \
	"$rc $(devices 3) $(record notice)"
plug
echo "Vulkan0@0000:03:00.0 Vulkan1@0000:06:00.0" >"$T/devices"
# shellcheck disable=SC2016
comes "back: it says what to do" "0000:03:00.0 is back; \`berth restart a\` uses it again" record notice
"$BERTH" logs a >"$T/log"
grep -q "0000:03:00.0 is back" "$T/log" && ok "and in the log" || fail "and in the log" "$(cat "$T/log")"
is "but nothing was done unasked" "start 3" "$(body)"
run "$BERTH" restart a
is "restart uses it again" "0 0000:03:00.0/5 0000:06:00.0/4 None" "$rc $(devices 4) $(record notice)"

# --- an event of something else, or of a connector of ours, is none ---
event remove "$amd/drm/card0/card0-DP-1" SUBSYSTEM=drm
event remove /devices/pci0000:00/0000:00:1f.6 SUBSYSTEM=pci PCI_CLASS=20000
event change "$amd/drm/card0" SUBSYSTEM=drm WEDGED=none
# the last of the three is taken before this, which follows it on the same socket
# --- its driver gives it up ---
event change "$amd/drm/card0" SUBSYSTEM=drm WEDGED=rebind,bus-reset
comes "given up by its driver: planned again" "start 5" body
is "by which event" "was given up by its driver, which wants it recovered by rebind,bus-reset" \
	"$(record last_sentence | sed 's/^the device 0000:03:00.0 //; s/ while.*//')"
sleep 1.2
is "it was never away, so it is not back" "runs without 0000:03:00.0" "$(record notice)"
stop "given up"

# --- dead: still listed, but all ones ---
both
is "both fit, one is enough" "0000:06:00.0/9" "$(devices 1)"
echo suspended >"$tree/$nvidia/power/runtime_status"
head -c 64 /dev/zero | tr '\0' '\377' >"$tree/$nvidia/config"
sleep 1.2
is "what sleeps is not asked" "start 1" "$(body)"
echo active >"$tree/$nvidia/power/runtime_status"
comes "all ones: planned again" "start 2" body
is "on another card of this machine" "0000:03:00.0/9" "$(devices 2)"
record last_sentence | grep -q "stopped to answer" && ok "which is told" || fail "which is told" "$(record last_sentence)"
cp "$tree/$amd/config" "$tree/$nvidia/config"
comes "it answers again" "0000:06:00.0 is back; \`berth restart a\` uses it again" record notice
stop "dead"

# --- the engine aborts before anybody knows why ---
both --device 0000:03:00.0,0000:06:00.0 --split 5,4
kill -ABRT "$(record core_pid)"
unplug
comes "what looked like a crash was a lost device" "device lost ready" eval 'echo "$(record last_class) $(record state)"'
is "the other one goes on" "runs without 0000:03:00.0" "$(record notice)"
stop "abort"
plug

# --- nothing is left ---
both --device 0000:03:00.0
unplug
comes "no survivor: failed, and no processor instead" failed record state
is "one sentence" "device lost" "$(record last_class)"
record last_sentence | grep -q "the processor was not accepted" && ok "that says why" || fail "that says why" "$(record last_sentence)"
run "$BERTH" stop a
plug
both --device 0000:03:00.0 --accept cpu
unplug
comes "accepted beforehand: the processor" "start 2" body
is "aloud" "runs without 0000:03:00.0, on the processor alone" "$(record notice)"
stop "on the processor"
finish
S
$ns sh -c "$private; . $T/script" || failures=1
finish
