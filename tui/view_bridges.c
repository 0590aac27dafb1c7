/* SPDX-License-Identifier: MIT */
/* Bridges: a row each, and in a card where its accesses go and what is wrong with it. */
#include <inttypes.h>

#include "base/text.h"
#include "tui/view_priv.h"

#define NOW_S 2 /* seconds that "now" is taken over */

struct bridge_row {
	const struct frame *f;
	const struct bridge_seen *seen;
	const struct bridge_history *past; /* NULL: none */
	enum bridge_state state;
	struct traffic traffic;
};

static const struct telem_bridge *page_of(const void *row)
{
	return &((const struct bridge_row *)row)->seen->page;
}

static void write_bridge(struct pen *p, const void *row)
{
	const struct telem_bridge *b = page_of(row);

	pen_text(p, ATTR_TITLE, b->pci[0] ? short_address(b->pci) : b->backend);
	if (b->guest[0])
		pen_printf(p, ATTR_PLAIN, " %s", b->guest);
}

static void write_state(struct pen *p, const void *row)
{
	static const enum attr attrs[BRIDGE_STATE_COUNT] = {
		[BRIDGE_STARTING] = ATTR_WARN, [BRIDGE_WAITING] = ATTR_PLAIN,
		[BRIDGE_RUNNING] = ATTR_OK,    [BRIDGE_RESTARTING] = ATTR_WARN,
		[BRIDGE_LOST] = ATTR_BAD,      [BRIDGE_STOPPED] = ATTR_DIM,
		[BRIDGE_FAILED] = ATTR_BAD,    [BRIDGE_STALLED] = ATTR_WARN,
		[BRIDGE_DEAD] = ATTR_BAD,
	};
	enum bridge_state s = ((const struct bridge_row *)row)->state;

	pen_text(p, attrs[s], bridge_state_name(s));
}

static void write_mode(struct pen *p, const void *row)
{
	pen_text(p, ATTR_PLAIN, telem_mode_name(page_of(row)->mode));
}

static double accesses_now(const struct bridge_row *r)
{
	return r->past ? series_mean(&r->past->s[SERIES_ACCESSES], NOW_S) : -1;
}

static void write_rate(struct pen *p, const void *row)
{
	pen_per_s(p, accesses_now(row));
}

static void write_short_rate(struct pen *p, const void *row)
{
	write_rate(p, row);
	if (accesses_now(row) >= 0)
		pen_text(p, ATTR_PLAIN, "/s");
}

static void write_spark(struct pen *p, const void *row)
{
	const struct bridge_row *r = row;

	if (r->past)
		pen_spark(p, r->f, ATTR_DIM, &r->past->s[SERIES_ACCESSES], 0);
}

/* Of the window while anything comes by, else of all there ever was. */
static double latency(const struct bridge_row *r, double share)
{
	double now = r->past ? history_latency(r->past, share) : -1;

	return now >= 0 ? now : judge_latency(&r->seen->page, share);
}

static void write_p50(struct pen *p, const void *row)
{
	pen_ns(p, latency(row, 0.5));
}

static void write_p99(struct pen *p, const void *row)
{
	pen_ns(p, latency(row, 0.99));
}

static void write_dma(struct pen *p, const void *row)
{
	const struct bridge_row *r = row;
	uint64_t bytes = page_of(row)->counts.dma_bytes;
	char size[TEXT_SIZE_MAX];

	if (bytes == TELEM_UNKNOWN)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_text(p, ATTR_PLAIN, frame_size(r->f, size, bytes));
}

/* What should be nothing stands out when it is not. */
static void pen_fault(struct pen *p, uint64_t n)
{
	if (n && n != TELEM_UNKNOWN)
		pen_text(p, ATTR_WARN, "!");
	pen_count(p, n);
}

static void write_retries(struct pen *p, const void *row)
{
	pen_fault(p, page_of(row)->counts.retries);
}

static void write_errors(struct pen *p, const void *row)
{
	pen_fault(p, page_of(row)->counts.errors);
}

static void write_denied(struct pen *p, const void *row)
{
	pen_fault(p, ((const struct bridge_row *)row)->traffic.denied);
}

static void write_restarts(struct pen *p, const void *row)
{
	pen_fault(p, page_of(row)->counts.worker_restarts);
}

/* clang-format off */
static const struct column columns[] = {
	{ "BRIDGE",   12, 22, 44, 20, false, write_bridge, false, 0 },
	{ "STATE",    10, 10, 10, 19, false, write_state, false, 0 },
	{ "MODE",      6,  6,  6, 10, false, write_mode, false, 0 },
	{ "TRAPS/s",   7,  7,  7, 18, true,  write_rate, true, 0 },
	{ "60 s",      6, 15, 30,  8, false, write_spark, true, 0 },
	{ "P50",       7,  7,  7, 15, true,  write_p50, false, 0 },
	{ "P99",       7,  7,  7, 16, true,  write_p99, false, 0 },
	{ "DMA",       8,  8,  8, 14, true,  write_dma, false, 0 },
	{ "RETRY",     5,  5,  6, 12, true,  write_retries, false, 0 },
	{ "DENIED",    6,  6,  7, 13, true,  write_denied, false, 0 },
	{ "ERROR",     5,  5,  6, 11, true,  write_errors, false, 112 },
	{ "RESTARTS",  8,  8,  8,  9, true,  write_restarts, false, 112 },
};

static const struct column short_columns[] = {
	{ "", 10, 14, 30, 9, false, write_bridge, false, 0 },
	{ "",  8, 10, 10, 8, false, write_state, false, 0 },
	{ "",  7,  7,  7, 6, true,  write_short_rate, true, 0 },
	{ "",  7,  7,  7, 7, true,  write_p99, false, 0 },
};
/* clang-format on */

static const struct table table = TABLE(columns, short_columns);

/* --- cards --- */

static void pen_named(struct pen *p, const char *what, uint64_t n)
{
	pen_printf(p, ATTR_DIM, "%s ", what);
	pen_count(p, n);
	pen_text(p, ATTR_PLAIN, "  ");
}

static void traffic_line(struct view *v, const struct bridge_row *r)
{
	const struct telem_bridge *b = &r->seen->page;
	struct pen p = view_line(v);
	char size[TEXT_SIZE_MAX];

	pen_text(&p, ATTR_DIM, "  ");
	pen_named(&p, "reads", r->traffic.reads);
	pen_named(&p, "writes", r->traffic.writes);
	if (r->traffic.mapped_bytes)
		pen_printf(&p, ATTR_PLAIN, "mapped %s  ",
			   frame_size(r->f, size, r->traffic.mapped_bytes));
	pen_named(&p, "DMA maps", b->counts.dma_maps);
	if (b->counts.interrupts != TELEM_UNKNOWN)
		pen_named(&p, "interrupts", b->counts.interrupts);
	if (b->counts.latency_max_ns && b->counts.latency_max_ns != TELEM_UNKNOWN) {
		pen_text(&p, ATTR_DIM, "longest ");
		pen_ns(&p, (double)b->counts.latency_max_ns);
	}
}

static void where_line(struct view *v, const struct bridge_row *r)
{
	const struct telem_bridge *b = &r->seen->page;
	struct pen p = view_line(v);

	pen_printf(&p, ATTR_DIM, "  by %s", b->backend[0] ? b->backend : "-");
	if (b->client_pid)
		pen_printf(&p, ATTR_PLAIN, "  client %" PRId32, b->client_pid);
	else
		pen_text(&p, ATTR_DIM, "  no client");
	if (b->worker_pid)
		pen_printf(&p, ATTR_PLAIN, "  worker %" PRId32, b->worker_pid);
	if (b->generation > 1)
		pen_printf(&p, ATTR_WARN, "  came back %" PRIu32 " times", b->generation - 1);
	pen_printf(&p, ATTR_DIM, "  %s", b->socket);
}

static void trouble_line(struct view *v, const struct bridge_row *r)
{
	const struct telem_bridge *b = &r->seen->page;
	struct pen p;

	if (r->state == BRIDGE_DEAD) {
		p = view_line(v);
		pen_printf(&p, ATTR_BAD,
			   "  process %" PRId32 " is gone; these are the last numbers it wrote",
			   r->seen->pid);
	} else if (r->state == BRIDGE_STALLED) {
		p = view_line(v);
		pen_printf(&p, ATTR_WARN, "  process %" PRId32 " lives, but gives no sign of life",
			   r->seen->pid);
	} else if (b->trouble[0] && (r->state == BRIDGE_LOST || r->state == BRIDGE_FAILED)) {
		p = view_line(v);
		pen_printf(&p, ATTR_BAD, "  %s", b->trouble);
	}
}

void rows_bridges(struct rows *r, const struct frame *f, const struct listing *l, enum form form)
{
	if (!l->n)
		return;
	const struct fitted t = table_begin(r, &table, form, f->history != NULL);

	for (uint32_t i = 0; i < l->n; i++) {
		const struct bridge_seen *seen = &f->snap->bridges[l->items[i].index];
		const struct bridge_row row = {
			.f = f,
			.seen = seen,
			.past = f->history ? history_bridge(f->history, seen->key) : NULL,
			.state = judge_bridge(seen),
			.traffic = judge_traffic(&seen->page),
		};

		table_row(r, &t, &row);
		if (form == FORM_CARD) {
			traffic_line(&r->view, &row);
			where_line(&r->view, &row);
			trouble_line(&r->view, &row);
		}
		rows_mark(r, i + 1);
	}
}
