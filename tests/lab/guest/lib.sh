# Helpers for the guests' scripts. Descriptor 3 is the line to vm.py: results and requests go out, answers
# come in. The shell is busybox's; /out is what the host gets when the script has ended.
# shellcheck shell=dash

T=/tmp

say() {
	echo "$*" >&3
}

ok() {
	say "ok $1"
}

fail() {
	say "FAIL $1: $(echo "$2" | tr '\n' ' ' | head -c 600)"
}

# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		fail "$1" "'$2', not '$3'"
	fi
}

# run COMMAND...: its status in $rc, its output in $T/stdout and $T/stderr
run() {
	"$@" >$T/stdout 2>$T/stderr </dev/null 3>&-
	rc=$?
}

# exits NAME STATUS COMMAND...
exits() {
	name=$1 want=$2
	shift 2
	run "$@"
	if [ "$rc" -eq "$want" ]; then
		ok "$name"
	else
		fail "$name" "exit $rc, not $want: $(head -c 400 $T/stderr)"
	fi
}

# keeps FILE COMMAND...: it exits with 0, and its output goes to the host as FILE
keeps() {
	file=$1
	shift
	exits "$*, for $file" 0 "$@"
	cp $T/stdout "/out/$file"
}

# has NAME PATTERN FILE
has() {
	if grep -q -e "$2" "$3"; then
		ok "$1"
	else
		fail "$1" "no '$2' in: $(head -c 500 "$3")"
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds. The seconds are generous, since they decide nothing:
# an emulated machine on a busy host is slow.
wait_for() {
	left=$(($1 * 5))
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 200000
	done
}

# load MODULE...: with what each depends on, from the list that modules.py made; nothing for one that is
# built in
load() {
	for m; do
		for f in $(sed -n "s/^$m //p" /lab/modules/order); do
			[ -e "/sys/module/$f" ] || insmod "/lab/modules/$f.ko" || fail "load $f" "see the console"
		done
	done
}

# port NAME: the device of a virtio port. There is no udev to make the links; and the ports get their names
# some time after the driver is there.
port() {
	wait_for 60 port_named "$1"
	port_named "$1"
}

port_named() {
	for p in /sys/class/virtio-ports/*; do
		! grep -qx "$1" "$p/name" 2>/dev/null || { echo "/dev/${p##*/}" && return; }
	done
	return 1
}

# qmp JSON: have vm.py do it; the answer in $answer
qmp() {
	say "qmp $1"
	read -r answer <&3
}

# plug ID DRIVER BUS; unplug ID
plug() {
	qmp "{\"execute\": \"device_add\", \"arguments\": {\"id\": \"$1\", \"driver\": \"$2\", \"bus\": \"$3\"}}"
}
unplug() {
	qmp "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"$1\"}}"
}

# listens PID: to the kernel's device events, protocol 15 of netlink
listens() {
	awk -v pid="$1" '$2 == 15 && $3 == pid { found = 1 } END { exit !found }' /proc/net/netlink
}

PCI=/sys/bus/pci/devices

# driver_of ADDRESS: empty when none is bound
driver_of() {
	d=$(readlink "$PCI/$1/driver") && echo "${d##*/}"
}

# bind ADDRESS DRIVER: by driver_override, as people do it for a virtual machine
bind() {
	echo "$2" >"$PCI/$1/driver_override"
	[ ! -e "$PCI/$1/driver" ] || echo "$1" >"$PCI/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# bridge NAME KEY...: what a bridge's status says of these; bridge NAME said TEXT: how often its log has it
bridge() {
	say "bridge $*"
	read -r line <&3
	echo "$line"
}
