# shellcheck shell=dash
# Stock vfio-pci says what there is to pass; our module is to pass it, too.
load vfio_pci vfio_iommu_type1
igb=$(lspci -D -d 8086:10c9 | sed 's/ .*//')

# tests_of NAME: one line for each test into /out/NAME: "pass PROGRAM TEST", or skip, or fail
tests_of() {
	for p in /case/selftests/*_test; do
		"$p" "$igb" >$T/said 2>&1 </dev/null 3>&-
		s_rc=$?
		{ echo "--- ${p##*/}: exit $s_rc" && cat $T/said; } >>"/out/$1.said"
		sed -n -e "s/^ok [0-9]* \([^ ]*\) # SKIP.*/skip ${p##*/} \1/p" -e t -e "s/^ok [0-9]* \([^ ]*\).*/pass ${p##*/} \1/p" \
			-e "s/^not ok [0-9]* \([^ ]*\).*/fail ${p##*/} \1/p" $T/said >>"/out/$1"
		# One that has nothing to test ends by itself; one that cannot begin, too.
		grep -q '^\(not \)\?ok ' $T/said || case $s_rc in
		4) echo "skip ${p##*/} all" >>"/out/$1" ;;
		*) echo "fail ${p##*/} all" >>"/out/$1" ;;
		esac
	done
	is "$1: none fails" "$(grep '^fail' "/out/$1")" ""
	ok "$1: $(grep -c ^pass "/out/$1") pass, $(grep -c ^skip "/out/$1") are skipped"
}

# passed NAME [PROGRAM]: what did, but for those of PROGRAM
passed() {
	grep ^pass "/out/$1" | grep -v -e "^pass ${2:-none} "
}

bind "$igb" vfio-pci
tests_of vfio-pci
is "vfio-pci: there is something to pass" "$([ "$(passed vfio-pci | wc -l)" -gt 40 ] && echo yes)" yes
exits "the module loads" 0 insmod /case/berth_vfio.ko
bind "$igb" berth_vfio
for mode in trap map revocable; do
	# Ports are trapped in any.
	for f in "$PCI/$igb"/berth/bar*_mode; do
		echo $mode >"$f" 2>/dev/null
	done
	is "$mode" "$(cat "$PCI/$igb/berth/bar0_mode")" $mode
	tests_of $mode
	# What is trapped is mapped for nobody, and so not for DMA.
	[ $mode = trap ] && but=vfio_dma_mapping_mmio_test || but=
	passed vfio-pci $but >$T/stock
	passed $mode $but >$T/ours
	is "$mode: passes what passes with vfio-pci" "$(diff $T/stock $T/ours | head -n 20)" ""
done
echo "$igb" >/sys/bus/pci/drivers/berth_vfio/unbind
exits "the module goes" 0 rmmod berth_vfio
