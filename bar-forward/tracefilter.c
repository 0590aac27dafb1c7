/* SPDX-License-Identifier: MIT */
#include "bar-forward/tracefilter.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/telem_bridge.h"
#include "base/text.h"

static const char *const kinds[TRACE_KINDS] = {
	[TRACE_NONE] = "none",         [TRACE_READ] = "read",
	[TRACE_WRITE] = "write",       [TRACE_DATA] = "data",
	[TRACE_IRQ_SET] = "irq-set",   [TRACE_IRQ] = "irq",
	[TRACE_DMA_MAP] = "dma-map",   [TRACE_DMA_UNMAP] = "dma-unmap",
	[TRACE_DMA_READ] = "dma-read", [TRACE_DMA_WRITE] = "dma-write",
	[TRACE_RESET] = "reset",       [TRACE_CLIENT] = "client",
	[TRACE_GONE] = "client-gone",  [TRACE_LOST] = "lost",
	[TRACE_DEVICE] = "device",     [TRACE_WORKER] = "worker",
	[TRACE_MARK] = "mark",
};

const char *trace_kind_name(uint32_t kind)
{
	return kinds[kind];
}

/* --- places --- */

static bool region_by(const char *name, size_t n, uint8_t *region)
{
	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		const char *is = telem_region_name(i);

		if (strlen(is) == n && strncasecmp(is, name, n) == 0) {
			*region = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* A number up to `end`, which is one character. */
static bool number(const char **at, char end, uint64_t *n)
{
	char digits[24];
	size_t len = 0;

	while ((*at)[len] && (*at)[len] != end && len < sizeof(digits) - 1)
		len++;
	memcpy(digits, *at, len);
	digits[len] = '\0';
	if ((*at)[len] != end || text_parse_u64(digits, n))
		return false;
	*at += len + (end != '\0');
	return true;
}

static bool range(const char *text, struct trace_place *p)
{
	bool bytes = !strchr(text, '-');
	uint64_t second;

	if (!number(&text, bytes ? '+' : '-', &p->first) || !number(&text, '\0', &second))
		return false;
	if (!bytes) {
		p->last = second;
		return second >= p->first;
	}
	return second && !__builtin_add_overflow(p->first, second - 1, &p->last);
}

int trace_place_parse(struct trace_place *p, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	*p = (struct trace_place) { .last = UINT64_MAX };
	if (!region_by(text, n, &p->region))
		return err_set(
			e, -EINVAL,
			"'%s' names no region: bar0 to bar5, rom or config, and then perhaps "
			":FIRST-LAST or :FIRST+BYTES",
			text);
	if (colon && !range(colon + 1, p))
		return err_set(e, -EINVAL, "'%s' is no range: FIRST-LAST or FIRST+BYTES",
			       colon + 1);
	return 0;
}

/* --- kinds and times --- */

static int kind_bits(uint32_t *bits, const char *name, struct err *e)
{
	uint32_t found = 0;

	/* One kind; "dma" and "irq" are all that begin so. */
	for (uint32_t i = TRACE_READ; i < TRACE_KINDS; i++) {
		size_t n = strlen(name);

		if (i != TRACE_DATA && (!strcmp(kinds[i], name) ||
					(!strncmp(kinds[i], name, n) && kinds[i][n] == '-')))
			found |= 1u << i;
	}
	*bits |= found;
	return found ? 0
		     : err_set(e, -EINVAL,
			       "'%s' is no kind of event: read, write, irq, dma, reset, client, "
			       "lost, device, worker, mark",
			       name);
}

int trace_time_parse(const char *text, uint64_t began, uint64_t ended, uint64_t *ns, struct err *e)
{
	bool back = *text == '-';
	char *end;
	double s;
	uint64_t by;

	errno = 0;
	s = strtod(text + back, &end);
	if (!isdigit((unsigned char)text[back]) || *end || errno || !(s <= 1e9))
		return err_set(
			e, -EINVAL,
			"'%s' is no time: seconds from the beginning, or with a minus before "
			"the end",
			text);
	by = (uint64_t)(s * 1e9);
	if (back)
		*ns = ended > by ? ended - by : 0;
	else if (__builtin_add_overflow(began, by, ns))
		*ns = UINT64_MAX;
	return 0;
}

int trace_filter_parse(struct trace_filter *f, const struct opt_list *only,
		       const struct opt_list *except, const struct opt_list *of_kind, struct err *e)
{
	int rc = 0;

	*f = (struct trace_filter) { 0 };
	for (; !rc && f->n_only < only->n; f->n_only++)
		rc = trace_place_parse(&f->only[f->n_only], only->v[f->n_only], e);
	for (; !rc && f->n_except < except->n; f->n_except++)
		rc = trace_place_parse(&f->except[f->n_except], except->v[f->n_except], e);
	for (uint32_t i = 0; !rc && i < of_kind->n; i++)
		rc = kind_bits(&f->kinds, of_kind->v[i], e);
	return rc;
}

/* --- records --- */

static bool touches(const struct trace_place *p, const struct trace_slot *s)
{
	uint64_t bytes = s->width ? s->width : s->value, last;

	if (__builtin_add_overflow(s->offset, bytes - 1, &last))
		last = UINT64_MAX;
	return s->region == p->region && s->offset <= p->last && last >= p->first;
}

static bool any(const struct trace_place *p, uint32_t n, const struct trace_slot *s)
{
	for (uint32_t i = 0; i < n; i++)
		if (touches(&p[i], s))
			return true;
	return false;
}

bool trace_filter_wants(const struct trace_filter *f, const struct trace_slot *s)
{
	bool access = s->kind == TRACE_READ || s->kind == TRACE_WRITE;

	if (f->kinds && !(f->kinds & 1u << s->kind))
		return false;
	if (s->ns < f->since || (f->until && s->ns > f->until))
		return false;
	if (!access)
		return !f->n_only;
	return (!f->n_only || any(f->only, f->n_only, s)) && !any(f->except, f->n_except, s);
}
