/* SPDX-License-Identifier: MIT */
#include "bar-forward/backends.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bar-forward/list.h"
#include "bar-forward/ready.h"
#include "bar-forward/serve.h"
#include "bar-forward/whichbridge.h"
#include "kmod/uapi.h"

enum { AUTO };

static const struct device_ops *const backends[] = {
	[AUTO] = NULL, &vfio_device_ops, &kmod_device_ops, &memory_device_ops, &replay_device_ops
};
const char *const backend_names[] = { [AUTO] = "auto", "vfio", "kmod", "memory", "replay", NULL };

_Static_assert(sizeof(backends) / sizeof(backends[0]) ==
		       sizeof(backend_names) / sizeof(backend_names[0]) - 1,
	       "a name for each");

/* A description is a file, and no PCI address is one. */
static const struct device_ops *drives(const struct ask *a)
{
	const char *what = a->words[0], *dot = strrchr(what, '.');

	if (a->o->backend != AUTO)
		return backends[a->o->backend];
	return strchr(what, '/') || (dot && strcmp(dot, ".json") == 0) || access(what, F_OK) == 0
		       ? &memory_device_ops
		       : &vfio_device_ops;
}

/* Its whole PCI address, once every check says that it can be a guest's; and what drives it, where that was left open. */
static int ready(const struct ask *a, char pci[24], const struct device_ops **ops, struct err *e)
{
	struct options named = *a->o;
	struct ask ask = *a;
	const struct finding *no;
	struct bridge_facts f;
	struct readiness r;
	int rc;

	named.any = true; /* who names a device means it */
	ask.o = &named;
	rc = judge_one(&ask, a->words[0], &f, &r, e);
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
static int take_shape(const struct ask *a, struct serve_opts *o, struct err *e)
{
	o->shape.mode = (enum grant_mode)a->o->mode;
	if (o->record && o->shape.mode == GRANT_AUTO)
		o->shape.mode = GRANT_TRAP; /* what is mapped, nobody records */
	o->shape.order = a->o->order;
	o->shape.msix = (enum shape_msix)a->o->msix;
	o->shape.unplugs = a->o->qmp || a->o->libvirt;
	o->unplug = (struct unplug_opts) { a->o->qmp, a->o->libvirt, o->socket };
	for (uint32_t i = 0; i < a->o->bars.n; i++) {
		int rc = shape_bar(&o->shape, a->o->bars.v[i], e);

		if (rc)
			return rc;
	}
	return 0;
}

static int serve(const struct ask *a, const struct device_ops *ops, const char *what, bool once,
		 struct err *e)
{
	char pci[24];
	struct serve_opts o = { .ops = ops,
				.what = what,
				.socket = a->o->socket,
				.policy = a->o->policy,
				.guest = a->o->guest,
				.once = once,
				.record = a->o->record,
				.record_bytes = a->o->record_size };
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	int rc;

	if (!o.socket)
		return err_set(e, VERB_USAGE,
			       "give --socket PATH: where the virtual machine connects");
	if (a->o->qmp && a->o->libvirt)
		return err_set(e, VERB_USAGE, "give --qmp or --libvirt, not both");
	if (strlen(o.socket) > most)
		return err_set(e, -EINVAL, "the path of --socket has %zu bytes; at most %zu",
			       strlen(o.socket), most);
	rc = take_shape(a, &o, e);
	if (!rc && o.ops != &memory_device_ops && o.ops != &replay_device_ops) {
		rc = ready(a, pci, &o.ops, e);
		o.what = pci;
	}
	if (rc)
		return rc;
	return serve_run(&o, a->log, e);
}

int serve_verb(const struct ask *a, struct err *e)
{
	return serve(a, drives(a), a->words[0], a->o->once, e);
}

int replay_verb(const struct ask *a, struct err *e)
{
	char path[4096];
	int rc = whichbridge_recording(a->words[0], path, e);

	/* A second guest would begin where the first has left off. */
	return rc ? rc : serve(a, &replay_device_ops, path, true, e);
}
