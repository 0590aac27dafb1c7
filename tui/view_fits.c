/* SPDX-License-Identifier: MIT */
/* The page of what fits now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/fits.h"
#include "tui/view_priv.h"

static enum attr attr_of(const char *verdict)
{
	if (!strcmp(verdict, "fits"))
		return ATTR_OK;
	return !strcmp(verdict, "spills") || !strcmp(verdict, "unknown") ? ATTR_WARN : ATTR_BAD;
}

static void put_row(struct view *v, const struct frame *f, const struct fit *r)
{
	char size[TEXT_SIZE_MAX];
	struct pen p = view_line(v);

	pen_text(&p, attr_of(r->verdict), r->verdict[0] ? r->verdict : "error");
	pen_to(&p, 9);
	pen_printf(&p, ATTR_PLAIN, "%10s",
		   r->size_bytes == UINT64_MAX ? "-" : frame_size(f, size, r->size_bytes));
	pen_to(&p, 21);
	if (r->low >= 0)
		pen_printf(&p, ATTR_PLAIN, "%.3g-%.3g t/s", r->low, r->high);
	else
		pen_text(&p, ATTR_DIM, "-");
	pen_to(&p, 36);
	pen_flows(&p, 36);
	pen_text(&p, ATTR_PLAIN, r->name);
	if (r->store[0])
		pen_printf(&p, ATTR_DIM, "  (%s)", r->store);
	if (!r->decided_by[0] || !strcmp(r->verdict, "fits"))
		return;
	p = view_line(v);
	pen_to(&p, 9);
	pen_flows(&p, 9);
	pen_text(&p, ATTR_DIM, r->decided_by);
}

void page_fits(struct view *v, const struct frame *f)
{
	const struct fits *fits = f->fits;
	struct pen p = view_line(v);

	pen_flows(&p, 2);
	pen_text(&p, ATTR_TITLE, "What fits now, of the models in the stores on this disk");
	p = view_line(v);
	pen_flows(&p, 2);
	if (!fits || fits->state == FITS_NONE) {
		pen_text(&p, ATTR_DIM, "Only this machine can be asked.");
		return;
	}
	if (fits->state == FITS_ASKING)
		pen_text(&p, ATTR_DIM, "The planner is asked ...");
	else if (fits->state == FITS_FAILED)
		pen_text(&p, ATTR_BAD, fits->why);
	else
		pen_text(&p, ATTR_DIM,
			 fits->n ? "As memory is free now; 'f' asks again."
				 : "No model is in any store; 'berth pull URL' fetches one.");
	for (uint32_t i = 0; i < fits->n; i++)
		put_row(v, f, &fits->rows[i]);
	if (fits->n_left_out) {
		p = view_line(v);
		pen_printf(&p, ATTR_DIM, "%" PRIu32 " more: berth plan --list", fits->n_left_out);
	}
}
