# shellcheck shell=dash
# The mode "revocable": a program that reads and writes what it has mapped, without a pause, while the device is switched
# off, put to sleep, reset and removed. After guest.sh's helpers.
FIXED=0000:03:00.0
DEAD=0xffffffff

# talk ADDRESS: a program that holds the function, and answers `ask`; quit ends it
talk() {
	mkfifo $T/in $T/answers
	vfio_map group "$(basename "$(readlink "$PCI/$1/iommu_group")")" "$1" <$T/in >$T/answers 2>&1 3>&- &
	talker=$!
	exec 4>$T/in 5<$T/answers
	read -r answer <&5
	[ "$answer" = open ] || fail "a program opens $1" "$answer"
}
quit() {
	exec 4>&-
	wait $talker
	is "the program ends by itself" $? 0
	exec 5<&-
	rm $T/in $T/answers
}

# ask COMMAND...: the answer to each, on one line
ask() {
	all=
	for command; do
		echo "$command" >&4
		read -r answer <&5 || answer="(the program is gone)"
		all="$all${all:+ }$answer"
	done
	echo "$all"
}

# does NAME ANSWERS COMMAND...
does() {
	d_name=$1 d_want=$2
	shift 2
	is "$d_name" "$(ask "$@")" "$d_want"
}

# where ADDRESS ID: of a capability
where() {
	od -An -v -tu1 -w1 "$PCI/$1/config" | awk -v id="$2" '{ c[NR - 1] = $1 } END { for (p = c[52]; p; p = c[p + 1]) if (c[p] == id) print p }'
}

# traced EVENT PATTERN: how often
traced() {
	grep -c "berth_vfio_$1: .*$2" $TRACING/trace
}

mine() {
	bind "$1" berth_vfio
	is "$1 is revocable" "$(put "$1" "bar$2_mode" revocable)" ok
}

OFF="write 7 4 2 0x4" ON="write 7 4 2 0x6"

# --- no BAR is given as a DMA buffer, though a kernel may let vfio-pci do it ---
bind $MEMORY vfio-pci
stock=$(echo "dmabuf 2" | vfio $MEMORY)
case $stock in
"open ok") ours="open EOPNOTSUPP" ;;
*) ours=$stock ;;
esac
bind $MEMORY berth_vfio
for mode in map revocable trap; do
	put $MEMORY bar2_mode $mode >$T/modes
	is "no BAR that is $mode leaves as a DMA buffer (vfio-pci: $stock)" "$(echo 'dmabuf 2' | vfio $MEMORY)" "$ours"
done

# --- memory off and on ---
# A machine with little memory has none by itself.
echo always >/sys/kernel/mm/transparent_hugepage/enabled
mine $MEMORY 2
echo 1 >$TRACING/events/berth_vfio/enable
echo >$TRACING/trace
tells "it can be mapped, and the kernel writes it for nobody" "0x7 0x10000000 EPERM 0x3 0x100" $MEMORY "info 2" "ioeventfd 2 0" "info 0"
talk $MEMORY
does "registers beside it are trapped" EPERM "mmap 0 0 4096"
does "a map is the device" "ok ok 0x600df00d 0x600df00d" "mmap 2 0 0x10000000" "poke 0x1000 0x600df00d" "peek 0x1000" "read 2 0x1000 4"
does "all of it" 128 "scan 0x10000000 0x200000 0"
true_that "by huge pages" [ "$(traced fault "order=9 device result=0x100")" -ge 64 ]
does "memory off: ones, and no signal" "ok $DEAD 128" "$OFF" "peek 0x1000" "scan 0x10000000 0x200000 $DEAD"
does "for who asks by descriptor an error" "EIO EIO" "read 2 0x1000 4" "write 2 0x1000 4 1"
does "what is written is gone in 20 ms" "$DEAD $DEAD" "age 0x1000 0xbad" "age 0x2ffc 0"
ask "poke 0x1000 0xbad" >/dev/null
does "memory on: the device, which has not seen it" "ok 0x600df00d" "$ON" "peek 0x1000"
does "nothing is left of the page of ones" 0 "scan 0x10000000 0x200000 $DEAD"
does "and off again: no old writes" "ok $DEAD ok 0x600df00d" "$OFF" "peek 0x1000" "$ON" "peek 0x1000"
does "low power: ones, and the device when it wakes" "ok $DEAD ok 0x600df00d" sleep "peek 0x1000" wake "peek 0x1000"
echo 0 >$TRACING/events/berth_vfio/enable
does "two programs map it, too, and do not stop" "ok ok ok ok ok" "loop 2 0x10000000 0x4010" "loop 2 0x400000 0x4020" "rounds 200" "expect 2" "rounds 200"
i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	how="$OFF" back="$ON"
	[ $((i % 3)) -ne 0 ] || how=sleep back=wake
	got=$(ask "expect 0" "$how" "expect 1" "rounds 3" "expect 0" "$back" "expect 2" "rounds 20")
	[ "$got" = "ok ok ok ok ok ok ok ok" ] || break
done
is "through twenty times off and on" "$i $got" "20 ok ok ok ok ok ok ok ok"
does "and found what they should" "ok" stop
quit
echo $MEMORY >/sys/bus/pci/drivers/berth_vfio/unbind

# --- a BAR with nothing behind it, which reads as zeros ---
mine $TESTDEV 2
echo 1 >$TRACING/events/berth_vfio/berth_vfio_fault/enable
echo >$TRACING/trace
talk $TESTDEV
does "256 MB of a test device are mapped" "ok 128" "mmap 2 0 0x10000000" "scan 0x10000000 0x200000 0"
true_that "by huge pages, too" [ "$(traced fault "order=9 device result=0x100")" -ge 64 ]
does "memory off: ones" "ok 128" "$OFF" "scan 0x10000000 0x200000 $DEAD"
does "memory on: the device" "ok 128" "$ON" "scan 0x10000000 0x200000 0"
echo 0 >$TRACING/events/berth_vfio/berth_vfio_fault/enable
quit
echo $TESTDEV >/sys/bus/pci/drivers/berth_vfio/unbind

# --- D3, and a reset of the function ---
mine $NVME 0
pm=$(where $NVME 1)
talk $NVME
does "asleep by its own register: ones" "ok 0x10400 ok $DEAD ok 0x10400" "mmap 0 0 0x1000" "peek 8" \
	"write 7 $((pm + 4)) 2 3" "peek 8" "write 7 $((pm + 4)) 2 0" "peek 8"
does "a reset" "ok 0x10400" reset "peek 8"
does "a reset while it sleeps" "ok ok 0x10400" "write 7 $((pm + 4)) 2 3" reset "peek 8"
does "low power that others may end" "ok $DEAD" doze "peek 8"
true_that "the kernel lets it sleep" wait_for 60 grep -q suspended $PCI/$NVME/power/runtime_status
is "in D3" "$(cat $PCI/$NVME/power_state)" D3hot
does "what is mapped stays ones" $DEAD "peek 8"
echo on >$PCI/$NVME/power/control
does "woken by the kernel: the program is told" yes asked
comes_back() {
	[ "$(ask "peek 8")" = 0x10400 ]
}
true_that "and its map is the device again, though nobody asked for it" wait_for 60 comes_back
does "also for who asks by descriptor" 0x10400 "read 0 8 4"
echo auto >$PCI/$NVME/power/control
quit
echo $NVME >/sys/bus/pci/drivers/berth_vfio/unbind

# --- a reset by the bus, which those who touch it wait for ---
mine $FIXED 2
talk $FIXED
does "two who never see ones" "ok ok ok ok ok" "mmap 2 0 0x200000" "loop 2 0x400000 0x10" "loop 2 0x400000 0x20" "rounds 200" "expect 2"
does "while it is reset three times" "ok ok ok ok ok ok ok ok ok" reset "rounds 20" reset "rounds 20" reset "rounds 20" "expect 0" stop "poke 0 1"
does "and two more" "ok ok ok ok" "loop 2 0x400000 0x10" "loop 2 0x400000 0x20" "rounds 100" "expect 2"
echo >$TRACING/trace
echo 1 >$TRACING/events/berth_vfio/berth_vfio_reset/enable
for _ in 1 2 3; do echo 1 >$PCI/$FIXED/reset && ask "rounds 20" >$T/resets; done
echo 0 >$TRACING/events/berth_vfio/berth_vfio_reset/enable
does "while root resets it three times" "ok ok" "expect 0" stop
is "of which the trace tells" "$(traced reset result=0)" 3
quit

# --- opened and closed, while root resets it without a pause: stock vfio-pci loses its addresses in one of ten ---
before=$(setpci -s ${FIXED#*:} BASE_ADDRESS_2) i=0
while [ $i -lt 10 ] && [ "$(setpci -s ${FIXED#*:} BASE_ADDRESS_2)" = "$before" ]; do
	i=$((i + 1))
	for _ in 1 2 3; do echo "read 2 0 4" | vfio $FIXED >>$T/opens; done &
	opener=$!
	while kill -0 $opener 2>/dev/null; do echo 1 >$PCI/$FIXED/reset; done
	wait $opener
done
is "a reset while it is opened or closed leaves it its addresses" "$i $(setpci -s ${FIXED#*:} BASE_ADDRESS_2)" "10 $before"
# Who asks while it is being reset may be told to ask again.
true_that "and it opens" grep -q "open 0x" $T/opens

# --- removed by its file ---
talk $FIXED
does "mapped by three" "ok ok ok ok ok" ask "mmap 2 0 0x200000" "poke 0x40 0x5eed" "loop 2 0x400000 0x10" "loop 2 0x400000 0x20"
does "at work" "ok ok ok" "expect 2" "rounds 100" "expect 0"
(exec 4>&- 5<&- && echo 1 >$PCI/$FIXED/remove) &
removing=$!
does "its programs are told" yes asked
does "and see ones, but their own writes for 20 ms" "ok ok $DEAD $DEAD" "expect 1" "rounds 5" "peek 0x40" "age 0x40 1"
does "nor does it answer to the descriptor" "EIO EIO ok" "read 2 0x40 4" "write 2 0x40 4 1" "expect 0"
does "nor to a new map" "ok $DEAD" "mmap 2 0x200000 0x1000" "peek 0"
does "which the programs live through" ok stop
true_that "the removal waits for the last" kill -0 $removing
quit
wait $removing
true_that "and is done" [ ! -e $PCI/$FIXED ]
echo 1 >/sys/bus/pci/rescan
true_that "it is found again" wait_for 60 [ -e $PCI/$FIXED ]
mine $FIXED 2
talk $FIXED
does "and works for who opens it next, and has what was last written to it" "ok 0x5eed ok 0x77" "mmap 2 0 0x200000" "peek 0x40" "poke 0x40 0x77" "read 2 0x40 4"
quit

# shellcheck source=tests/lab/cases/kmod/machine/aer.sh
. /case/aer.sh

# shellcheck source=tests/lab/cases/kmod/machine/long.sh
[ ! -e /case/long ] || . /case/long.sh
