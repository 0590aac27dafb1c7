/* SPDX-License-Identifier: MIT */
/* What a card says of a device below its row: memory by purpose, and how it works. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_device_priv.h"

static void pen_part(struct pen *p, enum attr a, const char *letter, const struct device_row *d,
		     uint64_t bytes)
{
	char size[TEXT_SIZE_MAX];

	pen_printf(p, a, "%s ", letter);
	pen_printf(p, ATTR_PLAIN, "%s  ", frame_size(d->f, size, bytes));
}

#define INDENT 8

/* A line that says nothing is none. */
static void drop_if_empty(struct view *v, const struct pen *p)
{
	if (p->col <= INDENT)
		v->n_rows--;
}

static void card_memory(struct view *v, const struct device_row *d)
{
	struct pen p = view_line(v);

	pen_to(&p, INDENT);
	if (d->held.weights || d->held.kv || d->held.compute) {
		pen_part(&p, ATTR_WEIGHTS, "W", d, d->held.weights);
		pen_part(&p, ATTR_KV, "K", d, d->held.kv);
		pen_part(&p, ATTR_COMPUTE, "C", d, d->held.compute);
	}
	if (fact_known(&d->held.other))
		pen_part(&p, ATTR_OTHER, "O", d, (uint64_t)d->held.other.v);
	if (fact_known(&d->total) && fact_known(&d->used) && d->total.v >= d->used.v)
		pen_part(&p, ATTR_DIM, "free", d, (uint64_t)(d->total.v - d->used.v));
	drop_if_empty(v, &p);
}

static void pen_number(struct pen *p, const char *what, const struct fact *f, const char *unit)
{
	if (fact_known(f))
		pen_printf(p, ATTR_PLAIN, "%s %" PRId64 "%s  ", what, f->v, unit);
}

static void pen_flow(struct pen *p, const struct device_row *d, const char *what,
		     const struct fact *f)
{
	char size[TEXT_SIZE_MAX];

	if (fact_known(f) && f->v >= 0)
		pen_printf(p, ATTR_PLAIN, "%s %s/s  ", what,
			   frame_size(d->f, size, (uint64_t)f->v));
}

static void card_works(struct view *v, const struct device_row *d)
{
	const struct live *l = &d->gpu->live;
	struct pen p = view_line(v);

	pen_to(&p, INDENT);
	pen_number(&p, "clock", &l->core_mhz, " MHz");
	pen_number(&p, "memory", &l->mem_mhz, " MHz");
	pen_number(&p, "fan", &l->fan_percent, " %");
	if (fact_known(&l->temp_hotspot_mc)) {
		pen_text(&p, ATTR_PLAIN, "hot spot ");
		pen_degrees(&p, d->f, ATTR_PLAIN, &l->temp_hotspot_mc);
		pen_text(&p, ATTR_PLAIN, "  ");
	}
	if (fact_known(&d->gpu->link.bytes_per_s) || judge_tunnelled(d->gpu)) {
		pen_text(&p, ATTR_PLAIN, "link ");
		device_write_link(&p, d);
		pen_text(&p, ATTR_PLAIN, "  ");
	}
	pen_flow(&p, d, "of", &d->gpu->link.bytes_per_s);
	pen_flow(&p, d, "in", &l->pcie_rx_bytes_per_s);
	pen_flow(&p, d, "out", &l->pcie_tx_bytes_per_s);
	if (fact_text_known(&l->throttle) && strcmp(l->throttle.v, "none") != 0) {
		pen_text(&p, ATTR_PLAIN, "held back by ");
		device_write_held_back(&p, d);
	}
	drop_if_empty(v, &p);
}

void device_card(struct view *v, const struct device_row *d)
{
	card_memory(v, d);
	card_works(v, d);
}
