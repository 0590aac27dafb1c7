# shellcheck shell=dash
# Slots that eject what is in use. After revoke.sh, and last: hotplug of PCI Express has a circle of its own locks, of which
# lockdep tells when a slot is emptied, whatever drove the device (the table `circles`), and then it looks no further.
BOTH="0000:01:00.0 0000:01:00.1" FIRST=0000:01:00.0 SECOND=0000:01:00.1 SLOT=0000:02:00.0

# --- ejected as one asks for it: the attention button ---
mine $SLOT 2
talk $SLOT
does "mapped by three" "ok ok ok ok ok ok" ask "mmap 2 0 0x200000" "loop 2 0x400000 0x10" "loop 2 0x400000 0x20" "expect 2" "rounds 100"
ask "expect 0" >/dev/null
unplug slot
does "the programs are told, and see ones" "yes ok ok ok ok" asked "expect 1" "rounds 5" "expect 0" stop
quit
true_that "the slot is empty" wait_for 120 [ ! -e $PCI/$SLOT ]

# --- pulled out: both functions at once, of which the kernel removes one after the other ---
for d in $BOTH; do mine $d 2; done
talk $FIRST
does "a program has the first" "ok ok ok" ask "mmap 2 0 0x200000" "loop 2 0x400000 0x10"
does "and the second" "ok ok ok ok ok ok" "open $SECOND" ask "loop 2 0x400000 0x20" "rounds 100" "expect 2" "rounds 100"
# The emulator shows an empty slot's memory as zeros until the kernel has heard of it.
ask "expect 3" >/dev/null
control=$(setpci -s 00:09.0 CAP_EXP+18.w)
# The slot's power goes off, and on, while its interrupt is off; then the port tells that the slot is empty.
setpci -s 00:09.0 CAP_EXP+18.w=$(printf %x $((0x$control & ~0x20 | 0x700)))
setpci -s 00:09.0 CAP_EXP+18.w=$control
does "both are told" yes asked
true_that "though one removal has not even begun" [ -e $PCI/$FIRST/berth ]
true_that "for the other waits" [ ! -e $PCI/$SECOND/berth ]
does "both see ones" "ok ok ok ok ok" "expect 1" "rounds 5" "expect 0" stop "mmap 2 0 0x1000"
does "in new maps, too" "$DEAD EIO" "peek 0" "read 2 0 4"
quit
for d in $BOTH; do true_that "$d goes" wait_for 120 [ ! -e $PCI/$d ]; done
