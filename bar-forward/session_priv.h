/* SPDX-License-Identifier: MIT */
/* What the parts of a session have in common. */
#ifndef BERTH_SESSION_PRIV_H
#define BERTH_SESSION_PRIV_H

#include "bar-forward/session.h"

/* One sentence for people. */
void session_say(struct session *s, enum session_said how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* One access of the device, at once or by whoever makes it for us. 0, -EIO or -ENODEV. */
int session_dev_read(const struct session *s, uint32_t region, uint64_t offset, uint8_t *bytes,
		     uint32_t width);
int session_dev_write(const struct session *s, uint32_t region, uint64_t offset,
		      const uint8_t *bytes, uint32_t width);

/* Give up a DMA that the client has not answered. */
void session_dma_cancel(struct session *s, int rc);

/*
 * An access of a client. BARs: 1, 2, 4 or 8 bytes, aligned, as one access of the device; ROM and configuration space: any
 * count, in pieces as wide as their place allows, at most 4. 0; -EINVAL: no such place, or width; or the device's errno.
 */
int session_read(struct session *s, const struct vu_access *a, uint8_t *to, struct err *e);
int session_write(struct session *s, const struct vu_access *a, bool posted, struct err *e);

/* DMA_MAP, DMA_UNMAP: 0, or the errno for the reply. */
int session_map(struct session *s, const struct vu_dma *dma, int *fd, struct err *e);
int session_unmap(struct session *s, const struct vu_dma *dma, struct err *e);
void session_unmap_all(struct session *s);

/*
 * For the recorder; each costs one look at whether it is on. An access is told between the device's answer and ours;
 * `bytes` as the guest has them.
 */
void session_record_access(struct session *s, const struct vu_access *a, enum telem_access what,
			   const uint8_t *bytes, uint64_t began, uint64_t ended);
void session_record_map(struct session *s, enum trace_kind kind, const struct map *m, uint8_t flags,
			int rc);
void session_record_irqs(struct session *s, const struct vu_irqs *set, uint32_t n_fds, int rc);
void session_record_dma(struct session *s, int rc);
void session_record(struct session *s, enum trace_kind kind, uint64_t began, int rc);
void session_record_error(struct session *s);

#endif
