/* SPDX-License-Identifier: MIT */
/* The subjects of the report, in the order in which they are shown. */
#include "probe/section.h"

const struct section *const sections[] = {
	&section_tunnel,
	&section_live,
	&section_index,
	&section_memory,
	&section_kfd,
	&section_usb4,
	&section_nvidia,
	NULL,
};
