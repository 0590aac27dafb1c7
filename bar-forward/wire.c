/* SPDX-License-Identifier: MIT */
#include "bar-forward/wire.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"

#define PAGE 4096

/* The bits of linux/vfio.h that travel in messages; the protocol's own numbers. */
enum {
	DMA_READ_FLAG = 1,
	DMA_WRITE_FLAG = 2,
	DMA_UNMAP_ALL = 2,
	FEATURE_INDEX = 0xffff,
	FEATURE_GET = 0x10000,
	FEATURE_SET = 0x20000,
	FEATURE_PROBE = 0x40000,
};

/* A payload and what is left of it to read. */
struct in {
	const uint8_t *at;
	size_t left;
};

static uint32_t take32(struct in *in)
{
	uint32_t v;

	memcpy(&v, in->at, 4);
	in->at += 4;
	in->left -= 4;
	return v;
}

static uint64_t take64(struct in *in)
{
	uint64_t v;

	memcpy(&v, in->at, 8);
	in->at += 8;
	in->left -= 8;
	return v;
}

static bool overflows(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum);
}

/* --- the commands --- */

static int parse_limit(const json_t *caps, const char *key, uint64_t usual, uint64_t *v,
		       struct err *e)
{
	const json_t *n = json_object_get(caps, key);

	*v = usual;
	if (!n)
		return 0;
	if (!json_is_integer(n) || json_integer_value(n) < 1)
		return err_set(e, -EINVAL, "the client's %s is no positive number", key);
	*v = (uint64_t)json_integer_value(n);
	return 0;
}

static int parse_capabilities(const json_t *caps, struct vu_version *v, struct err *e)
{
	uint64_t fds;
	int rc;

	if ((rc = parse_limit(caps, "max_msg_fds", 1, &fds, e)) ||
	    (rc = parse_limit(caps, "max_data_xfer_size", VU_DATA_MAX, &v->max_data, e)) ||
	    (rc = parse_limit(caps, "max_dma_maps", VU_DMA_MAPS, &v->max_maps, e)) ||
	    (rc = parse_limit(caps, "pgsizes", PAGE, &v->page_sizes, e)))
		return rc;
	v->max_fds = fds > UINT32_MAX ? UINT32_MAX : (uint32_t)fds;
	v->write_multiple = json_is_true(json_object_get(caps, "write_multiple"));
	v->twin_socket = json_is_true(
		json_object_get(json_object_get(caps, "twin_socket"), "supported"));
	return 0;
}

static int parse_version(struct in *in, struct vu_request *r, struct err *e)
{
	struct vu_version *v = &r->version;
	int rc;

	memcpy(&v->major, in->at, 2);
	memcpy(&v->minor, in->at + 2, 2);
	in->at += 4;
	in->left -= 4;
	if (v->major != 0)
		return err_set(e, -EINVAL,
			       "the client speaks vfio-user %" PRIu16 ".%" PRIu16 "; we speak 0.0",
			       v->major, v->minor);
	if (in->left == 0)
		return parse_capabilities(NULL, v, e);
	if (in->at[in->left - 1] != '\0')
		return err_set(e, -EINVAL, "the client's capabilities do not end with a NUL");
	json_t *j = json_parse((const char *)in->at, strlen((const char *)in->at),
			       "the client's capabilities", e);

	if (!j)
		return -EINVAL;
	rc = parse_capabilities(json_object_get(j, "capabilities"), v, e);
	json_decref(j);
	return rc;
}

static int check_range(const struct vu_dma *d, struct err *e)
{
	if (!d->size || (d->iova | d->size) % PAGE || overflows(d->iova, d->size - 1))
		return err_set(e, -EINVAL,
			       "a range of DMA addresses that is none: 0x%" PRIx64
			       " bytes at 0x%" PRIx64,
			       d->size, d->iova);
	return 0;
}

static int parse_map(struct in *in, struct vu_request *r, struct err *e)
{
	struct vu_dma *d = &r->dma;
	uint32_t argsz = take32(in), flags = take32(in);

	d->offset = take64(in);
	d->iova = take64(in);
	d->size = take64(in);
	d->read = flags & DMA_READ_FLAG;
	d->write = flags & DMA_WRITE_FLAG;
	if (argsz < 32 || flags & ~(uint32_t)(DMA_READ_FLAG | DMA_WRITE_FLAG))
		return err_set(e, -EINVAL, "a DMA map of %" PRIu32 " bytes with flags 0x%" PRIx32,
			       argsz, flags);
	if (d->offset % PAGE || overflows(d->offset, d->size) || d->offset + d->size > INT64_MAX)
		return err_set(e, -EINVAL, "a DMA map at 0x%" PRIx64 " of its file", d->offset);
	return check_range(d, e);
}

static int parse_unmap(struct in *in, struct vu_request *r, struct err *e)
{
	struct vu_dma *d = &r->dma;
	uint32_t argsz = take32(in), flags = take32(in);

	d->iova = take64(in);
	d->size = take64(in);
	d->all = flags & DMA_UNMAP_ALL;
	if (argsz < 24 || flags & ~(uint32_t)DMA_UNMAP_ALL)
		return err_set(e, -EINVAL, "a DMA unmap of %" PRIu32 " bytes with flags 0x%" PRIx32,
			       argsz, flags);
	return d->all ? 0 : check_range(d, e);
}

static int parse_info(struct in *in, struct vu_request *r, struct err *e)
{
	r->room = take32(in);
	return r->room < 16 ? err_set(e, -EINVAL, "room for %" PRIu32 " bytes about a device of 16",
				      r->room)
			    : 0;
}

/* Of a region, of its descriptors, or of an interrupt: argsz, flags, index, and what is not read. */
static int parse_index(struct in *in, struct vu_request *r, struct err *e)
{
	uint32_t least = r->command == VU_GET_REGION_INFO ? 32 : 16;

	r->room = take32(in);
	take32(in);
	r->index = take32(in);
	return r->room < least
		       ? err_set(e, -EINVAL, "room for %" PRIu32 " bytes of an answer of %" PRIu32,
				 r->room, least)
		       : 0;
}

/* The one bit of three, from `first` on, that is set; -1: none, or several. */
static int one_of(uint32_t flags, uint32_t first)
{
	uint32_t three = flags / first & 7;

	return three == 1 ? 0 : three == 2 ? 1 : three == 4 ? 2 : -1;
}

static int parse_irqs(struct in *in, uint32_t n_fds, struct vu_request *r, struct err *e)
{
	struct vu_irqs *q = &r->irqs;
	uint32_t argsz = take32(in), flags = take32(in);
	int data = one_of(flags, 1), action = one_of(flags, 8);

	q->index = take32(in);
	q->start = take32(in);
	q->count = take32(in);
	if (argsz < 20 || flags & ~UINT32_C(0x3f) || data < 0 || action < 0)
		return err_set(e, -EINVAL, "interrupts set with flags 0x%" PRIx32, flags);
	if (q->start > VU_IRQS_MAX || q->count > VU_IRQS_MAX - q->start)
		return err_set(e, -EINVAL, "interrupts %" PRIu32 " to %" PRIu64, q->start,
			       (uint64_t)q->start + q->count);
	q->data = data == 0 ? VU_IRQ_NONE : data == 1 ? VU_IRQ_BOOL : VU_IRQ_EVENTFD;
	q->action = action == 0 ? VU_IRQ_MASK : action == 1 ? VU_IRQ_UNMASK : VU_IRQ_TRIGGER;
	if (q->data == VU_IRQ_BOOL && in->left < q->count)
		return err_set(e, -EINVAL, "%" PRIu32 " interrupts with %zu values", q->count,
			       in->left);
	if (q->data == VU_IRQ_EVENTFD ? n_fds != 0 && n_fds != q->count : n_fds != 0)
		return err_set(e, -EINVAL, "%" PRIu32 " interrupts with %" PRIu32 " descriptors",
			       q->count, n_fds);
	if (q->count == 0 && (q->data != VU_IRQ_NONE || q->action != VU_IRQ_TRIGGER))
		return err_set(e, -EINVAL, "no interrupts to be set");
	q->bools = in->at;
	return 0;
}

static int parse_access(struct in *in, struct vu_request *r, struct err *e)
{
	struct vu_access *a = &r->access;

	a->offset = take64(in);
	a->region = take32(in);
	a->count = take32(in);
	a->data = in->at;
	if (a->count > VU_DATA_MAX)
		return err_set(e, -E2BIG, "an access of %" PRIu32 " bytes; at most %" PRIu32,
			       a->count, VU_DATA_MAX);
	if (a->count == 0 || overflows(a->offset, a->count))
		return err_set(e, -EINVAL, "an access of %" PRIu32 " bytes at 0x%" PRIx64, a->count,
			       a->offset);
	if (r->command == VU_REGION_WRITE && in->left < a->count)
		return err_set(e, -EINVAL, "a write of %" PRIu32 " bytes with %zu", a->count,
			       in->left);
	return 0;
}

static int parse_multi(struct in *in, struct vu_request *r, struct err *e)
{
	r->multi.count = take64(in);
	r->multi.writes = in->at;
	return r->multi.count > in->left / VU_MULTI_SIZE
		       ? err_set(e, -EINVAL, "%" PRIu64 " writes in %zu bytes", r->multi.count,
				 in->left)
		       : 0;
}

static int parse_feature(struct in *in, struct vu_request *r, struct err *e)
{
	uint32_t flags;

	r->room = take32(in);
	flags = take32(in);
	r->feature.index = (uint16_t)(flags & FEATURE_INDEX);
	r->feature.get = flags & FEATURE_GET;
	r->feature.set = flags & FEATURE_SET;
	r->feature.probe = flags & FEATURE_PROBE;
	if (r->room < 8 || !(r->feature.get || r->feature.set || r->feature.probe) ||
	    (r->feature.get && r->feature.set && !r->feature.probe))
		return err_set(e, -EINVAL, "a feature asked with flags 0x%" PRIx32, flags);
	return 0;
}

static int parse_nothing(struct in *in, struct vu_request *r, struct err *e)
{
	(void)in;
	(void)r;
	(void)e;
	return 0;
}

/* What a client may send: the least bytes of its payload, and the most descriptors. SET_IRQS counts its own. */
static const struct command {
	const char *name;
	uint32_t least, most_fds;
	int (*parse)(struct in *in, struct vu_request *r, struct err *e);
} commands[VU_COMMAND_COUNT] = {
	[VU_VERSION] = { "VERSION", 4, 0, parse_version },
	[VU_DMA_MAP] = { "DMA_MAP", 32, 1, parse_map },
	[VU_DMA_UNMAP] = { "DMA_UNMAP", 24, 0, parse_unmap },
	[VU_DEVICE_GET_INFO] = { "DEVICE_GET_INFO", 16, 0, parse_info },
	[VU_GET_REGION_INFO] = { "DEVICE_GET_REGION_INFO", 32, 0, parse_index },
	[VU_GET_REGION_IO_FDS] = { "DEVICE_GET_REGION_IO_FDS", 16, 0, parse_index },
	[VU_GET_IRQ_INFO] = { "DEVICE_GET_IRQ_INFO", 16, 0, parse_index },
	[VU_SET_IRQS] = { "DEVICE_SET_IRQS", 20, VU_FDS_MAX, NULL },
	[VU_REGION_READ] = { "REGION_READ", 16, 0, parse_access },
	[VU_REGION_WRITE] = { "REGION_WRITE", 16, 0, parse_access },
	[VU_DMA_READ] = { "DMA_READ", 0, 0, NULL },
	[VU_DMA_WRITE] = { "DMA_WRITE", 0, 0, NULL },
	[VU_DEVICE_RESET] = { "DEVICE_RESET", 0, 0, parse_nothing },
	[VU_REGION_WRITE_MULTI] = { "REGION_WRITE_MULTI", 8, 0, parse_multi },
	[VU_DEVICE_FEATURE] = { "DEVICE_FEATURE", 8, 0, parse_feature },
	[VU_MIG_DATA_READ] = { "MIG_DATA_READ", 0, 0, NULL },
	[VU_MIG_DATA_WRITE] = { "MIG_DATA_WRITE", 0, 0, NULL },
};

const char *vu_command_name(uint16_t command)
{
	return command < VU_COMMAND_COUNT && commands[command].name ? commands[command].name
								    : "a message";
}

int vu_check_header(const struct vu_header *h, struct err *e)
{
	uint32_t type = h->flags & VU_TYPE_MASK;

	if (h->size < sizeof(*h) || h->size > VU_MESSAGE_MAX)
		return err_set(e, -EPROTO,
			       "a message of %" PRIu32 " bytes; %zu to %" PRIu32 " are possible",
			       h->size, sizeof(*h), (uint32_t)VU_MESSAGE_MAX);
	if ((type != VU_TYPE_COMMAND && type != VU_TYPE_REPLY) ||
	    h->flags & ~(uint32_t)(VU_TYPE_MASK | VU_NO_REPLY | VU_ERROR))
		return err_set(e, -EPROTO, "a message with flags 0x%" PRIx32, h->flags);
	return 0;
}

int vu_parse(const uint8_t *message, uint32_t n_fds, struct vu_request *r, struct err *e)
{
	const struct command *c = NULL;
	struct vu_header h;

	memcpy(&h, message, sizeof(h));
	*r = (struct vu_request) { .id = h.id,
				   .command = h.command,
				   .no_reply = h.flags & VU_NO_REPLY };
	struct in in = { message + sizeof(h), h.size - sizeof(h) };

	if (h.command < VU_COMMAND_COUNT)
		c = &commands[h.command];
	if (!c || (!c->parse && h.command != VU_SET_IRQS))
		return err_set(e, -ENOTSUP, "command %" PRIu16 " is not served", h.command);
	r->room = (uint32_t)in.left;
	if (in.left < c->least)
		return err_set(e, -EINVAL, "%s of %zu bytes, at least %" PRIu32, c->name, in.left,
			       c->least);
	if (n_fds > c->most_fds)
		return err_set(e, -EINVAL, "%s with %" PRIu32 " descriptors, at most %" PRIu32,
			       c->name, n_fds, c->most_fds);
	return h.command == VU_SET_IRQS ? parse_irqs(&in, n_fds, r, e) : c->parse(&in, r, e);
}

int vu_multi_write(const struct vu_request *r, uint64_t i, struct vu_access *w)
{
	struct in in = { r->multi.writes + i * VU_MULTI_SIZE, VU_MULTI_SIZE };

	w->offset = take64(&in);
	w->region = take32(&in);
	w->count = take32(&in);
	w->data = in.at;
	return w->count < 1 || w->count > 8 || overflows(w->offset, w->count) ? -EINVAL : 0;
}
