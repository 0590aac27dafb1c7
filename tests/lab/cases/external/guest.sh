# shellcheck shell=dash
load bochs virtio_gpu

is "the kernel calls it removable" "$(cat $PCI/0000:01:00.0/removable)" removable
for d in $PCI/*; do
	echo "${d##*/} class $(cat "$d/class")"
	echo "${d##*/} removable $(cat "$d/removable" 2>/dev/null)"
done >/out/truth
keeps probe.json berth probe --json
keeps captured.json berth probe -q --capture /out/capture --json
