# SPDX-License-Identifier: MIT
# What GPUs and accelerators a machine has, read without waking any of them.
probe.uses := base
probe.lib := \
	addr.c \
	amdids.c \
	answers.c \
	api.c \
	bars.c \
	capture.c \
	check.c \
	claims.c \
	collect.c \
	diff.c \
	config.c \
	drivers.c \
	fdinfo.c \
	evidence.c \
	evidence_find.c \
	evidence_host.c \
	evidence_log.c \
	fields.c \
	format.c \
	gpu_metrics.c \
	holders.c \
	host.c \
	index.c \
	ioctl.c \
	kfd.c \
	lines.c \
	live.c \
	memory.c \
	kind.c \
	link.c \
	link_decide.c \
	link_hops.c \
	link_parse.c \
	merge.c \
	nvidia.c \
	nvml.c \
	nvml_lib.c \
	nvml_limit.c \
	nvml_merge.c \
	nvml_rounds.c \
	nvml_table.c \
	others.c \
	parse.c \
	place.c \
	presence.c \
	refresh.c \
	sections.c \
	seen.c \
	seen_file.c \
	select.c \
	source.c \
	src_config.c \
	src_api.c \
	src_drm.c \
	src_hwmon.c \
	src_nvml.c \
	src_pci.c \
	src_proc.c \
	src_sysfs.c \
	src_topo.c \
	src_udev.c \
	tunnel.c \
	usb4.c \
	usb4_ids.c \
	who.c \
	watch_event.c \

# The doctor: what it looks at, its tables of checks, and what it makes of them.
probe.lib += \
	advice.c \
	bartree.c \
	checks_amd_intel.c \
	checks_desktop.c \
	checks_iommu.c \
	checks_link.c \
	checks_nvidia.c \
	checks_pci.c \
	checks_power.c \
	checks_process.c \
	checks_stack.c \
	checks_tb.c \
	checks_vfio.c \
	doctor.c \
	evidence.c \
	evidence_find.c \
	evidence_host.c \
	evidence_log.c \
	kmsg.c \
	kver.c \

probe.pkgs := pciaccess libdrm hwloc
# For --watch; the probe does without.
probe.wants := libudev
probe.programs := probe doctor
probe.probe.src := main.c compare.c render.c watch.c
probe.doctor.src := doctor_main.c doctor_render.c doctor_device.c doctor_bundle.c
