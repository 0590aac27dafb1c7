/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: /sys/kernel/tracing/events/berth_vfio. A function is told by its domain, bus and
 * devfn, as numbers: a string would be copied for each access.
 */
/* clang-format off */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM berth_vfio

#if !defined(BERTH_KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BERTH_KMOD_TRACE_H

#include <linux/pci.h>
#include <linux/tracepoint.h>

#define BV_DEVICE_FIELDS                                                                           \
	__field(u32, domain)                                                                       \
	__field(u8, bus)                                                                           \
	__field(u8, devfn)
#define BV_DEVICE_ASSIGN(pdev)                                                                     \
	__entry->domain = pci_domain_nr((pdev)->bus);                                              \
	__entry->bus = (pdev)->bus->number;                                                        \
	__entry->devfn = (pdev)->devfn
#define BV_DEVICE_FORMAT "%04x:%02x:%02x.%u"
#define BV_DEVICE_VALUES                                                                           \
	__entry->domain, __entry->bus, PCI_SLOT(__entry->devfn), PCI_FUNC(__entry->devfn)

/*
 * An access to a trapped BAR, once it is done or refused. The value is the program's buffer, for
 * up to eight bytes.
 */
DECLARE_EVENT_CLASS(bv_access,
	TP_PROTO(struct pci_dev *pdev, u32 bar, u64 offset, u64 count, bool write, u64 value,
		 ssize_t result),
	TP_ARGS(pdev, bar, offset, count, write, value, result),
	TP_STRUCT__entry(
		BV_DEVICE_FIELDS
		__field(u8, bar)
		__field(bool, write)
		__field(u64, offset)
		__field(u64, count)
		__field(u64, value)
		__field(s64, result)
	),
	TP_fast_assign(
		BV_DEVICE_ASSIGN(pdev);
		__entry->bar = bar;
		__entry->write = write;
		__entry->offset = offset;
		__entry->count = count;
		__entry->value = value;
		__entry->result = result;
	),
	TP_printk(BV_DEVICE_FORMAT " bar=%u %s offset=0x%llx count=%llu value=0x%llx result=%lld",
		  BV_DEVICE_VALUES, __entry->bar, __entry->write ? "write" : "read", __entry->offset,
		  __entry->count, __entry->value, __entry->result)
);
DEFINE_EVENT(bv_access, berth_vfio_access,
	TP_PROTO(struct pci_dev *pdev, u32 bar, u64 offset, u64 count, bool write, u64 value,
		 ssize_t result),
	TP_ARGS(pdev, bar, offset, count, write, value, result));
DEFINE_EVENT(bv_access, berth_vfio_log,
	TP_PROTO(struct pci_dev *pdev, u32 bar, u64 offset, u64 count, bool write, u64 value,
		 ssize_t result),
	TP_ARGS(pdev, bar, offset, count, write, value, result));

/* A program asked to map pages of a region. */
TRACE_EVENT(berth_vfio_map,
	TP_PROTO(struct pci_dev *pdev, u32 region, u64 offset, u64 length, int result),
	TP_ARGS(pdev, region, offset, length, result),
	TP_STRUCT__entry(
		BV_DEVICE_FIELDS
		__field(u32, region)
		__field(u64, offset)
		__field(u64, length)
		__field(int, result)
	),
	TP_fast_assign(
		BV_DEVICE_ASSIGN(pdev);
		__entry->region = region;
		__entry->offset = offset;
		__entry->length = length;
		__entry->result = result;
	),
	TP_printk(BV_DEVICE_FORMAT " region=%u offset=0x%llx length=0x%llx result=%d", BV_DEVICE_VALUES,
		  __entry->region, __entry->offset, __entry->length, __entry->result)
);

/*
 * A page that a descriptor maps was touched: the device, or ones in its place, are mapped from
 * now on.
 */
TRACE_EVENT(berth_vfio_page,
	TP_PROTO(struct pci_dev *pdev, u32 bar, u64 offset, bool device),
	TP_ARGS(pdev, bar, offset, device),
	TP_STRUCT__entry(
		BV_DEVICE_FIELDS
		__field(u8, bar)
		__field(bool, device)
		__field(u64, offset)
	),
	TP_fast_assign(
		BV_DEVICE_ASSIGN(pdev);
		__entry->bar = bar;
		__entry->device = device;
		__entry->offset = offset;
	),
	TP_printk(BV_DEVICE_FORMAT " bar=%u offset=0x%llx %s", BV_DEVICE_VALUES, __entry->bar,
		  __entry->offset, __entry->device ? "device" : "ones")
);

/*
 * A page, or 2^order pages, of a revocable BAR's map were touched; the result is the kernel's of
 * the fault.
 */
TRACE_EVENT(berth_vfio_fault,
	TP_PROTO(struct pci_dev *pdev, u32 bar, u64 offset, u32 order, bool device, u32 result),
	TP_ARGS(pdev, bar, offset, order, device, result),
	TP_STRUCT__entry(
		BV_DEVICE_FIELDS
		__field(u8, bar)
		__field(bool, device)
		__field(u32, order)
		__field(u64, offset)
		__field(u32, result)
	),
	TP_fast_assign(
		BV_DEVICE_ASSIGN(pdev);
		__entry->bar = bar;
		__entry->device = device;
		__entry->order = order;
		__entry->offset = offset;
		__entry->result = result;
	),
	TP_printk(BV_DEVICE_FORMAT " bar=%u offset=0x%llx order=%u %s result=0x%x", BV_DEVICE_VALUES,
		  __entry->bar, __entry->offset, __entry->order,
		  __entry->device ? "device" : "ones", __entry->result)
);

/*
 * What happens to a function as a whole; the result is 0 or a negative errno, or, of taken_back,
 * of how many descriptors.
 */
DECLARE_EVENT_CLASS(bv_life,
	TP_PROTO(struct pci_dev *pdev, int result),
	TP_ARGS(pdev, result),
	TP_STRUCT__entry(
		BV_DEVICE_FIELDS
		__field(int, result)
	),
	TP_fast_assign(
		BV_DEVICE_ASSIGN(pdev);
		__entry->result = result;
	),
	TP_printk(BV_DEVICE_FORMAT " result=%d", BV_DEVICE_VALUES, __entry->result)
);
DEFINE_EVENT(bv_life, berth_vfio_open,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_close,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_reset,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_pages,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_taken_back,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_revoke,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_restore,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_lost,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));
DEFINE_EVENT(bv_life, berth_vfio_remove,
	TP_PROTO(struct pci_dev *pdev, int result), TP_ARGS(pdev, result));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kmod
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
