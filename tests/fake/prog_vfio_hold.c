/* SPDX-License-Identifier: MIT */
/*
 * Holds a function as a virtual machine does, until it is killed: prog_vfio_hold GROUP ADDRESS
 *
 * While the device's descriptor is open, vfio-pci's remove does not return. "held" on standard output says
 * that it is. Nothing is asked of the function but to exist.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int broken(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	char path[64];
	int container, group;

	if (argc != 3)
		return 2;
	snprintf(path, sizeof(path), "/dev/vfio/%s", argv[1]);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container < 0)
		return broken("/dev/vfio/vfio");
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		return broken(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		return broken("set container");
	if (ioctl(container, VFIO_SET_IOMMU, (unsigned long)VFIO_TYPE1v2_IOMMU))
		return broken("set IOMMU");
	if (ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]) < 0)
		return broken(argv[2]);
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
