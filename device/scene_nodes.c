/* SPDX-License-Identifier: MIT */
/*
 * The device files of every function. The kernel links each by its number below sys/dev to its folder, which lies
 * below the function that it belongs to: that serves DRM, sound, USB, disks and whatever comes. Known otherwise:
 * NVIDIA's nodes, which have no folder (their numbers are the probe's), vfio's groups, disks that NVMe gathers from
 * several paths, and block devices that are built on others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/lines.h"
#include "device/scene_priv.h"

#define STACKS_MAX 8 /* devices on devices on devices */

static struct node *add_node(struct nodes *n, const char *path, uint32_t func)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->v[i].func == func && strcmp(n->v[i].path, path) == 0)
			return &n->v[i];
	if (n->n == n->room) {
		uint32_t room = n->room ? n->room * 2 : 256;
		void *more = n->n < NODES_MAX ? realloc(n->v, room * sizeof(*n->v)) : NULL;

		if (!more)
			return NULL;
		n->v = more;
		n->room = room;
	}
	struct node *one = &n->v[n->n];

	*one = (struct node) { .func = func };
	if (!text_copy(one->path, sizeof(one->path), path))
		return NULL;
	text_clean(one->path);
	n->n++;
	return one;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "/dev/" and the name by which udev makes the node, else that of its folder. */
static bool dev_name(const struct machine *m, const char *folder, const char *target, char *path,
		     size_t size)
{
	char file[SCENE_PATH], text[1024], name[64];

	if ((size_t)snprintf(file, sizeof(file), "%s/uevent", folder) >= sizeof(file) ||
	    machine_read(m, file, text, sizeof(text)) <= 0 ||
	    !uevent_value(text, "DEVNAME", name, sizeof(name)))
		if (!text_copy(name, sizeof(name), last_part(target)))
			return false;
	return (size_t)snprintf(path, size, "/dev/%s", name) < size;
}

/* --- sys/dev/char and sys/dev/block -------------------------------------------------------------------------- */

/* NVMe with several paths: the disk is virtual, and its subsystem's folder links the controllers. */
static void add_multipath(const struct scene *s, struct nodes *n, const char *target,
			  const struct node *like)
{
	const char *at = strstr(target, "/nvme-subsystem/");
	own_free char **names = NULL;
	char folder[SCENE_PATH], path[SCENE_PATH], link[SCENE_PATH], pci[24];

	if (!at)
		return;
	at += strlen("/nvme-subsystem/");
	if ((size_t)snprintf(folder, sizeof(folder), "sys/class/nvme-subsystem/%.*s",
			     (int)strcspn(at, "/"), at) >= sizeof(folder))
		return;
	int count = machine_list(s->m, folder, &names);

	for (int i = 0; i < count; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >=
			    sizeof(path) ||
		    machine_link(s->m, path, link, sizeof(link)))
			continue;
		addr_of_path(pci, sizeof(pci), link);
		int func = scene_index(s, pci);
		struct node *one = func < 0 ? NULL : add_node(n, like->path, (uint32_t)func);

		if (one) {
			uint32_t mine = one->func;

			*one = *like;
			one->func = mine;
		}
	}
}

static void add_numbered(const struct scene *s, struct nodes *n, const char *folder,
			 const char *number, bool block)
{
	char path[SCENE_PATH], target[SCENE_PATH], pci[24];
	struct node like = { .block = block, .numbered = true };

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, number) >= sizeof(path) ||
	    !dev_parse(number, &like.major, &like.minor) ||
	    machine_link(s->m, path, target, sizeof(target)))
		return;
	addr_of_path(pci, sizeof(pci), target);
	int func = scene_index(s, pci);

	if ((func < 0 && !strstr(target, "/nvme-subsystem/")) ||
	    !dev_name(s->m, path, target, like.path, sizeof(like.path)))
		return;
	like.vfio = strncmp(like.path, "/dev/vfio/", strlen("/dev/vfio/")) == 0;
	if (block && !text_copy(like.name, sizeof(like.name), last_part(target)))
		like.name[0] = '\0';
	if (func < 0) {
		add_multipath(s, n, target, &like);
		return;
	}
	struct node *one = add_node(n, like.path, (uint32_t)func);

	like.func = (uint32_t)func;
	if (one)
		*one = like;
}

static void add_by_number(const struct scene *s, struct nodes *n, const char *folder, bool block)
{
	own_free char **names = NULL;
	int count = machine_list(s->m, folder, &names);

	for (int i = 0; i < count; i++)
		add_numbered(s, n, folder, names[i], block);
}

/* --- what sys/dev does not tell -------------------------------------------------------------------------------- */

static void add_known(struct nodes *n, const struct fact_text *path, uint32_t func, bool vfio)
{
	struct node *one = fact_text_known(path) && path->v[0] == '/' ? add_node(n, path->v, func)
								      : NULL;

	if (one)
		one->vfio |= vfio;
}

/*
 * /dev/nvidiaN by the probe's number. Cards whose number nobody told (they sleep) may be any of the others: whoever
 * has one of those open stands in the way of all of them.
 */
static void add_nvidia(const struct scene *s, struct nodes *n)
{
	const struct report *r = s->report;
	uint32_t cards = 0;
	uint64_t taken = 0;

	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct gpu *g = scene_gpu(s, &s->funcs[i]);

		if (!g || strcmp(s->funcs[i].driver, "nvidia"))
			continue;
		cards++;
		if (fact_known(&g->index.nvml) && g->index.nvml.v >= 0 && g->index.nvml.v < 64)
			taken |= UINT64_C(1) << g->index.nvml.v;
	}
	for (uint32_t i = 0; r && i < s->n_funcs; i++) {
		const struct gpu *g = scene_gpu(s, &s->funcs[i]);
		char path[40];

		if (!g || strcmp(s->funcs[i].driver, "nvidia"))
			continue;
		for (uint32_t k = 0; k < cards && k < 64; k++) {
			bool mine = fact_known(&g->index.nvml) ? g->index.nvml.v == k
							       : !(taken & UINT64_C(1) << k);

			snprintf(path, sizeof(path), "/dev/nvidia%u", k);
			if (mine)
				add_node(n, path, i);
		}
	}
}

static void add_gpus(const struct scene *s, struct nodes *n)
{
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct gpu *g = scene_gpu(s, &s->funcs[i]);

		if (!g)
			continue;
		add_known(n, &g->drm_card, i, false);
		add_known(n, &g->drm_render, i, false);
		add_known(n, &g->accel, i, false);
		add_known(n, &g->vfio, i, true);
	}
	add_nvidia(s, n);
}

/* Whoever has a group open has every function of it that waits for a guest. */
static void add_groups(const struct scene *s, struct nodes *n)
{
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct func *f = &s->funcs[i];
		static const char *const kinds[] = { "", "noiommu-" };

		if (f->iommu_group < 0 || !driver_keeps(f->driver))
			continue;
		for (size_t k = 0; k < 2; k++) {
			char path[40];

			snprintf(path, sizeof(path), "/dev/vfio/%s%d", kinds[k], f->iommu_group);
			struct node *one = add_node(n, path, i);

			if (one)
				one->vfio = true;
		}
	}
}

/* --- block devices on block devices ------------------------------------------------------------------------------- */

static void add_stacked(const struct scene *s, struct nodes *n, const struct node *below,
			const char *name)
{
	char folder[SCENE_PATH], file[SCENE_PATH], number[32], path[64];
	struct node one = { .block = true, .func = below->func };

	if ((size_t)snprintf(folder, sizeof(folder), "sys/class/block/%s", name) >=
		    sizeof(folder) ||
	    !text_copy(one.name, sizeof(one.name), name) ||
	    !dev_name(s->m, folder, name, path, sizeof(path)))
		return;
	snprintf(file, sizeof(file), "%.400s/dev", folder);
	if (machine_read(s->m, file, number, sizeof(number)) > 0)
		one.numbered = dev_parse(number, &one.major, &one.minor);
	text_copy(one.on, sizeof(one.on), below->name);
	text_copy(one.path, sizeof(one.path), path);
	text_clean(one.path);
	struct node *mine = add_node(n, one.path, one.func);

	if (mine && !mine->name[0])
		*mine = one;
}

/* Nodes are appended while the list is walked, so those on top of what was found are found, too. */
static void add_stacks(const struct scene *s, struct nodes *n)
{
	uint32_t from = 0;

	for (int level = 0; level < STACKS_MAX && from < n->n; level++) {
		uint32_t end = n->n;

		for (uint32_t i = from; i < end; i++) {
			own_free char **names = NULL;
			const struct node below = n->v[i]; /* the list may move */
			char path[SCENE_PATH];

			if (!below.name[0])
				continue;
			snprintf(path, sizeof(path), "sys/class/block/%s/holders", below.name);
			int count = machine_list(s->m, path, &names);

			for (int k = 0; k < count; k++)
				add_stacked(s, n, &below, names[k]);
		}
		from = end;
	}
}

int scene_read_nodes(const struct scene *s, struct nodes *n)
{
	*n = (struct nodes) { 0 };
	add_by_number(s, n, "sys/dev/char", false);
	add_by_number(s, n, "sys/dev/block", true);
	add_gpus(s, n);
	add_groups(s, n);
	add_stacks(s, n);
	return 0;
}
