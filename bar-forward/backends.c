/* SPDX-License-Identifier: MIT */
#include "bar-forward/backends.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bar-forward/devopts.h"
#include "bar-forward/list.h"
#include "bar-forward/ready.h"
#include "bar-forward/serve.h"
#include "bar-forward/serve_each.h"
#include "bar-forward/whichbridge.h"
#include "kmod/uapi.h"

enum { AUTO };

static const struct device_ops *const backends[] = {
	[AUTO] = NULL, &vfio_device_ops, &kmod_device_ops, &memory_device_ops, &replay_device_ops
};
const char *const backend_names[] = { [AUTO] = "auto", "vfio", "kmod", "memory", "replay", NULL };

const struct device_ops *const worker_backends[] = { &vfio_device_ops, &kmod_device_ops,
						     &memory_device_ops, NULL };

_Static_assert(sizeof(backends) / sizeof(backends[0]) ==
		       sizeof(backend_names) / sizeof(backend_names[0]) - 1,
	       "a name for each");

/* A description is a file, and no PCI address is one. */
static const struct device_ops *drives(const struct ask *a, const char *what)
{
	const char *dot = strrchr(what, '.');

	if (a->o->backend != AUTO)
		return backends[a->o->backend];
	return strchr(what, '/') || (dot && strcmp(dot, ".json") == 0) || access(what, F_OK) == 0
		       ? &memory_device_ops
		       : &vfio_device_ops;
}

/* Its whole PCI address, once every check says that it can be a guest's; and what drives it, where that was left open. */
static int ready(const struct ask *a, const char *what, char pci[24], const struct device_ops **ops,
		 struct err *e)
{
	struct options named = *a->o;
	struct ask ask = *a;
	const struct finding *no;
	struct bridge_facts f;
	struct readiness r;
	int rc;

	named.any = true; /* who names a device means it */
	ask.o = &named;
	rc = judge_one(&ask, what, &f, &r, e);
	if (rc)
		return rc;
	no = ready_refusal(&r);
	if (no)
		return err_set(e, -EPERM, "%s cannot be served: %s: %s%s%s", f.pci, no->check,
			       no->words, no->fix[0] ? "; " : "", no->fix);
	if (r.state != VERDICT_YES)
		return err_set(e, -EPERM, "%s is not attached yet: berth bridge attach %s%s%s",
			       f.pci, f.pci, r.state == VERDICT_FORCE ? " --force" : "",
			       a->o->any ? " --any" : "");
	snprintf(pci, 24, "%s", f.pci);
	if (a->o->backend == AUTO && strcmp(f.driver, BERTH_VFIO_DRIVER) == 0)
		*ops = &kmod_device_ops;
	return 0;
}

/* --- what was asked for each device --- */

static const struct devopts each_policy = { .option = "policy", .mark = '=', .sample = "FILE" };
static const struct devopts each_record = { .option = "record", .mark = '=', .sample = "FILE" };
static const struct devopts each_bar = { .option = "bar", .mark = ':', .sample = "N=SIZE" };

static struct devopts given_as(const struct ask *a, const struct devopts *what,
			       const struct opt_list *given)
{
	struct devopts o = *what;

	o.devices = a->words;
	o.n = a->n_words;
	o.given = given;
	return o;
}

static int take_bars(const struct ask *a, uint32_t device, struct shape *s, struct err *e)
{
	const struct devopts o = given_as(a, &each_bar, &a->o->bars);

	for (uint32_t k = 0; k < a->o->bars.n; k++) {
		const char *word;
		int whose = devopts_of(&o, k, &word, e);

		if (whose == (int)device)
			whose = shape_bar(s, word, e);
		if (whose < 0)
			return whose;
	}
	return 0;
}

/* What of the device is shown, and how. */
static int take_shape(const struct ask *a, uint32_t device, struct serve_opts *o, struct err *e)
{
	o->shape.mode = (enum grant_mode)a->o->mode;
	if (o->record && o->shape.mode == GRANT_AUTO)
		o->shape.mode = GRANT_TRAP; /* what is mapped, nobody records */
	o->shape.order = a->o->order;
	o->shape.msix = (enum shape_msix)a->o->msix;
	o->shape.unplugs = a->o->qmp || a->o->libvirt;
	o->unplug = (struct unplug_opts) { a->o->qmp, a->o->libvirt, o->socket };
	return take_bars(a, device, &o->shape, e);
}

static int take_options(const struct ask *a, uint32_t device, struct serve_opts *o, struct err *e)
{
	const struct devopts policy = given_as(a, &each_policy, &a->o->policies);
	const struct devopts record = given_as(a, &each_record, &a->o->records);
	int rc = devopts_one(&policy, device, &o->policy, e);

	if (!rc)
		rc = devopts_one(&record, device, &o->record, e);
	if (rc)
		return rc;
	o->socket = a->o->sockets.v[device];
	o->user = a->o->user;
	o->socket_owner = a->o->socket_owner;
	o->guest = a->o->guest;
	o->once = a->o->once;
	o->record_bytes = a->o->record_size;
	o->relay = a->o->record_interrupts;
	return take_shape(a, device, o, e);
}

/* --- one or several --- */

struct several {
	uint32_t n;
	struct serve_opts o[CMD_WORDS_MAX];
	char pci[CMD_WORDS_MAX][24];
	const char *what[CMD_WORDS_MAX];
};

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* The sockets that were given: one for each device, each of which a client can name. */
static int check_words(const struct ask *a, struct err *e)
{
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	const struct opt_list *s = &a->o->sockets;

	if (s->n != a->n_words)
		return err_set(e, VERB_USAGE,
			       "give --socket PATH%s: where the virtual machine connects",
			       a->n_words > 1 ? " for each device" : "");
	if (a->o->qmp && a->o->libvirt)
		return err_set(e, VERB_USAGE, "give --qmp or --libvirt, not both");
	for (uint32_t i = 0; i < s->n; i++) {
		if (strlen(s->v[i]) > most)
			return err_set(e, -EINVAL,
				       "the path of --socket has %zu bytes; at most %zu",
				       strlen(s->v[i]), most);
		if (s->v[i][0] != '/')
			return err_set(
				e, -EINVAL,
				"--socket %s is not an absolute path; QEMU may run in another folder",
				s->v[i]);
	}
	return 0;
}

/* Each has its own of everything. Memory is nobody else's, so two may be made of one description. */
static int check_apart(const struct several *v, struct err *e)
{
	for (uint32_t i = 0; i < v->n; i++)
		for (uint32_t j = 0; j < i; j++) {
			const struct serve_opts *a = &v->o[j], *b = &v->o[i];

			if (is_same(a->pci, b->pci))
				return err_set(e, -EINVAL, "%s is named twice", b->pci);
			if (is_same(a->socket, b->socket))
				return err_set(e, -EINVAL, "--socket %s is given twice", b->socket);
			if (is_same(a->record, b->record))
				return err_set(
					e, -EINVAL,
					"--record %s is given for two devices; each needs a file of its own",
					b->record);
		}
	return 0;
}

/* All are judged before one is opened, since what is open is somebody's. */
static int prepare(const struct ask *a, struct several *v, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < v->n; i++) {
		v->o[i].ops = drives(a, a->words[i]);
		if (!v->o[i].ops->gather != !v->o[0].ops->gather)
			return err_set(e, VERB_USAGE,
				       "%s and %s cannot be served together: one of them is a file",
				       a->words[0], a->words[i]);
		rc = take_options(a, i, &v->o[i], e);
	}
	for (uint32_t i = 0; !rc && i < v->n; i++) {
		struct serve_opts *o = &v->o[i];

		o->what = a->words[i];
		if (o->ops->gather) {
			rc = ready(a, o->what, v->pci[i], &o->ops, e);
			o->what = o->pci = v->pci[i];
		}
		v->what[i] = o->what;
	}
	return rc ? rc : check_apart(v, e);
}

/* In a process of its own: what is said tells which of them it is about. */
static int serve_mine(struct serve_opts *o, const struct log *log, struct err *e)
{
	char who[160];
	struct log mine = *log;
	int rc;

	snprintf(who, sizeof(who), "%s %s", log->who, o->what);
	mine.who = who;
	rc = serve_run(o, &mine, e);
	return rc && !strstr(e->text, o->what) ? err_at(e, rc, "%s", o->what) : rc;
}

/* The functions of a card, say, which are of one IOMMU group. */
static int serve_several(const struct ask *a, struct several *v, struct err *e)
{
	const struct device_ops *ops = v->o[0].ops;
	struct device *beside = NULL;
	uint32_t mine = 0;
	int rc = ops->gather ? ops->gather(&beside, v->what, v->n, e) : 0;

	if (rc)
		return rc;
	rc = serve_each(v->n, &mine, e);
	if (rc == -1) {
		v->o[mine].beside = beside;
		rc = serve_mine(&v->o[mine], a->log, e);
	}
	if (beside)
		ops->close(beside);
	return rc;
}

int serve_verb(const struct ask *a, struct err *e)
{
	struct several v = { .n = a->n_words };
	int rc = check_words(a, e);

	if (!rc)
		rc = prepare(a, &v, e);
	if (rc)
		return rc;
	return v.n > 1 ? serve_several(a, &v, e) : serve_run(&v.o[0], a->log, e);
}

int replay_verb(const struct ask *a, struct err *e)
{
	char path[4096];
	struct serve_opts o = { .ops = &replay_device_ops, .what = path };
	int rc = check_words(a, e);

	if (!rc)
		rc = whichbridge_recording(a->words[0], path, e);
	if (!rc)
		rc = take_options(a, 0, &o, e);
	o.once = true; /* a second guest would begin where the first has left off */
	return rc ? rc : serve_run(&o, a->log, e);
}
