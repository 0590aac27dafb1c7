# shellcheck shell=dash
# Programs that get functions of our module. QEMU's own vfio-pci on trapped BARs: what its guest does, done by its qtest;
# the inner machine has no kernel. And berth bridge, whose client is a script.
EDU=0000:00:02.0 MEMORY=0000:00:03.0 DISPLAY=0000:00:04.0
TRACING=/sys/kernel/tracing
BAR=0xe0000000
more=

load 9pnet_virtio 9p vfio_pci vfio_iommu_type1
# --- the doctor, from a card that waits for a module to one that has it ---
# ails NAME ID
ails() {
	berth doctor --json >$T/doctor 2>&1
	is "$1" "$(sed -n 's/.*"id": "\(berth-vfio-[^"]*\)".*/\1/p' $T/doctor | sort -u | tr '\n' ' ')" "$2 "
}
place=/lib/modules/$(uname -r)
echo berth_vfio >$PCI/$DISPLAY/driver_override
ails "the doctor misses the module" berth-vfio-missing
mkdir -p /lib/modules/0.1-other/updates "$place/updates/dkms"
cp /case/berth_vfio.ko /lib/modules/0.1-other/updates/
ails "or finds it for another kernel" berth-vfio-other-kernel
cp /case/berth_vfio.ko "$place/updates/dkms/"
ails "or not loaded" berth-vfio-not-loaded
exits "the module loads" 0 insmod /case/berth_vfio.ko
bind $DISPLAY berth_vfio
ails "and then has the card" berth-vfio-loaded
has "which is named" "It has $DISPLAY" $T/doctor
echo $DISPLAY >/sys/bus/pci/drivers/berth_vfio/unbind
echo >$PCI/$DISPLAY/driver_override
bind $EDU berth_vfio
bind $MEMORY berth_vfio
mount -t tracefs tracefs $TRACING
mkdir -p /q /tests /run
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro qemu /q || fail "QEMU's folder" "is not mounted"
for m in dev proc sys; do mount --bind /$m /q/$m; done
mount -t tmpfs tmp /q/tmp

# counts ADDRESS BAR: accesses of four bytes
counts() {
	awk '/_(4|bytes) / { printf "%s%s %s", n++ ? ", " : "", $1, $2 }' "$PCI/$1/berth/bar$2_counters"
}

# begin DEVICE...: QEMU, with its devices; ask: a line of qtest's, the answer in $answer
begin() {
	mkfifo $T/ask $T/answer
	# shellcheck disable=SC2086 # words
	chroot /q qemu-system-x86_64 -display none -nodefaults -machine pc -m 64 -accel qtest -qtest stdio -qtest-log none \
		$more "$@" <$T/ask >$T/answer 2>$T/qemu.log 3>&- &
	inner=$!
	exec 5>$T/ask 6<$T/answer
}
ask() {
	echo "$*" >&5
	answer=
	while read -r status answer <&6; do
		[ "$status" = IRQ ] || break
	done
	[ "$status" = OK ] || fail "QEMU answers '$*'" "$status $answer; $(cat $T/qemu.log)"
}
# It has no end of its own.
end() {
	kill $inner
	wait $inner 2>/dev/null
	exec 5>&- 6<&-
	rm $T/ask $T/answer
}
config() {
	ask outl 0xcf8 $((0x80002000 | $1))
	ask "$2" 0xcfc ${3:+"$3"}
}
# place REGISTER: the BAR, and memory on
place() {
	config "$1" outl $BAR
	config 4 outw 6
}
# got COMMAND: the value, as a number that the shell writes
got() {
	ask "$@"
	printf '0x%x' "$answer"
}
# many N COMMAND: without a look at the answers
many() {
	m_n=$1
	shift
	while [ $m_n -gt 0 ]; do
		ask "$@"
		m_n=$((m_n - 1))
	done
}

# run_on NAME EDU-DEVICE MEMORY-DEVICE: what is asked of each way to a device
run_on() {
	echo >$TRACING/trace
	echo 1 >$TRACING/events/berth_vfio/berth_vfio_map/enable
	begin -device "$2"
	place 0x10
	is "$1: the guest sees the register" "$(got readl $BAR)" 0x10000ed
	ask writel $((BAR + 4)) 0x12345678
	is "$1: it writes another" "$(got readl $((BAR + 4)))" 0xedcba987
	before=$(counts $EDU 0)
	many 100 readl $BAR
	many 50 writel $((BAR + 4)) 1
	is "$1: each access is one" "$(counts $EDU 0)" "$(echo "$before" | awk -F '[ ,]+' \
		'{ for (i = 1; i < NF; i += 2) n[$i] = $(i + 1)
		   printf "read_4 %d, read_bytes %d, write_4 %d, write_bytes %d\n", n["read_4"] + 100, n["read_bytes"] + 400, n["write_4"] + 50, n["write_bytes"] + 200 }')"
	is "$1: QEMU does not try to map" "$(sed -n 's/.*: \(berth_vfio_map\)/\1/p' $TRACING/trace)" ""
	end
	echo 'deny 0 0x4-0x7' >$PCI/$EDU/berth/policy
	begin -device "$2"
	place 0x10
	is "$1: what is denied reads as ones" "$(got readl $((BAR + 4))) $(got readl $BAR)" "0xffffffff 0x10000ed"
	ask writel $((BAR + 4)) 5
	is "$1: and QEMU lives" "$(got readl $BAR)" 0x10000ed
	end
	echo >$PCI/$EDU/berth/policy
	begin -device "$3"
	place 0x18
	for width in "b 0xa1" "w 0xb2b1" "l 0xc4c3c2c1" "q 0xd8d7d6d5d4d3d2d1"; do
		ask "write${width% *}" $((BAR + 0x1000)) "${width#* }"
		is "$1: ${width% *} is exact" "$(got "read${width% *}" $((BAR + 0x1000)))" "${width#* }"
	done
	is "$1: bytes are where they belong" "$(got readw $((BAR + 0x1002)))" 0xd4d3
	end
}

# taken_back NAME DEVICE: the function goes while QEMU has its memory mapped
taken_back() {
	echo revocable >$PCI/$MEMORY/berth/bar2_mode || fail "$1: a map can be taken back" "not here"
	echo >$TRACING/trace
	echo 1 >$TRACING/events/berth_vfio/enable
	begin -device "$2"
	place 0x18
	ask writel $((BAR + 0x1000)) 0x600df00d
	is "$1: the guest has the memory" "$(got readl $((BAR + 0x1000)))" 0x600df00d
	has "$1: mapped by QEMU" "berth_vfio_fault: $MEMORY bar=2 offset=0x[01]*000 order=[09] device" $TRACING/trace
	(exec 3>&- 5>&- 6<&- && echo 1 >$PCI/$MEMORY/remove) &
	removing=$!
	wait_for 60 grep -q "berth_vfio_revoke: $MEMORY" $TRACING/trace || fail "$1: the map is taken back" "$(tail -n 3 $TRACING/trace)"
	is "$1: it is ones" "$(got readl $((BAR + 0x1000))) $(got readb $((BAR + 0x200000)))" "0xffffffff 0xff"
	ask writel $((BAR + 0x2000)) 1
	is "$1: and QEMU lives" "$(got readl $((BAR + 0x3004)))" 0xffffffff
	end
	wait $removing
	is "$1: the function goes when QEMU does" "$(cd $PCI && echo $MEMORY*)" "$MEMORY*"
	echo 0 >$TRACING/events/berth_vfio/enable
	echo 1 >/sys/bus/pci/rescan
	bind $MEMORY berth_vfio
}

case $(uname -r) in
[1-5].* | 6.?.*) revocable= ;;
*) revocable=y ;;
esac
run_on container "vfio-pci,host=$EDU,addr=4" "vfio-pci,host=$MEMORY,addr=4"
[ -z "$revocable" ] || taken_back container "vfio-pci,host=$MEMORY,addr=4"
if [ -e /dev/iommu ]; then
	iommufd() {
		echo "{\"driver\": \"vfio-pci\", \"host\": \"$1\", \"addr\": \"4\", \"iommufd\": \"i\"}"
	}
	more='-object iommufd,id=i'
	run_on iommufd "$(iommufd $EDU)" "$(iommufd $MEMORY)"
	taken_back iommufd "$(iommufd $MEMORY)"
fi

# --- berth bridge: its client gets pages, and nothing else ---
for tag in usr tests; do
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose $tag /$tag || fail "mount $tag" "see the console"
done
export PYTHONDONTWRITEBYTECODE=1
modes() {
	cat $PCI/$DISPLAY/berth/bar*_mode | tr '\n' ' '
}
exits "attach" 0 berth bridge attach $DISPLAY --driver berth_vfio --mode hybrid --force
is "attach gives it to the module" "$(driver_of $DISPLAY)" berth_vfio
is "its memory is mapped, its registers are trapped" "$(modes)" "map trap "
is "the list tells its modes" "$(berth bridge list $DISPLAY | sed -n 's/^  module  *yes  *//p')" "BARs are given so: 0 map, 2 trap"
exits "attach in another mode" 0 berth bridge attach $DISPLAY --driver berth_vfio --mode trap --force
is "which it gets" "$(modes)" "trap trap "
exits "and back" 0 berth bridge attach $DISPLAY --driver berth_vfio --mode hybrid --force
berth bridge serve $DISPLAY --socket /run/s -v >/run/log 2>&1 </dev/null 3>&- &
served=$!
wait_for 60 grep -q 'waits for a client' /run/log || fail "serve" "$(cat /run/log)"
is "the bridge knows what drives it" "$(berth bridge status --json | sed -n 's/.*"backend": "\([a-z]*\)".*/\1/p')" kmod
mkfifo /run/go
/usr/bin/python3 /case/use.py /run/s </run/go >/run/used 2>/run/why 3>&- &
user=$!
exec 7>/run/go
wait_for 60 grep -q mapped /run/used || fail "a client" "$(cat /run/why /run/log)"
wait_for 60 grep -q 'the client is gone' /run/log || fail "the client leaves" "$(cat /run/log)"
echo >&7
exec 7>&-
wait $user
is "the client comes to its end" $? 0
grep -E '^(ok|FAIL) ' /run/used >&3
kill $served
wait $served
is "the bridge ends" $? 0
exits "detach" 0 berth bridge detach $DISPLAY --force
is "which takes it from the module" "$(driver_of $DISPLAY)" ""

for d in $EDU $MEMORY; do echo $d >/sys/bus/pci/drivers/berth_vfio/unbind; done
exits "the module goes" 0 rmmod berth_vfio
dmesg | grep -E 'WARNING|BUG:|Call Trace|possible (circular|recursive)|suspicious RCU|sleeping function' >$T/trouble
is "the kernel is well" "$(cat $T/trouble)" ""
