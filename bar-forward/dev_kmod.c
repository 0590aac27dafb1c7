/* SPDX-License-Identifier: MIT */
/*
 * A device by the project's module berth_vfio: as by VFIO, but for what clients map. They get descriptors of pages, which the
 * module takes back at their end, and never the device's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bar-forward/vfio_priv.h"
#include "base/own.h"
#include "base/text.h"
#include "kmod/uapi.h"

_Static_assert(VU_AREAS_MAX <= BERTH_VFIO_RANGES, "each area is a range");

/* Another version means other things by the same words. */
static int check_abi(const struct vfio_kernel *kernel, const char *pci, struct err *e)
{
	char path[64], abi[16] = "";
	uint64_t version;
	struct machine m;
	int rc = machine_open(&m, kernel->root, e);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%.23s/berth/abi", pci);
	rc = (int)machine_read(&m, path, abi, sizeof(abi));
	machine_close(&m);
	if (rc < 0)
		return err_set(e, -EPERM,
			       "%s is not bound to %s: berth bridge attach %s --driver %s", pci,
			       BERTH_VFIO_DRIVER, pci, BERTH_VFIO_DRIVER);
	if (text_parse_u64(text_trim(abi), &version) || version != BERTH_VFIO_ABI)
		return err_set(
			e, -EPROTO,
			"the module %s is of version %s, and this program wants %d: build both "
			"from one source (make kmod)",
			BERTH_VFIO_DRIVER, abi, BERTH_VFIO_ABI);
	return 0;
}

int kmod_open_in(const struct vfio_kernel *kernel, struct device **to, const char *what,
		 struct device *beside, struct err *e)
{
	int rc = check_abi(kernel, what, e);

	if (!rc)
		rc = vfio_open_in(kernel, to, what, beside, e);
	if (rc)
		return rc;
	(*to)->facts.hands_over = false;
	text_copy((*to)->facts.backend, sizeof((*to)->facts.backend), "kmod");
	return 0;
}

static int kmod_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	return kmod_open_in(&vfio_running_kernel, d, what, beside, e);
}

/* Offsets of the descriptor are those of the BAR. */
static int kmod_region_fd(struct device *d, uint32_t region, const struct vu_area *areas,
			  uint32_t n, uint64_t *offset)
{
	own_free struct berth_vfio_pages *ask = NULL;
	size_t size = sizeof(*ask) + n * sizeof(ask->ranges[0]);

	if (region > DEV_BAR5 || !d->facts.region[region].map || n > VU_AREAS_MAX)
		return -EINVAL;
	ask = calloc(1, size);
	if (!ask)
		return -ENOMEM;
	ask->argsz = (uint32_t)size;
	ask->flags = BERTH_VFIO_PAGES_READ |
		     (d->facts.region[region].write ? BERTH_VFIO_PAGES_WRITE : 0);
	ask->bar = region;
	ask->n = n;
	for (uint32_t i = 0; i < n; i++) {
		ask->ranges[i].offset = areas[i].offset;
		ask->ranges[i].length = areas[i].size;
	}
	*offset = 0;
	return d->kernel->ioctl(d->fd, BERTH_VFIO_PAGES, ask);
}

/* It fails for nobody who has the device open. */
static void kmod_take_back(struct device *d)
{
	d->kernel->ioctl(d->fd, BERTH_VFIO_REVOKE, NULL);
}

const struct device_ops kmod_device_ops = {
	.name = "kmod",
	.gather = vfio_gather,
	.open = kmod_open,
	.close = vfio_close,
	.hand = vfio_hand,
	.take = vfio_take,
	.facts = vfio_facts,
	.read = vfio_read,
	.write = vfio_write,
	.region_fd = kmod_region_fd,
	.take_back = kmod_take_back,
	.reset = vfio_reset,
	.irqs = vfio_irqs,
	.map = vfio_space_map,
	.unmap = vfio_space_unmap,
	.present = vfio_present,
	.wanted = vfio_wanted,
	.returned = vfio_returned,
	.poll_fd = vfio_poll_fd,
	.attend = vfio_attend,
	.share = vfio_share,
	.join = vfio_join,
};
