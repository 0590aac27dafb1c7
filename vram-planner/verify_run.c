/* SPDX-License-Identifier: MIT */
/* Asks the core for a measure: of the model's own files, or of a file with a hole. */
#include <string.h>

#include "vram-planner/core_run.h"
#include "vram-planner/sparse.h"
#include "vram-planner/verify.h"

static int ask_core(const struct plan *p, const char *model_path, struct measured *m, struct err *e)
{
	struct core_run run;
	int rc = core_start(&run, p, model_path, "--measure", e);

	if (rc)
		return rc;
	json_t *o = core_answer(&run, VERIFY_TIMEOUT_S, e);

	rc = o ? measured_from_json(m, o, p->n_devices, e) : e->rc;
	json_decref(o);
	core_end(&run);
	return rc;
}

void verify_measure(const struct plan *p, const struct model *model, struct measured *m)
{
	struct sparse file = { 0 };
	struct err e = { 0 };
	int rc = 0;

	*m = (struct measured) { 0 };
	if (!p->n_devices && !p->host.layers)
		rc = err_set(&e, -ENODATA, "there is no placement to measure");
	if (!rc)
		rc = sparse_open(&file, model, &e);
	if (!rc)
		rc = ask_core(p, file.path, m, &e);
	sparse_close(&file);
	if (rc) {
		*m = (struct measured) { 0 };
		text_copy(m->why, sizeof(m->why), e.text);
	}
}
