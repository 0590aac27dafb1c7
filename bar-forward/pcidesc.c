/* SPDX-License-Identifier: MIT */
#include "bar-forward/pcidesc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/pcidesc_priv.h"
#include "base/own.h"
#include "base/text.h"

#define PAGE 4096

const char *const desc_fault_names[FAULT_KINDS] = {
	[FAULT_NONE] = "none", [FAULT_GONE] = "gone", [FAULT_HANG] = "hang",
	[FAULT_SLOW] = "slow", [FAULT_FLIP] = "flip", [FAULT_ONES] = "ones",
};

/* --- BARs --- */

static int parse_area(struct desc_bar *b, const json_t *o, struct err *e)
{
	static const char *const members[] = { "at", "size", NULL };
	struct vu_area *a = &b->areas[b->n_areas];
	const struct vu_area *last = b->n_areas ? a - 1 : NULL;
	int rc;

	if ((rc = desc_only(o, members, e)) || (rc = desc_needs(o, "at", b->size, &a->offset, e)) ||
	    (rc = desc_needs(o, "size", b->size, &a->size, e)))
		return rc;
	if (a->size == 0 || a->size > b->size - a->offset || a->offset % PAGE || a->size % PAGE ||
	    (last && a->offset < last->offset + last->size))
		return err_set(
			e, -EBADMSG,
			"what may be mapped is whole pages of %d bytes, in the BAR and in order",
			PAGE);
	b->n_areas++;
	return 0;
}

/* true, or a list of areas */
static int parse_map(struct desc_bar *b, const json_t *o, struct err *e)
{
	const json_t *a = NULL;
	uint32_t n = 0;
	int rc = json_is_array(json_object_get(o, "map"))
			 ? desc_array(o, "map", VU_AREAS_MAX, &a, &n, e)
			 : desc_bool(o, "map", &b->map, e);

	for (uint32_t i = 0; !rc && i < n; i++)
		rc = parse_area(b, json_array_get(a, i), e);
	if (rc)
		return rc;
	if (b->map)
		b->areas[b->n_areas++] = (struct vu_area) { .size = b->size };
	b->map = b->n_areas > 0;
	if (b->map && (!b->memory || b->size < PAGE))
		return err_set(e, -EBADMSG, "only memory of whole pages can be mapped");
	return 0;
}

static int check_bar(const struct pcidesc *d, uint32_t n, struct err *e)
{
	const struct desc_bar *b = &d->bar[n];
	uint64_t least = b->io ? 4 : 16;
	uint64_t most = b->io ? 256 : b->wide ? PCIDESC_BAR_MAX : UINT64_C(1) << 31;

	if (b->io && (b->wide || b->prefetchable || b->memory))
		return err_set(e, -EBADMSG,
			       "ports have 32 bits, and are neither prefetchable nor memory");
	if (b->wide && n + 1 == PCIDESC_BARS)
		return err_set(e, -EBADMSG, "the last BAR cannot have 64 bits");
	if (b->size < least || b->size > most || (b->size & (b->size - 1)))
		return err_set(e, -EBADMSG,
			       "%" PRIu64 " bytes are no power of two from %" PRIu64 " to %" PRIu64,
			       b->size, least, most);
	return 0;
}

static int parse_bar(struct pcidesc *d, const json_t *o, struct err *e)
{
	static const char *const members[] = { "bar",          "size", "kind", "bits",
					       "prefetchable", "map",  NULL };
	static const char *const bar_kinds[] = { "registers", "memory", "ports" };
	struct desc_bar *b;
	uint64_t n, bits;
	uint32_t kind;
	int rc;

	if ((rc = desc_only(o, members, e)) || (rc = desc_needs(o, "bar", PCIDESC_BARS - 1, &n, e)))
		return rc;
	b = &d->bar[n];
	if (b->size || (n && d->bar[n - 1].wide))
		return err_set(e, -EBADMSG, "BAR %" PRIu64 " is taken already", n);
	if ((rc = desc_needs(o, "size", PCIDESC_BAR_MAX, &b->size, e)) ||
	    (rc = desc_word(o, "kind", bar_kinds, 3, &kind, e)) ||
	    (rc = desc_number(o, "bits", 32, 64, &bits, e)) ||
	    (rc = desc_bool(o, "prefetchable", &b->prefetchable, e)))
		return err_at(e, rc, "BAR %" PRIu64, n);
	b->memory = kind == 1;
	b->io = kind == 2;
	b->wide = bits == 64;
	if (bits != 32 && bits != 64)
		return err_set(e, -EBADMSG, "BAR %" PRIu64 " has 32 or 64 bits", n);
	if ((rc = check_bar(d, (uint32_t)n, e)) || (rc = parse_map(b, o, e)))
		return err_at(e, rc, "BAR %" PRIu64, n);
	return 0;
}

static int parse_bars(struct pcidesc *d, const json_t *o, struct err *e)
{
	const json_t *a;
	uint32_t n;
	int rc = desc_array(o, "bars", PCIDESC_BARS, &a, &n, e);

	for (uint32_t i = 0; !rc && i < n; i++)
		rc = parse_bar(d, json_array_get(a, i), e);
	for (uint32_t i = 1; !rc && i < PCIDESC_BARS; i++)
		if (d->bar[i].size && d->bar[i - 1].wide)
			rc = err_set(e, -EBADMSG, "BAR %u is the upper half of BAR %u", i, i - 1);
	return rc;
}

/* --- faults --- */

static int parse_fault(struct pcidesc *d, const json_t *o, struct err *e)
{
	static const char *const members[] = { "at", "fault", "value", "count", NULL };
	struct desc_script *f = &d->fault[d->n_faults];
	uint32_t kind;
	int rc;

	if ((rc = desc_only(o, members, e)) || (rc = desc_needs(o, "at", UINT64_MAX, &f->at, e)) ||
	    (rc = desc_word(o, "fault", desc_fault_names, FAULT_KINDS, &kind, e)) ||
	    (rc = desc_number(o, "value", 0, UINT64_MAX, &f->value, e)) ||
	    (rc = desc_number(o, "count", UINT64_MAX, UINT64_MAX, &f->count, e)))
		return rc;
	f->fault = (enum desc_fault)kind;
	if (!json_object_get(o, "fault"))
		return err_set(e, -EBADMSG, "there is no 'fault'");
	if (f->at == 0 || (d->n_faults && f->at < f[-1].at))
		return err_set(e, -EBADMSG,
			       "accesses count from 1, and faults stand in their order");
	if (f->fault == FAULT_SLOW && f->value > 60000000)
		return err_set(e, -EBADMSG, "a slow access takes at most a minute");
	d->n_faults++;
	return 0;
}

static int parse_faults(struct pcidesc *d, const json_t *o, struct err *e)
{
	const json_t *a;
	uint32_t n;
	int rc = desc_array(o, "faults", PCIDESC_FAULTS, &a, &n, e);

	for (uint32_t i = 0; !rc && i < n; i++) {
		rc = parse_fault(d, json_array_get(a, i), e);
		if (rc)
			err_at(e, rc, "fault %u", i + 1);
	}
	return rc;
}

/* --- the whole --- */

static int parse_ids(struct pcidesc *d, const json_t *o, struct err *e)
{
	static const char *const pins[] = { "none", "A", "B", "C", "D" };
	uint64_t v[7];
	uint32_t pin;
	int rc;

	if ((rc = desc_needs(o, "vendor", 0xfffe, &v[0], e)) ||
	    (rc = desc_needs(o, "device", 0xffff, &v[1], e)) ||
	    (rc = desc_number(o, "subvendor", 0, 0xffff, &v[2], e)) ||
	    (rc = desc_number(o, "subdevice", 0, 0xffff, &v[3], e)) ||
	    (rc = desc_needs(o, "class", 0xffffff, &v[4], e)) ||
	    (rc = desc_number(o, "revision", 0, 0xff, &v[5], e)) ||
	    (rc = desc_number(o, "rom", 0, PCIDESC_ROM_MAX, &v[6], e)) ||
	    (rc = desc_word(o, "pin", pins, 5, &pin, e)))
		return rc;
	if (v[6] && (v[6] < 2048 || (v[6] & (v[6] - 1))))
		return err_set(e, -EBADMSG, "'rom' is a power of two, and 2048 bytes at least");
	json_get_text(o, "name", d->name, sizeof(d->name));
	d->vendor = (uint16_t)v[0];
	d->device = (uint16_t)v[1];
	d->subvendor = (uint16_t)v[2];
	d->subdevice = (uint16_t)v[3];
	d->class = (uint32_t)v[4];
	d->revision = (uint8_t)v[5];
	d->rom = v[6];
	d->pin = (uint8_t)pin;
	return 0;
}

static int parse(struct pcidesc *d, const json_t *o, struct err *e)
{
	static const char *const members[] = {
		"schema",    "name",     "vendor",      "device", "subvendor", "subdevice",
		"class",     "revision", "pin",         "bars",   "rom",       "capabilities",
		"registers", "faults",   "description", NULL
	};
	char schema[40];
	int rc;

	json_get_text(o, "schema", schema, sizeof(schema));
	if (strcmp(schema, "berth.pcidevice/1") != 0)
		return err_set(e, -EBADMSG, "its schema is '%s', not 'berth.pcidevice/1'", schema);
	if ((rc = desc_only(o, members, e)) || (rc = parse_ids(d, o, e)) ||
	    (rc = parse_bars(d, o, e)) || (rc = desc_caps(d, o, e)) || (rc = desc_regs(d, o, e)))
		return rc;
	return parse_faults(d, o, e);
}

/* Takes o, which may be NULL: then *e says why. */
static int finish(struct pcidesc **to, json_t *o, struct err *e)
{
	own_free struct pcidesc *d = calloc(1, sizeof(*d));
	int rc = !d ? err_set(e, -ENOMEM, "out of memory") : o ? parse(d, o, e) : -EBADMSG;

	json_decref(o);
	if (!rc)
		*to = take_ptr(&d);
	return rc;
}

int pcidesc_parse(struct pcidesc **d, const char *bytes, size_t size, struct err *e)
{
	return finish(d, json_parse(bytes, size, "the description", e), e);
}

int pcidesc_read(struct pcidesc **d, const char *path, struct err *e)
{
	struct err why = { 0 };
	json_t *o = json_read_file(path, PCIDESC_FILE_MAX, &why);
	int rc = o ? finish(d, o, &why) : why.rc;

	if (!rc)
		return 0;
	return o ? err_set(e, rc, "%s: %s", path, why.text) : err_set(e, rc, "%s", why.text);
}

const struct desc_cap *pcidesc_cap(const struct pcidesc *d, enum desc_cap_kind kind)
{
	for (uint32_t i = 0; i < d->n_caps; i++)
		if (d->cap[i].kind == kind)
			return &d->cap[i];
	return NULL;
}

uint32_t pcidesc_reg_at(const struct pcidesc *d, uint8_t bar, uint64_t at)
{
	uint32_t low = 0, high = d->n_regs;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct desc_reg *r = &d->reg[middle];

		if (r->bar < bar || (r->bar == bar && r->at + r->width <= at))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint16_t pcidesc_reg_named(const struct pcidesc *d, const char *name)
{
	for (uint32_t i = 0; i < d->n_regs; i++)
		if (strcmp(d->reg[i].name, name) == 0)
			return (uint16_t)i;
	return REG_NONE;
}
