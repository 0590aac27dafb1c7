# shellcheck shell=dash
gpu=0000:01:00.0
load bochs virtio_gpu

keeps before.json berth probe --json
bind $gpu vfio-pci
is "an override without its driver leaves the GPU without one" "$(driver_of $gpu)" ""
keeps kept.json berth probe --json
load vfio_pci
bind $gpu vfio-pci
is "the kernel has bound it" "$(driver_of $gpu)" vfio-pci
keeps bound.json berth probe --json
exits "bound, as text" 0 berth probe
has "the text says for whom" 'vfio-pci.*held for a virtual machine' $T/stdout
exits "the libraries agree" 0 berth probe --check
keeps captured.json berth probe -q --capture /out/capture --json
basename "$(readlink $PCI/$gpu/iommu_group)" >/out/group
ls /dev/vfio >/out/vfio
bind $gpu virtio-pci
is "and back" "$(driver_of $gpu)" virtio-pci
keeps back.json berth probe --json
