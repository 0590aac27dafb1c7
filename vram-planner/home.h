/* SPDX-License-Identifier: MIT */
/* Where memory is: the index of a device, or one of these. */
#ifndef BERTH_HOME_H
#define BERTH_HOME_H

enum home {
	HOME_NONE = -1,  /* nowhere: not loaded; in a graph: the allocator gives it memory */
	HOME_HOST = -2,  /* memory the processor reads as it is: plain, mapped or pinned */
	HOME_EXTRA = -3, /* the processor's, repacked for its own kernels: no device may fetch it */
};

#endif
