/* SPDX-License-Identifier: MIT */
/*
 * One client and the device it drives: a message in, its effect, the answer out. Pure but for the device's operations;
 * the socket is the caller's.
 *
 * All state lies in struct session. A message is done whole, or refused whole, before its answer is given: whoever
 * notes, does, answers and only then takes the message from the socket can begin again at each of these.
 *
 * A device that is gone is a state, and no error: reads give all-ones, writes are dropped, maps and interrupts are
 * acknowledged, so that the guest's driver ends by itself. The device is closed at that moment, not when the client goes.
 */
#ifndef BERTH_SESSION_H
#define BERTH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/cfg.h"
#include "bar-forward/device.h"
#include "bar-forward/irqs.h"
#include "bar-forward/maps.h"
#include "bar-forward/policy.h"
#include "bar-forward/irqrelay.h"
#include "bar-forward/shape.h"
#include "bar-forward/stream.h"
#include "bar-forward/trace.h"
#include "bar-forward/wire.h"
#include "base/err.h"
#include "base/telem_bridge.h"

#define SESSION_DMA_NS                                                                             \
	UINT64_C(5000000000) /* that a client has for a DMA_READ or DMA_WRITE of ours */
#define SESSION_SAID 8       /* complaints about one client that are told; the others are counted */

enum session_said { SESSION_NOTE, SESSION_WARNING, SESSION_DETAIL };

/* One access of the device. */
struct session_access {
	bool write;
	uint32_t region, width;
	uint64_t offset;
	uint8_t *bytes; /* of a write only read */
};

struct session_opts {
	const struct device_ops *ops;
	const struct policy
		*policy; /* the caller's, may change between messages; see session_rules() */
	const struct shape *shape;  /* how the guest sees the device; NULL: as it is */
	struct telem_bridge *count; /* where accesses and what else goes on are counted */
	struct trace *trace;        /* what records them; NULL: nothing does */
	bool relay;                 /* interrupts pass us, so that they can be recorded */
	uint64_t (*now)(void);      /* ns */
	void (*say)(void *arg, enum session_said how, const char *sentence); /* NULL: to nobody */
	void *arg;

	/*
	 * How a reset and a look do, which may hang; NULL: ops->reset(), ops->present(). Answer as these do, and -ETIMEDOUT: it does
	 * hang. waited_for: the client waits for the end.
	 */
	int (*reset)(void *arg, struct device *d, bool waited_for, struct err *e);
	int (*look)(void *arg, struct device *d);

	/* The device is lost, and about to be closed: others who know it forget it now. NULL: there are none. */
	void (*lost)(void *arg);

	/* How an access gets to the device; NULL: ops->read() or ops->write(), here and now. Answers as these do. */
	int (*access)(void *arg, struct device *d, const struct session_access *a);

	/*
	 * Where it is kept how many writes of the VU_REGION_WRITE_MULTI at hand are done; whoever goes on with one that
	 * another had begun begins there. NULL: nobody does.
	 */
	uint64_t *multi_done;
};

/* What became of an access besides its bytes, as a recording says it. */
struct session_seen {
	uint8_t flags;
	uint64_t extra;
};

/* A DMA_READ or DMA_WRITE of ours that the client has not answered. */
struct session_dma {
	bool asked, write;
	uint16_t id;
	uint32_t count;
	uint64_t iova, since_ns;
};

enum session_step {
	SESSION_NEW,      /* only VERSION is listened to */
	SESSION_AGREED,   /* maps that fail are told with DEVICE_GET_INFO */
	SESSION_INFORMED, /* maps that fail are the end of the device */
};

struct session {
	struct session_opts o;
	struct device *d; /* NULL: it is gone, and closed */
	enum session_step step;
	struct dev_facts facts;
	struct vu_irq_info irq[DEV_IRQS];
	uint8_t real[CFG_SIZE]; /* the configuration space, as it was when the client came */
	struct shaped shaped;   /* what of the device the guest sees */
	struct cfg cfg;
	struct maps maps;
	struct irqs irqs;
	struct irqrelay relay;
	struct session_dma dma;
	struct session_seen seen; /* of the access that is being done */
	uint64_t max_data;        /* bytes of one transfer that the client takes */
	struct err
		unmapped; /* why memory could not be mapped before DEVICE_GET_INFO; rc 0: it all could */
	uint32_t complaints;
	uint32_t errors;    /* that the device has told of while this client was there */
	uint32_t denials;   /* denied writes */
	uint64_t began_ns;  /* the message at hand; of several writes, the one at hand */
	bool several;       /* it is of several writes, with one answer */
	bool unanswered;    /* an access of it was counted, and what it took was not */
	uint64_t looked_ns; /* when it was last asked for a look, after all-ones */
	int reply_fd;       /* goes with the reply; -1: none */
	uint8_t *reply;     /* VU_MESSAGE_MAX bytes */
};

/* What is to be sent: `size` bytes, 0: nothing, which stay until the next call. The caller closes the descriptor. */
struct answer {
	const uint8_t *bytes;
	size_t size;
	int fd; /* with them; -1: none */
};

/*
 * Whether a device can be given to a client so: the same errors, before there is one. Also for other rules than those that
 * are in force.
 */
int session_check(const struct session_opts *o, struct device *d, struct err *e);

/*
 * A new client of an open device; session_close() gives the device back. 0; -EBADMSG: its configuration space is none;
 * -ENODEV: it is gone; -EIO; -ENOMEM; what shape_device() says; with *e. Then there is no session, and the device is still
 * the caller's.
 */
int session_open(struct session *s, const struct session_opts *o, struct device *d, struct err *e);

/*
 * The client is gone: bus mastering off, what was mapped unmapped, interrupts down, the device reset, in this order.
 * Returns the device, or NULL when it has gone before.
 */
struct device *session_close(struct session *s);

/*
 * A message, whole and with its header checked, as stream_peek() gives it; descriptors that are kept become -1. 0; -EPROTO
 * with *e: send the answer if there is one, then hang up.
 */
int session_message(struct session *s, struct incoming *in, struct answer *a, struct err *e);

/* The answer was sent: only now it is known what the access took. */
void session_answered(struct session *s);

/*
 * Whether these rules can come into force for this client: what it has mapped stays mapped. 0; -EBUSY with *e; or as
 * grants_make().
 */
int session_rules(const struct session *s, const struct policy *fresh, struct err *e);

/* When to poll it the device's own descriptor, for session_attend(); -1: not now. */
int session_poll_fd(struct session *s);

/* The device wants something: a message for the client, or nothing. */
void session_attend(struct session *s, struct answer *a);

/* The recorder begins now: tell it what stands, which it has not seen come. */
void session_record_state(struct session *s);

/* The device is gone, or must count as gone: close it, and say why, once. */
void session_lose(struct session *s, const char *why);

/* Whether it is still there: one look. */
void session_look(struct session *s);

/* Now and then, each second or so: whether the device is still there, and the client answers. */
void session_tick(struct session *s);

#endif
