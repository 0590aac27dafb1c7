/* SPDX-License-Identifier: MIT */
/*
 * A device by VFIO, in parts: dev_vfio.c (accesses, facts' use, the contract of device.h), dev_kmod.c (what the project's module
 * adds), vfio_info.c (what the kernel tells
 * of it), vfio_irq.c, vfio_reset.c, vfio_space.c (an address space, and who is in it), vfio_type1.c and vfio_iommufd.c (how
 * the kernel is asked for one).
 */
#ifndef BERTH_VFIO_PRIV_H
#define BERTH_VFIO_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bar-forward/device.h"
#include "bar-forward/vfio_seats.h"
#include "base/machine.h"

/* The kernel, as far as it is asked here; a test has another. Each as in libc, but for errors: a negative errno. */
struct vfio_kernel {
	const char *root;     /* of sysfs; NULL: the running machine's */
	uint32_t patience_ms; /* for the client of another function to let go of addresses */
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	ssize_t (*pread)(int fd, void *bytes, size_t n, uint64_t offset);
	ssize_t (*pwrite)(int fd, const void *bytes, size_t n, uint64_t offset);
	int (*mmap)(void **at, size_t size, int prot, int fd, uint64_t offset);
	void (*munmap)(void *at, size_t size);
};
extern const struct vfio_kernel vfio_running_kernel;

struct vfio_space;

/* A way to ask for an address space. */
struct space_kind {
	const char *name; /* "vfio", "iommufd" */

	/* Fill what the kind needs. -ENOENT: this kernel, or this device, has not that way. */
	int (*open)(struct vfio_space *s, const char *pci, struct err *e);
	void (*close)(struct vfio_space *s);

	/* A device's descriptor, in this space. */
	int (*device)(struct vfio_space *s, const char *pci, int *fd, struct err *e);

	/* 0 or a negative errno as the kernel says. */
	int (*map)(struct vfio_space *s, const struct map *row);
	int (*unmap)(struct vfio_space *s, uint64_t iova, uint64_t size);
};
extern const struct space_kind space_type1, space_iommufd;

/* An IOMMU group that is ours: one address space, and the devices in it. */
struct vfio_space {
	const struct vfio_kernel *kernel;
	const struct space_kind *kind;
	struct vfio_space *next, *before; /* the ring of all that this process has open */
	int32_t group;
	uint32_t users; /* in this process */
	bool gathered;  /* other processes have it, too */
	struct vfio_seats *table;
	int fd;       /* the container, or the iommufd */
	int group_fd; /* -1: a group needs no descriptor there */
	uint32_t ioas;
	uint64_t entries; /* maps that the kernel takes; 0: not told */
	uint64_t locked;  /* bytes that may be locked; UINT64_MAX: all */
};

/* The space of a device's group: one that was gathered, or a new one. Its user is the caller. */
int vfio_space_of(struct vfio_space **s, const struct vfio_kernel *kernel, const char *pci,
		  const struct device *beside, struct err *e);

/* Closed with its last user. */
void vfio_space_put(struct vfio_space *s);

/* For each group of these functions a space that processes can share; *first is one of the ring. */
int vfio_space_gather(struct vfio_space **first, const struct vfio_kernel *kernel,
		      const char *const *what, uint32_t n, struct err *e);

/* In a process that did not open it: one of the ring; or a new one with what is in *what, whose descriptors are its own then. */
int vfio_space_find(struct vfio_space **s, int32_t group, const struct device *beside,
		    struct err *e);
int vfio_space_join(struct vfio_space **s, const struct vfio_space *what,
		    const struct device *beside, struct err *e);

void vfio_space_put_all(struct vfio_space *first); /* the ring's; NULL: none */

/* Take a seat in d->space, and give it and what is mapped up again. */
int vfio_space_enter(struct device *d, struct err *e);
void vfio_space_leave(struct device *d);

int vfio_space_map(struct device *d, const struct map *row, struct err *e);
int vfio_space_unmap(struct device *d, const struct map *row, struct err *e);

/* What came of an ioctl for a device, for people. */
int vfio_why(struct err *e, int rc, const char *pci, const char *what);

#define HOT_RESET_MOST 64 /* functions that one reset reaches */

struct vfio_reached {
	uint32_t group;
	char pci[24];
};

struct device {
	const struct vfio_kernel *kernel;
	struct dev_facts facts; /* facts.name: the PCI address */
	int fd;

	/* of the process that opened it; one that joined has none of it */
	struct vfio_space *space;
	struct vfio_space *gathered; /* no device at all, but what others have in common */
	uint64_t seat;               /* its bit in the space's table; 0: none */
	bool refused; /* another client of the group has other memory where ours is */
	int request,
		error; /* eventfds that the kernel signals: the host wants it back; a PCIe error */
	int poll;      /* of both */
	int client_request; /* eventfd of a client that wants to hear of the former; -1 */
	uint32_t up;        /* interrupt indexes that are set up, a bit each */
	bool wanted_back;
	bool own_reset; /* it can be reset by itself */
	uint32_t
		n_hot; /* functions that a reset of its slot or bus reaches, itself among them; 0: there is none */
	struct vfio_reached hot[HOT_RESET_MOST];
};

/* What the kernel tells of regions, interrupts and reset. */
int vfio_read_facts(struct device *d, struct err *e);

/* One region's capabilities, `size` bytes of the kernel's answer: areas that may be mapped. Pure. */
void vfio_read_areas(const uint8_t *info, uint32_t size, struct dev_region *r);

int vfio_irqs_open(struct device *d, struct err *e);
/* As of one that was handed over: the descriptors are there, and the kernel knows them. */
int vfio_irqs_watch(struct device *d, struct err *e);
void vfio_irqs_close(struct device *d);
int vfio_irqs(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e);
/* Whether the host wants it back. */
bool vfio_wanted_back(struct device *d);
/* Whether it has told of an error since this was asked last. */
bool vfio_erred(struct device *d);

void vfio_read_hot_reset(struct device *d);
int vfio_reset(struct device *d, struct err *e);

/* The look of present(), without the host's wishes. */
int vfio_look(struct device *d);

/* device_ops of any device by VFIO (device.h). */
int vfio_gather(struct device **all, const char *const *what, uint32_t n, struct err *e);
void vfio_close(struct device *d);
const struct dev_facts *vfio_facts(const struct device *d);
int vfio_read(struct device *d, uint32_t region, uint64_t offset, void *bytes, uint32_t width);
int vfio_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
	       uint32_t width);
int vfio_present(struct device *d);
int vfio_wanted(struct device *d);
int vfio_returned(const char *what);
int vfio_poll_fd(const struct device *d);
int vfio_attend(struct device *d, struct dev_dma *dma);
uint32_t vfio_share(const struct device *d, int fds[DEV_FDS_MAX]);
int vfio_join(struct device **d, const char *what, const struct dev_facts *facts, const int *fds,
	      uint32_t n, struct err *e);

int vfio_hand(struct device *d, struct dev_handed *to, int fds[DEV_FDS_MAX]);
int vfio_take(struct device **to, const char *what, struct device *beside,
	      const struct dev_handed *from, const int *fds, uint32_t n, struct err *e);

/* Nothing of it is open. NULL: out of memory. */
struct device *vfio_new_device(const struct vfio_kernel *kernel, const char *what);

/* device_ops.open and .take, of any kernel. */
int vfio_take_in(const struct vfio_kernel *kernel, struct device **to, const char *what,
		 struct device *beside, const struct dev_handed *from, const int *fds, uint32_t n,
		 struct err *e);
int vfio_open_in(const struct vfio_kernel *kernel, struct device **d, const char *what,
		 struct device *beside, struct err *e);
int vfio_gather_in(const struct vfio_kernel *kernel, struct device **all, const char *const *what,
		   uint32_t n, struct err *e);

int kmod_open_in(const struct vfio_kernel *kernel, struct device **d, const char *what,
		 struct device *beside, struct err *e);

#endif
