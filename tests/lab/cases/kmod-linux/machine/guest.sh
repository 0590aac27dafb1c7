# shellcheck shell=dash
# A stock QEMU's vfio-pci hands two disks on: one whose registers our module traps, and one whose registers are mapped, and can
# be taken back.
. /case/outer.sh
TRAP=0000:00:03.0 REVOCABLE=0000:00:04.0
load vfio_pci vfio_iommu_type1
exits "the module loads" 0 insmod /case/berth_vfio.ko
bind $TRAP berth_vfio
bind $REVOCABLE berth_vfio
echo revocable >$PCI/$REVOCABLE/berth/bar0_mode
is "their modes" "$(cat $PCI/$TRAP/berth/bar0_mode $PCI/$REVOCABLE/berth/bar0_mode | tr '\n' ' ')" "trap revocable "
inner_begin

# counted ADDRESS: accesses of its registers that came by the module
counted() {
	awk '/^(read|write)_[1248] / { n += $2 } END { print n + 0 }' "$PCI/$1/berth/bar0_counters"
}

iommufd() {
	echo '{"driver": "vfio-pci", "host": "'"$1"'", "iommufd": "i"}'
}

inner linux work=nvme -machine q35 -m 192 -object iommufd,id=i -device "$(iommufd $TRAP)" -device "$(iommufd $REVOCABLE)"
cp /run/console /out/
n=$(counted $TRAP)
[ "$n" -gt 100 ] && ok "what is trapped comes by the module" || fail "what is trapped comes by the module" "$n accesses"
m=$(counted $REVOCABLE)
[ "$m" -lt "$n" ] && ok "what is mapped does not" || fail "what is mapped does not" "$m accesses"
for d in $TRAP $REVOCABLE; do echo $d >/sys/bus/pci/drivers/berth_vfio/unbind; done
exits "the module goes" 0 rmmod berth_vfio
