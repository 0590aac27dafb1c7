#!/bin/sh
# SPDX-License-Identifier: MIT
# berth bridge list, qemu-args, libvirt-xml, attach, detach on machines that are folders: what people see, what a virtual
# machine is told, and the exit code of every refusal. The machines stay as they are.
. tests/lib.sh
COMMAND=bridge
. tests/lib_machines.sh

(cd "$M" && find desk held bridge noiommu -type f -exec cksum {} + | LC_ALL=C sort) >"$T/before"

# --- list ---
shows bridge-list-desk.txt desk list
shows bridge-list-ready.txt bridge list 01:00.0 --memory 4M
shows bridge-list-locked.txt bridge list 01:00.0 --memory 16G
shows bridge-list-noiommu.txt bridge list 0c:00.0
shows bridge-list-held.txt held list 04:00.1
shows bridge-list-disk.txt desk list 02:00.0 --any
shows bridge-list-second.txt desk list 03:00.1 --any
for m in desk held bridge noiommu vgpu box.two letting-go; do
	on "$m" list --any --json --memory 2G
	[ "$rc" -eq 0 ] && ok "list of $m" || fail "list of $m" "exit $rc: $(cat "$T/err")"
	valid "list of $m is valid" bridge_list "$T/out"
done
for m in badfiles none asleep; do
	run "$BERTH" bridge list --any --json --machine "tests/machines/$m"
	[ "$rc" -eq 0 ] && ok "list of $m" || fail "list of $m" "exit $rc: $(cat "$T/err")"
	valid "list of $m is valid" bridge_list "$T/out"
done
run "$BERTH" bridge list --json
[ "$rc" -eq 0 ] && ok "list here" || fail "list here" "exit $rc: $(cat "$T/err")"
valid "list here is valid" bridge_list "$T/out"

no "an absent device" 1 "no device matches '77:00.0'" desk list 77:00.0
exits "what looks like an option" 1 "$BERTH" bridge list --machine "$M/desk" -- -x
run "$BERTH" bridge list --machine "$T/nowhere"
[ "$rc" -eq 1 ] && ok "no such machine" || fail "no such machine" "exit $rc: $(cat "$T/err")"
exits "no verb" 2 "$BERTH" bridge
exits "another verb" 2 "$BERTH" bridge levitate
exits "two devices" 2 "$BERTH" bridge list 1 2
exits "no memory at all" 2 "$BERTH" bridge list --memory 0
exits "an option of another verb" 2 "$BERTH" bridge list --socket /a

# --- what a virtual machine is told ---
shows bridge-qemu-args.txt given qemu-args 01:00.0 --memory 4G --socket /run/gpu.sock
shows bridge-qemu-args-qmp.txt given qemu-args 01:00.0 --socket /run/gpu.sock --qmp /run/a,b.qmp
shows bridge-qemu-args-attach.txt desk qemu-args 01:00.0 --socket /run/gpu.sock
on given qemu-args 01:00.0 --memory 4G --socket "/run/two words' \"x\\.sock" --json
valid "arguments are valid" bridge_args "$T/out"
cp "$T/out" "$T/args.json"
on given qemu-args 01:00.0 --memory 4G --socket "/run/two words' \"x\\.sock"
# as a shell takes the line, it is the words; and the device's word is JSON with the path as it was given
eval "set -- $(cat "$T/out")"
python3 - "$T/args.json" "$@" <<'END' && ok "a shell reads the same words" || fail "a shell reads the same words" "it does not"
import json, sys
args = json.load(open(sys.argv[1]))["args"]
assert args == sys.argv[2:], (args, sys.argv[2:])
assert json.loads(args[-1])["socket"]["path"] == "/run/two words' \"x\\.sock", args[-1]
END
shows bridge-libvirt.xml given libvirt-xml 01:00.0 --memory 4G --socket "/run/a<'&\">.sock"
if command -v virt-xml-validate >/dev/null; then
	virt-xml-validate "$T/out" >"$T/err" 2>&1 && ok "libvirt's schema takes the domain" ||
		fail "libvirt's schema takes the domain" "$(cat "$T/err")"
else
	fail "libvirt's schema takes the domain" "no virt-xml-validate (package libvirt-clients)"
fi
xmllint --xpath 'string(//*[local-name()="arg"][last()]/@value)' "$T/out" | python3 -c '
import json, sys
assert json.load(sys.stdin)["socket"]["path"] == "/run/a<\x27&\">.sock"' && ok "the path is in the XML as it was given" ||
	fail "the path is in the XML as it was given" "$(cat "$T/out")"

no "a group that is not viable" 5 "0000:05:00.0 cannot be bridged: group: .*xhci_hcd" desk qemu-args 05:00.0 --socket /a
no "no IOMMU" 5 "cannot be bridged: iommu: no IOMMU" noiommu qemu-args 01:00.0 --socket /a
no "vfio without an IOMMU" 5 "iommu: vfio has it without an IOMMU" bridge qemu-args 0c:00.0 --socket /a
no "too little memory to lock" 5 "RLIMIT_MEMLOCK.*prlimit --pid \$\$ --memlock=17179869184:17179869184" bridge libvirt-xml 01:00.0 --socket /a --memory 16G
no "a virtual machine has it" 5 "win11" held qemu-args 04:00.1 --socket /a
# Who serves it asks for these words meanwhile.
shows bridge-list-served.txt served list 01:00.0
shows bridge-qemu-args-served.txt served qemu-args 01:00.0 --memory 4G --socket /run/gpu.sock
on served list 01:00.0 --json
valid "list of what is served is valid" bridge_list "$T/out"
no "detach under a bridge" 5 "in use: berth bridge (process 237) serves it; .*end that bridge" served detach 01:00.0
no "no socket" 2 "give --socket" desk qemu-args 01:00.0
no "no memory for a domain" 2 "give --memory" desk libvirt-xml 01:00.0 --socket /a
no "a relative socket" 4 "no absolute path\|not an absolute path" desk qemu-args 01:00.0 --socket a
no "a relative monitor" 4 "--qmp a is not an absolute path" desk qemu-args 01:00.0 --socket /a --qmp a
no "a long socket" 4 "at most 107" desk qemu-args 01:00.0 --socket "/$(printf '%0120d' 0)"
no "a socket with a newline" 4 "control character" desk qemu-args 01:00.0 --socket "/a
b"
no "half a MiB" 4 "whole number of MiB" desk qemu-args 01:00.0 --socket /a --memory 1536K

# --- attach, detach ---
shows bridge-attach.txt desk attach 01:00.0 --dry-run
on desk attach 01:00.0 --dry-run --json
valid "attach is berth device's answer" device "$T/out"
shows bridge-attach-berth.txt desk attach 01:00.0 --driver berth_vfio --mode map
no "a mode for stock vfio-pci" 2 "heeds --mode only with --driver berth_vfio" desk attach 01:00.0 --mode map
no "attach where too little may be locked" 5 "01:00.0 is not attached: 8.0 MiB may be locked.*prlimit --pid \$\$ --memlock=17179869184:17179869184, or give --force" \
	bridge attach 01:00.0 --memory 16G
exits "attach with as much as may be" 0 "$BERTH" bridge attach 01:00.0 --memory 8M --machine "$M/bridge"
no "attach of the boot display" 5 "is the boot display" desk attach 00:02.0
no "attach of a disk" 4 "0000:02:00.0 is no GPU" desk attach 02:00.0
no "attach of the system's disk" 5 "is mounted" desk attach 02:00.0 --any
no "attach to no driver of vfio's" 4 "'\?amdgpu'\? is none of vfio's" desk attach 01:00.0 --driver amdgpu
no "attach without an IOMMU" 5 "IOMMU" noiommu attach 01:00.0
no "attach of nothing" 1 "no device matches" desk attach 77:00.0
no "detach under a virtual machine" 5 "0000:04:00.1 is in use: the virtual machine win11" held detach 04:00.1
on desk detach 01:00.0
[ "$rc" -eq 0 ] && ok "detach of what was never attached" || fail "detach of what was never attached" "exit $rc"
grep -q "nothing that was done for 'bridge 0000:01:00.0'" "$T/out" && ok "it says that nothing is left" ||
	fail "it says that nothing is left" "$(cat "$T/out")"

(cd "$M" && find desk held bridge noiommu -type f -exec cksum {} + | LC_ALL=C sort) >"$T/after"
cmp -s "$T/before" "$T/after" && ok "the machines are as they were" || fail "the machines are as they were" "they are not"
finish
