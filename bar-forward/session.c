/* SPDX-License-Identifier: MIT */
#include "bar-forward/session.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/session_priv.h"
#include "base/own.h"

enum { COMMAND = 0x04, BUS_MASTER = 0x04 };

void session_say(struct session *s, enum session_said how, const char *fmt, ...)
{
	char sentence[1024];
	va_list args;

	if (!s->o.say)
		return;
	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	s->o.say(s->o.arg, how, sentence);
}

void session_dma_cancel(struct session *s, int rc)
{
	if (s->dma.asked)
		session_record_dma(s, rc);
	if (s->dma.asked && s->d)
		s->o.ops->dma_done(s->d, rc, NULL);
	s->dma.asked = false;
}

void session_lose(struct session *s, const char *why)
{
	struct telem_bridge *b = s->o.count;

	if (!s->d)
		return;
	session_dma_cancel(s, -ENODEV);
	irqs_close(&s->irqs);
	if (s->o.lost)
		s->o.lost(s->o.arg);
	s->o.ops->close(s->d);
	s->d = NULL;
	b->state = TELEM_BRIDGE_LOST;
	session_record(s, TRACE_LOST, 0, 0);
	snprintf(b->trouble, sizeof(b->trouble), "%s", why);
	session_say(
		s, SESSION_WARNING,
		"the device is lost (%s): from now on the guest reads all-ones and its writes are dropped",
		why);
}

/* --- the beginning and the end --- */

static int read_config(const struct session *s, uint8_t *real, uint32_t size, struct err *e)
{
	for (uint32_t at = 0; at < size; at += 4) {
		int rc = session_dev_read(s, DEV_CONFIG, at, real + at, 4);

		if (rc)
			return err_set(e, rc, "cannot read the configuration space: %s",
				       strerror(-rc));
	}
	return 0;
}

static const struct shape as_it_is;

static int open_config(struct session *s, struct err *e)
{
	uint32_t size = s->facts.region[DEV_CONFIG].size >= CFG_SIZE ? CFG_SIZE : 256, i = 0;
	const struct quirk *q;
	int rc = read_config(s, s->real, size, e);

	if (!rc)
		rc = shape_device(&s->shaped, s->o.shape ? s->o.shape : &as_it_is, &s->facts,
				  s->real, s->o.policy, e);
	if (!rc)
		rc = cfg_open(&s->cfg, s->real, size, &s->shaped.cfg, e);
	while (!rc && (q = quirks_next(&s->shaped.quirks, QUIRK_OPEN, &i)))
		cfg_let(&s->cfg, q->at, q->bytes);
	if (!rc)
		trace_device(s->o.trace, &s->facts, s->o.count->generation, s->real, size);
	return rc;
}

int session_check(const struct session_opts *o, struct device *d, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->o = *o;
	s->o.trace = NULL;
	s->d = d;
	s->facts = *o->ops->facts(d);
	rc = open_config(s, e);
	free(s);
	return rc;
}

int session_rules(const struct session *s, const struct policy *fresh, struct err *e)
{
	struct shaped now;
	int rc = shape_device(&now, s->o.shape ? s->o.shape : &as_it_is, &s->facts, s->real, fresh,
			      e);
	int bar = rc ? -1 : grants_differ(&now.grants, &s->shaped.grants);

	return bar < 0 ? rc
		       : err_set(e, -EBUSY,
				 "other pages of bar%d would be mapped, and the guest has mapped those it was given; unplug "
				 "the device from it first",
				 bar);
}

/* How much of the device comes by, for whoever looks. */
static void tell_shape(struct session *s)
{
	struct telem_bridge *b = s->o.count;
	uint64_t trapped = 0, mapped = 0;

	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		b->regions[i].size_bytes = s->shaped.size[i];
		b->regions[i].mapped_bytes = i < CFG_BARS ? grants_bytes(&s->shaped.grants, i) : 0;
		mapped += b->regions[i].mapped_bytes;
		if (i < CFG_BARS)
			trapped += s->shaped.size[i] - b->regions[i].mapped_bytes;
	}
	b->mode = !mapped ? TELEM_MODE_TRAP : trapped ? TELEM_MODE_HYBRID : TELEM_MODE_MAP;
}

int session_open(struct session *s, const struct session_opts *o, struct device *d, struct err *e)
{
	int rc;

	*s = (struct session) {
		.o = *o, .d = d, .facts = *o->ops->facts(d), .max_data = VU_DATA_MAX, .reply_fd = -1
	};
	rc = open_config(s, e);
	if (!rc)
		rc = irqs_open(&s->irqs, o->ops, d, e);
	if (!rc && o->relay) {
		rc = irqrelay_open(&s->relay, e);
		if (rc)
			irqs_close(&s->irqs);
	}
	if (rc)
		return rc;
	for (uint32_t i = 0; i < DEV_IRQS; i++)
		irqs_info(&s->irqs, i, &s->irq[i]);
	if (s->shaped.msix_hidden)
		s->irq[DEV_MSIX].count = 0;
	s->reply = malloc(VU_MESSAGE_MAX);
	if (!s->reply) {
		irqs_close(&s->irqs);
		irqrelay_close(&s->relay);
		return err_set(e, -ENOMEM, "out of memory");
	}
	tell_shape(s);
	return 0;
}

/* What a device does by itself must end before the memory it does it to is taken away. */
static void end_bus_mastering(struct session *s)
{
	uint8_t command[2];
	int rc = session_dev_read(s, DEV_CONFIG, COMMAND, command, 2);

	if (!rc && command[0] & BUS_MASTER) {
		command[0] &= (uint8_t)~BUS_MASTER;
		rc = session_dev_write(s, DEV_CONFIG, COMMAND, command, 2);
	}
	if (rc == -ENODEV)
		session_lose(s, "does not answer");
}

/* What the device has to tell people by itself. */
static void pass_on(struct session *s, bool end)
{
	const char *sentence;

	while (s->d && s->o.ops->said && (sentence = s->o.ops->said(s->d, end)))
		session_say(s, SESSION_NOTE, "%s", sentence);
}

/* One that does not end is the end of the device. */
static int reset_device(struct session *s, bool waited_for, struct err *e)
{
	uint64_t began = s->o.now();
	int rc = s->o.reset ? s->o.reset(s->o.arg, s->d, waited_for, e) : s->o.ops->reset(s->d, e);

	session_record(s, TRACE_RESET, began, rc);
	if (rc == -ENODEV)
		session_lose(s, "does not answer");
	else if (rc == -ETIMEDOUT)
		session_lose(s, "its reset does not end");
	return rc;
}

/* The next client's device is as if nobody had been there. */
static void reset_after(struct session *s)
{
	struct err e = { 0 };
	int rc = s->facts.reset ? reset_device(s, false, &e) : 0;

	if (rc && s->d)
		session_say(s, SESSION_WARNING, "cannot reset the device after its client: %s",
			    e.text);
}

struct device *session_close(struct session *s)
{
	struct device *d;

	session_dma_cancel(s, -ECANCELED);
	if (s->d)
		end_bus_mastering(s);
	session_unmap_all(s);
	if (s->d)
		irqs_close(&s->irqs);
	if (s->d && s->o.ops->take_back)
		s->o.ops->take_back(s->d);
	irqrelay_close(&s->relay);
	if (s->d)
		reset_after(s);
	pass_on(s, true);
	for (uint32_t i = 0; i < TELEM_REGIONS; i++)
		s->o.count->regions[i].mapped_bytes = 0;
	free(s->reply);
	d = s->d;
	*s = (struct session) { 0 };
	return d;
}

/* --- the commands; each leaves the size of its answer in *size --- */

static int do_version(struct session *s, const struct vu_request *r, struct incoming *in,
		      size_t *size, struct err *e)
{
	(void)in;
	if (s->step != SESSION_NEW)
		return err_set(e, -EINVAL, "the version is settled already");
	s->step = SESSION_AGREED;
	if (r->version.max_data < s->max_data)
		s->max_data = r->version.max_data;
	*size = vu_reply_version(r, s->reply);
	return 0;
}

static int do_map(struct session *s, const struct vu_request *r, struct incoming *in, size_t *size,
		  struct err *e)
{
	int none = -1;

	*size = vu_reply_empty(r, s->reply);
	return session_map(s, &r->dma, in->n_fds ? &in->fds[0] : &none, e);
}

static int do_unmap(struct session *s, const struct vu_request *r, struct incoming *in,
		    size_t *size, struct err *e)
{
	(void)in;
	*size = vu_reply_unmap(r, s->reply);
	return session_unmap(s, &r->dma, e);
}

/*
 * A ROM or a display's memory without a descriptor is what every guest has. One whose writable memory has none at all is
 * not shared.
 */
static bool nothing_reached(const struct maps *m)
{
	bool writable = false;

	for (uint32_t i = 0; i < m->n; i++) {
		if (m->map[i].fd >= 0)
			return false;
		writable |= m->map[i].write;
	}
	return writable;
}

static int do_info(struct session *s, const struct vu_request *r, struct incoming *in, size_t *size,
		   struct err *e)
{
	(void)in;
	if (s->unmapped.rc)
		return err_set(e, s->unmapped.rc, "the guest's memory cannot be mapped: %s",
			       s->unmapped.text);
	if (!s->d)
		return err_set(e, -ENODEV, "the device is gone");
	if (s->facts.by_fd && nothing_reached(&s->maps))
		return err_set(
			e, -EINVAL,
			"the guest's memory has no descriptor, so no device reaches it: QEMU needs "
			"-object memory-backend-memfd,share=on");
	s->step = SESSION_INFORMED;
	*size = vu_reply_info(r, s->facts.reset, DEV_REGIONS, DEV_IRQS, s->reply);
	return 0;
}

/* The pages that are granted, by a descriptor that goes with the reply. */
static void offer_map(struct session *s, struct vu_region *info)
{
	const struct grant *g = &s->shaped.grants.bar[info->index];

	if (!g->n || !s->d)
		return;
	s->reply_fd = s->o.ops->region_fd(s->d, info->index, g->areas, g->n, &info->offset);
	if (s->reply_fd < 0) {
		session_say(s, SESSION_WARNING,
			    "bar%" PRIu32 " cannot be mapped, and is trapped: %s", info->index,
			    strerror(-s->reply_fd));
		s->o.count->regions[info->index].mapped_bytes = 0;
		s->reply_fd = -1;
		return;
	}
	info->map = true;
	if (g->n == 1 && g->areas[0].size == info->size)
		return; /* all of it: no areas are listed */
	info->n_areas = g->n;
	memcpy(info->areas, g->areas, g->n * sizeof(g->areas[0]));
}

static int do_region(struct session *s, const struct vu_request *r, struct incoming *in,
		     size_t *size, struct err *e)
{
	struct vu_region info = { .index = r->index };
	bool fits;

	(void)in;
	if (r->index >= DEV_REGIONS)
		return err_set(e, -EINVAL, "there is no region %" PRIu32, r->index);
	info.size = s->shaped.size[r->index];
	info.read = info.size && s->facts.region[r->index].read;
	info.write = info.size && s->facts.region[r->index].write && r->index != DEV_ROM;
	if (r->index < CFG_BARS)
		offer_map(s, &info);
	*size = vu_reply_region(r, &info, s->reply, &fits);
	if (!fits)
		own_close_fd(&s->reply_fd);
	return 0;
}

static int do_irq(struct session *s, const struct vu_request *r, struct incoming *in, size_t *size,
		  struct err *e)
{
	(void)in;
	if (r->index >= DEV_IRQS)
		return err_set(e, -EINVAL, "there is no interrupt index %" PRIu32, r->index);
	*size = vu_reply_irq(r, &s->irq[r->index], s->reply);
	return 0;
}

/* Straight to the device, or by way of the recorder. */
static int apply_irqs(struct session *s, const struct vu_irqs *ask, struct incoming *in,
		      struct err *e)
{
	uint32_t has = ask->index < DEV_IRQS ? s->irqs.set[ask->index].count : 0;
	bool sound = ask->start <= has && ask->count <= has - ask->start;
	int rc = sound ? irqrelay_take(&s->relay, ask, in->fds, in->n_fds, e) : 0;

	if (rc)
		return rc;
	rc = irqs_apply(&s->irqs, ask, in->fds, in->n_fds, e);
	irqrelay_settle(&s->relay, rc == 0);
	return rc;
}

static int do_set_irqs(struct session *s, const struct vu_request *r, struct incoming *in,
		       size_t *size, struct err *e)
{
	int rc = 0;

	*size = vu_reply_empty(r, s->reply);
	if (s->d)
		rc = apply_irqs(s, &r->irqs, in, e);
	if (rc == -ENODEV) {
		session_lose(s, "does not answer");
		rc = 0;
	}
	session_record_irqs(s, &r->irqs, in->n_fds, rc);
	return rc;
}

static int do_read(struct session *s, const struct vu_request *r, struct incoming *in, size_t *size,
		   struct err *e)
{
	(void)in;
	*size = vu_reply_read(r, s->reply);
	return session_read(s, &r->access, s->reply + VU_READ_HEAD, e);
}

static int do_write(struct session *s, const struct vu_request *r, struct incoming *in,
		    size_t *size, struct err *e)
{
	(void)in;
	*size = vu_reply_write(r, s->reply);
	return session_write(s, &r->access, r->no_reply, e);
}

/* In their order, up to the first that cannot be; how many were done is the answer. */
static int do_multi(struct session *s, const struct vu_request *r, struct incoming *in,
		    size_t *size, struct err *e)
{
	uint64_t done = s->o.multi_done ? *s->o.multi_done : 0;
	int rc = 0;

	(void)in;
	for (; done < r->multi.count; done++) {
		struct vu_access w;

		rc = vu_multi_write(r, done, &w)
			     ? err_set(e, -EINVAL,
				       "write %" PRIu64 " of %" PRIu64 " has no sound count", done,
				       r->multi.count)
			     : session_write(s, &w, r->no_reply, e);
		if (rc)
			break;
		if (s->o.multi_done)
			*s->o.multi_done = done + 1;
	}
	*size = vu_reply_multi(r, done, s->reply);
	return done ? 0 : rc;
}

static int do_reset(struct session *s, const struct vu_request *r, struct incoming *in,
		    size_t *size, struct err *e)
{
	int rc;

	(void)in;
	if (!s->d)
		return err_set(e, -ENODEV, "the device is gone");
	if (!s->facts.reset)
		return err_set(e, -ENOTTY, "the device cannot be reset alone");
	session_dma_cancel(s, -ECANCELED);
	rc = reset_device(s, true, e);
	if (!rc)
		cfg_reset(&s->cfg);
	*size = vu_reply_empty(r, s->reply);
	return rc;
}

/* Features of VFIO's and of migration: none, as a device that has none says it. */
static int do_feature(struct session *s, const struct vu_request *r, struct incoming *in,
		      size_t *size, struct err *e)
{
	(void)s;
	(void)in;
	(void)size;
	return err_set(e, -ENOTTY, "there is no feature %" PRIu16, r->feature.index);
}

static int (*const effects[VU_COMMAND_COUNT])(struct session *s, const struct vu_request *r,
					      struct incoming *in, size_t *size, struct err *e) = {
	[VU_VERSION] = do_version,          [VU_DMA_MAP] = do_map,
	[VU_DMA_UNMAP] = do_unmap,          [VU_DEVICE_GET_INFO] = do_info,
	[VU_GET_REGION_INFO] = do_region,   [VU_GET_IRQ_INFO] = do_irq,
	[VU_SET_IRQS] = do_set_irqs,        [VU_REGION_READ] = do_read,
	[VU_REGION_WRITE] = do_write,       [VU_DEVICE_RESET] = do_reset,
	[VU_REGION_WRITE_MULTI] = do_multi, [VU_DEVICE_FEATURE] = do_feature,
};

/* --- messages --- */

/* What a client should not have sent; what it may ask and gets no for is none of it. */
static bool is_nonsense(int rc)
{
	return rc == -EINVAL || rc == -E2BIG || rc == -ENOTSUP || rc == -EPROTO;
}

static void complain(struct session *s, const struct vu_request *r, int rc, const struct err *why)
{
	if (is_nonsense(rc))
		s->o.count->counts.refused++;
	if (s->complaints < SESSION_SAID)
		session_say(s, rc == -ENOTTY ? SESSION_DETAIL : SESSION_NOTE,
			    "%s of the client: %s", vu_command_name(r->command), why->text);
	if (rc != -ENOTTY && s->complaints++ == SESSION_SAID)
		session_say(s, SESSION_NOTE,
			    "more that this client does wrong is counted, not told");
}

static int do_request(struct session *s, const struct vu_request *r, struct incoming *in,
		      size_t *size, struct err *e)
{
	if (s->step == SESSION_NEW && r->command != VU_VERSION)
		return err_set(e, -EINVAL, "it has not said which version it speaks");
	if (!effects[r->command])
		return err_set(e, -ENOTSUP, "it is not served");
	return effects[r->command](s, r, in, size, e);
}

/* The client's answer to DMA of ours. One that nobody waits for comes too late, or is made up: it is dropped. */
static void take_dma_reply(struct session *s, const struct vu_header *h, const uint8_t *message)
{
	const uint8_t *data = NULL;
	struct err why = { 0 };
	int rc;

	if (!s->dma.asked || h->id != s->dma.id ||
	    h->command != (s->dma.write ? VU_DMA_WRITE : VU_DMA_READ)) {
		s->o.count->counts.refused++;
		return;
	}
	rc = vu_check_dma_reply(message, s->dma.write, s->dma.iova, s->dma.count, &data, &why);
	if (rc)
		session_say(s, SESSION_DETAIL, "%s", why.text);
	s->dma.asked = false;
	session_record_dma(s, rc);
	if (s->d)
		s->o.ops->dma_done(s->d, rc, rc || s->dma.write ? NULL : data);
}

int session_message(struct session *s, struct incoming *in, struct answer *a, struct err *e)
{
	struct vu_request r;
	struct vu_header h;
	struct err why = { 0 };
	int rc;

	*a = (struct answer) { .bytes = s->reply, .fd = -1 };
	s->began_ns = s->o.now();
	memcpy(&h, in->bytes, sizeof(h));
	s->several = h.command == VU_REGION_WRITE_MULTI;
	s->unanswered = false;
	if ((h.flags & VU_TYPE_MASK) == VU_TYPE_REPLY) {
		take_dma_reply(s, &h, in->bytes);
		return 0;
	}
	rc = vu_parse(in->bytes, in->n_fds, &r, &why);
	if (!rc)
		rc = do_request(s, &r, in, &a->size, &why);
	if (rc) {
		complain(s, &r, rc, &why);
		a->size = vu_reply_error(&r, rc, s->reply);
	}
	if (r.no_reply || rc)
		own_close_fd(&s->reply_fd);
	if (r.no_reply)
		a->size = 0;
	a->fd = take_fd(&s->reply_fd);
	pass_on(s, false);
	/* Without a version there is nothing to talk about. */
	return rc && s->step == SESSION_NEW ? err_set(e, -EPROTO, "%s", why.text) : 0;
}

/* --- what comes from the device --- */

static const char *gone_words(int rc)
{
	return rc == -ESHUTDOWN   ? "the host wants it back"
	       : rc == -ETIMEDOUT ? "does not answer"
				  : "it was taken away";
}

void session_look(struct session *s)
{
	int rc = 0;

	if (s->d)
		rc = s->o.look ? s->o.look(s->o.arg, s->d) : s->o.ops->present(s->d);
	if (rc)
		session_lose(s, gone_words(rc));
}

static int device_fd(const struct session *s)
{
	return s->d && s->o.ops->poll_fd ? s->o.ops->poll_fd(s->d) : -1;
}

int session_poll_fd(struct session *s)
{
	bool idle = s->d && !s->dma.asked && s->step != SESSION_NEW;

	if (s->relay.on) {
		irqrelay_watch(&s->relay, device_fd(s), idle);
		return s->relay.fd;
	}
	return idle ? device_fd(s) : -1;
}

/* Whether the device itself wants something; interrupts are passed on by the way. */
static bool is_wanted(struct session *s)
{
	if (!s->relay.on)
		return session_poll_fd(s) >= 0;
	return irqrelay_pass(&s->relay, s->o.trace, s->o.now) && s->d;
}

/* Of PCI Express, as of a completion that never came: the kernel has done what it can, and the device is no less there. */
static void take_error(struct session *s)
{
	static const char what[] =
		"the device has told of an error that the kernel could not correct";
	struct telem_bridge *b = s->o.count;

	s->errors++;
	session_record_error(s);
	snprintf(b->trouble, sizeof(b->trouble), "%s, %" PRIu32 " of them; it still answers", what,
		 s->errors);
	if (s->errors <= SESSION_SAID)
		session_say(s, SESSION_WARNING, "%s; it still answers", what);
}

void session_attend(struct session *s, struct answer *a)
{
	struct dev_dma dma = { 0 };
	size_t head;
	int rc;

	*a = (struct answer) { .bytes = s->reply, .fd = -1 };
	if (!is_wanted(s))
		return;
	rc = s->o.ops->attend(s->d, &dma);
	if (rc < 0)
		session_lose(s, gone_words(rc));
	if (rc == DEV_ATTEND_ERROR)
		session_look(s);
	if (rc == DEV_ATTEND_ERROR && s->d)
		take_error(s);
	if (rc != 1)
		return;
	if (dma.count == 0 || dma.count > s->max_data || dma.count > VU_DATA_MAX) {
		s->o.ops->dma_done(s->d, -E2BIG, NULL);
		return;
	}
	s->dma = (struct session_dma) { .asked = true,
					.write = dma.write,
					.id = (uint16_t)(s->dma.id + 1),
					.count = dma.count,
					.iova = dma.iova,
					.since_ns = s->o.now() };
	head = vu_ask_dma(s->dma.id, dma.write, dma.iova, dma.count, s->reply);
	if (dma.write)
		memcpy(s->reply + head, dma.bytes, dma.count);
	a->size = head + (dma.write ? dma.count : 0);
}

void session_tick(struct session *s)
{
	if (s->dma.asked && s->o.now() - s->dma.since_ns > SESSION_DMA_NS) {
		session_say(s, SESSION_NOTE, "the client does not answer DMA at 0x%" PRIx64,
			    s->dma.iova);
		session_dma_cancel(s, -ETIMEDOUT);
	}
	session_look(s);
}
