# shellcheck shell=dash
# Again and again: bound, opened and mapped by programs, while it is taken away from under them in each of the ways that there
# are. By revoke.sh; /case/long says how often.
times=$(cat /case/long)
group_of() {
	basename "$(readlink "$PCI/$FIXED/iommu_group")"
}
cycle_use() {
	printf '%s\n' "mmap 2 0 0x200000" "poke 0 1" "loop 2 0x200000 0x10" "loop 2 0x200000 0x20" "$1" "rounds 3" "$2" "rounds 3" stop |
		vfio_map group "$group" $FIXED >$T/use 2>&1 3>&- || [ $? -eq 1 ] || echo "signal" >>$T/use
}
# Half of them are at work already, the others may come too late, or just in between.
cycle_wait() {
	[ $((i % 2)) -eq 0 ] || return 0
	while kill -0 $user 2>/dev/null && ! grep -q -x ok $T/use 2>/dev/null; do usleep 20000; done
}
i=0
: >$T/cycles
while [ $i -lt "$times" ]; do
	i=$((i + 1))
	wait_for 60 [ -e $PCI/$FIXED ] || break
	bind $FIXED berth_vfio
	put $FIXED bar2_mode revocable >/dev/null
	group=$(group_of)
	case $((i % 3)) in
	0) cycle_use "$OFF" "$ON" & ;;
	1) cycle_use sleep wake & ;;
	2) cycle_use reset reset & ;;
	esac
	user=$!
	cycle_wait
	echo "read 2 0 4" | vfio_map group "$group" $FIXED >>$T/cycles 2>&1 3>&- &
	case $((i % 5)) in
	0) echo 1 >$PCI/$FIXED/remove && echo 1 >/sys/bus/pci/rescan ;;
	1) echo $FIXED >/sys/bus/pci/drivers/berth_vfio/unbind ;;
	2) rmmod berth_vfio 2>/dev/null ;;
	esac
	wait
	cat $T/use >>$T/cycles
	[ -e /sys/module/berth_vfio ] || insmod /case/berth_vfio.ko
done
is "$times times it is taken away, and no program dies of it" "$(grep -c -E 'signal|child' $T/cycles)" 0
is "and most have done their work" "$([ "$(grep -c -x ok $T/cycles)" -gt $((times * 2)) ] && echo yes)" yes
[ "$(driver_of $FIXED)" = berth_vfio ] || bind $FIXED berth_vfio
put $FIXED bar2_mode revocable >/dev/null
