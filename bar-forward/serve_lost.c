/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "bar-forward/serve_priv.h"

void serve_lost_ask(struct serve_lost *l, bool msix)
{
	if (!l->asked)
		unplug_ask(&l->unplug, msix);
	l->asked = true;
}

void serve_lost_hear(struct serve_lost *l, const struct log *log)
{
	struct unplug_word w;

	if (!unplug_hear(&l->unplug, &w)) {
		log_warn(log, "who was to unplug the device has ended; nobody does it now");
		unplug_close(&l->unplug);
		return;
	}
	if (w.how == UNPLUG_WARNING)
		log_warn(log, "%s", w.text);
	else
		log_note(log, "%s", w.text);
}

void serve_lost_look(struct serve_lost *l, const struct serve_opts *o, const struct telem_bridge *b,
		     const struct log *log)
{
	if (l->back || !o->ops->returned || o->ops->returned(o->what))
		return;
	l->back = true;
	log_note(log,
		 "%s has come back: whoever connects anew gets it, as generation %" PRIu32
		 "; a guest that still has the old one keeps that, dead as it is",
		 o->what, b->generation + 1);
}

void serve_lost_over(struct serve_lost *l)
{
	l->asked = l->back = false;
}
