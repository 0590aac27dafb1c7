/* SPDX-License-Identifier: MIT */
#include "launch/submit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"
#include "launch/runs.h"
#include "launch/sbatch.h"
#include "launch/slurm.h"

/* What the plan holds, or what the script says by itself. */
static const char *const not_handed_on[] = {
	"plan", "slurm", "sbatch", "granted", "dry-run", "detach", "accept", NULL,
};

/* The text has its place only when the stream is closed: closing may move it. */
static char *plan_text(const struct plan *p)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	json_t *o = plan_to_json(p);
	bool whole = f && json_print(o, f) == 0;

	json_decref(o);
	if (f && fclose(f))
		whole = false;
	if (whole)
		return text;
	free(text);
	return NULL;
}

/* Those a plan decides are not given beside one; of a plan just made they are in it. */
static void add_words(struct text *t, const struct options *o)
{
	const char *but[64];
	size_t n = 0;

	for (const char *const *s = not_handed_on; *s; s++)
		but[n++] = *s;
	for (const char *const *s = launch_planned; *s && n < 63; s++)
		but[n++] = *s;
	but[n] = NULL;
	cmd_words(t, &launch_command, o, &launch_defaults, but);
}

static int write_script(struct text *t, const struct job *j, const struct slurm_job *s,
			struct err *e)
{
	own_free char *plan = plan_text(&j->plan), *words = malloc(SLURM_SCRIPT_MAX);
	char berth[PATH_MAX];
	struct text w;
	int rc = self_path(berth, sizeof(berth), "bin/berth", e);

	if (rc)
		return rc;
	if (!plan || !words)
		return err_set(e, -ENOMEM, "out of memory");
	text_init(&w, words, SLURM_SCRIPT_MAX);
	add_words(&w, &j->o);
	slurm_script(t, s, &j->plan, &j->o.sbatch, plan, berth, words);
	if (w.cut || t->cut)
		return err_set(e, -E2BIG, "the job's script would be larger than %d KiB",
			       SLURM_SCRIPT_MAX >> 10);
	return 0;
}

static bool gives(const struct opt_list *l, const char *name)
{
	size_t n = strlen(name);

	for (uint32_t i = 0; i < l->n; i++)
		if (strncmp(l->v[i], name, n) == 0 && (!l->v[i][n] || l->v[i][n] == '='))
			return true;
	return false;
}

static void say_submitted(const struct job *j, const struct slurm_job *s, const char *id)
{
	log_note(&j->log,
		 "job %s is submitted: `squeue -j %s` shows its state, `scancel %s` ends it", id,
		 id, id);
	if (!gives(&j->o.sbatch, "output"))
		log_note(&j->log, "what it says will be in berth-%s.log: `tail -F berth-%s.log`",
			 id, id);
	if (s->n_alike)
		log_warn(
			&j->log,
			"Slurm cannot tell %u other GPU%s here from those planned; should the job get one "
			"of them, it ends with exit code 7",
			s->n_alike, s->n_alike == 1 ? "" : "s");
}

static int submit(struct job *j, const struct slurm_job *s, const char *script, struct err *e)
{
	char warned[4096];
	struct sbatch b;
	int code, rc = sbatch_begin(&b, script, e);

	if (rc)
		return rc;
	printf("%s\n", b.job);
	rc = fflush(stdout) ? err_set(e, -ENOSPC,
				      "job %s is submitted, and its number cannot be "
				      "written to standard output",
				      b.job)
			    : 0;
	say_submitted(j, s, b.job);
	code = sbatch_end(&b, warned, sizeof(warned));
	for (char *save = NULL, *w = strtok_r(warned, "\n", &save); w;
	     w = strtok_r(NULL, "\n", &save))
		log_note(&j->log, "%s", text_clean(w));
	return rc ? rc : code;
}

int job_submit(struct job *j, struct err *e)
{
	own_free char *script = malloc(SLURM_SCRIPT_MAX);
	char name[RUN_NAME_MAX];
	struct slurm_job s;
	struct text t;
	int rc;

	if (!script)
		return err_set(e, -ENOMEM, "out of memory");
	if (j->o.name)
		text_copy(name, sizeof(name), j->o.name);
	else
		run_name_from(name, sizeof(name), j->plan.model_path);
	rc = slurm_job_make(&s, &j->plan, j->report, name, e);
	text_init(&t, script, SLURM_SCRIPT_MAX);
	if (rc == 0)
		rc = write_script(&t, j, &s, e);
	if (rc)
		return rc;
	if (!j->o.dry_run)
		return submit(j, &s, script, e);
	fputs(script, stdout);
	return fflush(stdout) || ferror(stdout)
		       ? err_set(e, -ENOSPC, "cannot write to standard output")
		       : EXIT_YES;
}
