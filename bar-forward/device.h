/* SPDX-License-Identifier: MIT */
/*
 * A PCI function as the bridge drives it, whatever stands behind: VFIO, the project's kernel module, or memory. Regions and
 * interrupts have VFIO's numbers, since vfio-user has them, too.
 *
 * Nothing here waits for a client, and nothing is retried. A device that is gone answers -ENODEV to everything but close();
 * what the guest then reads is its caller's affair.
 */
#ifndef BERTH_DEVICE_H
#define BERTH_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/maps.h"
#include "bar-forward/wire.h"
#include "base/err.h"

enum dev_region_index { DEV_BAR0, DEV_BAR5 = 5, DEV_ROM, DEV_CONFIG, DEV_VGA, DEV_REGIONS };
enum dev_irq_index { DEV_INTX, DEV_MSI, DEV_MSIX, DEV_ERR, DEV_REQ, DEV_IRQS };

struct dev_region {
	uint64_t size; /* bytes; 0: there is none */
	bool read, write;
	bool io;  /* a BAR of I/O ports */
	bool map; /* region_fd() gives a descriptor */
	uint64_t
		offset; /* where it begins in the descriptor that all regions are read and written by */
	uint32_t n_areas; /* that may be mapped, with `map`; 0: all of it */
	struct vu_area areas[VU_AREAS_MAX];
};

struct dev_irq {
	uint32_t count;
	bool eventfd, maskable, automasked, noresize;
};

struct dev_facts {
	char name[128]; /* a PCI address, or the file that describes it */
	struct dev_region region[DEV_REGIONS];
	struct dev_irq irq[DEV_IRQS];
	bool reset;       /* it can be reset alone */
	bool wide;        /* eight bytes are one access, not two */
	bool by_fd;       /* its DMA reaches only memory that has a descriptor */
	bool hands_over;  /* who has region_fd()'s descriptor has the whole device */
	char backend[16]; /* what drives it: "vfio", "iommufd", "memory" */
};

/* DMA that a device of memory wants done in the client's memory that has no descriptor; see attend(). */
struct dev_dma {
	bool write;
	uint64_t iova;
	uint32_t count;
	const uint8_t *bytes; /* of a write */
};

struct device;

#define DEV_FDS_MAX      16
#define DEV_HANDED_BYTES 4096

/* A device that goes from the process that opened it to the one that has it, with descriptors. */
struct dev_handed {
	struct dev_facts facts;
	uint32_t size; /* bytes of state */
	_Alignas(8) uint8_t state[DEV_HANDED_BYTES];
};

#define DEV_ATTEND_ERROR 2

struct device_ops {
	const char *name; /* "vfio", "kmod", "memory" */

	/*
	 * What functions have in common that several processes will serve, each its own: an IOMMU group can be opened by one
	 * program, once. Made before they are forked, closed by close(). NULL: nothing.
	 */
	int (*gather)(struct device **all, const char *const *what, uint32_t n, struct err *e);

	/*
	 * `what`: a PCI address, or a description's path. `beside`: what gather() gave, or NULL; it outlives the device. *d is
	 * closed by close().
	 */
	int (*open)(struct device **d, const char *what, struct device *beside, struct err *e);
	void (*close)(struct device *d);

	/*
	 * For another process, which is to have it in place of this one: plain bytes in `to` (the facts are there), and the descriptors, which
	 * stay the device's; how many, or a negative errno. And there: the same device, without a file being opened; the
	 * descriptors are taken, whatever comes. Here only reset(), present() and close() may still be called. NULL: as share() and
	 * join(), and then all may be.
	 */
	int (*hand)(struct device *d, struct dev_handed *to, int fds[DEV_FDS_MAX]);
	int (*take)(struct device **d, const char *what, struct device *beside,
		    const struct dev_handed *from, const int *fds, uint32_t n, struct err *e);
	const struct dev_facts *(*facts)(const struct device *d);

	/* One access of just this width, 1, 2, 4 or 8 bytes, within the region. 0, -EIO or -ENODEV. */
	int (*read)(struct device *d, uint32_t region, uint64_t offset, void *bytes,
		    uint32_t width);
	int (*write)(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
		     uint32_t width);

	/*
	 * A descriptor to map these pages of a region by, from *offset on; the caller closes it. Or a negative errno. With
	 * facts.hands_over it gives more than the pages.
	 */
	int (*region_fd)(struct device *d, uint32_t region, const struct vu_area *areas, uint32_t n,
			 uint64_t *offset);

	/* What region_fd() gave reaches the device no more, whoever has it. NULL: it cannot be taken back. */
	void (*take_back)(struct device *d);

	int (*reset)(struct device *d, struct err *e);

	/*
	 * As a client asked. fds: for VU_IRQ_EVENTFD `count` of them, -1: none for that one; NULL: all are taken away. The device
	 * keeps its own duplicates where it needs them.
	 */
	int (*irqs)(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e);

	/*
	 * What of the client's memory the device reaches. The row moves with the next map or unmap: what is needed of it is copied.
	 * Its descriptor stays the caller's, and open until unmap() has returned.
	 */
	int (*map)(struct device *d, const struct map *row, struct err *e);
	int (*unmap)(struct device *d, const struct map *row, struct err *e);

	/*
	 * Whether it is still there: one side-effect-free look, as often as the caller likes. 0, -ENODEV, or -ESHUTDOWN: the host
	 * wants it back, and waits until it is closed. wanted(): the latter alone, which never waits for the device; NULL: never.
	 */
	int (*present)(struct device *d);
	int (*wanted)(struct device *d);

	/* Of one that was lost and closed: whether open() might find it now. Opens nothing. 0 or -ENODEV; NULL: not told. */
	int (*returned)(const char *what);

	/*
	 * Devices that do something by themselves: a descriptor to poll (-1: none), and what to do when it is readable. 1: *dma
	 * is to be done by message, and its end told to dma_done(); DEV_ATTEND_ERROR: it has told of an error, and is there;
	 * 0: nothing; or as present(). Devices that know no DMA by
	 * message have no dma_done.
	 */
	int (*poll_fd)(const struct device *d);
	int (*attend)(struct device *d, struct dev_dma *dma);
	void (*dma_done)(struct device *d, int rc, const uint8_t *bytes);

	/*
	 * What it has to tell people since it was last asked: a sentence that stays until the next call, or NULL. `end`: its client
	 * goes, so the sum of it all, once. NULL: it never says anything.
	 */
	const char *(*said)(struct device *d, bool end);

	/*
	 * For a worker, which is another process and may be killed at any moment: the descriptors by which it reads and writes,
	 * which stay the device's; how many. 0, or NULL: there is no other process that could. And there a device of those,
	 * taken whatever comes, and of the facts: one for facts(), read(), write(), mark() and close() alone. It opens no file,
	 * and asks for no ioctl().
	 */
	uint32_t (*share)(const struct device *d, int fds[DEV_FDS_MAX]);
	int (*join)(struct device **d, const char *what, const struct dev_facts *facts,
		    const int *fds, uint32_t n, struct err *e);

	/*
	 * Whether the last access of a worker that was killed has happened. NULL: each access is one pread() or pwrite() of its
	 * whole width by the thread that asks for it, and there is no other read() or write() of any kind in it: then the
	 * kernel's counts of the task's bytes say so. Else mark() before the access (in the worker) and ran() after the death
	 * (elsewhere) do; *result is what a read gave.
	 */
	uint64_t (*mark)(struct device *d);
	bool (*ran)(struct device *d, uint64_t mark, uint64_t *result);
};

extern const struct device_ops memory_device_ops;
extern const struct device_ops replay_device_ops; /* what a recording says; `what` is its path */
extern const struct device_ops vfio_device_ops;
extern const struct device_ops kmod_device_ops;

#endif
