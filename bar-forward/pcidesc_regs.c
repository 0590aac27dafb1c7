/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/memregs.h"
#include "bar-forward/pcidesc_priv.h"
#include "base/text.h"

static const char *const any[] = { "name", "bar", "at", "width", "behaviour", "value" };

static const struct {
	const char *key;
	uint32_t of; /* enum reg_wants */
} members[] = {
	{ "mask", WANTS_MASK },           { "status", WANTS_STATUS | WANTS_ENGINE },
	{ "vector", WANTS_VECTOR },       { "source", WANTS_ENGINE },
	{ "destination", WANTS_ENGINE },  { "length", WANTS_ENGINE },
	{ "checksum", WANTS_ENGINE },     { "bits", WANTS_ENGINE },
	{ "address_bits", WANTS_ENGINE }, { "memory_bar", WANTS_ENGINE },
	{ "memory_bytes", WANTS_ENGINE }, { "memory_base", WANTS_ENGINE },
};

#define N_ANY     (sizeof(any) / sizeof(any[0]))
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static int check_members(const json_t *o, uint32_t wants, struct err *e)
{
	const char *allowed[N_ANY + N_MEMBERS + 1] = { NULL };
	uint32_t n = 0;

	for (; n < N_ANY; n++)
		allowed[n] = any[n];
	for (uint32_t i = 0; i < N_MEMBERS; i++)
		if (members[i].of & wants)
			allowed[n++] = members[i].key;
	return desc_only(o, allowed, e);
}

static int parse_behaviour(struct desc_reg *r, const json_t *o, struct err *e)
{
	const char *names[REG_BEHAVIOURS];
	uint32_t kind;
	int rc;

	for (uint32_t i = 0; i < REG_BEHAVIOURS; i++)
		names[i] = behaviours[i].name;
	rc = desc_word(o, "behaviour", names, REG_BEHAVIOURS, &kind, e);
	r->behaviour = (enum reg_behaviour)kind;
	return rc ? rc : check_members(o, behaviours[kind].wants, e);
}

static int parse_place(const struct pcidesc *d, struct desc_reg *r, const json_t *o, struct err *e)
{
	uint64_t bar, width;
	int rc;

	if ((rc = desc_needs(o, "bar", PCIDESC_BARS - 1, &bar, e)) ||
	    (rc = desc_needs(o, "at", PCIDESC_BAR_MAX, &r->at, e)) ||
	    (rc = desc_number(o, "width", 4, 8, &width, e)))
		return rc;
	r->bar = (uint8_t)bar;
	r->width = (uint8_t)width;
	if (!width || (width & (width - 1)) || r->at % width)
		return err_set(
			e, -EBADMSG,
			"a register has 1, 2, 4 or 8 bytes, and stands at a multiple of them");
	if (d->bar[bar].memory || r->at >= d->bar[bar].size)
		return err_set(e, -EBADMSG, "0x%" PRIx64 " is not in a BAR of registers", r->at);
	return 0;
}

static uint64_t ones(uint8_t width)
{
	return width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
}

static int parse_engine(const struct pcidesc *d, struct desc_reg *r, const json_t *o, struct err *e)
{
	uint64_t bar, bits;
	int rc;

	if ((rc = desc_number(o, "bits", 1, UINT64_MAX, &r->bits, e)) ||
	    (rc = desc_number(o, "address_bits", 64, 64, &bits, e)) ||
	    (rc = desc_number(o, "memory_bar", PCIDESC_BARS, PCIDESC_BARS - 1, &bar, e)) ||
	    (rc = desc_number(o, "memory_bytes", 0, PCIDESC_MEMORY_MAX, &r->memory_bytes, e)) ||
	    (rc = desc_number(o, "memory_base", 0, PCIDESC_BAR_MAX, &r->memory_base, e)))
		return rc;
	r->address_bits = (uint8_t)bits;
	r->memory_bar = bar < PCIDESC_BARS ? (int)bar : -1;
	if (r->memory_bar >= 0 && (!d->bar[bar].memory || r->memory_bytes))
		return err_set(
			e, -EBADMSG,
			"'memory_bar' is a BAR of memory; 'memory_bytes' is for those without");
	if (r->memory_bar < 0 && !r->memory_bytes)
		return err_set(e, -EBADMSG, "a doorbell wants 'memory_bar' or 'memory_bytes'");
	if (r->memory_bar >= 0)
		r->memory_bytes = d->bar[bar].size;
	return 0;
}

static int parse_reg(struct pcidesc *d, const json_t *o, struct err *e)
{
	struct desc_reg *r = &d->reg[d->n_regs];
	uint64_t vector;
	int rc;

	json_get_text(o, "name", r->name, sizeof(r->name));
	if (!r->name[0])
		return err_set(e, -EBADMSG, "it needs a 'name'");
	if (pcidesc_reg_named(d, r->name) != REG_NONE)
		return err_set(e, -EBADMSG, "there are two of this name");
	if ((rc = parse_behaviour(r, o, e)) || (rc = parse_place(d, r, o, e)) ||
	    (rc = desc_number(o, "value", 0, ones(r->width), &r->value, e)) ||
	    (rc = desc_number(o, "mask", ones(r->width), ones(r->width), &r->mask, e)) ||
	    (rc = desc_number(o, "vector", 0, VU_IRQS_MAX - 1, &vector, e)))
		return rc;
	r->vector = (uint16_t)vector;
	if (r->behaviour == REG_DOORBELL && (rc = parse_engine(d, r, o, e)))
		return rc;
	d->n_regs++;
	return 0;
}

/* --- those that name others --- */

static int link_one(struct pcidesc *d, const json_t *o, const char *key, bool must, uint16_t *to,
		    struct err *e)
{
	char name[32];

	*to = REG_NONE;
	if (!json_object_get(o, key))
		return must ? err_set(e, -EBADMSG, "there is no '%s'", key) : 0;
	json_get_text(o, key, name, sizeof(name));
	*to = pcidesc_reg_named(d, name);
	return *to == REG_NONE
		       ? err_set(e, -EBADMSG, "'%s' is '%s', which is no register", key, name)
		       : 0;
}

static int link_reg(struct pcidesc *d, struct desc_reg *r, const json_t *o, struct err *e)
{
	uint32_t wants = behaviours[r->behaviour].wants;
	uint16_t self = (uint16_t)(r - d->reg);
	int rc;

	r->source = r->destination = r->length = r->checksum = REG_NONE;
	if ((rc = link_one(d, o, "status", wants & WANTS_STATUS, &r->status, e)))
		return rc;
	if (r->status == self)
		return err_set(e, -EBADMSG, "its 'status' is another register");
	if (r->status != REG_NONE)
		d->reg[r->status].line = true;
	if (!(wants & WANTS_ENGINE))
		return 0;
	if (d->doorbell != REG_NONE)
		return err_set(e, -EBADMSG, "there is one doorbell already");
	d->doorbell = self;
	if ((rc = link_one(d, o, "source", true, &r->source, e)) ||
	    (rc = link_one(d, o, "destination", true, &r->destination, e)) ||
	    (rc = link_one(d, o, "length", true, &r->length, e)))
		return rc;
	return link_one(d, o, "checksum", false, &r->checksum, e);
}

static int by_place(const void *a, const void *b)
{
	const struct desc_reg *x = a, *y = b;

	if (x->bar != y->bar)
		return x->bar < y->bar ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static bool in_msix(const struct pcidesc *d, const struct desc_reg *r)
{
	const struct desc_cap *x = pcidesc_cap(d, CAP_MSIX);

	if (!x)
		return false;
	return (r->bar == x->bar && r->at + r->width > x->table &&
		r->at < x->table + 16U * x->vectors) ||
	       (r->bar == x->pba_bar && r->at + r->width > x->pba &&
		r->at < x->pba + (x->vectors + 63U) / 64 * 8);
}

static int check_overlaps(const struct pcidesc *d, struct err *e)
{
	for (uint32_t i = 0; i < d->n_regs; i++) {
		const struct desc_reg *r = &d->reg[i];

		if (i && r[-1].bar == r->bar && r[-1].at + r[-1].width > r->at)
			return err_set(e, -EBADMSG, "registers '%s' and '%s' overlap", r[-1].name,
				       r->name);
		if (in_msix(d, r))
			return err_set(e, -EBADMSG, "register '%s' lies in a structure of MSI-X",
				       r->name);
	}
	return 0;
}

int desc_regs(struct pcidesc *d, const json_t *o, struct err *e)
{
	const json_t *a;
	uint32_t n;
	int rc = desc_array(o, "registers", PCIDESC_REGS, &a, &n, e);

	d->doorbell = REG_NONE;
	for (uint32_t i = 0; !rc && i < n; i++) {
		rc = parse_reg(d, json_array_get(a, i), e);
		if (rc)
			return err_at(e, rc, "register %u, '%s'", i + 1, d->reg[i].name);
	}
	if (rc)
		return rc;
	qsort(d->reg, d->n_regs, sizeof(d->reg[0]), by_place);
	for (uint32_t i = 0; i < n; i++) {
		char name[32];

		json_get_text(json_array_get(a, i), "name", name, sizeof(name));
		rc = link_reg(d, &d->reg[pcidesc_reg_named(d, name)], json_array_get(a, i), e);
		if (rc)
			return err_at(e, rc, "register '%s'", name);
	}
	return check_overlaps(d, e);
}
