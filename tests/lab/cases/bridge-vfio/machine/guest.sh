# shellcheck shell=dash
. /lab/device.sh
load vfio_pci vfio_iommu_type1 9p 9pnet_virtio
mkdir -p /usr /qemu /tests /run
for tag in usr qemu tests; do
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose $tag /$tag || fail "mount $tag" "see the console"
done
export PYTHONDONTWRITEBYTECODE=1

# of VENDOR:DEVICE: its address
of() {
	lspci -D -d "$1" | sed 's/ .*//'
}

edu=$(of 1234:11e8) nvme=$(of 1b36:0010) igb=$(of 8086:10c9)

# serve DEVICE OPTION...: in $served
serve() {
	rm -f /run/s
	berth bridge serve "$@" --socket /run/s -v >/run/log 2>&1 </dev/null 3>&- &
	served=$!
	wait_for 60 grep -q 'waits for a client' /run/log || fail "serve $1" "$(cat /run/log)"
}

ends() {
	kill $served
	wait $served
	is "$1" $? 0
}

# use DEVICE: its results are ours
use() {
	/usr/bin/python3 /case/use.py "$1" /run/s >/run/used 2>/run/why 3>&-
	rc=$?
	grep -E '^(ok|FAIL) ' /run/used >&3
	[ $rc = 0 ] || fail "use $1" "$(cat /run/why /run/log)"
}

# --- what is not vfio's is refused ---
refuses "not attached" 5 "is not attached yet: berth bridge attach $edu" berth bridge serve "$edu" --socket /run/s
refuses "no such device" 1 '0000:77:00.0' berth bridge serve 0000:77:00.0 --socket /run/s
for d in $edu $nvme $igb; do
	exits "attach $d" 0 berth bridge attach "$d" --any
done
hold "$(group_of "$edu")" "$edu"
refuses "somebody has it" 5 'virtual machine' berth bridge serve "$edu" --socket /run/s
let_go

# --- each does what it is for ---
for d in edu nvme igb; do
	eval "serve \$$d"
	use $d
	is "$d: by whom it is driven" "$(berth bridge status --json | sed -n 's/.*"backend": "\([a-z]*\)".*/\1/p')" "${BACKEND:-vfio}"
	ends "$d: the bridge ends"
	is "$d: nobody has it" "$(find /proc/[0-9]*/fd -lname '/dev/vfio/[0-9]*' 2>/dev/null)" ""
done

# --- the host takes a device away while it is used ---
serve "$edu"
/usr/bin/python3 /case/use.py gone /run/s >/run/used 2>/run/why 3>&- &
user=$!
wait_for 60 grep -q ready /run/used || fail "a client of what will go" "$(cat /run/why /run/log)"
echo 1 >"$PCI/$edu/remove"
ok "remove returns"
is "it is gone" "$(of 1234:11e8)" ""
wait $user || fail "the client of what went" "$(cat /run/why)"
grep -E '^(ok|FAIL) ' /run/used >&3
has "it is said" 'the host wants it back' /run/log
echo 1 >/sys/bus/pci/rescan
exits "it comes back" 0 test -e "$PCI/$edu"
ends "the bridge of what went ends"
cat /run/log >/out/log
