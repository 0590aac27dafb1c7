/* SPDX-License-Identifier: MIT */
/* Capabilities of a described device; what of its BARs may be mapped depends on where MSI-X has its table. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/pcidesc_priv.h"

#define PAGE 4096

/* What a member is for: each kind of capability takes those of its bits, and "kind". */
enum {
	M_FLR = 1,
	M_LINK = 2,
	M_MSI = 4,
	M_VECTORS = 8,
	M_MSIX = 16,
	M_BODY = 32,
	M_ID = 64,
	M_VERSION = 128,
	M_BAR = 256,
	M_SIZES = 512,
};

static const struct {
	const char *key;
	uint32_t of;
} members[] = {
	{ "flr", M_FLR },       { "speed", M_LINK },      { "width", M_LINK },
	{ "bits", M_MSI },      { "maskable", M_MSI },    { "vectors", M_VECTORS },
	{ "table", M_MSIX },    { "pba", M_MSIX },        { "pba_bar", M_MSIX },
	{ "noresize", M_MSIX }, { "bytes", M_BODY },      { "writable", M_BODY },
	{ "id", M_ID },         { "version", M_VERSION }, { "bar", M_BAR },
	{ "sizes", M_SIZES },
};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static int check_members(const json_t *o, uint32_t takes, struct err *e)
{
	const char *allowed[N_MEMBERS + 2] = { "kind" };
	uint32_t n = 1;

	for (uint32_t i = 0; i < N_MEMBERS; i++)
		if (members[i].of & takes)
			allowed[n++] = members[i].key;
	return desc_only(o, allowed, e);
}

static int parse_pcie(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e)
{
	uint64_t speed, width;
	int rc;

	(void)d;
	if ((rc = desc_bool(o, "flr", &c->flr, e)) ||
	    (rc = desc_number(o, "speed", 4, 6, &speed, e)) ||
	    (rc = desc_number(o, "width", 16, 32, &width, e)))
		return rc;
	if (!speed || !width || (width & (width - 1)))
		return err_set(e, -EBADMSG,
			       "a link has a speed from 1 to 6 and 1, 2, 4, 8, 16 or 32 lanes");
	c->speed = (uint8_t)speed;
	c->width = (uint8_t)width;
	return 0;
}

static int parse_msi(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e)
{
	uint64_t vectors, bits;
	int rc;

	(void)d;
	if ((rc = desc_number(o, "vectors", 1, 32, &vectors, e)) ||
	    (rc = desc_number(o, "bits", 64, 64, &bits, e)) ||
	    (rc = desc_bool(o, "maskable", &c->maskable, e)))
		return rc;
	if (!vectors || (vectors & (vectors - 1)) || (bits != 32 && bits != 64))
		return err_set(
			e, -EBADMSG,
			"MSI has 1, 2, 4, 8, 16 or 32 vectors and addresses of 32 or 64 bits");
	c->vectors = (uint16_t)vectors;
	c->wide = bits == 64;
	return 0;
}

/* Whether a structure of MSI-X lies in a BAR of memory space. */
static bool lies_in(const struct pcidesc *d, uint64_t bar, uint64_t at, uint64_t size)
{
	const struct desc_bar *b = &d->bar[bar];

	return !b->io && at % 8 == 0 && size <= b->size && at <= b->size - size;
}

static int parse_msix(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e)
{
	uint64_t vectors, bar, pba_bar;
	int rc;

	if ((rc = desc_needs(o, "vectors", VU_IRQS_MAX, &vectors, e)) ||
	    (rc = desc_needs(o, "bar", PCIDESC_BARS - 1, &bar, e)) ||
	    (rc = desc_number(o, "pba_bar", bar, PCIDESC_BARS - 1, &pba_bar, e)) ||
	    (rc = desc_needs(o, "table", UINT32_MAX, &c->table, e)) ||
	    (rc = desc_needs(o, "pba", UINT32_MAX, &c->pba, e)) ||
	    (rc = desc_bool(o, "noresize", &c->noresize, e)))
		return rc;
	uint64_t table_bytes = 16 * vectors, pba_bytes = (vectors + 63) / 64 * 8;

	if (!vectors || !lies_in(d, bar, c->table, table_bytes) ||
	    !lies_in(d, pba_bar, c->pba, pba_bytes))
		return err_set(
			e, -EBADMSG,
			"the table or the pending bits of MSI-X do not lie in a BAR of memory, at a multiple of 8");
	if (bar == pba_bar && c->table < c->pba + pba_bytes && c->pba < c->table + table_bytes)
		return err_set(e, -EBADMSG, "the table and the pending bits of MSI-X overlap");
	c->vectors = (uint16_t)vectors;
	c->bar = (uint8_t)bar;
	c->pba_bar = (uint8_t)pba_bar;
	return 0;
}

/* Which sizes a BAR can have; the one of its description is the one in force. */
static int parse_rebar(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e)
{
	const json_t *sizes = json_object_get(o, "sizes");
	uint64_t bar, size;
	int rc = desc_needs(o, "bar", PCIDESC_BARS - 1, &bar, e);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < json_array_size(sizes); i++) {
		if (desc_value(json_array_get(sizes, i), &size) || size < 1 << 20 ||
		    size > PCIDESC_BAR_MAX || (size & (size - 1)))
			return err_set(e, -EBADMSG,
				       "'sizes' holds what is no power of two from 1 MiB on");
		c->sizes |= size;
	}
	if (!d->bar[bar].size || d->bar[bar].io || !(c->sizes & d->bar[bar].size))
		return err_set(e, -EBADMSG, "the size of BAR %" PRIu64 " is not among 'sizes'",
			       bar);
	for (uint32_t i = 0; i < d->n_caps; i++)
		if (d->cap[i].kind == CAP_REBAR && d->cap[i].bar == bar)
			return err_set(e, -EBADMSG, "BAR %" PRIu64 " is resizable already", bar);
	c->bar = (uint8_t)bar;
	return 0;
}

static int parse_bytes(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e)
{
	uint64_t id, version;
	uint16_t n;
	int rc;

	(void)d;
	if ((rc = desc_number(o, "id", 0, c->kind == CAP_RAW ? 0xff : 0xffff, &id, e)) ||
	    (rc = desc_number(o, "version", 1, 15, &version, e)) ||
	    (rc = desc_hex(o, "bytes", c->body, c->kind == CAP_EXTENDED ? PCIDESC_BODY : 180,
			   &c->n_body, e)) ||
	    (rc = desc_hex(o, "writable", c->writable, c->n_body, &n, e)))
		return rc;
	if (c->kind != CAP_VENDOR && !id)
		return err_set(e, -EBADMSG, "it needs an 'id' other than 0");
	c->id = (uint16_t)id;
	c->version = (uint8_t)version;
	return 0;
}

static const struct {
	const char *name;
	uint32_t takes;
	int (*parse)(const struct pcidesc *d, struct desc_cap *c, const json_t *o, struct err *e);
} kinds[CAP_KINDS] = {
	[CAP_PM] = { "pm", 0, NULL },
	[CAP_PCIE] = { "pcie", M_FLR | M_LINK, parse_pcie },
	[CAP_MSI] = { "msi", M_VECTORS | M_MSI, parse_msi },
	[CAP_MSIX] = { "msix", M_VECTORS | M_MSIX | M_BAR, parse_msix },
	[CAP_VENDOR] = { "vendor", M_BODY, parse_bytes },
	[CAP_RAW] = { "raw", M_BODY | M_ID, parse_bytes },
	[CAP_REBAR] = { "rebar", M_BAR | M_SIZES, parse_rebar },
	[CAP_EXTENDED] = { "extended", M_BODY | M_ID | M_VERSION, parse_bytes },
};

static int parse_kind(const json_t *o, enum desc_cap_kind *kind, struct err *e)
{
	const char *names[CAP_KINDS];
	uint32_t k;
	int rc;

	for (uint32_t i = 0; i < CAP_KINDS; i++)
		names[i] = kinds[i].name;
	if (!json_object_get(o, "kind"))
		return err_set(e, -EBADMSG, "there is no 'kind'");
	rc = desc_word(o, "kind", names, CAP_KINDS, &k, e);
	*kind = (enum desc_cap_kind)k;
	return rc ? rc : check_members(o, kinds[k].takes, e);
}

static int parse_cap(struct pcidesc *d, const json_t *o, struct err *e)
{
	struct desc_cap *c = &d->cap[d->n_caps];
	enum desc_cap_kind kind = CAP_PM;
	int rc = parse_kind(o, &kind, e);

	if (rc)
		return rc;
	if (kind < CAP_VENDOR && pcidesc_cap(d, kind))
		return err_set(e, -EBADMSG, "a function has one capability '%s'", kinds[kind].name);
	c->kind = kind;
	rc = kinds[kind].parse ? kinds[kind].parse(d, c, o, e) : 0;
	d->n_caps += !rc;
	return rc;
}

/* --- what may be mapped never has a page of MSI-X --- */

static int cut(struct desc_bar *b, uint64_t first, uint64_t end, struct err *e)
{
	struct vu_area old[VU_AREAS_MAX];
	uint32_t n = b->n_areas;

	memcpy(old, b->areas, sizeof(old));
	b->n_areas = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t from = old[i].offset, to = from + old[i].size;
		struct vu_area keep[2] = {
			{ from, first > from ? (first < to ? first : to) - from : 0 },
			{ end > from ? end : from, 0 },
		};

		if (keep[1].offset < to)
			keep[1].size = to - keep[1].offset;
		for (uint32_t k = 0; k < 2; k++) {
			if (!keep[k].size)
				continue;
			if (b->n_areas == VU_AREAS_MAX)
				return err_set(e, -EBADMSG, "too many areas that may be mapped");
			b->areas[b->n_areas++] = keep[k];
		}
	}
	b->map = b->n_areas > 0;
	return 0;
}

static int cut_pages(struct pcidesc *d, uint8_t bar, uint64_t at, uint64_t size, struct err *e)
{
	return d->bar[bar].map ? cut(&d->bar[bar], at & ~(uint64_t)(PAGE - 1),
				     (at + size + PAGE - 1) & ~(uint64_t)(PAGE - 1), e)
			       : 0;
}

int desc_caps(struct pcidesc *d, const json_t *o, struct err *e)
{
	const struct desc_cap *x;
	const json_t *a;
	uint32_t n;
	int rc = desc_array(o, "capabilities", PCIDESC_CAPS, &a, &n, e);

	for (uint32_t i = 0; !rc && i < n; i++) {
		rc = parse_cap(d, json_array_get(a, i), e);
		if (rc)
			err_at(e, rc, "capability %u", i + 1);
	}
	for (uint32_t i = 0; !rc && i < d->n_caps; i++)
		if (d->cap[i].kind >= CAP_REBAR && !pcidesc_cap(d, CAP_PCIE))
			rc = err_set(e, -EBADMSG,
				     "capability %u needs 'pcie': only so there is room for it",
				     i + 1);
	x = rc ? NULL : pcidesc_cap(d, CAP_MSIX);
	if (x && !(rc = cut_pages(d, x->bar, x->table, 16U * x->vectors, e)))
		rc = cut_pages(d, x->pba_bar, x->pba, (x->vectors + 63U) / 64 * 8, e);
	return rc;
}
