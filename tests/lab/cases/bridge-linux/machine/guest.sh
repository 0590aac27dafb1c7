# shellcheck shell=dash
# The drivers of a Linux in here use QEMU's edu, a disk and a network card, each by a bridge of its own.
. /case/outer.sh
load vfio_pci vfio_iommu_type1
inner_begin
served edu 1234:11e8
served nvme 1b36:0010
served igb 8086:10c9
# edu reaches 28 bits of addresses, so there is no more memory than that.
inner linux work=edu,nvme,igb -machine q35,memory-backend=m -object memory-backend-memfd,id=m,size=192M,share=on -m 192 \
	-device "$(by edu)" -device "$(by nvme)" -device "$(by igb)"
cp /run/console /out/
for b in edu nvme igb; do
	served_ends $b
done
