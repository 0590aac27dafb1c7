/* SPDX-License-Identifier: MIT */
#include "bar-forward/backends.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

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

/* What of the device is shown, and how. */
static int take_shape(const struct ask *a, uint32_t device, struct serve_opts *o, struct err *e)
{
	o->shape.mode = (enum grant_mode)a->o->mode;
	if (o->record && o->shape.mode == GRANT_AUTO)
		o->shape.mode = GRANT_TRAP; /* what is mapped, nobody records */
	o->shape.order = device == 0 && a->o->order;
	o->shape.msix = (enum shape_msix)a->o->msix;
	o->shape.unplugs = a->o->qmp || a->o->libvirt;
	o->unplug = (struct unplug_opts) { a->o->qmp, a->o->libvirt, o->socket };
	for (uint32_t i = 0; device == 0 && i < a->o->bars.n; i++) {
		int rc = shape_bar(&o->shape, a->o->bars.v[i], e);

		if (rc)
			return rc;
	}
	return 0;
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
	for (uint32_t i = 0; i < s->n; i++)
		if (strlen(s->v[i]) > most)
			return err_set(e, -EINVAL,
				       "the path of --socket has %zu bytes; at most %zu",
				       strlen(s->v[i]), most);
	return 0;
}

/* What was asked for device i. What is told of the first one's registers means nothing for the next. */
static int take_options(const struct ask *a, uint32_t i, struct serve_opts *o, struct err *e)
{
	o->socket = a->o->sockets.v[i];
	o->user = a->o->user;
	o->socket_owner = a->o->socket_owner;
	o->guest = a->o->guest;
	o->once = a->o->once;
	if (i == 0) {
		o->policy = a->o->policy;
		o->record = a->o->record;
		o->record_bytes = a->o->record_size;
		o->relay = a->o->record_interrupts;
	}
	return take_shape(a, i, o, e);
}

struct several {
	const struct device_ops *ops[CMD_WORDS_MAX];
	const char *what[CMD_WORDS_MAX];
	char pci[CMD_WORDS_MAX][24];
};

/* All are judged before one is opened, since what is open is somebody's. */
static int ready_all(const struct ask *a, struct several *v, struct err *e)
{
	for (uint32_t i = 0; i < a->n_words; i++) {
		v->ops[i] = drives(a, a->words[i]);
		if (!v->ops[i]->gather)
			return err_set(e, VERB_USAGE,
				       "%s: only functions that VFIO drives are served together",
				       a->words[i]);
		int rc = ready(a, a->words[i], v->pci[i], &v->ops[i], e);

		if (rc)
			return rc;
		v->what[i] = v->pci[i];
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(v->pci[i], v->pci[j]) == 0)
				return err_set(e, -EINVAL, "%s is named twice", v->pci[i]);
	}
	return 0;
}

/* The functions of a card, say, which are of one IOMMU group. */
static int serve_several(const struct ask *a, struct err *e)
{
	struct several v;
	struct serve_opts o = { 0 };
	uint32_t mine = 0;
	int rc = ready_all(a, &v, e);

	if (!rc)
		rc = v.ops[0]->gather(&o.beside, v.what, a->n_words, e);
	if (rc)
		return rc;
	rc = serve_each(a->n_words, &mine, e);
	if (rc == -1) {
		o.ops = v.ops[mine];
		o.what = v.what[mine];
		rc = take_options(a, mine, &o, e);
		if (!rc)
			rc = serve_run(&o, a->log, e);
	}
	v.ops[0]->close(o.beside);
	return rc;
}

static int serve_one(const struct ask *a, struct serve_opts *o, struct err *e)
{
	char pci[24];
	int rc = take_options(a, 0, o, e);

	if (!rc && o->ops != &memory_device_ops && o->ops != &replay_device_ops) {
		rc = ready(a, a->words[0], pci, &o->ops, e);
		o->what = pci;
	}
	return rc ? rc : serve_run(o, a->log, e);
}

int serve_verb(const struct ask *a, struct err *e)
{
	struct serve_opts o = { .ops = drives(a, a->words[0]), .what = a->words[0] };
	int rc = check_words(a, e);

	if (rc)
		return rc;
	return a->n_words > 1 ? serve_several(a, e) : serve_one(a, &o, e);
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
