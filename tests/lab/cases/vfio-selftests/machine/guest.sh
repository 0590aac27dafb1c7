# shellcheck shell=dash
# The tests by stock vfio-pci, which say what there is to pass; by our module; and by berth's bridge, in a machine in here.
. /case/outer.sh
. /case/selftests.sh
SELFTESTS=/case/selftests
load vfio_pci vfio_iommu_type1
igb=$(lspci -D -d 8086:10c9 | sed 's/ .*//')

# tests_of NAME FILE
tests_of() {
	selftests "$igb"
	cp $T/tests "$2"
	cp $T/said "$2.said"
	is "$1: none fails" "$(grep '^fail' $T/tests)" ""
}

# as_stock NAME FILE [PROGRAM]: what passes with stock vfio-pci passes, but for PROGRAM
as_stock() {
	for f in /out/stock "$2"; do
		grep ^pass "$f" | grep -v -e "^pass ${3:-none} " >"$T/passed.${f##*/}"
	done
	is "$1: passes what stock vfio-pci passes" "$(diff $T/passed.stock "$T/passed.${2##*/}" | head -n 20)" ""
	counts "$1" "$2"
}

counts() {
	ok "$1: $(grep -c ^pass "$2") pass, $(grep -c ^skip "$2") are skipped"
}

bind "$igb" vfio-pci
tests_of stock /out/stock
counts stock /out/stock
is "stock: there is something to pass" "$([ "$(grep -c ^pass /out/stock)" -gt 40 ] && echo yes)" yes

exits "the module loads" 0 insmod /case/berth_vfio.ko
bind "$igb" berth_vfio
for mode in trap map revocable; do
	# Ports are trapped in any.
	for f in "$PCI/$igb"/berth/bar*_mode; do
		echo $mode >"$f" 2>/dev/null
	done
	has "berth_vfio, $mode" $mode "$PCI/$igb/berth/bar0_mode"
	tests_of "berth_vfio, $mode" "/out/$mode"
	# What is trapped is mapped for nobody, and so not for DMA.
	[ $mode = trap ] && but=vfio_dma_mapping_mmio_test || but=
	as_stock "berth_vfio, $mode" "/out/$mode" $but
done
echo "$igb" >/sys/bus/pci/drivers/berth_vfio/unbind
exits "the module goes" 0 rmmod berth_vfio

inner_begin
served igb 8086:10c9
inner bridge "work=vfio intel_iommu=on" -machine q35,memory-backend=m \
	-object memory-backend-memfd,id=m,size=256M,share=on -m 256 \
	-device intel-iommu,intremap=on,caching-mode=on -device "$(by igb)"
tr -d '\r' </run/results | grep -E '^(pass|skip|fail) ' >/out/bridge
cp /run/console /out/bridge.said
is "bridge: none fails" "$(grep '^fail' /out/bridge)" ""
as_stock bridge /out/bridge
served_ends igb
