/* SPDX-License-Identifier: MIT */
#include "bar-forward/shape.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum {
	VENDOR = 0x00,
	DEVICE = 0x02,
	STATUS = 0x06,
	HAS_CAPS = 0x10,
	CLASS = 0x08,
	CAPS = 0x34,
	MSI = 0x05,
	MSIX = 0x11,
	EXT_CAPS = 0x100,
	REBAR = 0x15,
	LEAST = 16,       /* bytes of a memory BAR */
	REBAR_LEAST = 20, /* log2 of what that capability can name */
};

const char *const grant_mode_names[] = { "auto", "trap", "map", "hybrid", NULL };
const char *const shape_msix_names[] = { "auto", "show", "hide", NULL };

static uint32_t get(const uint8_t *at, uint32_t bytes)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < bytes; i++)
		v |= (uint32_t)at[i] << 8 * i;
	return v;
}

int shape_bar(struct shape *s, const char *word, struct err *e)
{
	uint64_t bytes;

	if (word[0] < '0' || word[0] >= '0' + CFG_BARS || word[1] != '=')
		return err_set(e, -EINVAL, "'%s' is no BAR's size; such as 1=256M", word);
	if (text_parse_size(word + 2, &bytes) || bytes < LEAST || (bytes & (bytes - 1)))
		return err_set(e, -EINVAL,
			       "'%s' is no size of a BAR: a power of two, %d bytes or more",
			       word + 2, LEAST);
	s->bar[word[0] - '0'] = bytes;
	return 0;
}

/* --- sizes --- */

/* Where a capability is; 0: there is none. */
static uint32_t find_cap(const uint8_t *config, uint8_t id)
{
	uint32_t at = config[STATUS] & HAS_CAPS ? config[CAPS] & ~3u : 0;

	for (int i = 0; at >= 0x40 && i < 64; i++, at = config[at + 1] & ~3u)
		if (config[at] == id)
			return at;
	return 0;
}

/* The first byte behind what MSI-X has in a BAR. */
static uint64_t msix_end(const uint8_t *config, uint32_t bar)
{
	uint32_t at = find_cap(config, MSIX), vectors, table, pba;
	uint64_t end = 0, pba_end;

	if (!at)
		return 0;
	vectors = (get(config + at + 2, 2) & 0x7ff) + 1;
	table = get(config + at + 4, 4);
	pba = get(config + at + 8, 4);
	if ((table & 7) == bar)
		end = (uint64_t)(table & ~7u) + 16 * vectors;
	pba_end = (uint64_t)(pba & ~7u) + (vectors + 63) / 64 * 8;
	return (pba & 7) == bar && pba_end > end ? pba_end : end;
}

/* Whether the Resizable BAR capability has an entry for it. */
static bool has_rebar(const uint8_t *config, uint32_t bar)
{
	uint32_t at = EXT_CAPS;

	for (int i = 0; at >= EXT_CAPS && i < 1024; i++) {
		uint32_t header = get(config + at, 4);
		uint32_t entries;

		if (header == 0 || header == UINT32_MAX)
			return false;
		if ((header & 0xffff) != REBAR) {
			at = header >> 20 & ~3u;
			continue;
		}
		entries = at + 12 <= CFG_SIZE ? get(config + at + 8, 4) >> 5 & 7 : 0;
		for (uint32_t k = 0; k < entries && at + 12 + 8 * k <= CFG_SIZE; k++)
			if ((get(config + at + 8 + 8 * k, 4) & 7) == bar)
				return true;
		return false;
	}
	return false;
}

static int check_size(const struct shape *s, const struct dev_facts *f, const uint8_t *config,
		      uint32_t bar, struct err *e)
{
	uint64_t wanted = s->bar[bar], has = f->region[bar].size, msix = msix_end(config, bar);
	char a[TEXT_SIZE_MAX], b[TEXT_SIZE_MAX];

	if (!has)
		return err_set(e, -EINVAL, "--bar %" PRIu32 "=%s: this device has no bar%" PRIu32,
			       bar, text_size(a, wanted), bar);
	if (wanted > has)
		return err_set(e, -EINVAL,
			       "--bar %" PRIu32
			       "=%s: it has %s; a BAR can be shown smaller, never larger",
			       bar, text_size(a, wanted), text_size(b, has));
	if (f->region[bar].io && wanted != has)
		return err_set(e, -EINVAL,
			       "--bar %" PRIu32 "=%s: it is I/O ports, which stay as they are", bar,
			       text_size(a, wanted));
	if (wanted < msix)
		return err_set(e, -EINVAL,
			       "--bar %" PRIu32
			       "=%s: its table of interrupts (MSI-X) ends at 0x%" PRIx64
			       "; less would leave the guest without it",
			       bar, text_size(a, wanted), msix);
	if (!(wanted >> REBAR_LEAST) && has_rebar(config, bar))
		return err_set(e, -EINVAL,
			       "--bar %" PRIu32
			       "=%s: it is a resizable BAR, and those have 1 MiB or more",
			       bar, text_size(a, wanted));
	return 0;
}

static int put_sizes(struct shaped *to, const struct shape *s, const struct dev_facts *f,
		     const uint8_t *config, struct err *e)
{
	for (uint32_t i = 0; i < DEV_VGA; i++)
		to->size[i] = f->region[i].size;
	to->size[DEV_CONFIG] = f->region[DEV_CONFIG].size >= CFG_SIZE ? CFG_SIZE : 256;
	for (uint32_t i = 0; i < CFG_BARS; i++) {
		int rc = s->bar[i] ? check_size(s, f, config, i, e) : 0;

		if (rc)
			return rc;
		if (s->bar[i])
			to->size[i] = s->bar[i];
	}
	cfg_own_shape(to->size, config, to->size[DEV_ROM], &to->cfg);
	return 0;
}

/* --- all --- */

/* By the device's own sizes: a row may tell cards apart by those. */
static void find_quirks(struct shaped *to, const struct dev_facts *f, const uint8_t *config)
{
	uint64_t own[CFG_BARS];

	for (uint32_t i = 0; i < CFG_BARS; i++)
		own[i] = f->region[i].size;
	quirks_find(&to->quirks, (uint16_t)get(config + VENDOR, 2),
		    (uint16_t)get(config + DEVICE, 2), get(config + CLASS, 4) >> 8, own);
}

static void settle_msix(struct shaped *to, const struct shape *s, const uint8_t *config)
{
	bool has = find_cap(config, MSIX);
	bool hide = s->msix == MSIX_HIDE ||
		    (s->msix == MSIX_AUTO && s->unplugs && find_cap(config, MSI));

	to->msix = has && !hide;
	to->msix_hidden = to->cfg.hide_msix = has && hide;
}

/* Where nothing is mapped, writes have one way only. */
static int find_order(struct shaped *to, const struct shape *s, const uint8_t *config,
		      struct err *e)
{
	uint32_t i = 0;

	if (!s->order || !grants_any(&to->grants))
		return 0;
	to->order = quirks_next(&to->quirks, QUIRK_ORDER, &i);
	return to->order ? 0
			 : err_set(e, -EINVAL,
				   "--order: no register of %04" PRIx32 ":%04" PRIx32
				   " is known whose read has no effect",
				   get(config + VENDOR, 2), get(config + DEVICE, 2));
}

int shape_device(struct shaped *to, const struct shape *s, const struct dev_facts *f,
		 const uint8_t *config, const struct policy *p, struct err *e)
{
	static const struct policy none;
	struct grant_ground on = {
		.facts = f, .size = to->size, .config = config, .quirks = &to->quirks
	};
	int rc;

	*to = (struct shaped) { 0 };
	rc = put_sizes(to, s, f, config, e);
	if (rc)
		return rc;
	settle_msix(to, s, config);
	find_quirks(to, f, config);
	rc = grants_make(&to->grants, s->mode, &on, p ? p : &none, e);
	return rc ? rc : find_order(to, s, config, e);
}
