/* SPDX-License-Identifier: MIT */
#include "bar-forward/backends.h"

#include <string.h>
#include <sys/un.h>

#include "bar-forward/serve.h"

static const struct device_ops *const backends[] = { &memory_device_ops };
const char *const backend_names[] = { "memory", NULL };

_Static_assert(sizeof(backends) / sizeof(backends[0]) ==
		       sizeof(backend_names) / sizeof(backend_names[0]) - 1,
	       "a name for each");

int serve_verb(const struct ask *a, struct err *e)
{
	struct serve_opts o = { .ops = backends[a->o->backend],
				.what = a->words[0],
				.socket = a->o->socket,
				.policy = a->o->policy,
				.guest = a->o->guest,
				.once = a->o->once,
				.record = a->o->record,
				.record_bytes = a->o->record_size };
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (!o.socket)
		return err_set(e, VERB_USAGE,
			       "give --socket PATH: where the virtual machine connects");
	if (strlen(o.socket) > most)
		return err_set(e, -EINVAL, "the path of --socket has %zu bytes; at most %zu",
			       strlen(o.socket), most);
	o.shape.mode = (enum grant_mode)a->o->mode;
	if (o.record && o.shape.mode == GRANT_AUTO)
		o.shape.mode = GRANT_TRAP; /* what is mapped, nobody records */
	o.shape.order = a->o->order;
	for (uint32_t i = 0; i < a->o->bars.n; i++) {
		int rc = shape_bar(&o.shape, a->o->bars.v[i], e);

		if (rc)
			return rc;
	}
	return serve_run(&o, a->log, e);
}
