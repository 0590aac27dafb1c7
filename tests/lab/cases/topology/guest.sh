# shellcheck shell=dash
load bochs virtio_gpu cirrus vgem

# What the kernel says of every function, a line each: ADDRESS KEY VALUE.
for d in $PCI/*; do
	a=${d##*/}
	for f in class vendor device revision subsystem_vendor subsystem_device numa_node local_cpulist; do
		echo "$a $f $(cat "$d/$f")"
	done
	echo "$a driver $(driver_of "$a")"
	group=$(readlink "$d/iommu_group")
	echo "$a iommu_group ${group##*/}"
	echo "$a group_type $(cat "$d/iommu_group/type")"
	echo "$a group $(ls "$d/iommu_group/devices" | tr '\n' ' ')"
	echo "$a reset $(cat "$d/reset_method" 2>/dev/null)"
	echo "$a way $(readlink "$d")"
	for f in current_link_speed current_link_width; do
		echo "$a $f $(cat "$d/$f" 2>/dev/null)"
	done
	echo "$a nodes $(ls "$d/drm" 2>/dev/null | grep -v '^by' | tr '\n' ' ')"
	n=0
	while read -r start end flags; do
		echo "$a bar$n $start $end $flags"
		n=$((n + 1))
	done <"$d/resource"
done >/out/truth
lspci -D -vmm -nn -k >/out/lspci 2>/dev/null

keeps probe.json berth probe --json
exits "probe" 0 berth probe
is "probe is quiet" "$(cat $T/stderr)" ""
keeps check.json berth probe --check --json
keeps captured.json berth probe -q --capture /out/capture --json
exits "top --once" 0 berth top --once
