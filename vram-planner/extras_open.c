/* SPDX-License-Identifier: MIT */
/* What is loaded beside a model, from wherever models come. */
#include "vram-planner/extras.h"
#include "vram-planner/source.h"

static int add(struct extras *x, const char *kind, const char *what, const struct model *main,
	       const struct devices *d, const struct wish *w, const struct source_env *env,
	       struct err *e)
{
	struct model *m;
	int rc = source_open(&m, what, env, e);

	return rc ? rc : extras_add(x, kind, what, m, main, d, w, e);
}

int extras_open(struct extras *x, const struct extras_opts *o, const struct model *m,
		const struct devices *d, const struct wish *w, const struct source_env *env,
		struct err *e)
{
	int rc = 0;

	x->n = 0;
	if (o->mmproj)
		rc = add(x, "mmproj", o->mmproj, m, d, w, env, e);
	if (!rc && o->draft)
		rc = add(x, "draft", o->draft, m, d, w, env, e);
	for (uint32_t i = 0; i < o->loras.n && !rc; i++)
		rc = add(x, "lora", o->loras.v[i], m, d, w, env, e);
	if (rc)
		extras_close(x);
	return rc;
}
