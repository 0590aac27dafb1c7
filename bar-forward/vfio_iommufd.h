/* SPDX-License-Identifier: MIT */
/*
 * What is asked of an iommufd and of a device's own descriptor: numbers and layouts of the kernel's
 * include/uapi/linux/iommufd.h and vfio.h (6.6; the map of a file, 6.13), for systems whose headers are older.
 */
#ifndef BERTH_VFIO_IOMMUFD_H
#define BERTH_VFIO_IOMMUFD_H

#include <linux/ioctl.h>
#include <stdint.h>

struct ioas_alloc {
	uint32_t size, flags;
	uint32_t id; /* out */
};

enum { IOAS_FIXED = 1, IOAS_WRITE = 2, IOAS_READ = 4 };

struct ioas_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t address, length, iova;
};

struct ioas_map_file {
	uint32_t size, flags, ioas;
	int32_t fd;
	uint64_t start, length, iova;
};

struct ioas_unmap {
	uint32_t size, ioas;
	uint64_t iova;
	uint64_t length; /* in and out */
};

#define IOAS_ALLOC    _IO(';', 0x81)
#define IOAS_MAP      _IO(';', 0x85)
#define IOAS_UNMAP    _IO(';', 0x86)
#define IOAS_MAP_FILE _IO(';', 0x8f)

struct cdev_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t id; /* out */
};

struct cdev_attach {
	uint32_t argsz, flags, id;
};

#define CDEV_BIND   _IO(';', 100 + 18)
#define CDEV_ATTACH _IO(';', 100 + 19)

/* In the flags of VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: the devices are told by their ids; all are ours. */
enum { HOT_BY_ID = 1, HOT_OWNED = 2 };

#endif
