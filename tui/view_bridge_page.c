/* SPDX-License-Identifier: MIT */
/* All about one bridge. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_details_priv.h"

static const struct bridge_seen *find(const struct frame *f)
{
	for (uint32_t i = 0; i < f->snap->n_bridges; i++)
		if (!strcmp(f->snap->bridges[i].key, f->ui->subject))
			return &f->snap->bridges[i];
	return NULL;
}

static void put_count(struct pen *p, const char *what, uint64_t n)
{
	if (n == TELEM_UNKNOWN)
		pen_text(p, ATTR_DIM, "-");
	else
		pen_printf(p, ATTR_PLAIN, "%" PRIu64, n);
	pen_printf(p, ATTR_DIM, " %s  ", what);
}

static void put_since(struct pen *p, uint64_t from_ns, uint64_t now_ns)
{
	uint64_t s = from_ns && now_ns > from_ns ? (now_ns - from_ns) / UINT64_C(1000000000) : 0;

	pen_printf(p, ATTR_PLAIN, " for %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
		   s / 60 % 60, s % 60);
}

static void put_ends(struct view *v, const struct frame *f, const struct bridge_seen *seen)
{
	const struct telem_bridge *b = &seen->page;
	struct pen p = details_line(v, "device");

	pen_text(&p, ATTR_TITLE, b->pci[0] ? b->pci : "-");
	pen_printf(&p, ATTR_PLAIN, "  by %s, mode %s, generation %" PRIu32,
		   b->backend[0] ? b->backend : "-", telem_mode_name(b->mode), b->generation);
	p = details_line(v, "guest");
	pen_text(&p, ATTR_PLAIN, b->guest[0] ? b->guest : "-");
	if (b->client_pid) {
		pen_printf(&p, ATTR_PLAIN, "  client %" PRId32, b->client_pid);
		put_since(&p, b->connected_ns, f->snap->now_ns);
	}
	p = details_line(v, "socket");
	pen_text(&p, ATTR_PLAIN, b->socket);
	p = details_line(v, "process");
	pen_printf(&p, ATTR_PLAIN, "%" PRId32, seen->pid);
	put_since(&p, b->started_ns, f->snap->now_ns);
	if (b->worker_pid)
		pen_printf(&p, ATTR_PLAIN, "  worker %" PRId32, b->worker_pid);
}

static void put_counts(struct view *v, const struct frame *f, const struct telem_bridge *b)
{
	const struct telem_bridge_counts *c = &b->counts;
	struct pen p = details_line(v, "workers");
	char size[TEXT_SIZE_MAX];

	put_count(&p, "started again", c->worker_restarts);
	if (c->restart_gap_ns && c->restart_gap_ns != TELEM_UNKNOWN) {
		pen_text(&p, ATTR_DIM, "longest gap ");
		pen_ns(&p, (double)c->restart_gap_ns);
	}
	p = details_line(v, "troubles");
	put_count(&p, "errors", c->errors);
	put_count(&p, "tried again", c->retries);
	put_count(&p, "refused messages", c->refused);
	put_count(&p, "refused maps", c->dma_refused);
	p = details_line(v, "DMA");
	put_count(&p, "maps", c->dma_maps);
	if (c->dma_bytes != TELEM_UNKNOWN)
		pen_printf(&p, ATTR_PLAIN, "of %s", frame_size(f, size, c->dma_bytes));
	p = details_line(v, "interrupts");
	if (c->interrupts == TELEM_UNKNOWN)
		pen_text(&p, ATTR_DIM, "go straight to the guest");
	else
		put_count(&p, "delivered", c->interrupts);
	p = details_line(v, "recorder");
	if (c->recorder_bytes == TELEM_UNKNOWN) {
		pen_text(&p, ATTR_DIM, "off");
		return;
	}
	pen_printf(&p, ATTR_PLAIN, "%s written  ", frame_size(f, size, c->recorder_bytes));
	put_count(&p, "dropped", c->recorder_drops);
}

/* Numbers of one width below their names, so that regions can be compared: all of them in 80 columns. */
#define SIZE_COLS  10
#define COUNT_COLS 9

static void put_cell(struct pen *p, enum attr a, const char *text, uint32_t cols)
{
	uint32_t cells = text_cells(p->v, text);

	pen_fill(p, a, ' ', cells < cols ? cols - cells : 1);
	pen_text(p, a, text);
}

static void put_number(struct pen *p, uint64_t n, uint32_t cols)
{
	uint32_t from = p->col;
	struct pen there = *p;

	pen_count(&there, n); /* once to see how wide it is */
	there.col = there.col - from < cols ? from + cols - (there.col - from) : from + 1;
	pen_fill(p, ATTR_PLAIN, ' ', there.col - from);
	pen_count(p, n);
}

static void put_regions(struct view *v, const struct frame *f, const struct telem_bridge *b)
{
	static const char *const names[] = { "size",   "mapped", "reads", "writes",
					     "posted", "denied", "logged" };
	struct pen p = details_line(v, "regions");
	char size[TEXT_SIZE_MAX];

	p.indent = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_cell(&p, ATTR_DIM, names[i], i < 2 ? SIZE_COLS : COUNT_COLS);
	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		const struct telem_region *r = &b->regions[i];

		if (!r->size_bytes && !r->reads && !r->writes && !r->denied)
			continue;
		p = details_line(v, telem_region_name(i));
		p.indent = 0;
		put_cell(&p, ATTR_PLAIN, frame_size(f, size, r->size_bytes), SIZE_COLS);
		put_cell(&p, ATTR_PLAIN,
			 r->mapped_bytes ? frame_size(f, size, r->mapped_bytes) : "-", SIZE_COLS);
		put_number(&p, r->reads, COUNT_COLS);
		put_number(&p, r->writes, COUNT_COLS);
		put_number(&p, r->posted, COUNT_COLS);
		put_number(&p, r->denied, COUNT_COLS);
		put_number(&p, r->logged, COUNT_COLS);
	}
}

/* Which buckets are worth a row: from the first that is not empty to the last. */
static bool filled(const struct telem_bridge *b, uint32_t *first, uint32_t *last)
{
	bool any = false;

	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		if (b->latency[i]) {
			*first = any ? *first : i;
			*last = i;
			any = true;
		}
	return any;
}

static void put_latency(struct view *v, const struct frame *f, const struct telem_bridge *b)
{
	const struct bridge_history *h = f->history ? history_bridge(f->history, f->ui->subject)
						    : NULL;
	const uint64_t max = b->counts.latency_max_ns;
	struct pen p = details_line(v, "took");

	if (h && history_latency(h, 0.5) >= 0) {
		pen_text(&p, ATTR_PLAIN, "now half below ");
		pen_ns(&p, history_latency(h, 0.5));
		pen_text(&p, ATTR_PLAIN, ", 99 % below ");
		pen_ns(&p, history_latency(h, 0.99));
		pen_text(&p, ATTR_PLAIN, "; ");
	}
	pen_text(&p, ATTR_PLAIN, "in all half below ");
	pen_ns(&p, judge_latency(b, 0.5));
	pen_text(&p, ATTR_PLAIN, ", 99 % below ");
	pen_ns(&p, judge_latency(b, 0.99));
	pen_text(&p, ATTR_PLAIN, ", longest ");
	pen_ns(&p, max && max != TELEM_UNKNOWN ? (double)max : -1);
}

static void put_histogram(struct view *v, const struct telem_bridge *b)
{
	uint32_t first = 0, last = 0;
	double most = 0;

	if (!filled(b, &first, &last))
		return;
	for (uint32_t i = first; i <= last; i++)
		most = (double)b->latency[i] > most ? (double)b->latency[i] : most;
	for (uint32_t i = first; i <= last; i++) {
		struct pen p = details_line(v, "");
		uint32_t room = p.end > p.col + 20 ? p.end - p.col - 20 : 0;
		double share = (double)b->latency[i] / most * (room < 60 ? room : 60);

		pen_to(&p, 0);
		pen_text(&p, ATTR_DIM, i == TELEM_LATENCY - 1 ? "   more " : "   < ");
		if (i < TELEM_LATENCY - 1)
			pen_ns(&p, (double)(UINT64_C(2) << i));
		pen_to(&p, p.col < 14 ? 14 : p.col + 1);
		put_number(&p, b->latency[i], SIZE_COLS);
		pen_text(&p, ATTR_PLAIN, " ");
		pen_fill(&p, ATTR_OTHER, '#', (uint32_t)(share + (b->latency[i] ? 0.999 : 0)));
	}
}

void page_bridge(struct view *v, const struct frame *f, uint32_t rows)
{
	const struct bridge_seen *seen = find(f);
	const struct bridge_history *h = f->history ? history_bridge(f->history, f->ui->subject)
						    : NULL;
	struct pen p = details_line(v, "bridge");

	pen_text(&p, ATTR_TITLE, f->ui->subject);
	if (!seen) {
		pen_text(&p, ATTR_PLAIN, " is gone");
		return;
	}
	p = details_line(v, "state");
	pen_text(&p, ATTR_PLAIN, bridge_state_name(judge_bridge(seen)));
	if (seen->page.trouble[0])
		pen_printf(&p, ATTR_BAD, ": %s", seen->page.trouble);
	put_ends(v, f, seen);
	put_counts(v, f, &seen->page);
	put_regions(v, f, &seen->page);
	put_latency(v, f, &seen->page);
	put_histogram(v, &seen->page);
	details_events(v, f, f->ui->subject);
	if (!h)
		return;
	const uint32_t each = details_chart_rows(v, rows, BRIDGE_SERIES);

	details_chart(v, f, "accesses", &h->s[SERIES_ACCESSES], 0, "/s", each);
	details_chart(v, f, "writes", &h->s[SERIES_WRITES], 0, "/s", each);
	details_chart(v, f, "99 %", &h->s[SERIES_P99_US], 0, "us", each);
}
