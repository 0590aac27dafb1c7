/* SPDX-License-Identifier: MIT */
/* NVIDIA's library asked round after round, by a child that keeps it open. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "probe/probe_priv.h"
#include "probe/refresh.h"

struct probe_nvml {
	struct child child;
	int ask; /* our end of the pipe of questions */
	uint32_t n;
	char pci[PROBE_GPUS_MAX][24];
	struct nvml_question question;
	bool told;          /* the library's own record has come */
	uint32_t left;      /* devices that the round at hand still waits for */
	struct nvml_view v; /* the last of each device */
};

int probe_nvml_open(struct probe_nvml **out, const char (*pci)[24], uint32_t n_pci, struct err *e)
{
	struct probe_nvml *n = calloc(1, sizeof(*n));
	int ends[2];

	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	for (; n->n < n_pci && n->n < PROBE_GPUS_MAX; n->n++)
		text_copy(n->pci[n->n], sizeof(n->pci[0]), pci[n->n]);
	if (pipe2(ends, O_CLOEXEC)) {
		free(n);
		return err_set(e, -errno, "cannot make a pipe");
	}
	nvml_view_reset(&n->v, true, WHY_NONE);
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

bool probe_nvml_give_up(struct probe_nvml *n)
{
	return child_close(&n->child);
}

static int first_record(struct probe_nvml *n, int timeout_ms)
{
	int rc = nvml_receive_first(&n->child, timeout_ms, &n->v);

	if (rc == -ETIMEDOUT)
		return rc;
	if (rc != 1 || n->v.why) {
		n->v.why = n->v.why ? n->v.why : WHY_GARBLED;
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
	if (!go_on || !n->left) {
		if (write(n->ask, "?", 1) != 1)
			return -EPIPE;
		n->left = n->n;
	}
	for (; n->left; n->left--) {
		const struct nvml_fn *f;

		rc = nvml_receive(&n->child, timeout_ms, &n->v, &f);
		if (rc != 1)
			return rc == -ETIMEDOUT ? rc : -EPIPE;
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
	nvml_merge(g, &n->v);
	for (uint32_t i = 0; i < n->v.n; i++)
		for (uint32_t k = 0; !strcmp(n->v.fns[i].pci, g->pci) && k < n->v.fns[i].n_procs;
		     k++)
			add_holder(&g->holders, m, &n->v.fns[i].procs[k]);
}
