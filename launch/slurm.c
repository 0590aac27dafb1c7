/* SPDX-License-Identifier: MIT */
/*
 * Sources: sbatch(1), srun(1). srun takes --cpus-per-task of its own since Slurm 22.05; a job that is cancelled gets
 * SIGTERM first, its script and its steps alike.
 */
#include "launch/slurm.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/*
 * Host memory beside the plan's, whose bill ends at the engine's buffers: our processes, and what a driver keeps
 * for each of its devices. Generous, because Slurm kills a job that needs more than it asked for.
 */
#define OWN_MIB         1024
#define EACH_GPU_MIB    512
#define CPUS_ALL_ON_GPU 2 /* one thread drives the devices, another answers clients */

/* What the plan decides, or what would make several jobs of one. */
static const struct {
	const char *name, *why;
} barred[] = {
	{ "gres", "the plan decides which devices" },
	{ "gpus", "the plan decides which devices" },
	{ "gpus-per-node", "the plan decides which devices" },
	{ "gpus-per-socket", "the plan decides which devices" },
	{ "gpus-per-task", "the plan decides which devices" },
	{ "tres-per-task", "the plan decides which devices" },
	{ "nodes", "a plan is for one node" },
	{ "ntasks", "a plan is for one process" },
	{ "array", "a plan is for one job" },
	{ "wrap", "berth writes the script" },
	{ "parsable", "berth reads the answer" },
	{ "quiet", "berth reads the answer" },
	{ "test-only", "--dry-run shows the script" },
};

int slurm_option_check(const char *option, struct err *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strspn(option, letters);

	if (n < 2 || option[0] == '-' || (option[n] && option[n] != '='))
		return err_set(e, -EINVAL,
			       "'%.60s' is no option of sbatch's by its long name, such as "
			       "partition=gpu or time=2:00:00",
			       option);
	for (const char *s = option + n; *s; s++)
		if (!isgraph((unsigned char)*s) || strchr("\"'\\#", *s))
			return err_set(
				e, -EINVAL,
				"%.*s: a blank, a quote, '#', '\\' or a letter beyond ASCII "
				"cannot be in a script's option; write it into the script that "
				"--dry-run prints",
				(int)n, option);
	/* sbatch takes the beginning of a name for the name */
	for (size_t i = 0; i < N_OF(barred); i++)
		if (strncmp(barred[i].name, option, n) == 0)
			return err_set(e, -EINVAL, "%s is not yours to give: %s", barred[i].name,
				       barred[i].why);
	return 0;
}

/* --- what to ask for --- */

struct type {
	char name[160];
	uint32_t n;
};

struct types {
	uint32_t n;
	struct type list[PLAN_DEVICES_MAX];
};

static void count_type(struct types *all, const char *name)
{
	uint32_t i = 0;

	while (i < all->n && strcmp(all->list[i].name, name) != 0)
		i++;
	if (i == all->n)
		text_copy(all->list[all->n++].name, sizeof(all->list[0].name), name);
	all->list[i].n++;
}

static int find_types(struct types *all, bool *here, const struct plan *p, const struct report *r,
		      struct err *e)
{
	char type[160];

	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct plan_device *one = &p->devices[d];
		const struct gpu *g = one->pci[0] ? report_gpu(r, one->pci) : NULL;

		if (!one->pci[0])
			return err_set(
				e, -ENODEV,
				"%s (%s) has no PCI address, and Slurm grants no such device",
				one->engine_name, one->name);
		if (g)
			gpu_gres_type(g, type, sizeof(type));
		else if (!gres_type(one->name, type, sizeof(type)))
			return err_set(
				e, -ENODEV,
				"the plan does not name the device at %s, which is not in this "
				"machine: Slurm cannot be asked for it",
				one->pci);
		*here = *here && g;
		count_type(all, type);
	}
	return 0;
}

/* GPUs of this machine that have a planned one's type and are not planned. */
static uint32_t alike(const struct types *all, const struct plan *p, const struct report *r)
{
	uint32_t n = 0;
	char type[160];

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		bool planned = false, typed = false;

		gpu_gres_type(g, type, sizeof(type));
		for (uint32_t d = 0; d < p->n_devices; d++)
			planned |= report_gpu(r, p->devices[d].pci) == g;
		for (uint32_t k = 0; k < all->n; k++)
			typed |= strcmp(all->list[k].name, type) == 0;
		n += typed && !planned && gpu_can_compute(g);
	}
	return n;
}

/* Slurm's default for a node's name is what comes before the first point of the host's. */
static void node_of(char *node, size_t size, const struct report *r)
{
	const char *host = fact_text_known(&r->host) ? r->host.v : "";
	size_t n = strcspn(host, ".");

	if (n == strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") &&
	    n < size)
		snprintf(node, size, "%.*s", (int)n, host);
}

static uint64_t memory_mib(const struct plan *p)
{
	uint64_t bytes = plan_buffers_sum(&p->host.buffers);

	return (bytes >> 20) + ((bytes & 0xfffff) != 0) + OWN_MIB +
	       (uint64_t)p->n_devices * EACH_GPU_MIB;
}

/* Layers and experts on the host are computed by all cores; else the CPU only drives the GPUs. */
static uint32_t cpus(const struct plan *p, const struct report *r)
{
	bool on_host = p->host.layers || p->flags.n_cpu_moe || p->flags.no_kv_offload ||
		       p->n_tensors;
	int64_t cores = fact_known(&r->cpu.cores) && r->cpu.cores.v > 0 ? r->cpu.cores.v : 1;

	if (cores > CPUS_ALL_ON_GPU && !on_host)
		cores = CPUS_ALL_ON_GPU;
	return (uint32_t)cores;
}

int slurm_job_make(struct slurm_job *s, const struct plan *p, const struct report *r,
		   const char *name, struct err *e)
{
	struct types all = { 0 };
	bool here = p->n_devices > 0;
	struct text t;
	int rc = find_types(&all, &here, p, r, e);

	*s = (struct slurm_job) { .memory_mib = memory_mib(p), .cpus = cpus(p, r) };
	if (rc)
		return rc;
	snprintf(s->name, sizeof(s->name), "berth-%s", name);
	text_init(&t, s->gres, sizeof(s->gres));
	for (uint32_t i = 0; i < all.n; i++)
		text_add(&t, "%sgpu:%s:%u", i ? "," : "", all.list[i].name, all.list[i].n);
	if (t.cut)
		return err_set(e, -ENODATA,
			       "the types of the plan's devices are too long for Slurm");
	if (here) {
		node_of(s->node, sizeof(s->node), r);
		s->n_alike = alike(&all, p, r);
	}
	return 0;
}

/* --- the script --- */

/* Whether the user gave an option of this name. */
static bool has_option(const struct opt_list *l, const char *name)
{
	size_t n = strlen(name);

	for (uint32_t i = 0; i < l->n; i++)
		if (strncmp(l->v[i], name, n) == 0 && (!l->v[i][n] || l->v[i][n] == '='))
			return true;
	return false;
}

static void add_options(struct text *t, const struct slurm_job *s, const struct opt_list *l)
{
	text_add(t, "#SBATCH --job-name=%s\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n", s->name);
	text_add(t, "#SBATCH --cpus-per-task=%u\n", s->cpus);
	text_add(t, "#SBATCH --mem=%lluM\n", (unsigned long long)s->memory_mib);
	if (s->gres[0])
		text_add(t, "#SBATCH --gres=%s\n", s->gres);
	if (s->node[0] && !has_option(l, "nodelist"))
		text_add(t, "#SBATCH --nodelist=%s\n", s->node);
	text_add(t, "#SBATCH --output=berth-%%j.log\n");
	for (uint32_t i = 0; i < l->n; i++)
		text_add(t, "#SBATCH --%s\n", l->v[i]);
}

static void add_devices(struct text *t, const struct plan *p)
{
	text_add(t, "# Written by berth %s. The plan in this script is for %s\n", berth_version,
		 p->n_devices ? "these devices:" : "no GPU.");
	for (uint32_t d = 0; d < p->n_devices; d++)
		text_add(t, "#   %s%s%s, %u layer%s\n", p->devices[d].pci,
			 p->devices[d].name[0] ? "  " : "", p->devices[d].name,
			 p->devices[d].layers, p->devices[d].layers == 1 ? "" : "s");
}

/*
 * The folder is for the plan, and for the run's own files where the node has no other place for them: sbatch hands on
 * the environment of the shell it is called from, whose folders may not be there. The trap that does nothing keeps
 * the shell alive until srun has passed the end of the job on and the run has stopped.
 */
static const char before_plan[] =
	"set -u\n"
	"[ -d \"${TMPDIR-}\" ] || unset TMPDIR\n"
	"berth=$(mktemp -d) || exit 5\n"
	"trap 'rm -rf \"$berth\"' EXIT\n"
	"trap : TERM INT HUP\n"
	"[ -w \"${BERTH_RUNTIME_DIR:-${XDG_RUNTIME_DIR:-/run/berth}}\" ] ||\n"
	"\texport BERTH_RUNTIME_DIR=\"$berth\"\n"
	"cat >\"$berth/plan.json\" <<'BERTH_PLAN'\n";

void slurm_script(struct text *t, const struct slurm_job *s, const struct plan *p,
		  const struct opt_list *options, const char *plan_text, const char *berth,
		  const char *words)
{
	size_t n = strlen(plan_text);

	text_add(t, "#!/bin/sh\n");
	add_options(t, s, options);
	add_devices(t, p);
	text_add(t, "%s%s%sBERTH_PLAN\n", before_plan, plan_text,
		 n && plan_text[n - 1] == '\n' ? "" : "\n");
	text_add(t, "srun --ntasks=1 --cpus-per-task=\"${SLURM_CPUS_PER_TASK:-%u}\" \\\n\t",
		 s->cpus);
	text_add_word(t, berth);
	text_add(t, " launch --plan \"$berth/plan.json\" --granted%s\n", words);
}
