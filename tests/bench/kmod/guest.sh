# shellcheck shell=dash
# Stock vfio-pci and berth_vfio in turn, five times; of each figure the least disturbed one stands for its driver.
EDU=0000:00:02.0
load vfio_pci vfio_iommu_type1
insmod /case/berth_vfio.ko || fail "the module loads" "see the console"
# measure NAME DRIVER [MODE]
measure() {
	bind $EDU "$2"
	[ -z "${3:-}" ] || echo "$3" >$PCI/$EDU/berth/bar0_mode
	vfio_time 0 4 2000 group "$(basename "$(readlink "$PCI/$EDU/iommu_group")")" $EDU 2>&1 3>&- | sed "s/^/$1 /" >>$T/times
}
for _ in 1 2 3 4 5; do
	measure stock vfio-pci
	measure trap berth_vfio trap
	measure mapped berth_vfio map
done
# least NAME WHAT
least() {
	sort -k3n $T/times | awk -v n="$1" -v w="$2" '$1 == n && $2 == w { print $3; exit }'
}
# ratio NAME OURS WHAT GOAL
ratio() {
	ours=$(least "$2" "$3") stock=$(least stock "$3")
	ok "$1: $ours against $stock ns, $(awk -v a="$ours" -v b="$stock" 'BEGIN { printf "%.2f", a / b }') (goal $4)"
}
ratio "trapped read" trap read 1.05
ratio "trapped write" trap write 1.05
ratio "mapped read" mapped map 1.00
