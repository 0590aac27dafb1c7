# shellcheck shell=dash
# Bad input of every kind: an errno that uapi.h names, nothing changed, and one line of the kernel's at most. Sourced by guest.sh.
said() {
	told | grep -c -v 'enabling device'
}

# silent NAME LINES: since `before` was set the kernel has said no more than that
silent() {
	now=$(said)
	if [ $((now - before)) -le "$2" ]; then ok "$1: the kernel says $2 at most"; else fail "$1" "$((now - before)) lines: $(told | tail -n 3)"; fi
}

before=$(said)
is "no such BAR" "$(put $EDU policy 'deny 6 0-1')/$(put $EDU policy 'deny 1 0-1')/$(cd $PCI/$EDU/berth && echo bar*_mode)" \
	"Invalid argument/Invalid argument/bar0_mode"
tells "nor for a program" "EINVAL EINVAL EINVAL EINVAL EINVAL" $EDU "info 77" "read 1 0 4" "write 1 0 4 0" "pages 6 3 0 4096" "pages 1 3 0 4096"
tells "nor to map" "EINVAL EINVAL" $EDU "mmap 1 0 4096" "mmap 77 0 4096"
silent "a wrong BAR" 0

before=$(said)
is "ranges that overlap" "$(put $EDU policy 'deny 0 0-7\nlog 0 7-8')/$(cat $PCI/$EDU/berth/policy)" "Invalid argument/"
tells "nor for a program" EINVAL $EDU "pages 0 3 0 8192 4096 4096"
silent "what overlaps" 0

before=$(said)
tells "requests of foreign sizes" "0 EINVAL EINVAL E2BIG EFAULT EINVAL" $EDU foreign "sized 0 1" "sized 31 1" "sized 1056 65" wild "revoke 1"
silent "a foreign size" 0

before=$(said)
is "a mode that is none" "$(put $EDU bar0_mode '\377\377')/$(put $EDU timing 2)" "Invalid argument/Invalid argument"
silent "a mode that is none" 0

hold $MEMORY
before=$(said)
is "changed while it is open" "$(put $MEMORY bar2_mode map)/$(put $MEMORY policy 'deny 2 0-1')" "Device or resource busy/Device or resource busy"
silent "what is in use" 0
before=$(said)
(exec 4>&- && echo $MEMORY >/sys/bus/pci/drivers/berth_vfio/unbind) &
unbinding=$!
true_that "unbound while it is open" wait_for 60 [ ! -e $PCI/$MEMORY/berth ]
exits "the module cannot go meanwhile" 1 rmmod berth_vfio
release
wait $unbinding
# That nobody could be asked for it.
silent "an unbind that waits" 1
bind $MEMORY berth_vfio
