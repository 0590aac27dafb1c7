/* SPDX-License-Identifier: MIT */
#include "bar-forward/cfg.h"

#include <inttypes.h>
#include <string.h>

#include "bar-forward/cfg_priv.h"

/* Places of the header, type 0. */
enum {
	COMMAND = 0x04,
	STATUS = 0x06,
	CACHE_LINE = 0x0c,
	HEADER_TYPE = 0x0e,
	BAR0 = 0x10,
	ROM = 0x30,
	CAPS = 0x34,
	INTERRUPT_LINE = 0x3c,
	HEADER_END = 0x40,
	EXT_CAPS = 0x100,
};

enum {
	STATUS_HAS_CAPS = 0x10,
	BAR_IO = 1,
	BAR_64 = 4,
	BAR_PREFETCH = 8,
	ROM_ENABLE = 1,
	PCIE_VERSION = 0x0f,
	MSIX = 0x11,
	MSI_64 = 0x80,
	MSI_MASKS = 0x100,
};

#define MOST_CAPS 1024 /* more than a space has room for: whoever has more goes in circles */

static uint32_t get(const uint8_t *at, uint32_t bytes)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < bytes; i++)
		v |= (uint32_t)at[i] << 8 * i;
	return v;
}

static void put(uint8_t *at, uint32_t bytes, uint32_t v)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

/* Bytes that are ours: they show `v`, and of its bits `own` are the guest's to change. */
static void keep(struct cfg *c, uint32_t at, uint32_t bytes, uint32_t v, uint32_t own)
{
	put(&c->shown[at], bytes, v);
	put(&c->kept[at], bytes, UINT32_MAX);
	put(&c->own[at], bytes, own);
}

static void pass(struct cfg *c, uint32_t at, uint32_t bytes, uint32_t through, uint32_t clears)
{
	put(&c->through[at], bytes, through);
	put(&c->clears[at], bytes, clears);
}

/* --- the header --- */

static void open_bars(struct cfg *c, const struct cfg_shape *shape)
{
	for (uint32_t i = 0; i < CFG_BARS; i++) {
		const struct cfg_bar *b = &shape->bar[i];
		uint64_t mask = b->size ? ~(b->size - 1) : 0;

		if (b->io) {
			keep(c, BAR0 + 4 * i, 4, b->size ? BAR_IO : 0,
			     (uint32_t)mask & ~UINT32_C(3));
			continue;
		}
		keep(c, BAR0 + 4 * i, 4,
		     b->size ? (b->is_64bit ? BAR_64 : 0) | (b->prefetchable ? BAR_PREFETCH : 0)
			     : 0,
		     (uint32_t)mask & ~UINT32_C(15));
		if (b->size && b->is_64bit && i + 1 < CFG_BARS) {
			keep(c, BAR0 + 4 * (i + 1), 4, 0, (uint32_t)(mask >> 32));
			i++;
		}
	}
}

static void open_header(struct cfg *c, const uint8_t *real, const struct cfg_shape *shape)
{
	uint64_t rom = shape->rom_size;

	pass(c, COMMAND, 2, 0x0547, 0); /* decoding, bus master, parity, SERR, no INTx */
	pass(c, STATUS, 2, 0xf900, 0xf900);
	keep(c, CACHE_LINE, 1, 0, 0xff);
	keep(c, HEADER_TYPE, 1, real[HEADER_TYPE] & 0x7f,
	     0); /* the guest's function stands alone */
	open_bars(c, shape);
	keep(c, ROM, 4, 0, rom ? ((uint32_t) ~(rom - 1) & ~UINT32_C(0x7ff)) | ROM_ENABLE : 0);
	keep(c, INTERRUPT_LINE, 1, 0, 0xff);
}

/* --- capabilities --- */

struct chain {
	uint32_t n;
	struct {
		uint32_t at, end; /* end: where the next thing begins, whatever its length says */
		const struct cfg_cap *row;
	} caps[MOST_CAPS];
};

static int add(struct chain *ch, uint32_t at, const struct cfg_cap *row, struct err *e)
{
	for (uint32_t i = 0; i < ch->n; i++)
		if (ch->caps[i].at == at)
			return err_set(e, -EBADMSG, "the capabilities go in circles at 0x%" PRIx32,
				       at);
	if (ch->n == MOST_CAPS)
		return err_set(e, -EBADMSG, "more than %d capabilities", MOST_CAPS);
	ch->caps[ch->n].at = at;
	ch->caps[ch->n++].row = row;
	return 0;
}

/* In place of MSI-X's row where the guest is not to see it. */
static const struct cfg_cap hidden_msix = {
	.id = MSIX, .name = "MSI-X", .show = CFG_HIDE, .length = 12
};

static int walk(const uint8_t *real, const struct cfg_shape *shape, struct chain *ch, struct err *e)
{
	uint32_t at = real[STATUS] & STATUS_HAS_CAPS ? real[CAPS] & ~3u : 0;

	ch->n = 0;
	while (at) {
		if (at < HEADER_END)
			return err_set(e, -EBADMSG,
				       "a capability at 0x%" PRIx32 ", within the header", at);
		bool hide = real[at] == MSIX && shape->hide_msix;
		int rc = add(ch, at, hide ? &hidden_msix : cfg_cap(real[at]), e);

		if (rc)
			return rc;
		at = real[at + 1] & ~3u;
	}
	return 0;
}

static int walk_ext(const uint8_t *real, uint32_t size, struct chain *ch, struct err *e)
{
	uint32_t at = size > EXT_CAPS ? EXT_CAPS : 0;

	ch->n = 0;
	while (at) {
		uint32_t header = get(&real[at], 4);

		if (header == 0 || header == UINT32_MAX)
			return 0;
		int rc = add(ch, at, cfg_ext_cap((uint16_t)header), e);

		if (rc)
			return rc;
		at = header >> 20 & ~3u;
		if (at && at < EXT_CAPS)
			return err_set(e, -EBADMSG, "an extended capability at 0x%" PRIx32, at);
	}
	return 0;
}

static uint32_t msi_length(const uint8_t *cap)
{
	uint32_t flags = get(cap + 2, 2);

	return (flags & MSI_64 ? 14 : 10) + (flags & MSI_MASKS ? 10 : 0);
}

/* Bytes of a capability whose row does not fix them. */
static uint32_t cap_length(const struct cfg_cap *row, const uint8_t *cap, bool extended)
{
	if (row->length)
		return row->length;
	if (extended)
		return row->id == 0x0001   ? 56
		       : row->id == 0x0015 ? 4 + 8 * (get(cap + 8, 4) >> 5 & 7)
					   : 4;
	switch (row->id) {
	case 0x05:
		return msi_length(cap);
	case 0x10:
		return (get(cap + 2, 2) & PCIE_VERSION) >= 2 ? 60 : 20;
	default:
		return cap[2] > 3 ? cap[2] : 3;
	}
}

/* Where each ends: at the latest where another begins. */
static void settle_ends(struct chain *ch, const uint8_t *real, bool extended, uint32_t size)
{
	for (uint32_t i = 0; i < ch->n; i++) {
		uint32_t at = ch->caps[i].at, limit = extended ? size : EXT_CAPS;
		uint32_t end = at + (ch->caps[i].row
					     ? cap_length(ch->caps[i].row, &real[at], extended)
					     : 4);

		for (uint32_t k = 0; k < ch->n; k++)
			if (ch->caps[k].at > at && ch->caps[k].at < limit)
				limit = ch->caps[k].at;
		ch->caps[i].end = end < limit ? end : limit;
	}
}

/* Each BAR has the one size that the guest is shown. */
static void open_rebar(struct cfg *c, const uint8_t *real, uint32_t at, uint32_t end,
		       const struct cfg_shape *shape)
{
	for (uint32_t entry = at + 4; entry + 8 <= end; entry += 8) {
		uint32_t control = get(&real[entry + 4], 4), bar = control & 7, n = 0;
		uint64_t size = bar < CFG_BARS ? shape->bar[bar].size : 0;

		while (size >> 20 >> (n + 1))
			n++;
		keep(c, entry, 4, size >> 20 && n < 28 ? UINT32_C(1) << (4 + n) : 0, 0);
		keep(c, entry + 4, 4, (control & 0xe7) | n << 8, 0);
	}
}

static void open_cap(struct cfg *c, const uint8_t *real, uint32_t at, uint32_t end,
		     const struct cfg_cap *row, const struct cfg_shape *shape)
{
	if (row && row->show == CFG_HIDE)
		for (uint32_t i = at; i < end; i++)
			keep(c, i, 1, 0, 0);
	if (row && row->show == CFG_REBAR)
		open_rebar(c, real, at, end, shape);
	for (uint32_t i = 0; row && i < CFG_FIELDS && row->fields[i].bytes; i++) {
		const struct cfg_field *f = &row->fields[i];

		if (at + f->at + f->bytes <= end)
			pass(c, at + f->at, f->bytes, f->through, f->clears);
	}
}

static bool hidden(const struct chain *ch, uint32_t i)
{
	return ch->caps[i].row && ch->caps[i].row->show == CFG_HIDE;
}

/* The next that is shown, from i on; 0: none. */
static uint32_t next_shown(const struct chain *ch, uint32_t i)
{
	while (i < ch->n && hidden(ch, i))
		i++;
	return i < ch->n ? ch->caps[i].at : 0;
}

static void link_caps(struct cfg *c, const struct chain *ch)
{
	keep(c, CAPS, 1, next_shown(ch, 0), 0);
	for (uint32_t i = 0; i < ch->n; i++)
		if (!hidden(ch, i))
			keep(c, ch->caps[i].at + 1, 1, next_shown(ch, i + 1), 0);
}

/* The first one's place is fixed: where it is hidden an empty one stands there, with the number 0. */
static void link_ext_caps(struct cfg *c, const uint8_t *real, const struct chain *ch)
{
	for (uint32_t i = 0; i < ch->n; i++) {
		uint32_t at = ch->caps[i].at, next = next_shown(ch, i + 1);

		if (!hidden(ch, i))
			keep(c, at, 4, (get(&real[at], 4) & 0xfffff) | next << 20, 0);
		else if (i == 0)
			keep(c, at, 4, next << 20, 0);
	}
}

static int open_caps(struct cfg *c, const uint8_t *real, const struct cfg_shape *shape,
		     struct err *e)
{
	struct chain ch;
	int rc = walk(real, shape, &ch, e);

	if (rc)
		return rc;
	settle_ends(&ch, real, false, c->size);
	for (uint32_t i = 0; i < ch.n; i++)
		open_cap(c, real, ch.caps[i].at, ch.caps[i].end, ch.caps[i].row, shape);
	link_caps(c, &ch);
	rc = walk_ext(real, c->size, &ch, e);
	if (rc)
		return rc;
	settle_ends(&ch, real, true, c->size);
	for (uint32_t i = 0; i < ch.n; i++)
		open_cap(c, real, ch.caps[i].at, ch.caps[i].end, ch.caps[i].row, shape);
	link_ext_caps(c, real, &ch);
	return 0;
}

int cfg_open(struct cfg *c, const uint8_t *real, uint32_t size, const struct cfg_shape *shape,
	     struct err *e)
{
	*c = (struct cfg) { .size = size };
	if (size != 256 && size != CFG_SIZE)
		return err_set(e, -EBADMSG, "a configuration space of %" PRIu32 " bytes", size);
	if (get(real, 2) == 0xffff)
		return err_set(
			e, -EBADMSG,
			"its configuration space reads all ones: the device is gone, or asleep");
	if ((real[HEADER_TYPE] & 0x7f) != 0)
		return err_set(e, -EBADMSG, "it is a bridge (header type %d), not a device",
			       real[HEADER_TYPE] & 0x7f);
	open_header(c, real, shape);
	return open_caps(c, real, shape, e);
}

void cfg_own_shape(const uint64_t bar_size[CFG_BARS], const uint8_t *real, uint64_t rom_size,
		   struct cfg_shape *shape)
{
	*shape = (struct cfg_shape) { .rom_size = rom_size };
	for (uint32_t i = 0; i < CFG_BARS; i++) {
		uint32_t v = get(&real[BAR0 + 4 * i], 4);

		if (!bar_size[i])
			continue;
		shape->bar[i] = (struct cfg_bar) { .size = bar_size[i],
						   .io = v & BAR_IO,
						   .is_64bit = !(v & BAR_IO) && (v & 6) == BAR_64,
						   .prefetchable = !(v & BAR_IO) &&
								   v & BAR_PREFETCH };
	}
}

/* --- accesses --- */

bool cfg_asks(const struct cfg *c, uint32_t offset, uint32_t width)
{
	for (uint32_t i = offset; i < offset + width; i++)
		if (c->kept[i] != 0xff)
			return true;
	return false;
}

void cfg_read(const struct cfg *c, uint32_t offset, uint32_t width, uint8_t *bytes)
{
	for (uint32_t i = 0; i < width; i++) {
		uint8_t kept = c->kept[offset + i];

		bytes[i] = (uint8_t)((bytes[i] & ~kept) | (c->shown[offset + i] & kept));
	}
}

bool cfg_write(struct cfg *c, uint32_t offset, uint32_t width, uint8_t *bytes, const uint8_t *real)
{
	bool any = false;

	for (uint32_t i = 0; i < width; i++) {
		uint32_t at = offset + i;
		uint8_t own = c->own[at], through = c->through[at];

		c->shown[at] = (uint8_t)((c->shown[at] & ~own) | (bytes[i] & own));
		bytes[i] = (uint8_t)((real[i] & ~through & ~c->clears[at]) | (bytes[i] & through));
		any |= through != 0;
	}
	return any;
}

void cfg_let(struct cfg *c, uint32_t at, uint32_t bytes)
{
	for (uint32_t i = at; i < c->size && i - at < bytes; i++) {
		if (i < HEADER_END)
			continue;
		c->kept[i] = c->own[i] = c->clears[i] = 0;
		c->through[i] = 0xff;
	}
}

void cfg_reset(struct cfg *c)
{
	for (uint32_t i = 0; i < CFG_SIZE; i++)
		c->shown[i] &= (uint8_t)~c->own[i];
}
