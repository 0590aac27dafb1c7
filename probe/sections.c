/* SPDX-License-Identifier: MIT */
/* The subjects of the report: in the order of their steps, and in that of their lines. */
#include "probe/section.h"

const struct section *const sections[] = {
	&section_who,
	&section_config, /* after who: virtual functions have other registers */
	&section_tunnel,
	/* The kind follows from what cables and links are; what a link can do, from the kind. */
	&section_kind,
	&section_link,
	&section_live,
	&section_index,
	&section_amdids,
	&section_ioctl,
	&section_memory,
	&section_kfd,
	&section_place,
	&section_others,
	&section_usb4,
	&section_nvidia,
	&section_holders,
	&section_seen, /* the last to take: it fills what nobody else could tell */
	NULL,
};

/* What people ask first comes first. */
const struct section *const sections_shown[] = {
	&section_kind,   &section_memory,  &section_nvidia,
	&section_live,   &section_holders, &section_link,
	&section_tunnel, &section_who,     &section_config,
	&section_amdids, &section_ioctl,   &section_kfd,
	&section_index,  &section_place,   &section_seen,
	&section_others, &section_usb4,    NULL,
};
