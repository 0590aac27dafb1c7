/* SPDX-License-Identifier: MIT */
/*
 * Users of functions that are no open file: mounts and swap on disks and on what is built on them, network
 * interfaces that are up, pictures on connectors, virtual functions, and our own runs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/text.h"
#include "device/lines.h"
#include "device/scene_priv.h"

#define IFF_UP_FLAG 0x1 /* include/uapi/linux/if.h */
#define MASTERS_MAX 4   /* a bond in a bridge in ... */
#define LINES_MAX   65536

/* --- lines of a file --------------------------------------------------------------------------------------------------- */

bool lines_open(struct line_file *l, const struct machine *m, const char *path)
{
	struct stat st;
	own_fd int fd = machine_openat(m, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	l->f = NULL;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	l->f = fdopen(fd, "r");
	if (l->f)
		take_fd(&fd);
	return l->f != NULL;
}

bool lines_next(struct line_file *l, char *buf, size_t size)
{
	bool whole;

	do {
		if (!fgets(buf, (int)size, l->f))
			return false;
		whole = strchr(buf, '\n') || feof(l->f);
		for (int c = 0; !whole && c != '\n' && c != EOF;)
			c = fgetc(l->f);
	} while (!whole);
	return true;
}

void lines_close(struct line_file *l)
{
	if (l->f)
		fclose(l->f);
	l->f = NULL;
}

/* --- mounts and swap --------------------------------------------------------------------------------------------------------- */

static void hold_block(struct scene *s, struct node *node, enum hold_kind kind, const char *who,
		       const char *what)
{
	struct hold h = { .kind = kind, .func = node->func };

	text_copy(h.who, sizeof(h.who), who);
	text_copy(h.what, sizeof(h.what), what);
	scene_hold(s, &h);
	node->used = true;
}

static bool is_node(const struct node *node, const char *path)
{
	return node->block && strcmp(node->path, path) == 0;
}

/* The members of a btrfs are in a folder; any one of them may be the mount's source. */
static void hold_btrfs(struct scene *s, struct nodes *n, const struct mount_line *m)
{
	own_free char **pools = NULL;
	const char *name = strrchr(m->source, '/');
	int count = name ? machine_list(s->m, "sys/fs/btrfs", &pools) : 0;
	char path[SCENE_PATH];

	for (int i = 0; i < count; i++) {
		own_free char **members = NULL;

		snprintf(path, sizeof(path), "sys/fs/btrfs/%s/devices%s", pools[i], name);
		if (!machine_exists(s->m, path))
			continue;
		snprintf(path, sizeof(path), "sys/fs/btrfs/%s/devices", pools[i]);
		int k = machine_list(s->m, path, &members);

		while (k-- > 0)
			for (uint32_t j = 0; j < n->n; j++)
				if (n->v[j].block && strcmp(n->v[j].name, members[k]) == 0)
					hold_block(s, &n->v[j], HOLD_MOUNT, m->where, n->v[j].path);
	}
}

static void hold_mount(struct scene *s, struct nodes *n, const struct mount_line *m)
{
	for (uint32_t i = 0; i < n->n; i++) {
		struct node *node = &n->v[i];

		if (is_node(node, m->source) ||
		    (node->block && node->numbered && m->major && node->major == m->major &&
		     node->minor == m->minor))
			hold_block(s, node, HOLD_MOUNT, m->where, m->source);
	}
	if (strcmp(m->type, "btrfs") == 0)
		hold_btrfs(s, n, m);
}

void scene_read_mounts(struct scene *s, struct nodes *n, const char *path)
{
	char line[4096];
	struct line_file f;
	struct mount_line m;

	if (!lines_open(&f, s->m, path))
		return;
	for (int i = 0; i < LINES_MAX && lines_next(&f, line, sizeof(line)); i++)
		if (mount_parse(line, &m))
			hold_mount(s, n, &m);
	lines_close(&f);
}

static void read_swaps(struct scene *s, struct nodes *n)
{
	char line[1024], path[256];
	struct line_file f;

	if (!lines_open(&f, s->m, "proc/swaps"))
		return;
	for (int i = 0; i < LINES_MAX && lines_next(&f, line, sizeof(line)); i++)
		for (uint32_t k = 0; swap_parse(line, path, sizeof(path)) && k < n->n; k++)
			if (is_node(&n->v[k], path))
				hold_block(s, &n->v[k], HOLD_SWAP, path, "");
	lines_close(&f);
}

static bool is_used_above(const struct nodes *n, const struct node *node)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->v[i].func == node->func && n->v[i].on[0] &&
		    strcmp(n->v[i].on, node->name) == 0 && n->v[i].used)
			return true;
	return false;
}

/* An array or a volume that nobody has mounted keeps its disks open all the same. */
static void read_stacks(struct scene *s, struct nodes *n)
{
	for (uint32_t i = n->n; i-- > 0;) {
		struct node *node = &n->v[i];
		char below[64];

		if (!node->on[0])
			continue;
		node->used |= is_used_above(n, node);
		snprintf(below, sizeof(below), "/dev/%s", node->on);
		if (!node->used)
			hold_block(s, node, HOLD_STACK, node->name, below);
	}
}

/* --- network interfaces ------------------------------------------------------------------------------------------------------- */

static bool is_default_route(const struct scene *s, const char *name)
{
	char line[256], at[64];
	struct line_file f;
	bool found = false;

	if (!lines_open(&f, s->m, "proc/net/route"))
		return false;
	while (!found && lines_next(&f, line, sizeof(line)))
		found = route_parse(line, at, sizeof(at)) && strcmp(at, name) == 0;
	lines_close(&f);
	return found;
}

/* By itself, or by the bridge or bond that it is part of. */
static bool carries_route(const struct scene *s, const char *name)
{
	char at[64], path[SCENE_PATH], target[SCENE_PATH];

	text_copy(at, sizeof(at), name);
	for (int i = 0; i < MASTERS_MAX; i++) {
		if (is_default_route(s, at))
			return true;
		snprintf(path, sizeof(path), "sys/class/net/%s/master", at);
		if (machine_link(s->m, path, target, sizeof(target)) || !strrchr(target, '/') ||
		    !text_copy(at, sizeof(at), strrchr(target, '/') + 1))
			return false;
	}
	return false;
}

static bool net_is_up(const struct scene *s, const char *name)
{
	char path[SCENE_PATH], state[32];
	uint64_t flags;

	snprintf(path, sizeof(path), "sys/class/net/%s/flags", name);
	if (machine_read_u64(s->m, path, &flags) || !(flags & IFF_UP_FLAG))
		return false;
	/* Switched on, and without a cable: nobody's. */
	snprintf(path, sizeof(path), "sys/class/net/%s/operstate", name);
	return machine_read(s->m, path, state, sizeof(state)) <= 0 || strcmp(state, "down") != 0;
}

static void read_nets(struct scene *s)
{
	own_free char **names = NULL;
	int count = machine_list(s->m, "sys/class/net", &names);
	char path[SCENE_PATH], target[SCENE_PATH], pci[24];

	for (int i = 0; i < count; i++) {
		struct hold h = { .kind = HOLD_NET };

		snprintf(path, sizeof(path), "sys/class/net/%s", names[i]);
		if (machine_link(s->m, path, target, sizeof(target)))
			continue;
		addr_of_path(pci, sizeof(pci), target);
		int func = scene_index(s, pci);

		if (func < 0 || !net_is_up(s, names[i]))
			continue;
		h.func = (uint32_t)func;
		text_copy(h.who, sizeof(h.who), names[i]);
		text_clean(h.who);
		if (carries_route(s, names[i]))
			text_copy(h.what, sizeof(h.what), "the default route");
		scene_hold(s, &h);
	}
}

/* --- what the probe and the function itself say --------------------------------------------------------------------------------- */

static bool has_process(const struct scene *s, uint32_t func, uint32_t pid)
{
	for (uint32_t i = 0; i < s->n_holds; i++)
		if (s->holds[i].func == func && s->holds[i].pid == pid)
			return true;
	return false;
}

/* Those of a captured folder, and those that only a driver knows: KFD's and NVML's. */
static void take_gpu(struct scene *s, uint32_t func, const struct gpu *g)
{
	for (uint32_t i = 0; i < g->holders.n_procs && i < PROCS_MAX; i++) {
		const struct gpu_proc *p = &g->holders.procs[i];
		struct hold h = { .kind = driver_keeps(s->funcs[func].driver) ? HOLD_VM
									      : HOLD_PROCESS,
				  .func = func,
				  .pid = p->pid };

		text_copy(h.who, sizeof(h.who), p->name);
		scene_know_bridge(s->m, &h);
		if (!has_process(s, func, h.pid))
			scene_hold(s, &h);
	}
	for (uint32_t i = 0; i < g->holders.n_displays && i < DISPLAYS_MAX; i++) {
		const struct display *d = &g->holders.displays[i];
		struct hold h = { .kind = HOLD_DISPLAY, .func = func };

		text_copy(h.who, sizeof(h.who), d->connector);
		if (d->connected && d->enabled)
			scene_hold(s, &h);
	}
}

static void take_funcs(struct scene *s)
{
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct gpu *g = scene_gpu(s, &s->funcs[i]);
		struct hold h = { .kind = HOLD_VFS, .func = i };

		if (g)
			take_gpu(s, i, g);
		snprintf(h.who, sizeof(h.who), "%u", s->funcs[i].vfs);
		if (s->funcs[i].vfs)
			scene_hold(s, &h);
	}
}

/* A run's process is told as the run that it is. */
static void take_runs(struct scene *s)
{
	for (uint32_t i = 0; i < s->n_runs; i++) {
		const struct scene_run *r = &s->runs[i];

		for (uint32_t k = 0; k < r->n_pci; k++) {
			int func = scene_index(s, r->pci[k]);
			struct hold h = { .kind = HOLD_RUN, .func = (uint32_t)func, .pid = r->pid };

			text_copy(h.who, sizeof(h.who), r->name);
			if (func >= 0)
				scene_hold(s, &h);
		}
		for (uint32_t k = 0; k < s->n_holds; k++)
			if (s->holds[k].pid == r->pid && s->holds[k].kind == HOLD_PROCESS) {
				s->holds[k].kind = HOLD_RUN;
				text_copy(s->holds[k].who, sizeof(s->holds[k].who), r->name);
			}
	}
}

void scene_read_holds(struct scene *s, struct nodes *n)
{
	scene_read_mounts(s, n, "proc/self/mountinfo");
	read_swaps(s, n);
	read_stacks(s, n);
	read_nets(s);
	take_funcs(s);
	take_runs(s);
}
