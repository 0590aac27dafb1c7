# shellcheck shell=dash
# How long it takes until nobody reaches a device by a map any more; rows in microseconds.

# taken DEVICE WHAT HOW MAPPERS ROUNDS: medians of the rounds
taken() {
	vfio_revoke "$2" "$3" "$4" "$5" "$(group "$1")" "$1" >$T/taken 2>&1 3>&- || fail "$2 takes $1 away" "$(cat $T/taken)"
	sort -n $T/taken | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
# A removal, and back again; how the program knew that it is gone in $T/taken
removed() {
	taken "$1" remove map 1 1
	wait_for 60 [ ! -e "$PCI/$1" ] || fail "$1 is removed" "it is there"
	echo 1 >/sys/bus/pci/rescan
	wait_for 60 [ -e "$PCI/$1/iommu_group" ] || fail "$1 is back" "it is not there"
}
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", a / b }'
}

echo map >$PCI/$OURS/berth/bar0_mode
row "pages of a descriptor, by its request, until ones" "$(taken $OURS revoke pages 1 31)" "" us "" ""
row "... by memory switched off" "$(taken $OURS memory pages 1 31)" "" us "" ""
if ! echo revocable >$PCI/$OURS/berth/bar0_mode 2>/dev/null; then
	row "a revocable map: not on this kernel" "" "" "" "" ""
	return 0
fi
for mappers in 1 4; do
	ours=$(taken $OURS memory map $mappers 31)
	stock=$(taken $STOCK memory map $mappers 31)
	row "memory off, $mappers at it, ones against SIGBUS" "$ours" "$stock" us "$(ratio "$ours" "$stock")" ""
done
: >$T/removals
for _ in 1 2 3 4 5; do
	removed $OURS >>$T/removals
	bind $OURS berth_vfio
	echo revocable >$PCI/$OURS/berth/bar0_mode
done
row "removed in sysfs, until ones" "$(sort -n $T/removals | sed -n 3p)" "" us "" ""
row "removed in sysfs, with stock: $(removed $STOCK)" "" "" "" "" ""
bind $STOCK vfio-pci
