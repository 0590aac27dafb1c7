// SPDX-License-Identifier: GPL-2.0-only
// What of vfio_pci_core reaches registers, or gives pages, is called in one place each, where mode and
// policy are judged, and stands in no table of operations.
virtual report

@calls@
identifier f != { core_rw, bv_mmap, bv_ioctl, own_reset, bv_region_info, bv_feature };
identifier reach = { vfio_pci_core_read, vfio_pci_core_write, vfio_pci_core_mmap,
		     vfio_pci_core_ioctl, vfio_pci_core_ioctl_feature };
position p;
@@
f(...)
{
	<+...
	reach@p(...)
	...+>
}

@script:python depends on report@
p << calls.p;
@@
coccilib.report.print_report(p[0], "this leads around mode and policy")

@table@
identifier t, member;
identifier reach = { vfio_pci_core_read, vfio_pci_core_write, vfio_pci_core_mmap,
		     vfio_pci_core_ioctl, vfio_pci_core_ioctl_feature };
position p;
@@
struct vfio_device_ops t = {
	.member = reach@p,
};

@script:python depends on report@
p << table.p;
@@
coccilib.report.print_report(p[0], "this leads around mode and policy")
