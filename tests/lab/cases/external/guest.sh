# shellcheck shell=dash
load bochs virtio_gpu

is "the kernel calls it removable" "$(cat $PCI/0000:01:00.0/removable)" removable
keeps probe.json berth probe --json
keeps captured.json berth probe -q --capture /out/capture --json
