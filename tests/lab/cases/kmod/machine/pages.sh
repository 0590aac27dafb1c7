# shellcheck shell=dash
# Descriptors that only map: which pages, by which rules, and what takes them back. Sourced by guest.sh.

is "pages are for rules to open" "$(put $EDU policy 'map 0 0x0-0xfff\ndeny 0 0x1000-0x1fff')" ok
is "and the table says so" "$(cat $PCI/$EDU/berth/policy)" "map 0 0x0-0xfff
deny 0 0x1000-0x1fff"
tells "the open page is mapped, by a descriptor of its own" "ok ok 0x10000ed EPERM ok 0xffffffff" $EDU \
	"pages 0 3 0 4096" "pmap 0 4096 3" "peek 0" "mmap 0 0 4096" "poke 4 0" "peek 4"
tells "no other" "EPERM EPERM EPERM ok EPERM EPERM" $EDU "pages 0 3 0 8192" "pages 0 3 4096 4096" "pages 0 3 0x2000 4096" \
	"pages 0 3 0 4096" "pmap 4096 4096 3" "pmap 0 8192 3"
tells "which cannot be run" "ok EPERM" $EDU "pages 0 3 0 4096" "pmap 0 4096 5"
tells "nor written by who may read" "ok EACCES ok 0x10000ed" $EDU "pages 0 1 0 4096" "pmap 0 4096 3" "pmap 0 4096 1" "peek 0"
tells "nor used in another way" "ok 0" $EDU "pages 0 3 0 4096" pforeign
for bad in "6 3 0 4096" "0 2 0 4096" "0 0 0 4096" "0 7 0 4096" "0 3" "0 3 0 100" "0 3 100 4096" "0 3 0x100000 4096" "0 3 0 0x101000" \
	"0 3 0xfffffffffffff000 0x2000" "0 3 0x1000 0xffffffffffffe000" "0 3 0 4096 0 4096" "0 3 4096 4096 0 4096" "1 3 0 4096"; do
	tells "no pages: $bad" EINVAL $EDU "pages $bad"
done
tells "none of I/O ports" EINVAL $TESTDEV "pages 1 3 0 4096"
for bad in 'map 0 0x0-0xffe' 'map 0 0x10-0x100f' 'map 1 0x0-0xfff' 'map config 0x0-0xfff' 'map 0 0x0-0xfff\nread-only 0 0xfff-0xfff'; do
	is "no rule: $bad" "$(put $EDU policy "$bad")" "Invalid argument"
done

# --- two ranges of a BAR that is mapped ---
is "a BAR that is mapped has all pages" "$(put $MEMORY bar2_mode map)" ok
tells "of which one may choose" "ok ok ok 0x600df00d 0x600df00d EPERM EPERM" $MEMORY "pages 2 3 0 0x200000 0x400000 0x400000" \
	"pmap 0x600000 0x200000 3" "poke 0x1ff000 0x600df00d" "peek 0x1ff000" "read 2 0x7ff000 4" "pmap 0x200000 4096 1" "pmap 0 0x600000 1"
is "and trapped again" "$(put $MEMORY bar2_mode trap)" ok
is "a disk's is mapped" "$(put $NVME bar0_mode map)" ok
lspci -vvs $NVME >$T/lspci 2>/dev/null
for what in 'Vector table' PBA; do
	at=$(sed -n "s/.*$what: BAR=0 offset=\([0-9a-f]*\).*/\1/p" $T/lspci)
	tells "but not its interrupts ($what)" EPERM $NVME "pages 0 3 $((0x$at & ~4095)) 4096"
done

# --- what is not there reads as ones, and comes back ---
tells "while memory is off there are ones, and no signal" "ok ok 0x10000ed ok 0xffffffff ok ok ok 0x10000ed" $EDU "pages 0 3 0 4096" \
	"pmap 0 4096 3" "peek 0" "write 7 4 2 0" "peek 0" "poke 8 0x12345678" "fades 8" "write 7 4 2 2" "peek 0"
tells "while it sleeps, too" "ok ok 0x10000ed ok 0xffffffff ok 0x10000ed" $EDU "pages 0 3 0 4096" "pmap 0 4096 3" "peek 0" sleep "peek 0" \
	wake "peek 0"
tells "a reset leaves the pages" "ok ok 0x10400 ok 0x10400" $NVME "pages 0 1 0 4096" "pmap 0 4096 1" "peek 8" reset "peek 8"
tells "another program sees the device or ones, however often" "ok ok ok" $EDU "pages 0 3 0 4096" "pmap 0 4096 3" "race 60 0 0x10000ed"
tells "pages that are taken back are so for good" "ok ok 0x10000ed 1 0xffffffff ENODEV 0 ok ok 0x10000ed EINVAL" $EDU "pages 0 3 0 4096" \
	"pmap 0 4096 3" "peek 0" revoke "peek 0" "pmap 0 4096 3" revoke "pages 0 3 0 4096" "pmap 0 4096 3" "peek 0" "revoke 7"
echo >$TRACING/trace
echo 1 >$TRACING/events/berth_vfio/enable
tells "with the trace of pages" "ok ok 0x10000ed ok" $EDU "pages 0 3 0 4096" "pmap 0 4096 3" "peek 0" close
echo 0 >$TRACING/events/berth_vfio/enable
is "it tells of them" "$(sed -n 's/.*: \(berth_vfio_[tp][a-z_]*: .*\)/\1/p' $TRACING/trace)" "berth_vfio_pages: $EDU result=0
berth_vfio_page: $EDU bar=0 offset=0x0 device
berth_vfio_taken_back: $EDU result=1"

# --- who holds pages holds nothing else ---
said() {
	[ "$(wc -l <$T/held)" -ge "$1" ]
}
hold $EDU
printf '%s\n' "pages 0 3 0 4096" "pmap 0 4096 3" "peek 0" close >&4
true_that "a program keeps pages and closes the function" wait_for 60 said 5
echo $EDU >/sys/bus/pci/drivers/berth_vfio/unbind
is "which the driver then leaves" "$(driver_of $EDU)" ""
bind $EDU berth_vfio
tells "and others use" 0x10000ed $EDU "read 0 0 4"
echo "peek 0" >&4
true_that "the program has ones" wait_for 60 grep -q 0xffffffff $T/held
release
put $NVME bar0_mode trap >>$T/modes
