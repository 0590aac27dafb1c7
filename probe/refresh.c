/* SPDX-License-Identifier: MIT */
#include "probe/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
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

int probe_refresh_holders(const struct machine *m, struct report *r, struct claims_past **past,
			  struct err *e)
{
	struct claims c = { 0 };

	(void)e;
	if (!*past)
		*past = calloc(1, sizeof(**past)); /* without memory for it all are looked at */
	claims_walk(&c, m, r, false, *past);
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

void probe_past_free(struct claims_past *past)
{
	if (past)
		claims_past_fini(past);
	free(past);
}
