/* SPDX-License-Identifier: MIT */
#include "device/bars.h"

#include <string.h>

#include "device/bind.h"
#include "device/verb.h"
#include "kmod/uapi.h"

/* Linux, include/linux/ioport.h: of a line of `resource` in sysfs. */
enum { RES_MEMORY = 0x200, RES_PREFETCH = 0x2000 };

/* What each BAR of memory gets; memory without side effects is what is worth a map. I/O ports are always trapped. */
static const struct choice {
	const char *word, *registers, *memory;
} choices[] = {
	{ "trap", BERTH_VFIO_TRAP, BERTH_VFIO_TRAP },
	{ "hybrid", BERTH_VFIO_TRAP, BERTH_VFIO_MAP },
	{ "map", BERTH_VFIO_MAP, BERTH_VFIO_MAP },
	{ "revocable", BERTH_VFIO_REVOCABLE, BERTH_VFIO_REVOCABLE },
};

static const struct choice *choice_of(const char *word)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (strcmp(choices[i].word, word) == 0)
			return &choices[i];
	return NULL;
}

int bars_check(const char *word, const char *driver, struct err *e)
{
	if (!word)
		return 0;
	if (strcmp(driver, BERTH_VFIO_DRIVER) != 0)
		return err_set(e, VERB_USAGE, "--bars is heeded by the driver %s alone, not by %s",
			       BERTH_VFIO_DRIVER, driver[0] ? driver : "none");
	if (!choice_of(word))
		return err_set(e, -EINVAL, "--bars %.40s: there is trap, hybrid, map and revocable",
			       word);
	return 0;
}

/* With the driver's folder its file goes, too: a step that the unbind takes back needs nothing of its own. */
static int bar_step(const struct scene *s, const struct func *f, uint32_t bar, const char *mode,
		    struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "have BAR %u of %s in mode %s", bar, f->pci,
				  mode);
	int rc = st ? step_put(st->target, e, "sys/bus/pci/devices/%s/berth/bar%u_mode", f->pci,
			       bar)
		    : -EFBIG;
	bool bound = strcmp(f->driver, BERTH_VFIO_DRIVER) == 0;

	if (!rc)
		rc = step_put(st->value, e, "%s", mode);
	if (!rc)
		rc = look_set(&st->after, LOOK_TEXT, mode, e, "%s", st->target);
	if (!rc && bound)
		rc = txn_before(t, s->m, e);
	if (rc)
		return rc;
	st->undo = bound && st->known ? UNDO_BEFORE : UNDO_OTHER;
	return 0;
}

int bars_steps(const struct scene *s, const struct func *f, const char *word, struct txn *t,
	       struct err *e)
{
	const struct choice *c = choice_of(word);
	int rc = 0;

	for (uint32_t i = 0; c && i < 6 && i < f->n_res && !rc; i++) {
		const struct func_res *r = &f->res[i];

		if (r->flags & RES_MEMORY && r->end > r->start)
			rc = bar_step(s, f, i, r->flags & RES_PREFETCH ? c->memory : c->registers,
				      t, e);
	}
	return rc;
}
