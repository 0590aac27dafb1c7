/* SPDX-License-Identifier: MIT */
/* From options to a plan and a command line; starts nothing but the short-lived list of devices. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "launch/cpus.h"
#include "launch/grant.h"
#include "launch/job.h"
#include "launch/narrow.h"

#define SEQUENCES_SERVED 4 /* at once, where nobody said how many */

/* What Slurm granted, with --granted: what is not told which devices to use, uses these. */
static int find_grant(struct job *j, struct err *e)
{
	bool assumed = false;
	struct text t;
	int rc = j->granted[0] ? 0 : grant_read(&j->grant, j->report, &assumed, e);

	if (rc)
		return rc;
	if (assumed)
		log_note(&j->log,
			 "Slurm's files do not tell in which order it numbers the GPUs; taken "
			 "for that of gres.conf, or else of the addresses");
	grant_clear_env(&j->grant);
	text_init(&t, j->granted, sizeof(j->granted));
	for (uint32_t i = 0; i < j->grant.n; i++)
		text_add(&t, "%s%s", i ? "," : "", j->grant.pci[i]);
	if (!j->grant.n)
		text_add(&t, "cpu");
	if (!j->o.plan && !j->o.device)
		j->o.device = j->granted;
	return 0;
}

static int check_grant(const struct job *j, struct err *e)
{
	return j->o.granted ? grant_check(&j->grant, &j->plan, j->report, e) : 0;
}

/* All of the weights must be there: a header alone can be planned, not launched. */
static int check_data(const struct model *m, struct err *e)
{
	char have[TEXT_SIZE_MAX], want[TEXT_SIZE_MAX];

	if (model_expected_bytes(m) <= model_size_bytes(m))
		return 0;
	return err_set(e, -EBADMSG,
		       "%s is cut short: it has %s and its header promises %s; fetch it again",
		       model_path(m), text_size(have, model_size_bytes(m)),
		       text_size(want, model_expected_bytes(m)));
}

/* The files of --lora FILE or FILE=SCALE, for the planner. */
struct adapter_files {
	const char *list[OPT_LIST_MAX];
	char paths[OPT_LIST_MAX][PATH_MAX];
};

/* A name may have an equals sign of its own: only a number after the last one is a scale, as in core. */
static int adapter_file(char path[PATH_MAX], const char *given, struct err *e)
{
	const char *equals = strrchr(given, '=');
	char *end = NULL;

	if (!text_copy(path, PATH_MAX, given))
		return err_set(e, -ENAMETOOLONG, "the path is too long: %s", given);
	if (equals)
		strtod(equals + 1, &end);
	if (equals && end != equals + 1 && *end == 0)
		path[equals - given] = 0;
	return 0;
}

static int decide(struct plan *p, const struct job *j, const struct model *m, uint32_t n_seq,
		  struct err *e)
{
	own_free struct adapter_files *files = malloc(sizeof(*files));
	struct plan_beside beside = { .draft = j->o.draft ? j->draft : NULL,
				      .n_loras = j->o.loras.n };
	struct wish w = j->wish;

	if (!files)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < beside.n_loras; i++) {
		int rc = adapter_file(files->paths[i], j->o.loras.v[i], e);

		if (rc)
			return rc;
		files->list[i] = files->paths[i];
	}
	beside.loras = files->list;
	w.n_seq_max = n_seq;
	return plan_make_beside(p, m, j->choice.places, j->choice.n, &j->choice.host, &w, &beside,
				e);
}

/* Several sequences must not cost a layer its device, or the answer its yes. */
static bool no_worse(const struct plan *p, const struct plan *alone)
{
	return plan_exit(p) == plan_exit(alone) && p->verdict == alone->verdict &&
	       p->flags.n_gpu_layers >= alone->flags.n_gpu_layers &&
	       p->flags.n_ctx >= alone->flags.n_ctx;
}

/*
 * A server of which nobody said how many it answers at once: several, as far as they take nothing from
 * what one alone would get. j->plan is that of one alone.
 */
static int decide_sequences(struct job *j, const struct model *m, struct err *e)
{
	own_free struct plan *several = malloc(sizeof(*several));
	uint32_t n = SEQUENCES_SERVED;

	if (plan_exit(&j->plan) != EXIT_YES)
		return 0; /* what would make a yes is told of the simplest */
	if (!several)
		return err_set(e, -ENOMEM, "out of memory");
	for (; n > 1; n /= 2) {
		int rc = decide(several, j, m, n, e);

		if (rc)
			return rc;
		if (no_worse(several, &j->plan))
			break;
	}
	if (n > 1)
		j->plan = *several;
	if (n < SEQUENCES_SERVED)
		log_note(&j->log,
			 "answers %u request%s at once, not %d: more would cost layers their "
			 "device or tokens their room; --parallel decides",
			 n, n == 1 ? "" : "s", SEQUENCES_SERVED);
	return 0;
}

/* A draft is a model like the other: all of it must be there, by a path that is good everywhere. */
static int find_draft(struct job *j, struct err *e)
{
	char path[PATH_MAX];
	struct model *m;
	int rc;

	if (!j->o.draft)
		return 0;
	rc = model_find(path, sizeof(path), j->o.draft, e);
	if (rc == 0)
		rc = model_open(&m, path, e);
	if (rc)
		return err_at(e, rc, "--draft");
	rc = check_data(m, e);
	model_close(m);
	if (rc == 0 && !realpath(path, j->draft))
		rc = err_set(e, -errno, "%s: %s", path, strerror(errno));
	return rc;
}

static int check_draft_is_placed(const struct job *j, struct err *e)
{
	if (!j->o.draft || j->plan.draft.n_max || plan_exit(&j->plan) != EXIT_YES)
		return 0;
	return err_set(e, -EINVAL,
		       "the draft would be on a device that the model does not use; name the "
		       "devices with --device");
}

static int plan_for(struct job *j, const struct model *m, struct err *e)
{
	int rc = decide(&j->plan, j, m, j->wish.n_seq_max, e);

	if (rc == 0 && j->o.serve && !j->wish.n_seq_max)
		rc = decide_sequences(j, m, e);
	for (uint32_t i = 0; rc == 0 && i < j->choice.n_assumed; i++)
		plan_assume(&j->plan, "%s", j->choice.assumed[i]);
	return rc ? rc : check_draft_is_placed(j, e);
}

static int plan_anew(struct job *j, struct err *e)
{
	struct model *m;
	char path[PATH_MAX];
	int rc = model_find(path, sizeof(path), j->model, e);

	if (rc == -ENOENT && !j->profile.path[0] && profile_is_name(j->model))
		rc = err_set(
			e, rc,
			"there is no file and no profile %s, and no store of models here knows "
			"that name",
			j->model);
	if (rc == 0)
		rc = find_draft(j, e);
	if (rc == 0)
		rc = model_open(&m, path, e);
	if (rc)
		return rc;
	rc = check_data(m, e);
	if (rc == 0)
		rc = job_places(j, m, false, e);
	if (rc == 0)
		rc = plan_for(j, m, e);
	/* GPUs that were left asleep may be what is missing */
	if (rc == 0 && j->narrowed && plan_exit(&j->plan) != EXIT_YES) {
		rc = job_places(j, m, true, e);
		if (rc == 0)
			rc = plan_for(j, m, e);
	}
	model_close(m);
	for (uint32_t i = 0; rc == 0 && i < j->choice.n_notes; i++)
		log_note(&j->log, "not used: %s", j->choice.notes[i]);
	return rc;
}

/* A plan is for one model: the same size and the same header. */
static int check_model(const struct job *j, const char *path, uint64_t size_bytes,
		       const char *sha256, struct err *e)
{
	struct model *m;
	char hash[65];
	int rc = model_open(&m, path, e);

	if (rc)
		return rc;
	rc = check_data(m, e);
	model_header_sha256(m, hash);
	if (rc == 0 && (model_size_bytes(m) != size_bytes || strcmp(hash, sha256) != 0))
		rc = err_set(e, -EBADMSG, "%s is not the model that %s was made for; plan again",
			     path, j->o.plan);
	model_close(m);
	return rc;
}

/* The devices must be the ones that were planned for, by address and UUID. */
static int check_devices(const struct job *j, struct err *e)
{
	for (uint32_t d = 0; d < j->plan.n_devices; d++) {
		const struct plan_device *want = &j->plan.devices[d];
		const struct gpu *g = want->pci[0] ? report_gpu(j->report, want->pci) : NULL;
		char need[TEXT_SIZE_MAX], have[TEXT_SIZE_MAX];
		uint64_t sum = plan_buffers_sum(&want->buffers);

		if (!want->pci[0])
			continue;
		if (!g)
			return err_set(e, -ENXIO,
				       "the plan's device %s %s is not in this machine; plan again",
				       want->pci, want->name);
		if (want->uuid[0] && fact_text_known(&g->uuid) &&
		    strcmp(g->uuid.v, want->uuid) != 0)
			return err_set(
				e, -ENXIO,
				"at %s there is now another device (%s) than planned (%s); plan again",
				want->pci, g->uuid.v, want->uuid);
		if (fact_known(&g->vram_free) && sum > (uint64_t)g->vram_free.v)
			log_warn(&j->log, "%s has only %s free now, and the plan needs %s",
				 want->pci, text_size(have, (uint64_t)g->vram_free.v),
				 text_size(need, sum));
	}
	return 0;
}

/* The file must be the plan's model; a job of Slurm's looks for itself where this machine has none. */
static int find_model(struct job *j, struct err *e)
{
	const char *model = j->model ? j->model : j->plan.model_path;
	char path[PATH_MAX];

	if (j->o.slurm && model[0] == '/' && access(model, F_OK) != 0) {
		log_note(&j->log, "%s is not here; the job will look for it", model);
		return text_copy(j->plan.model_path, sizeof(j->plan.model_path), model)
			       ? 0
			       : err_set(e, -ENAMETOOLONG, "the path of the model is too long");
	}
	if (!realpath(model, path))
		return err_set(e, -errno, "the plan's model %s: %s", model, strerror(errno));
	if (!text_copy(j->plan.model_path, sizeof(j->plan.model_path), path))
		return err_set(e, -ENAMETOOLONG, "the path of the model is too long: %s", path);
	return check_model(j, path, j->plan.model_size_bytes, j->plan.header_sha256, e);
}

static int check_plan_draft(struct job *j, struct err *e)
{
	struct plan_draft *d = &j->plan.draft;
	char path[PATH_MAX];

	if (!d->n_max)
		return 0;
	if (j->o.engine || !j->o.serve)
		return err_set(e, -EINVAL,
			       "the plan has a draft model, which only our own core has a use for, "
			       "and only when it serves");
	if (!realpath(d->path, path))
		return err_set(e, -errno, "the plan's draft %s: %s", d->path, strerror(errno));
	if (!text_copy(d->path, sizeof(d->path), path))
		return err_set(e, -ENAMETOOLONG, "the path of the draft is too long: %s", path);
	return check_model(j, path, d->size_bytes, d->header_sha256, e);
}

static int plan_from_file(struct job *j, struct err *e)
{
	int rc = plan_read(&j->plan, j->o.plan, e);

	if (rc)
		return rc;
	if (j->o.accept >= 0)
		j->plan.accept = (enum accept)j->o.accept;
	if (j->o.loras.n && !j->o.granted)
		log_note(&j->log, "a plan does not say which adapters its bytes count; those given "
				  "now may need more");
	rc = check_grant(j, e);
	if (rc == 0)
		rc = find_model(j, e);
	if (rc == 0)
		rc = check_plan_draft(j, e);
	/* the machine that runs the job need not be this one */
	return rc || j->o.slurm ? rc : check_devices(j, e);
}

/* The core starts elsewhere: its paths must not depend on where we are. */
static int absolute_model(struct plan *p, struct err *e)
{
	char path[PATH_MAX];

	if (!realpath(p->model_path, path))
		return err_set(e, -errno, "%s: %s", p->model_path, strerror(errno));
	if (!text_copy(p->model_path, sizeof(p->model_path), path))
		return err_set(e, -ENAMETOOLONG, "the path of the model is too long: %s", path);
	/* the core reads the path from JSON, cleaned: it would look for another file */
	if (strcmp(text_clean(path), p->model_path) != 0)
		return err_set(e, -EBADMSG,
			       "a plan cannot name %s, which has control characters or is not "
			       "UTF-8; rename the file",
			       path);
	return 0;
}

int job_plan(struct job *j, struct err *e)
{
	int rc = runtime_program(cores[0].program, j->program, sizeof(j->program), e);

	if (rc == 0)
		rc = job_probe(j, e);
	if (rc == 0 && j->o.granted)
		rc = find_grant(j, e);
	if (rc == 0)
		rc = j->o.plan ? plan_from_file(j, e) : plan_anew(j, e);
	if (rc == 0 && !j->o.plan)
		rc = check_grant(j, e);
	if (rc == 0 && !j->o.plan)
		rc = absolute_model(&j->plan, e);
	if (rc)
		return rc;
	plan_id(&j->plan, j->id);
	j->planned = true;
	return 0;
}

/* Only where nobody said so before us: under numactl the user has decided. */
static void choose_memory(struct job *j)
{
	struct memory_nodes nodes;
	struct machine live;

	if (machine_open(&live, NULL, NULL))
		return;
	memory_read(&nodes, &live);
	machine_close(&live);
	j->memory = memory_choose(&nodes, &j->plan, &j->cpus);
	if (!memory_is_ours())
		j->memory.kind = MEMORY_ANY;
}

int job_prepare(struct job *j, struct err *e)
{
	struct core_wish w = {
		.program = j->engine_program,
		.plan_path = j->runtime.plan_path,
		.telemetry_path = j->runtime.page_path,
		.prompt = j->o.prompt,
		.temperature = j->o.temperature,
		.max_tokens = j->o.max_tokens,
		.seed = j->o.seed,
		.control_fd = CHILD_CONTROL_FD + (j->sockets ? (int)j->sockets->n : 0),
		.plain_cpu = j->plain_cpu,
		.sockets = j->sockets,
		.name = j->name,
		.key_file = j->key_path,
		.n_hosts = j->o.allow_host.n,
		.chat_template = j->o.chat_template,
		.draft_min = j->o.draft_min,
		.sleep_idle_s = j->o.sleep_idle_s,
		.max_queue = j->o.max_queue,
		.max_connections = j->o.max_connections,
		.max_body = j->o.max_body,
		.loras = &j->o.loras,
		.vectors = &j->o.vectors,
		.verbose = (uint32_t)j->o.verbose,
	};
	struct narrow narrow;
	cpu_set_t allowed;
	double load;
	int rc = runtime_program(cores[j->o.engine].program, j->engine_program,
				 sizeof(j->engine_program), e);

	if (rc == 0)
		rc = runtime_open(&j->runtime, e);
	if (rc)
		return rc;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return err_set(e, -errno, "the CPUs we may use: %s", strerror(errno));
	memcpy(w.hosts, j->o.allow_host.v, sizeof(w.hosts));
	cpus_choose(j->report, &j->plan, &allowed, &j->cpus);
	if (getloadavg(&load, 1) != 1)
		load = -1;
	w.threads = cpus_threads((uint32_t)CPU_COUNT(&j->cpus), load);
	w.shared = cpus_are_shared(load) && !getenv("OMP_WAIT_POLICY");
	w.vulkan_drivers = job_vulkan_drivers(j, &narrow);
	choose_memory(j);
	core_start_make(&j->start, &cores[j->o.engine], &j->plan, &w);
	return 0;
}

void job_reset(struct job *j)
{
	memset(&j->wire, 0, sizeof(j->wire));
	memset(&j->tail, 0, sizeof(j->tail));
	memset(&j->proof, 0, sizeof(j->proof));
	memset(&j->ending, 0, sizeof(j->ending));
	memset(&j->loss, 0, sizeof(j->loss));
	j->proven = false;
}

void job_free(struct job *j)
{
	own_close_fd(&j->signal_fd);
	losses_close(&j->losses);
	probe_free(j->report);
	profile_free(&j->profile);
	free(j->text);
	free(j);
}
