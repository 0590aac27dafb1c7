# shellcheck shell=dash
# Everything that leads around a trap, on functions that have it. Sourced by guest.sh.

# --- configuration space ---
window=$(od -An -v -tu1 -w1 $PCI/$RNG/config | awk '{ c[NR - 1] = $1 } END { for (p = c[52]; p; p = c[p + 1]) if (c[p] == 9 && c[p + 3] == 5) print p }')
tells "a window to the registers is shut" "EPERM EPERM ok" $RNG "write 7 $((window + 8)) 4 0x10" "write 7 $((window + 4)) 1 1" "write 7 4 2 6"
is "a rule opens it" "$(put $RNG policy "open config $((window + 4))-$((window + 15))")" ok
tells "as far as it says" "ok ok EPERM EPERM" $RNG "write 7 $((window + 8)) 4 0x10" "write 7 $((window + 12)) 4 4" "write 7 $((window + 16)) 4 0" \
	"write 7 $((window + 2)) 4 0"
for bad in 'open 0 0-3' 'deny config 0-3' 'open config 0-0x1000' 'open config 8-7' 'open 7 0-3' 'open configs 0-3'; do
	is "no rule: $bad" "$(put $RNG policy "$bad")" "Invalid argument"
done
is "and shut again" "$(put $RNG policy '\n')" ok
for b in $(cd $PCI/$RNG/berth && echo *_mode); do put $RNG "$b" map >>$T/modes; done
tells "and open where nothing is trapped" ok $RNG "write 7 $((window + 8)) 4 0x10"
tells "bytes of no capability are shut, too" "EPERM EPERM" $EDU "write 7 0x80 4 1" "write 7 0xff 1 1"
is "a rule opens them" "$(put $EDU policy 'open config 0x80-0x83')" ok
tells "one by one" "ok EPERM" $EDU "write 7 0x80 4 1" "write 7 0x82 4 1"
put $EDU policy '\n' >>$T/modes
put $EDU bar0_mode map >>$T/modes
tells "and vfio's where nothing is trapped" "ok ok" $EDU "write 7 0x80 4 1" "write 7 0xff 1 1"
put $EDU bar0_mode trap >>$T/modes

# --- a rule of ports alone closes as much as a trapped BAR of memory ---
is "a rule for ports, memory mapped" "$(put $TESTDEV policy 'deny 1 0-3')$(put $TESTDEV bar0_mode map)$(put $TESTDEV bar2_mode map)" okokok
tells "the kernel does not write them either" "EPERM EPERM 0x0" $TESTDEV "ioeventfd 1 0" "write 1 0 1 1" "read 1 8 1"
is "and without the rule" "$(put $TESTDEV policy '\n')" ok
tells "it does, as with vfio-pci" ok $TESTDEV "ioeventfd 1 8"
is "trapped again" "$(put $TESTDEV bar0_mode trap)$(put $TESTDEV bar2_mode trap)" okok

# --- old VGA addresses ---
tells "a VGA's old addresses are not there" "EINVAL EINVAL EINVAL EPERM" $VGA "info 8" "read 8 0xa0000 4" "read 8 0x3c0 1" "read 6 0 4"
for b in $(cd $PCI/$VGA/berth && echo *_mode); do put $VGA "$b" map >>$T/modes; done
tells "and are, where nothing is trapped" "0x3 0xc0000" $VGA "info 8"
for b in $(cd $PCI/$VGA/berth && echo *_mode); do put $VGA "$b" trap >>$T/modes; done
