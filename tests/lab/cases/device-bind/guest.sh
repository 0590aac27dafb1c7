# shellcheck shell=dash
. /lab/device.sh
display=0000:00:02.0 gpu=0000:01:00.0 other=0000:01:00.1 disk=0000:02:00.0 lone=0000:00:05.0
load bochs vfio_pci vfio_iommu_type1 nvme crc32c_generic ext4
wait_for 60 test -b /dev/nvme0n1 || fail "the disk is there" "$(ls /dev)"
remember

keeps list.json berth device list --json

# --- refusals: one sentence each ---

refuses "what is no GPU" 4 'any' berth device bind $lone vfio-pci
refuses "an address that is none" 1 '0000:77:00.0' berth device bind 0000:77:00.0 vfio-pci
refuses "a driver that is none" 5 'nosuch' berth device bind $lone nosuch --any
refuses "no device" 2 '' berth device bind
mke2fs /dev/nvme0n1 >/dev/null 2>&1
mkdir $T/data
mount -t ext4 /dev/nvme0n1 $T/data
refuses "a disk in use" 5 "$T/data" berth device unbind $disk --any
refuses "a disk in use, to another driver" 5 "$T/data" berth device bind $disk vfio-pci --any
umount $T/data
mkswap /dev/nvme0n1 >/dev/null
swapon /dev/nvme0n1
refuses "a disk that is swapped to" 5 "nvme0n1" berth device unbind $disk --any
swapoff /dev/nvme0n1
as_first "refusals change nothing"

# --- there and back ---

exits "bind what has no driver" 0 berth device bind $lone vfio-pci --any
is "it has one" "$(drivers $lone)" "vfio-pci "
exits "again" 0 berth device bind $lone vfio-pci --any
taken_back "bind what has no driver"

exits "a dry run" 0 berth device bind $disk vfio-pci --any --dry-run
has "it shows each write" "nvme/unbind" $T/stdout
as_first "a dry run changes nothing"
exits "bind a disk" 0 berth device bind $disk vfio-pci --any
is "it is vfio-pci's" "$(drivers $disk)" "vfio-pci "
exits "and back, by its own driver's name" 0 berth device bind $disk nvme --any
is "it is nvme's" "$(drivers $disk)" "nvme "
exits "undo of that" 0 berth device undo
is "it is vfio-pci's again" "$(drivers $disk)" "vfio-pci "
taken_back "bind a disk"

exits "unbind a disk" 0 berth device unbind $disk --any
is "it has no driver" "$(drivers $disk)" "none "
taken_back "unbind a disk"

# --- the whole card ---

refuses "a display with a picture" 5 "Virtual-1" berth device bind $display vfio-pci
exits "bind a card" 0 berth device bind $gpu vfio-pci
is "both functions go" "$(drivers $gpu $other)" "vfio-pci vfio-pci "
hold "$(group_of $gpu)" $gpu
refuses "an undo under whoever holds it" 5 "process $holder" berth device undo
is "it stays" "$(drivers $gpu $other)" "vfio-pci vfio-pci "
let_go
taken_back "bind a card"

# --- persistence, with a real udev daemon ---

systemd-udevd --daemon 2>$T/udevd
udevadm settle
again() {
	udevadm control --reload # it looks for new rules by itself, but not more often than each 3 s
	echo 1 >"$PCI/$1/remove"
	echo 1 >/sys/bus/pci/rescan
	udevadm settle
}
again $disk
wait_for 60 test -b /dev/nvme0n1
is "a disk that comes back is its driver's" "$(drivers $disk)" "nvme "
remember
exits "bind for good" 0 berth device bind $disk vfio-pci --any --persist
keeps persists.json berth device list --any --json
again $disk
wait_for 60 bound $disk vfio-pci
is "it comes back as vfio-pci's" "$(drivers $disk)" "vfio-pci "
exits "undo of that" 0 berth device undo
is "no file is left" "$(find /etc -type f)" ""
again $disk
wait_for 60 test -b /dev/nvme0n1
is "it comes back as its own driver's" "$(drivers $disk)" "nvme "
exits "rescan" 0 berth device rescan
as_first "at last all is as it was"
keeps journal.json berth device journal --json

# --- who may open what: the rules that are installed ---

# opens DEVICE: the mode and the group of its node
opens() {
	udevadm settle
	stat -c '%a %g' "/dev/vfio/$(group_of "$1")"
}
mkdir -p /etc /run/udev/rules.d
echo 'berth:x:977:' >/etc/group
cp /lab/70-berth-vfio.rules /run/udev/rules.d/
udevadm control --reload
exits "bind once" 0 berth device bind $disk vfio-pci --any
is "the group opens what was bound" "$(opens $disk)" "660 977"
exits "undo of that" 0 berth device undo
exits "bind for good, again" 0 berth device bind $disk vfio-pci --any --persist
is "the group opens what is bound for good" "$(opens $disk)" "660 977"
exits "undo of that, too" 0 berth device undo
echo '1234 11e8' >/sys/bus/pci/drivers/vfio-pci/new_id
is "it came by its ids" "$(drivers $lone)" "vfio-pci "
is "what came by its ids alone is root's" "$(opens $lone)" "600 0"
echo $lone >/sys/bus/pci/drivers/vfio-pci/unbind
