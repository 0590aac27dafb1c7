# A captured machine's /sys in a name space of our own, so that the probe and the libraries that it asks see
# it as live: source after tests/lib.sh.
# shellcheck shell=sh
. tests/lib_spaces.sh
own_spaces

# prepare NAME: its tree, in $tree, as a live kernel would have it. A capture holds what the probe reads; the
# libraries also want ids of every function, and read 256 bytes of config space when they are let.
prepare() {
	tree=$T/$1
	cp -R "$(machine "$1")" "$tree"
	find "$tree/sys/devices" -name class -exec dirname {} \; | while read -r d; do
		for f in vendor device subsystem_vendor subsystem_device revision irq; do
			[ -e "$d/$f" ] || echo 0x0000 >"$d/$f"
		done
		[ -e "$d/config" ] || head -c 256 /dev/zero >"$d/config"
	done
}

# live COMMAND...: the command sees $tree as /sys, and a loaded NVIDIA driver; as run
live() {
	run $ns sh -c "$private"' && mount --bind "$0/sys" /sys && mount -t tmpfs none /proc/driver &&
		mkdir /proc/driver/nvidia && exec "$@"' "$tree" "$@"
}

# inside NAME STATUS COMMAND...: the same, as exits
inside() {
	name=$1 want=$2
	shift 2
	live "$@"
	[ "$rc" -eq "$want" ] && ok "$name" || fail "$name" "exit $rc, not $want: $(head -c 600 "$T/err")"
}

# has NAME PATTERN FILE
has() {
	grep -q -e "$2" "$3" && ok "$1" || fail "$1" "no '$2' in: $(head -c 1500 "$3")"
}
