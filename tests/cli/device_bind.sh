#!/bin/sh
# SPDX-License-Identifier: MIT
# berth device list, bind, unbind, rescan on machines that are folders: what people see, what would be written, and the
# exit code of every refusal. The machines stay as they are.
. tests/lib.sh
COMMAND=device
. tests/lib_machines.sh

(cd "$M" && find desk held given noiommu | LC_ALL=C sort && find desk held given noiommu -type f -exec cksum {} +) >"$T/before"

# --- list ---
shows device-list-desk.txt desk list
shows device-list-held.txt held list 01:00.0
shows device-list-any.txt desk list --any 03:00.0
for m in desk held given noiommu; do
	on "$m" list --any --json
	[ "$rc" -eq 0 ] || fail "list of $m" "exit $rc: $(cat "$T/err")"
	valid "list of $m" device_list "$T/out"
done
on given list --json
grep -q '"at_start": "vfio-pci"' "$T/out" && ok "the setting for every start is shown" || fail "the setting for every start is shown" "not there"
for m in badfiles none asleep; do
	run "$BERTH" device list --any --json --machine "tests/machines/$m"
	[ "$rc" -eq 0 ] || fail "list of $m" "exit $rc: $(cat "$T/err")"
	valid "list of $m" device_list "$T/out"
done

# --- what would be written ---
shows device-bind.txt desk bind 01:00.0 vfio-pci --dry-run
shows device-bind-persist.txt desk bind 01:00.0 vfio-pci --persist
shows device-bind-force.txt held bind 01:00.0 vfio-pci --force --dry-run
shows device-bind-back.txt given bind 7900 default --persist --dry-run
shows device-unbind.txt desk unbind 01:00.1 --only
shows device-bind-module.txt given bind 0c:00.0 pci-stub --dry-run
shows device-bind-bars.txt desk bind 01:00.0 berth_vfio --bars hybrid --dry-run
shows device-rescan.txt desk rescan 00:07.0 --dry-run
on desk bind 04:00.1 vfio-pci
[ "$rc" -eq 0 ] && ok "what is so is no error" || fail "what is so is no error" "exit $rc"

# --- what is refused ---
no "an absent device" 1 "no device matches '99:00.0'" desk bind 99:00.0 vfio-pci
no "no driver named" 2 "a word is missing" desk bind 01:00.0
no "an option of another verb" 2 "unbind takes no --cap" desk unbind 01:00.0 --cap 100
no "no GPU" 4 "is no GPU or accelerator (NVMe drive); --any" desk unbind 02:00.0
no "a bridge" 4 "carries other devices (bridge)" desk unbind 00:01.0 --any
no "an unknown driver" 4 "there is no driver 'vifo-pci' here; there is 'vfio-pci'" given bind 01:00.0 vifo-pci
no "modes of another driver" 2 "heeded by the driver berth_vfio alone, not by vfio-pci" desk bind 01:00.0 vfio-pci --bars map
no "a mode that is none" 4 "there is trap, hybrid, map and revocable" desk bind 01:00.0 berth_vfio --bars often
no "modes of no driver" 2 "unbind takes no --bars" desk unbind 01:00.0 --bars map
no "a driver that is a path" 4 "no name of a driver" desk bind 01:00.0 ../x
no "a device in use" 5 "process 900 (kwin_wayland) has /dev/dri/card1 open" held unbind 01:00.0
no "a mounted disk" 5 "/home is mounted from /dev/mapper/home" desk unbind 02:00.0 --any
no "the default route" 5 "network interface eth0 is up and has the default route" desk bind 03:00.0 vfio-pci --any
no "the boot display" 5 "is the boot display" desk unbind 00:02.0
no "no IOMMU" 5 "no IOMMU serves 0000:01:00.0" noiommu bind 01:00.0 vfio-pci
no "a rescan that would wait" 5 "still has /dev/vfio/44 open" given rescan
no "a rescan below no bridge" 4 "is no bridge but a device" desk rescan 01:00.0

# What the probe says of a card whose unbind hangs, as a capture keeps it
run "$BERTH" probe --json --machine "$M/letting-go"
for word in '"driver_override_why": "timed out"' '"driver_note": "its last driver is letting go of it, or hangs"'; do
	grep -q "$word" "$T/out" && ok "the probe tells $word" || fail "the probe tells $word" "$(grep driver "$T/out" | head -5)"
done

(cd "$M" && find desk held given noiommu | LC_ALL=C sort && find desk held given noiommu -type f -exec cksum {} +) >"$T/after"
cmp -s "$T/before" "$T/after" && ok "the machines are as they were" || fail "the machines are as they were" "$(diff "$T/before" "$T/after" | head -5)"
[ -e "$T/state" ] && fail "nothing is kept of a folder" "$(ls "$T/state")" || ok "nothing is kept of a folder"
finish
