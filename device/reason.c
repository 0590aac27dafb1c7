/* SPDX-License-Identifier: MIT */
#include "device/reason.h"

#include <errno.h>
#include <fnmatch.h>

/* clang-format off */
/*
 * By the file that was written (a shell's pattern) and the errno. The kernel's sources say which comes from where:
 * drivers/pci/pci-sysfs.c, pci.c, setup-bus.c, rebar.c; drivers/base/bus.c, dd.c; drivers/pci/hotplug.
 */
static const struct {
	const char *target;
	int rc;
	const char *says;
} rows[] = {
	{ "*/resource[0-9]_resize", -EBUSY, "a driver has the function again, or it has virtual functions: "
		"something bound it in between" },
	{ "*/resource[0-9]_resize", -ENOSPC, "the windows above have no room for it: "
		"berth doctor bar shows them" },
	{ "*/resource[0-9]_resize", -ENOENT, "no window above could be let go, as something else lies in it: "
		"berth doctor bar shows them" },
	{ "*/resource[0-9]_resize", -EINVAL, "the card does not list that size" },
	{ "*/resource[0-9]_resize", -ENOTSUP, "the firmware placed this BAR for good, or the card cannot resize it" },
	{ "*/resource[0-9]_resize", -EPERM, "the kernel is locked down (Secure Boot), and lets nobody resize a BAR" },
	{ "*/reset", -ENOTTY, "the kernel's methods do not work on it now: another function shares its bus, or its "
		"bridge forbids a reset" },
	{ "*/reset", -ENODEV, "it does not answer any more: take its power off and on" },
	{ "*/reset", -ETIMEDOUT, "it did not come back from the reset: take its power off and on" },
	{ "*/reset_subordinate", -ENOTTY, "the bridge cannot reset what is below it" },
	{ "*/reset_subordinate", -EAGAIN, "a function below is in the middle of something: try again" },
	{ "*/reset_method", -EINVAL, "the kernel does not know that method for this function" },
	{ "*/reset_method", -EOPNOTSUPP, "this function has no way to be reset" },
	{ "*/slots/*/power", -ENODEV, "the slot is empty, or is so already: plug the card in again" },
	{ "*/slots/*/power", -EBUSY, "the slot is busy with a card that just came: try again" },
	{ "*/drivers/*/unbind", -ENODEV, "the driver has let it go by itself, or the function is gone" },
	{ "*/drivers/*/bind", -EBUSY, "another driver has it, or somebody holds its IOMMU group" },
	{ "*/drivers/*/bind", -ENODEV, "the driver does not want it (any more), or the function is gone: "
		"the kernel log says which" },
	{ "*/drivers/*/bind", -EPERM, "the driver refuses to share its IOMMU group with what others have of it" },
	{ "*/drivers/*/bind", -EIO, "the card does not answer its driver: reset it, or take its power off and on" },
	{ "*/drivers/*/bind", -ENOMEM, "the driver found no memory for it" },
};
/* clang-format on */

const char *step_reason(const struct step *s, int rc)
{
	for (size_t i = 0; s->op == STEP_WRITE && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].rc == rc && fnmatch(rows[i].target, s->target, 0) == 0)
			return rows[i].says;
	return NULL;
}
