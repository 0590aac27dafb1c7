/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors a client wants to hear a device's interrupts by. They go straight to the device, so that no interrupt
 * passes through us; and they are kept, because a set that cannot grow must be taken down and set up whole again:
 * kernels before 6.5 for MSI-X, all for MSI, and QEMU sends its descriptors sixteen at a time.
 */
#ifndef BERTH_IRQS_H
#define BERTH_IRQS_H

#include <stdint.h>

#include "bar-forward/device.h"
#include "base/err.h"

struct irq_set {
	uint32_t count; /* that a client may use; 0 for what stays with us */
	uint32_t
		enabled; /* the first so many are set up in the device, with holes where fds[] is -1 */
	int *fds;        /* `count` of them */
	int mask, unmask; /* of INTx; -1 */
};

struct irqs {
	const struct device_ops *ops;
	struct device *d;
	struct irq_set set[DEV_IRQS];
};

/* 0 or -ENOMEM. Errors of the device are not offered: QEMU stops the whole machine on them. */
int irqs_open(struct irqs *q, const struct device_ops *ops, struct device *d, struct err *e);

/* Take all down in the device, and close what is kept. */
void irqs_close(struct irqs *q);

/* The answer to VU_GET_IRQ_INFO. 0, or -EINVAL: no such index. */
int irqs_info(const struct irqs *q, uint32_t index, struct vu_irq_info *info);

/*
 * As the client asked, with n_fds descriptors; those that are kept become -1 in fds[]. 0, -EINVAL with *e for what the device
 * has not, or the device's errno: then all is as it was before, as far as the device lets it.
 */
int irqs_apply(struct irqs *q, const struct vu_irqs *ask, int *fds, uint32_t n_fds, struct err *e);

#endif
