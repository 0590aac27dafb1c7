/* SPDX-License-Identifier: MIT */
#include "probe/refresh.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/child.h"
#include "probe/claims.h"
#include "probe/ioctl_priv.h"
#include "probe/section.h"

#define BUS "sys/bus/pci/devices"

bool probe_has_nvml(const struct gpu *g)
{
	return gpu_has_nvml(g);
}

/* --- one device --- */

static void read_driver(const struct source *s, const char *dir, struct gpu *g)
{
	char path[PATH_SIZE], name[MACHINE_NAME_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/driver", dir) >= sizeof(path))
		return;
	if (src_link_name(s, path, name, sizeof(name)) == 0)
		g->driver = fact_text_of(name, SRC_SYSFS);
	else
		g->driver = fact_text_unknown(WHY_NO_DRIVER);
}

/* Memory by ioctl, where the kernel's files do not tell it; asked here, as this thread may hang. */
static void ask_memory(const struct machine *m, struct gpu *g)
{
	struct drm_memory memory = { 0 };
	struct ioctl_fn f;
	bool wakes;

	if (fact_known(&g->vram_total) || !fact_text_known(&g->driver) ||
	    !drm_answers(g->driver.v, &wakes) || !fact_text_known(&g->drm_render))
		return;
	if (wakes && (g->awake != AWAKE_YES || asleep_now(m, g->pci)))
		return;
	if (drm_ask_memory(g->drm_render.v, g->driver.v, &memory))
		return;
	ioctl_facts(&memory, &f);
	g->vram_total = f.vram_total;
	g->vram_used = f.vram_used;
	g->vram_free = f.vram_free;
}

int probe_refresh(const struct machine *m, struct gpu *g)
{
	const struct source s = { .m = m };
	char dir[PATH_SIZE];
	enum presence p = presence_look(m, g->pci, dir, &g->awake);

	if (p == PRESENCE_GONE || p == PRESENCE_DEAD)
		return -ENODEV;
	if (p == PRESENCE_UNKNOWN)
		return 0;
	read_driver(&s, dir, g);
	if (gpu_has_nvml(g))
		return 0;
	const struct look look = { .s = &s, .g = g, .dir = dir, .ask = g->awake == AWAKE_YES };

	hwmon_read(&s, g, false);
	section_live.read(&look);
	ask_memory(m, g);
	return 0;
}

bool probe_may_sleep(const struct machine *m, const struct gpu *g)
{
	char path[PATH_SIZE], control[32];

	snprintf(path, sizeof(path), BUS "/%s/power/control", g->pci);
	return machine_read(m, path, control, sizeof(control)) > 0 && !strcmp(control, "auto");
}

/* FNV-1a: it has to differ, not to resist. */
static uint64_t mix(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (h ^ '\n') * UINT64_C(1099511628211);
}

uint64_t probe_bus_mark(const struct machine *m)
{
	own_free char **names = NULL;
	int n = machine_list(m, BUS, &names);
	uint64_t h = UINT64_C(14695981039346656037);

	for (int i = 0; i < n; i++)
		h = mix(h, names[i]);
	return h;
}

/* --- holders --- */

int probe_refresh_holders(const struct machine *m, struct report *r, struct err *e)
{
	struct claims c = { 0 };

	(void)e;
	claims_walk(&c, m, r, false);
	claims_kfd(&c, m, r);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct holders *h = &r->gpus[i].holders;

		h->n_procs = h->n_left_out = 0;
		claims_of_gpu(&c, i, h);
		h->unseen = c.unseen;
	}
	claims_fini(&c);
	return 0;
}

/* --- NVIDIA's library --- */

struct probe_nvml {
	struct child child;
	int ask; /* our end of the pipe of questions */
	uint32_t n;
	char pci[PROBE_GPUS_MAX][24];
	struct nvml_question question;
	bool told;              /* the library's own record has come */
	struct nvml_view fresh; /* of the round at hand */
	struct nvml_view view;  /* the last of each device */
};

int probe_nvml_open(struct probe_nvml **out, const struct machine *m, const struct report *r,
		    struct err *e)
{
	struct probe_nvml *n = calloc(1, sizeof(*n));
	int ends[2];

	(void)m;
	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (gpu_has_nvml(&r->gpus[i]))
			text_copy(n->pci[n->n++], sizeof(n->pci[0]), r->gpus[i].pci);
	if (pipe2(ends, O_CLOEXEC)) {
		free(n);
		return err_set(e, -errno, "cannot make a pipe");
	}
	n->question = (struct nvml_question) { .pci = (const char(*)[24])n->pci,
					       .n = n->n,
					       .again = ends[0] };
	int rc = child_open(&n->child, nvml_work, &n->question);

	close(ends[0]);
	if (rc) {
		close(ends[1]);
		free(n);
		return err_set(e, rc, "cannot start the child that asks NVIDIA's library");
	}
	n->ask = ends[1];
	*out = n;
	return 0;
}

void probe_nvml_close(struct probe_nvml *n)
{
	if (!n)
		return;
	child_close(&n->child);
	close(n->ask);
	free(n);
}

static struct nvml_fn *fn_of(struct nvml_view *v, const char *pci)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (strcmp(v->fns[i].pci, pci) == 0)
			return &v->fns[i];
	return v->n < PROBE_GPUS_MAX ? &v->fns[v->n++] : NULL;
}

static int first_record(struct probe_nvml *n, int timeout_ms)
{
	int rc = nvml_receive(&n->child, timeout_ms, true, &n->fresh);

	if (rc == -ETIMEDOUT)
		return rc;
	if (rc != 1 || n->fresh.why) {
		n->view.why = n->fresh.why ? n->fresh.why : WHY_GARBLED;
		n->view.n = 0;
		return -EPIPE;
	}
	n->told = true;
	return 0;
}

int probe_nvml_ask(struct probe_nvml *n, bool go_on, int timeout_ms,
		   void (*took)(void *ctx, const char *pci), void *ctx)
{
	int rc = n->told ? 0 : first_record(n, timeout_ms);

	if (rc)
		return rc;
	if (!go_on || !n->fresh.asked) {
		nvml_view_reset(&n->fresh, true, WHY_NONE);
		if (write(n->ask, "?", 1) != 1)
			return -EPIPE;
	}
	while (n->fresh.n < n->n) {
		const struct nvml_fn *f;
		struct nvml_fn *to;

		rc = nvml_receive(&n->child, timeout_ms, false, &n->fresh);
		if (rc != 1)
			return rc == -ETIMEDOUT ? rc : -EPIPE;
		f = &n->fresh.fns[n->fresh.n - 1];
		to = fn_of(&n->view, f->pci);
		if (to)
			*to = *f;
		took(ctx, f->pci);
	}
	return 0;
}

static void add_holder(struct holders *h, const struct machine *m, const struct nvml_proc *p)
{
	char path[64];
	uint32_t i = 0;

	while (i < h->n_procs && h->procs[i].pid != p->pid)
		i++;
	if (i == PROCS_MAX)
		return;
	if (i == h->n_procs) {
		h->procs[h->n_procs++] = (struct gpu_proc) { .pid = p->pid };
		snprintf(path, sizeof(path), "proc/%u/comm", p->pid);
		if (machine_read(m, path, h->procs[i].name, sizeof(h->procs[i].name)) < 0)
			h->procs[i].name[0] = '\0';
		text_clean(h->procs[i].name);
	}
	if (fact_known(&p->bytes))
		h->procs[i].vram = p->bytes;
}

void probe_nvml_take(const struct probe_nvml *n, const struct machine *m, struct gpu *g)
{
	nvml_merge(g, &n->view);
	for (uint32_t i = 0; i < n->view.n; i++)
		for (uint32_t k = 0;
		     !strcmp(n->view.fns[i].pci, g->pci) && k < n->view.fns[i].n_procs; k++)
			add_holder(&g->holders, m, &n->view.fns[i].procs[k]);
}
