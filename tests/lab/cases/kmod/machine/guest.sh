# shellcheck shell=dash
EDU=0000:00:02.0 BOCHS=0000:00:03.0 TESTDEV=0000:00:04.0 MEMORY=0000:00:07.0 NVME=0000:00:05.0 RNG=0000:00:06.0 VGA=0000:00:08.0
ALL="$EDU $BOCHS $TESTDEV $MEMORY $NVME $RNG $VGA"
TRACING=/sys/kernel/tracing

# vfio ADDRESS: the commands of standard input, by the function's group; the answers on one line
vfio() {
	vfio_bar group "$(basename "$(readlink "$PCI/$1/iommu_group")")" "$1" 2>&1 3>&- | tr '\n' ' ' | sed 's/ $//'
}

# the same by the device's own file, where the kernel has an iommufd
vfio_cdev() {
	vfio_bar cdev "$(ls "$PCI/$1/vfio-dev")" 2>&1 3>&- | tr '\n' ' ' | sed 's/ $//'
}

# tells NAME ANSWERS ADDRESS COMMAND...
tells() {
	t_name=$1 t_want=$2 t_dev=$3
	shift 3
	is "$t_name" "$(printf '%s\n' "$@" | vfio "$t_dev")" "open $t_want"
}

# true_that NAME COMMAND...
true_that() {
	t_name=$1
	shift
	if "$@"; then ok "$t_name"; else fail "$t_name" "not: $*"; fi
}

# put ADDRESS FILE TEXT: the errno by its text, or "ok"
put() {
	# shellcheck disable=SC2059 # the text has its newlines as a format
	if printf "$3" | cat 2>$T/put >"$PCI/$1/berth/$2"; then echo ok; else sed 's/.*: //' $T/put; fi
}

# counts ADDRESS BAR: what is not 0
counts() {
	awk '$2 { printf "%s%s %s", n++ ? ", " : "", $1, $2 }' "$PCI/$1/berth/bar$2_counters"
}

# told: what the kernel has said of drivers and functions, and of trouble. On a busy host it says this and that of its clocks, too.
told() {
	dmesg | grep -E 'vfio|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|WARNING|BUG|Oops|Call Trace'
}

# A program that holds a function open until release.
hold() {
	mkfifo $T/hold
	rm -f $T/held
	vfio_bar group "$(basename "$(readlink "$PCI/$1/iommu_group")")" "$1" <$T/hold >$T/held 2>&1 3>&- &
	holder=$!
	exec 4>$T/hold
	wait_for 60 grep -q open $T/held || fail "a program holds $1" "$(cat $T/held)"
}
release() {
	exec 4>&-
	wait $holder
	rm $T/hold
}

load virtio_pci nvme vfio_pci vfio_iommu_type1
mount -t tracefs tracefs $TRACING
mount -t debugfs debugfs /sys/kernel/debug
LEAKS=/sys/kernel/debug/kmemleak
[ ! -e $LEAKS ] || echo clear >$LEAKS

# --- loading: a mode that is not there is refused, and nothing is bound by itself ---
run insmod /case/berth_vfio.ko mode=revocable
case $(uname -r) in
[1-5].* | 6.?.*)
	revocable=
	has "the module does not load with a mode that it cannot give" "not supported" $T/stderr
	;;
*)
	revocable=y
	is "the module loads with the mode that newer kernels can give" "$(cat /sys/module/berth_vfio/parameters/mode)" revocable
	rmmod berth_vfio
	;;
esac
told >$T/before
run insmod /case/berth_vfio.ko mode=often
has "nor with one that does not exist" "nvalid" $T/stderr
# busybox tries two ways to load it.
is "of which the kernel tells in a line" "$(told | tail -n +$(($(wc -l <$T/before) + 1)) | grep -v -E 'taint|verification' | sed 's/^[^]]*] //' | sort -u | wc -l)" 1
exits "it loads" 0 insmod /case/berth_vfio.ko
is "it binds nothing by itself" "$(cd /sys/bus/pci/drivers/berth_vfio && echo *:*)" "*:*"
is "no alias brings it to a device" "$(strings /case/berth_vfio.ko | grep -c '^alias=')" 0
is "its mode is trap" "$(cat /sys/module/berth_vfio/parameters/mode)" trap
for d in $ALL; do
	bind $d berth_vfio
	is "it binds $d when told to" "$(driver_of $d)" berth_vfio
done
is "a function has files for the BARs that it has" "$(cd $PCI/$TESTDEV/berth && echo *)" \
	"abi bar0_counters bar0_latency bar0_mode bar1_counters bar1_latency bar1_mode bar2_counters bar2_latency bar2_mode policy timing"
is "the upper half of a BAR is none" "$(cd $PCI/$NVME/berth && echo *_mode)" bar0_mode
is "the version is told" "$(cat $PCI/$EDU/berth/abi)" 1

# --- trap: what a program may and what it may not ---
tells "a trapped BAR has no map, and is read and written" "0x3 0x10000000 EPERM" $MEMORY "info 2" "mmap 2 0 4096"
tells "nor at another offset" "EPERM EPERM" $MEMORY "mmap 2 0x200000 0x200000" "mmap 0 0 4096"
tells "an I/O BAR neither" "0x3 0x100 EPERM" $TESTDEV "info 1" "mmap 1 0 4096"
tells "the kernel may not write behind the trap" EPERM $EDU "ioeventfd 0 4"
case $(echo "dmabuf 0" | vfio $EDU) in
"open ENOTTY" | "open EOPNOTSUPP") ok "no BAR leaves as a DMA buffer" ;;
*) fail "no BAR leaves as a DMA buffer" "$(echo 'dmabuf 0' | vfio $EDU)" ;;
esac
tells "there is no ROM" "0x0 0x0 EPERM" $BOCHS "info 6" "read 6 0 4"
tells "and no VGA region" "EINVAL EINVAL" $BOCHS "info 8" "read 8 0xa0000 4"
tells "requests that nobody knows, or of foreign sizes, do nothing" 0 $EDU foreign
tells "a register reads as itself" 0x10000ed $EDU "read 0 0 4"

# --- values, of every width; and they are what is counted ---
tells "every width is exact" "ok 0x1122334455667788 ok 0xaa ok 0xccbb ok 0xddeeff00 0xddeeff00ccbb77aa" $MEMORY \
	"write 2 0x1000 8 0x1122334455667788" "read 2 0x1000 8" "write 2 0x1000 1 0xaa" "read 2 0x1000 1" \
	"write 2 0x1002 2 0xccbb" "read 2 0x1002 2" "write 2 0x1004 4 0xddeeff00" "read 2 0x1004 4" "read 2 0x1000 8"
is "and counted" "$(counts $MEMORY 2)" \
	"read_1 1, read_2 1, read_4 1, read_8 2, read_bytes 23, write_1 1, write_2 1, write_4 1, write_8 1, write_bytes 15"
tells "the last byte of a BAR" "ok 0x5a" $MEMORY "write 2 0xfffffff 1 0x5a" "read 2 0xfffffff 1"
tells "none after it" "EINVAL EINVAL" $MEMORY "read 2 0x10000000 4" "write 2 0x10000000 4 1"
tells "none of a BAR that is not there" EINVAL $MEMORY "read 4 0 4"
tells "as much as one likes at once" "65536" $MEMORY "bulk 2 0 65536"
tells "or nothing" 0 $MEMORY "bulk 2 0 0"
is "which is counted as it was asked" "$(counts $MEMORY 2)" \
	"read_1 2, read_2 1, read_4 1, read_8 2, read_other 1, read_bytes 65560, read_failed 1, write_1 2, write_2 1, write_4 1, write_8 1, write_bytes 16, write_failed 1"
tells "a piece of other size, and more than there is" "ok 0x332211 0x5a000000 32" $MEMORY "write 2 0x3001 4 0x44332211" "read 2 0x3001 3" \
	"read 2 0xffffffc 8" "bulk 2 0xfffffe0 64"
is "are counted as they were asked, their bytes as they were moved" "$(counts $MEMORY 2 | sed 's/, write.*//')" \
	"read_1 2, read_2 1, read_4 1, read_8 3, read_other 3, read_bytes 65599, read_failed 1"
tells "an I/O BAR is read" 0x0 $TESTDEV "read 1 0 1"
is "and counted" "$(counts $TESTDEV 1)" "read_1 1, read_bytes 1"
tells "a display's memory" "ok 0xcafe" $BOCHS "write 0 0x10 2 0xcafe" "read 0 0x10 2"
tells "a disk's register of eight bytes" 0x10400 $NVME "read 0 8 4"
tells "many accesses" "0x10000ed ok 0xffffff00" $EDU "repeat 1000 read 0 0 4" "repeat 500 write 0 4 4 0xff" "read 0 4 4"
is "are counted" "$(counts $EDU 0)" "read_4 1002, read_bytes 4008, write_4 500, write_bytes 2000"
tells "a reset, as vfio-pci does it" "ok 0x10400" $NVME reset "read 0 8 4"

# --- the trace: the same accesses, with their values ---
echo 1 >$TRACING/events/berth_vfio/enable
tells "with the trace" "0x10000ed ok 0xedcba987 EPERM" $EDU "read 0 0 4" "write 0 4 4 0x12345678" "read 0 4 4" "mmap 0 0 4096"
echo 0 >$TRACING/events/berth_vfio/enable
sed -n 's/.*: \(berth_vfio_.*\)/\1/p' $TRACING/trace >$T/trace
is "it tells all of it" "$(cat $T/trace)" "berth_vfio_open: $EDU result=0
berth_vfio_access: $EDU bar=0 read offset=0x0 count=4 value=0x10000ed result=4
berth_vfio_access: $EDU bar=0 write offset=0x4 count=4 value=0x12345678 result=4
berth_vfio_access: $EDU bar=0 read offset=0x4 count=4 value=0xedcba987 result=4
berth_vfio_map: $EDU region=0 offset=0x0 length=0x1000 result=-1
berth_vfio_close: $EDU result=0"

# --- latency: only when asked for ---
is "no time is taken unasked" "$(cat $PCI/$EDU/berth/bar0_latency)" ""
is "timing on" "$(put $EDU timing 1)" ok
tells "with times" "0x10000ed" $EDU "repeat 100 read 0 0 4"
is "each access has its time" "$(awk '{ n[$1] += $3 } END { print n["read"], n["write"] + 0 }' $PCI/$EDU/berth/bar0_latency)" "100 0"
is "timing is a truth" "$(put $EDU timing maybe)" "Invalid argument"

# --- map, BAR by BAR ---
is "the other BAR is mapped from now on" "$(put $MEMORY bar2_mode 'map\n')" ok
tells "only that one" "0x7 0x10000000 ok ok 0x600df00d 0x600df00d 0x3 0x100 EPERM" $MEMORY "info 2" \
	"mmap 2 0x200000 0x400000" "poke 0x1000 0x600df00d" "peek 0x1000" "read 2 0x201000 4" "info 0" "mmap 0 0 4096"
is "and not counted" "$(counts $MEMORY 2 | grep -o 'read_4 [0-9]*')" "read_4 1"
is "the display's memory, too" "$(put $BOCHS bar0_mode map) $(put $BOCHS bar2_mode map)" "ok ok"
tells "nothing of it is trapped, so the rest is as with vfio-pci" "0x7 0x1000000 0x7 0x1000" $BOCHS "info 0" "info 2"
is "the ROM, too" "$(echo 'info 6' | vfio $BOCHS | cut -d ' ' -f 2)" 0x1
is "and trapped again" "$(put $MEMORY bar2_mode trap) $(put $BOCHS bar0_mode trap)" "ok ok"
is "modes that are none" "$(put $EDU bar0_mode '')/$(put $EDU bar0_mode 'traps')/$(put $EDU bar0_mode 'map x')" \
	"ok/Invalid argument/Invalid argument"
[ -n "$revocable" ] || is "one that this kernel cannot give" "$(put $EDU bar0_mode revocable)" "Operation not supported"
is "an I/O BAR is never mapped" "$(put $TESTDEV bar1_mode map)" "Invalid argument"

# --- policy ---
is "rules are taken" "$(put $MEMORY policy 'read-only 2 0x2000-0x2fff\ndeny 2 0x1000-0x10ff\nlog 2 12288-12291\n')" ok
is "and shown in order" "$(cat $PCI/$MEMORY/berth/policy)" "deny 2 0x1000-0x10ff
read-only 2 0x2000-0x2fff
log 2 0x3000-0x3003"
echo 1 >$TRACING/events/berth_vfio/berth_vfio_log/enable
echo >$TRACING/trace
tells "they are kept" "EPERM EPERM EPERM 0x0 EPERM EPERM EPERM 0x0 ok EPERM ok 0x77" $MEMORY "read 2 0x1000 4" "write 2 0x10ff 1 1" \
	"read 2 0xffc 8" "read 2 0x2000 4" "write 2 0x2ffc 8 1" "write 2 0x2000 1 1" "write 2 0x1ffe 4 1" "read 2 0x1100 4" \
	"write 2 0x1100 4 0" "bulk 2 0 65536" "write 2 0x3000 1 0x77" "read 2 0x3000 1"
echo 0 >$TRACING/events/berth_vfio/berth_vfio_log/enable
is "what is to be told is told" "$(sed -n 's/.*: \(berth_vfio_log\)/\1/p' $TRACING/trace)" \
	"berth_vfio_log: $MEMORY bar=2 write offset=0x3000 count=1 value=0x77 result=1
berth_vfio_log: $MEMORY bar=2 read offset=0x3000 count=1 value=0x77 result=1"
is "and refusals are counted" "$(counts $MEMORY 2 | grep -o '[a-z]*_denied [0-9]*' | tr '\n' ' ')" "read_denied 3 write_denied 4 "
before=$(cat $PCI/$MEMORY/berth/policy)
for bad in 'deny 2 0x10-0x20\ndeny 2 0x20-0x30' 'deny 2 0x20-0x10' 'deny 2 0-0x10000000' 'deny 3 0-1' 'deny 6 0-1' 'deny -1 0-1' \
	'forbid 2 0-1' 'deny 2' 'deny 2 0' 'deny 2 0-' 'deny 2 -1' 'deny 2 0-1 2' 'deny 2 0-0x1ffffffffffffffff' 'deny 2 0-1\000deny'; do
	is "no rule: $bad" "$(put $MEMORY policy "$bad")" "Invalid argument"
done
is "no table changes by half" "$(cat $PCI/$MEMORY/berth/policy)" "$before"
is "a rule for memory" "$(put $TESTDEV policy 'read-only 0 0x10-0x1f')" ok
tells "shuts the I/O BAR, which may be the same registers" "EPERM EPERM 0x0" $TESTDEV "read 1 0 1" "write 1 0 1 1" "read 0 0x20 1"
is "but one that only tells" "$(put $TESTDEV policy 'log 0 0x10-0x1f')" ok
tells "does not" "0x0" $TESTDEV "read 1 0 1"
is "a BAR with rules stays trapped" "$(put $MEMORY bar2_mode map)" "Invalid argument"
is "rules want a trapped BAR" "$(put $BOCHS policy 'deny 2 0-1')" "Invalid argument"
rules() {
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "deny 2 0x%x-0x%x\n", i * 16, i * 16 + 7 }'
}
rules 64 >$T/rules && is "64 rules" "$(cat $T/rules >$PCI/$MEMORY/berth/policy && cat $PCI/$MEMORY/berth/policy)" "$(cat $T/rules)"
tells "of many rules that of the bytes" "EPERM 0x0 EPERM 0x0 EPERM 0x0 0xccbb77aa ok" $MEMORY "read 2 0x7 1" "read 2 0x8 8" "read 2 0xc 8" \
	"read 2 0x1f8 8" "read 2 0x3f7 1" "read 2 0x3f8 8" "read 2 0x1000 4" "write 2 0x3fc 4 0"
is "which a rule of another BAR does not change" "$(put $MEMORY policy 'read-only 0 0x0-0xf\ndeny 2 0x8-0xf\n')" ok
tells "nor its own" "0x0 EPERM EPERM 0x0" $MEMORY "read 0 8 4" "write 0 8 4 0" "read 2 0x8 4" "read 2 0x10 4"
rules 65 >$T/rules
is "not one more" "$(put $MEMORY policy "$(cat $T/rules)")" "Argument list too long"
is "none again" "$(put $MEMORY policy '\n')$(cat $PCI/$MEMORY/berth/policy)" ok

. /case/ways.sh
. /case/pages.sh
. /case/noise.sh
. /case/bad.sh

# --- while it is open ---
hold $MEMORY
# now_reads N: the program reads again; it has answered N times with what was read
now_reads() {
	echo "read 2 0x1000 8" >&4
	wait_for 60 answered "$1" || fail "the program answers" "$(cat $T/held)"
}
answered() {
	[ "$(grep -c 0x $T/held)" -eq "$1" ]
}
timed() {
	awk '{ n += $3 } END { print n + 0 }' $PCI/$MEMORY/berth/bar2_latency
}
is "its BARs are its driver's before anybody uses them" "$(grep -c -E ': vfio(-pci)?$' /proc/iomem)" 2
is "nothing changes" "$(put $MEMORY bar2_mode map)/$(put $MEMORY policy 'deny 2 0-1')/$(put $MEMORY policy '\n')" \
	"Device or resource busy/Device or resource busy/Device or resource busy"
now_reads 1
is "but the clock" "$(timed) $(put $MEMORY timing 1) $(now_reads 2)$(timed) $(put $MEMORY timing 0) $(now_reads 3)$(timed)" "0 ok 1 ok 1"
echo >$TRACING/trace
echo 1 >$TRACING/events/berth_vfio/berth_vfio_access/enable
now_reads 4
echo 0 >$TRACING/events/berth_vfio/berth_vfio_access/enable
is "and the trace" "$(grep -c 'offset=0x1000 count=8' $TRACING/trace)" 1
is "a second program does not get it" "$(vfio $MEMORY </dev/null)" EBUSY
(exec 4>&- && echo $MEMORY >/sys/bus/pci/drivers/berth_vfio/unbind) &
unbinding=$!
true_that "an unbind takes the files away at once" wait_for 60 [ ! -e $PCI/$MEMORY/berth ]
echo "read 2 0x1000 8" >&4
true_that "the program goes on until it closes" wait_for 60 answered 5
true_that "which the unbind waits for" kill -0 $unbinding
release
wait $unbinding
is "then it is free" "$(driver_of $MEMORY)" ""

# --- again and again, from several sides ---
i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	bind $MEMORY berth_vfio
	for _ in 1 2 3; do echo "read 2 0 4" | vfio $MEMORY >>$T/many & done
	echo map >$PCI/$MEMORY/berth/bar2_mode 2>/dev/null
	cat $PCI/$MEMORY/berth/* >/dev/null 2>&1
	echo $MEMORY >/sys/bus/pci/drivers/berth_vfio/unbind
	wait
done
is "twenty binds with three programs each" "$(driver_of $MEMORY)" ""
if [ -e /dev/iommu ]; then
	is "an iommufd has it, too" "$(printf '%s\n' "read 0 0 4" "info 0" "mmap 0 0 4096" "ioeventfd 0 4" | vfio_cdev $EDU)" \
		"open 0x10000ed 0x3 0x100000 EPERM EPERM"
fi

# shellcheck source=tests/lab/cases/kmod/machine/revoke.sh
[ -z "$revocable" ] || . /case/revoke.sh

# --- the end: nothing is left ---
for d in $EDU $BOCHS $TESTDEV $NVME $RNG $VGA; do
	[ "$(driver_of $d)" != berth_vfio ] || echo $d >/sys/bus/pci/drivers/berth_vfio/unbind
done
exits "the module goes" 0 rmmod berth_vfio
# A program that has no eventfd for it is not told that its device is wanted back; the kernel says so once, as for vfio-pci, and
# that it gives addresses back to a card that an error took them from.
dmesg | grep -E 'WARNING|BUG:|ODEBUG|Call Trace|possible .*lock|inconsistent lock|suspicious RCU|sleeping function|berth_vfio' |
	grep -v -E 'taint|verification|invalid for parameter|No device request channel|Relaying|resetting|enabling device|currently in use|reset done|restoring BARs|vgaarb' >$T/trouble
is "and the kernel has said nothing of it" "$(cat $T/trouble)" ""
[ ! -e /proc/lockdep_stats ] || has "nor has lockdep stopped looking" "debug_locks: *1" /proc/lockdep_stats
if [ -e $LEAKS ]; then
	# What is younger than five seconds is not looked at.
	sleep 6
	echo scan >$LEAKS
	echo scan >$LEAKS
	is "nothing is lost" "$(grep -v '^ *$' $LEAKS)" ""
fi

if [ -n "$revocable" ]; then
	insmod /case/berth_vfio.ko
	dmesg -c >$T/before
	# shellcheck source=tests/lab/cases/kmod/machine/slots.sh
	. /case/slots.sh
	exits "the module goes again" 0 rmmod berth_vfio
	dmesg >$T/log
	is "and nothing is wrong with it" "$(awk -f /case/circles.awk /case/circles $T/log |
		grep -E 'WARNING|BUG:|ODEBUG|Oops|Call Trace|possible .*lock|inconsistent lock|suspicious RCU|sleeping function|\[berth_vfio\]')" ""
fi
