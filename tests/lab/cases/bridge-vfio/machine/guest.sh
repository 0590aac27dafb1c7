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

edu=0000:00:04.0 card=$(of 1234:11e8 | sed -n 2p) second=$(of 1234:11e8 | sed -n 3p) nvme=$(of 1b36:0010) igb=$(of 8086:10c9) rng=$(of 1af4:1044)

# serve DEVICE OPTION...: in $served. What the last one said goes first: the new process empties it when it gets to run, and
# until then it is waiting for a client, too.
serve() {
	rm -f /run/s /run/log
	berth bridge serve "$@" --socket /run/s -v >/run/log 2>&1 </dev/null 3>&- &
	served=$!
	wait_for 60 grep -q 'waits for a client' /run/log || fail "serve $1" "$(cat /run/log)"
}

ends() {
	kill $served
	wait $served
	rc=$?
	[ $rc = 0 ] && ok "$1" || fail "$1" "exit $rc: $(tail -n 4 /run/log)"
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

# --- a group that somebody else has a part of ---
crowded=$(of 1234:11e8 | sed -n 4p) beside=$(of 1af4:1005)
is "a group of two cards" "$(group_of "$crowded")" "$(group_of "$beside")"
exits "one of the two is attached" 0 berth bridge attach "$crowded" --any
has "what that is worth is said" "also has $beside (virtio-pci): while that stays with the host, no virtual machine can take $crowded" $T/stderr
refuses "a group that is not viable" 5 "group: $beside (virtio-pci).* its group, and ha[a-z]* to be vfio's, too; berth device bind $beside vfio-pci" \
	berth bridge serve "$crowded" --socket /run/s
is "what is not served is left as it was" "$(driver_of "$crowded") $(driver_of "$beside")" "vfio-pci virtio-pci"
exits "it goes back" 0 berth bridge detach "$crowded"

for d in $edu $nvme $igb $rng; do
	exits "attach $d" 0 berth bridge attach "$d" --any
done
berth bridge list "$edu" --any >$T/list
has "what of maps the kernel takes" '^  maps  *yes  *65535 ' $T/list
limit=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit
echo 8 >$limit
exits "attach where the kernel takes few maps" 0 berth bridge attach "$edu" --any
has "which command helps is said" "the kernel takes 8 (dma_entry_limit).*; echo 65535 | sudo tee $limit" $T/stderr
sed -n 's/.*; \(echo .*\)/\1/p' $T/stderr | sed 's/sudo //' | sh >$T/stdout
is "and it does" "$(cat $limit)" 65535
hold "$(group_of "$edu")" "$edu"
refuses "somebody has it" 5 'virtual machine' berth bridge serve "$edu" --socket /run/s
let_go

# driven_by: what the bridge says drives its device
driven_by() {
	berth bridge status --json | sed -n 's/.*"backend": "\([a-z]*\)".*/\1/p'
}

# --- each does what it is for ---
each_works() {
	for d in edu nvme igb; do
		eval "serve \$$d"
		eval "exits \"$d: what a virtual machine of it is told, by $1\" 0 berth bridge qemu-args \$$d --socket /run/s --memory 64M"
		use $d
		[ $d != edu ] || use nested
		is "$d: by $1" "$(driven_by)" "$1"
		ends "$d: the bridge ends"
		is "$d: nobody has it" "$(find /proc/[0-9]*/fd -lname '/dev/vfio/*[0-9]' 2>/dev/null)" ""
	done
}

# --- pages without the bridge: stock vfio gives the whole device with them ---
maps_work() {
	serve "$edu"
	is "mapped: nothing unasked" "$(berth bridge status --json | sed -n 's/.*"mode": "\([a-z]*\)".*/\1/p')" trap
	ends "unasked: the bridge ends"
	serve "$edu" --mode map
	use mapped
	ends "mapped: the bridge ends"
	serve "$nvme" --mode map
	use table
	ends "mapped disk: the bridge ends"
	echo 'bar0 0x98+4 deny' >/run/rules
	refuses "a map beside a denial" 5 'gets the whole device' berth bridge serve "$edu" --socket /run/s --mode map --policy /run/rules
}

# --- by a user who is in the group of the device's file, and may lock some memory ---
as_user='import os, resource, sys
resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 28, 1 << 28))
os.setgroups([977])
os.setgid(1000)
os.setuid(1000)
os.environ["BERTH_RUNTIME_DIR"] = "/run/user"
os.execvp("berth", ["berth", "bridge"] + sys.argv[1:])'
anybody_serves() {
	mkdir -p /run/user
	chown 1000 /run/user
	node=/dev/vfio/$(group_of "$edu")
	/usr/bin/python3 -c "$as_user" serve "$edu" --socket /run/user/s >$T/stdout 2>$T/stderr 3>&-
	is "another user: refused" "$?" 5
	has "another user: says so" "$node may not be opened by this user" $T/stderr
	chgrp 977 "$node"
	chmod 660 "$node"
	rm -f /run/s /run/log
	ln -s /run/user/s /run/s
	/usr/bin/python3 -c "$as_user" serve "$edu" --socket /run/user/s -v >/run/log 2>&1 </dev/null 3>&- &
	served=$!
	wait_for 60 grep -q 'waits for a client' /run/log || fail "another user serves" "$(cat /run/log)"
	is "another user: all is theirs" "$(stat -c %u /proc/$served /run/user/s)" "1000
1000"
	use edu
	ends "another user: the bridge ends"
}

# --- the host takes a device away while it is used ---

# is_used DEVICE HOW OPTION...: by a client that goes on until it is over, and a little longer
is_used() {
	how=$2 device=$1
	shift 2
	serve "$device" "$@"
	rm -f /run/used
	/usr/bin/python3 /case/use.py "$how" /run/s >/run/used 2>/run/why 3>&- &
	user=$!
	wait_for 60 grep -q ready /run/used || fail "a client of what will be $how" "$(cat /run/why /run/log)"
}

# was_lost DEVICE HOW
was_lost() {
	wait_for 60 test ! -e "$PCI/$1" || fail "$2 comes to its end" "$(cat /run/log)"
	wait $user || fail "the client of what went" "$(cat /run/why)"
	sed -n "s/^ok /&$2: /p; s/^FAIL /&$2: /p" /run/used >&3
	has "$2: it is said" 'the host wants it back' /run/log
}

removal() {
	is_used "$edu" gone
	echo 1 >"$PCI/$edu/remove"
	was_lost "$edu" "$1, remove"
	echo 1 >/sys/bus/pci/rescan
	is "$1: nothing is told before it is attached" "$(grep -c 'has come back' /run/log)" 0
	exits "$1: it comes back" 0 berth bridge attach "$edu" --any
	wait_for 60 grep -q "$edu has come back: whoever connects anew gets it, as generation 2" /run/log || fail "$1: that is told" "$(cat /run/log)"
	use edu
	is "$1: as another generation" "$(berth bridge status --json | sed -n 's/.*"generation": \([0-9]*\).*/\1/p')" 2
	has "$1: and is told so" "$edu is there again, as generation 2" /run/log
	ends "$1: the bridge ends"
}

eject() {
	is_used "$nvme" gone
	unplug nvme
	was_lost "$nvme" "ejected"
	ends "ejected: the bridge ends"
}

# --- a completion that never comes: the kernel is told by the root port, and the device is still there. Kernels before 6.2 have
# it told by devices whose drivers ask for it. ---
in_trouble() {
	berth bridge status | grep -q 'trouble .*an error'
}
error() {
	rm -f /run/heard /run/rec
	is_used "$rng" erred --record /run/rec
	setpci -s "$rng" CAP_EXP+8.w=000f:000f
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error rng COMP_TIME"}}'
	wait_for 60 grep -q 'an error that the kernel could not correct' /run/log || fail "$1, error: the bridge hears of it" "$answer $(cat /run/log; dmesg | tail -n 5)"
	is "$1, error: it is no loss" "$(berth bridge status --json | sed -n 's/.*"state": "\([a-zA-Z]*\)".*/\1/p')" running
	# The page is told at most ten times a second.
	wait_for 60 in_trouble && ok "$1, error: the status has it" || fail "$1, error: the status has it" "$(berth bridge status)"
	touch /run/heard
	wait $user || fail "$1, error: the client" "$(cat /run/why)"
	sed -n "s/^ok /&$1, error: /p; s/^FAIL /&$1, error: /p" /run/used >&3
	is "$1, error: and the record" "$(berth bridge trace /run/rec --kind irq | grep -c ERR)" 1
	ends "$1, error: the bridge ends"
}

# --- two functions of one group, each by a process of its own ---
both_wait() {
	[ "$(grep -c 'waits for a client' /run/log)" = 2 ]
}
both_work() {
	is "$1: one group" "$(group_of "$card")" "$(group_of "$second")"
	rm -f /run/s /run/t /run/log /run/film
	echo 'bar0 0x98+4 log' >/run/rules
	berth bridge serve "$card" --socket /run/s "$second" --socket /run/t -v --policy "$card=/run/rules" --record "$second=/run/film" \
		>/run/log 2>&1 </dev/null 3>&- &
	served=$!
	wait_for 60 both_wait || fail "serve both" "$(cat /run/log)"
	refuses "$1: another bridge of the group" 5 "berth bridge (process [0-9]*) serves it" berth bridge serve "$second" --socket /run/u
	use pair
	is "$1: which is served where" "$(berth bridge status --json | sed -n 's/.*"pci": "\(.*\)".*/\1/p' | sort | tr '\n' ' ')" "$card $second "
	exits "$1: one of them by its short address" 0 berth bridge record "${second#0000:}"
	# edu's DMA begins with a write there: the rules are those of one, the recording is the other's.
	has "$1: rules of one" "^berth bridge $card: write of [48] bytes at 0x98 of BAR0" /run/log
	is "$1: and of no other" "$(grep -c "^berth bridge $second: write of" /run/log)" 0
	berth bridge trace /run/film --only bar0:0x98+4 >$T/film
	has "$1: a recording of the other" 'write  *BAR0+0x98' $T/film
	# The last time only: some kernels give what comes back alone a group of its own.
	if [ "$1" = vfio ]; then
		echo 1 >"$PCI/$second/remove"
		ok "$1: one can be removed while the other is served"
	fi
	ends "$1: both end"
}

exits "attach $card" 0 berth bridge attach "$card" --any
if [ -e /dev/iommu ]; then
	each_works iommufd
	both_work iommufd
	error iommufd
	removal iommufd
	rm /dev/iommu
fi
each_works vfio
maps_work
anybody_serves
error vfio
both_work vfio
removal vfio
eject
cat /run/log >/out/log
