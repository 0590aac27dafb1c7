/* SPDX-License-Identifier: MIT */
/*
 * Who has a GPU open: /proc/PID/fd tells the nodes, /proc/PID/fdinfo what a DRM client holds through
 * them, and KFD what its processes do. Of other users' processes only root sees the descriptors; how many
 * there are is counted.
 *
 * xe resumes its device to answer for a client, so no client of a sleeping device is read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "probe/claims.h"

#define PROCESSES_MAX   100000
#define DESCRIPTORS_MAX 65536
#define NODES_MAX       (4 * PROBE_GPUS_MAX)
#define KTHREAD         0x00200000 /* PF_KTHREAD, include/linux/sched.h */

/* Programs that open devices for a session and hand the descriptors on. */
static const char *const brokers[] = { "systemd-logind", "elogind", "seatd" };

struct node {
	char path[40];
	uint32_t gpu;
	bool client; /* a DRM client, with an account in fdinfo */
};

/* What is found of a process. */
enum look {
	LOOK_ELSE,    /* it holds a GPU, or is gone */
	LOOK_NOTHING, /* it has no GPU open */
	LOOK_HIDDEN,  /* we may not see */
};

struct walk {
	struct claims *c;
	const struct machine *m;
	const struct report *r;
	bool wake;
	uint32_t n_nodes;
	struct node nodes[NODES_MAX];
	int64_t unseen;
	uint32_t held; /* descriptors of GPUs */
	/* With a past: what is left of it, in the order of pids, and what becomes of it. */
	const struct walked *was, *was_end;
	struct claims_past *now;
};

/* --- nodes --------------------------------------------------------------------------------------------- */

static void add_node(struct walk *w, const struct fact_text *path, uint32_t gpu, bool client)
{
	struct node *n = &w->nodes[w->n_nodes];

	if (!fact_text_known(path) || w->n_nodes == NODES_MAX ||
	    !text_copy(n->path, sizeof(n->path), path->v))
		return;
	n->gpu = gpu;
	n->client = client;
	w->n_nodes++;
}

/* /dev/nvidiaN by NVML's number; of a single card it needs nobody to tell. */
static struct fact_text nvidia_node(const struct report *r, const struct gpu *g)
{
	uint32_t n = 0;
	char path[40];

	for (uint32_t i = 0; i < r->n_gpus; i++)
		n += gpu_has_nvml(&r->gpus[i]);
	if (!gpu_has_nvml(g) || (!fact_known(&g->index.nvml) && n > 1))
		return fact_text_unknown(WHY_NOT_EXPORTED);
	snprintf(path, sizeof(path), "/dev/nvidia%lld",
		 fact_known(&g->index.nvml) ? (long long)g->index.nvml.v : 0);
	return fact_text_of(path, SRC_NVML);
}

static void find_nodes(struct walk *w)
{
	for (uint32_t i = 0; i < w->r->n_gpus; i++) {
		const struct gpu *g = &w->r->gpus[i];
		const struct fact_text nvidia = nvidia_node(w->r, g);

		add_node(w, &g->drm_card, i, true);
		add_node(w, &g->drm_render, i, true);
		add_node(w, &g->accel, i, true);
		add_node(w, &g->vfio, i, false);
		add_node(w, &nvidia, i, false);
	}
}

static const struct node *node_of(const struct walk *w, const char *target)
{
	if (strncmp(target, "/dev/", strlen("/dev/")) != 0)
		return NULL;
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (strcmp(w->nodes[i].path, target) == 0)
			return &w->nodes[i];
	return NULL;
}

/* --- processes ----------------------------------------------------------------------------------------- */

/* A number that is a whole name; 0: none. */
static uint32_t number_of(const char *name)
{
	uint64_t v;

	return *name >= '1' && *name <= '9' && text_parse_u64(name, &v) == 0 && v <= INT32_MAX
		       ? (uint32_t)v
		       : 0;
}

static void name_it(struct claim *claim, const struct machine *m)
{
	char path[40], comm[64];

	snprintf(path, sizeof(path), "proc/%u/comm", claim->pid);
	/* It may be gone by now, or live in another container. */
	if (machine_read(m, path, comm, sizeof(comm)) <= 0)
		return;
	text_copy(claim->name, sizeof(claim->name), text_clean(comm));
	for (size_t i = 0; i < ARRAY_LEN(brokers); i++)
		claim->broker |= strcmp(claim->name, brokers[i]) == 0;
}

/* Kernel threads hold no descriptors, and nobody may look: they are none that we have not seen. */
static bool is_kernel_thread(const struct machine *m, uint32_t pid)
{
	char path[40], stat[512];
	unsigned long flags = 0;

	snprintf(path, sizeof(path), "proc/%u/stat", pid);
	const char *at = machine_read(m, path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;

	/* After the name, which may hold anything: state ppid pgrp session tty tpgid flags. */
	return at && sscanf(at, ") %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && flags & KTHREAD;
}

/* What one descriptor of a DRM node holds. False: the device is not the one its node says. */
static bool read_client(const struct walk *w, const char *fd, struct claim *claim)
{
	const struct gpu *g = &w->r->gpus[claim->gpu];
	char path[64], text[8192];
	struct fdinfo info;

	if (!w->wake && (g->awake != AWAKE_YES || asleep_now(w->m, g->pci))) {
		claim->vram = claim->host = fact_unknown(WHY_ASLEEP);
		return true;
	}
	snprintf(path, sizeof(path), "proc/%u/fdinfo/%.20s", claim->pid, fd);
	long n = machine_read(w->m, path, text, sizeof(text));

	if (n < 0) {
		claim->vram = claim->host = fact_unknown(why_of((int)n));
		return n != -ENOENT; /* closed meanwhile */
	}
	if (!fdinfo_parse(text, &info)) {
		claim->vram = claim->host = fact_unknown(WHY_NOT_EXPORTED);
		return true;
	}
	claim->vram = info.vram;
	claim->host = info.host;
	claim->engines = info.engines;
	claim->has_client = info.has_client;
	claim->client = info.client;
	return !info.pdev[0] || addr_compare(info.pdev, g->pci) == 0;
}

/* False: the process does not let us look, at this descriptor or any other. */
static bool look_at_fd(struct walk *w, int dir, const char *fd, struct claim *claim)
{
	char target[64];
	ssize_t n = readlinkat(dir, fd, target, sizeof(target));

	if (n < 0 && (errno == EACCES || errno == EPERM))
		return false;
	if (n <= 0 || (size_t)n >= sizeof(target))
		return true;
	target[n] = '\0';
	const struct node *node = node_of(w, target);

	if (!node)
		return true;
	w->held++;
	struct claim one = *claim;

	one.gpu = node->gpu;
	if (!one.name[0])
		name_it(&one, w->m);
	memcpy(claim->name, one.name, sizeof(claim->name));
	claim->broker = one.broker;
	if (!node->client || read_client(w, fd, &one))
		claims_add(w->c, &one);
	return true;
}

static enum look look_at(struct walk *w, uint32_t pid)
{
	struct claim claim = { .pid = pid,
			       .of = CLAIM_FD,
			       .vram = fact_unknown(WHY_NOT_EXPORTED),
			       .host = fact_unknown(WHY_NOT_EXPORTED) };
	const struct dirent *de;
	char path[40];

	snprintf(path, sizeof(path), "proc/%u/fd", pid);
	own_fd int fd = machine_openat(w->m, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	if (fd < 0) {
		bool hidden = (fd == -EACCES || fd == -EPERM) && !is_kernel_thread(w->m, pid);

		return hidden ? LOOK_HIDDEN : LOOK_ELSE;
	}
	own_dir DIR *d = fdopendir(fd);
	const uint32_t had = w->held;

	if (!d)
		return LOOK_ELSE;
	take_fd(&fd);
	for (int i = 0; i < DESCRIPTORS_MAX && (de = readdir(d)); i++) {
		if (de->d_name[0] < '0' || de->d_name[0] > '9')
			continue;
		/* In a user name space the folder may be open to us and its links not. */
		if (!look_at_fd(w, dirfd(d), de->d_name, &claim))
			return LOOK_HIDDEN;
	}
	return w->held == had ? LOOK_NOTHING : LOOK_ELSE;
}

/* --- what was found before --- */

/* How many descriptors it has, which the kernel tells of anybody since Linux 6.2; before that it says 0. */
static int64_t count_fds(const struct machine *m, const char *process)
{
	struct stat st;
	char path[40];

	snprintf(path, sizeof(path), "proc/%s/fd", process);
	return fstatat(m->root_fd, path, &st, 0) ? -1 : (int64_t)st.st_size;
}

void claims_past_fini(struct claims_past *p)
{
	free(p->v);
	*p = (struct claims_past) { 0 };
}

/* Without memory it is looked at again the next time. */
static void remember(struct claims_past *p, const struct walked *one)
{
	if (p->n == p->room) {
		uint32_t room = p->room ? p->room * 2 : 64;
		void *more = realloc(p->v, room * sizeof(*p->v));

		if (!more)
			return;
		p->v = more;
		p->room = room;
	}
	p->v[p->n++] = *one;
}

/* What was found of it, if it is as it was; else LOOK_ELSE. */
static enum look known(struct walk *w, uint32_t pid, int64_t fds)
{
	while (w->was < w->was_end && w->was->pid < pid)
		w->was++;
	if (w->was == w->was_end || w->was->pid != pid || w->was->fds != fds)
		return LOOK_ELSE;
	return w->was->hidden ? LOOK_HIDDEN : LOOK_NOTHING;
}

static enum look look_unless_known(struct walk *w, uint32_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", pid);
	const int64_t fds = count_fds(w->m, name);

	/* Kernel threads have none, and nobody else without one holds anything. */
	if (fds == 0)
		return LOOK_NOTHING;
	enum look look = known(w, pid, fds);

	if (look == LOOK_ELSE)
		look = look_at(w, pid);
	if (look != LOOK_ELSE)
		remember(w->now, &(struct walked) { pid, look == LOOK_HIDDEN, fds });
	return look;
}

/* The names in a folder that are numbers: processes, in no order. */
static void each_process(const struct machine *m, const char *path,
			 void (*act)(void *arg, uint32_t pid), void *arg)
{
	own_fd int fd = machine_openat(m, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	own_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	if (!d)
		return;
	take_fd(&fd);
	for (int i = 0; i < PROCESSES_MAX && (de = readdir(d)); i++)
		if (number_of(de->d_name))
			act(arg, number_of(de->d_name));
}

static void walk_process(void *arg, uint32_t pid)
{
	struct walk *w = arg;

	w->c->n_seen++;
	if ((w->now ? look_unless_known(w, pid) : look_at(w, pid)) == LOOK_HIDDEN)
		w->unseen++;
}

/* FNV-1a: it has to differ, not to resist. */
static uint64_t nodes_mark(const struct walk *w)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (uint32_t i = 0; i < w->n_nodes; i++)
		for (const char *c = w->nodes[i].path; *c; c++)
			h = (h ^ (unsigned char)*c) * UINT64_C(1099511628211);
	return h;
}

/* Other nodes than before, and what was found of them tells nothing. */
static void walk_all(struct walk *w, struct claims_past *past)
{
	const uint64_t nodes = nodes_mark(w);
	struct claims_past now = { .walks = past->walks + 1, .nodes = nodes };

	if (past->nodes != nodes || now.walks >= CLAIMS_ALL_EVERY)
		past->n = now.walks = 0;
	w->was = past->v;
	w->was_end = past->v + past->n;
	w->now = &now;
	each_process(w->m, "proc", walk_process, w);
	claims_past_fini(past);
	*past = now;
}

void claims_walk(struct claims *c, const struct machine *m, const struct report *r, bool wake,
		 struct claims_past *past)
{
	struct walk w = { .c = c, .m = m, .r = r, .wake = wake };

	find_nodes(&w);
	if (!w.n_nodes)
		return;
	if (past && m->live && count_fds(m, "self") > 0)
		walk_all(&w, past);
	else
		each_process(m, "proc", walk_process, &w);
	c->unseen = c->n_seen ? fact_of(w.unseen, SRC_PROC) : fact_unknown(WHY_NOT_EXPORTED);
}

/* --- KFD ------------------------------------------------------------------------------------------------ */

struct kfd_walk {
	struct claims *c;
	const struct machine *m;
	const struct report *r;
	uint64_t ids[PROBE_GPUS_MAX]; /* KFD's own number of each GPU; 0: it has none */
};

static void kfd_process(void *arg, uint32_t pid)
{
	struct kfd_walk *w = arg;

	w->c->n_seen++;
	for (uint32_t i = 0; i < w->r->n_gpus; i++) {
		struct claim claim = { .gpu = i,
				       .pid = pid,
				       .of = CLAIM_TOTAL,
				       .host = fact_unknown(WHY_NOT_EXPORTED),
				       .engines = ENGINE_COMPUTE };
		char path[PATH_SIZE];
		uint64_t bytes;

		snprintf(path, sizeof(path), "sys/class/kfd/kfd/proc/%u/vram_%llu", pid,
			 (unsigned long long)w->ids[i]);
		/* Every process of KFD has a file of every GPU: one with nothing there does not use it. */
		if (!w->ids[i] || machine_read_u64(w->m, path, &bytes) || !bytes ||
		    bytes > INT64_MAX)
			continue;
		claim.vram = fact_of((int64_t)bytes, SRC_SYSFS);
		name_it(&claim, w->m);
		claims_add(w->c, &claim);
	}
}

void claims_kfd(struct claims *c, const struct machine *m, const struct report *r)
{
	struct kfd_walk w = { .c = c, .m = m, .r = r };
	bool any = false;

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		char path[PATH_SIZE];

		if (!fact_known(&r->gpus[i].kfd_node))
			continue;
		snprintf(path, sizeof(path), "sys/class/kfd/kfd/topology/nodes/%lld/gpu_id",
			 (long long)r->gpus[i].kfd_node.v);
		any |= machine_read_u64(m, path, &w.ids[i]) == 0;
	}
	if (any)
		each_process(m, "sys/class/kfd/kfd/proc", kfd_process, &w);
}

/* --- NVML ----------------------------------------------------------------------------------------------- */

void claims_nvml(struct claims *c, const struct machine *m, const struct run *run)
{
	for (uint32_t i = 0; i < run->nvml.n; i++) {
		const struct nvml_fn *f = &run->nvml.fns[i];
		const struct gpu *g = report_gpu(&run->merged, f->pci);

		for (uint32_t k = 0; g && k < f->n_procs; k++) {
			const struct nvml_proc *p = &f->procs[k];
			struct claim claim = { .gpu = (uint32_t)(g - run->merged.gpus),
					       .pid = p->pid,
					       .of = CLAIM_TOTAL,
					       .vram = p->bytes,
					       .host = fact_unknown(WHY_NOT_EXPORTED) };

			claim.engines = (p->compute ? ENGINE_COMPUTE : 0) |
					(p->graphics ? ENGINE_RENDER : 0);
			name_it(&claim, m);
			claims_add(c, &claim);
		}
	}
}
