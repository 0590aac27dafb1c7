/* SPDX-License-Identifier: MIT */
/*
 * Processes that use a function: by an open device file, an open or mapped file of its registers, and the mounts
 * that only their name space has. Links are read, and on a live machine the numbers of what is below /dev asked for,
 * so that a container's own names do not hide it; nothing is opened that could wake, and what could hang is read in
 * a child (scene_maps.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/own.h"
#include "base/text.h"
#include "device/lines.h"
#include "device/scene_priv.h"

#define PROCESSES_MAX   100000
#define DESCRIPTORS_MAX 65536
#define SPACES_MAX      256
#define KTHREAD         0x00200000 /* PF_KTHREAD, include/linux/sched.h */

struct walk {
	struct scene *s;
	struct nodes *n;
	uint32_t n_seen, n_pids;
	uint32_t *pids; /* PROCESSES_MAX */
	int64_t unseen;
	uint32_t n_spaces;
	char spaces[SPACES_MAX][32]; /* "mnt:[4026531841]" */
};

/* --- one process --------------------------------------------------------------------------------------------------- */

static bool proc_path(char path[SCENE_PATH], uint32_t pid, const char *name)
{
	return (size_t)snprintf(path, SCENE_PATH, "proc/%u/%s", pid, name) < SCENE_PATH;
}

/* Kernel threads hold no descriptors, and nobody may look: they are none that we have not seen. */
static bool is_kernel_thread(const struct machine *m, uint32_t pid)
{
	char path[SCENE_PATH], stat[512];
	unsigned long flags = 0;

	proc_path(path, pid, "stat");
	const char *at = machine_read(m, path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;

	/* After the name, which may hold anything: state ppid pgrp session tty tpgid flags. */
	return at && sscanf(at, ") %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && flags & KTHREAD;
}

/* Who has the device for a bridge is a child of what a person started, and can end. */
void scene_know_bridge(const struct machine *m, struct hold *h)
{
	char path[SCENE_PATH], stat[512];
	unsigned parent = 0;

	if (h->kind != HOLD_VM ||
	    (strcmp(h->who, "bridge-holder") != 0 && strcmp(h->who, "bridge-fetcher") != 0))
		return;
	h->kind = HOLD_BRIDGE;
	proc_path(path, h->pid, "stat");
	const char *at = machine_read(m, path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;

	if (at && sscanf(at, ") %*c %u", &parent) == 1 && parent > 1)
		h->pid = parent;
}

static void name_it(const struct machine *m, struct hold *h)
{
	char path[SCENE_PATH], words[4096], comm[64];

	proc_path(path, h->pid, "comm");
	/* It may be gone by now. */
	if (machine_read(m, path, comm, sizeof(comm)) > 0)
		text_copy(h->who, sizeof(h->who), text_clean(comm));
	scene_know_bridge(m, h);
	if (h->kind != HOLD_VM)
		return;
	long n = scene_cmdline(m, h->pid, words, sizeof(words));
	char name[64];

	if (n > 0 && vm_name_parse(words, (size_t)n, name, sizeof(name)))
		text_copy(h->who, sizeof(h->who), name);
}

static void hold_node(struct walk *w, const struct node *node, uint32_t pid)
{
	struct hold h = { .kind = node->vfio ? HOLD_VM : HOLD_PROCESS,
			  .func = node->func,
			  .pid = pid };

	text_copy(h.what, sizeof(h.what), node->path);
	name_it(w->s->m, &h);
	scene_hold(w->s, &h);
}

static void hold_registers(void *ctx, uint32_t pid, const char *pci)
{
	struct scene *s = ctx;
	int func = scene_index(s, pci);
	struct hold h = { .kind = HOLD_MAP, .func = (uint32_t)func, .pid = pid };

	if (func < 0)
		return;
	name_it(s->m, &h);
	scene_hold(s, &h);
}

/* --- descriptors ------------------------------------------------------------------------------------------------------ */

static bool same_device(const struct node *node, const char *target, const struct stat *st)
{
	if (st)
		return node->numbered && node->block == (S_ISBLK(st->st_mode) != 0) &&
		       node->major == major(st->st_rdev) && node->minor == minor(st->st_rdev);
	return strcmp(node->path, target) == 0;
}

/*
 * Mediated devices have groups, too: a part of the function whose folder holds theirs. Those of a platform belong to
 * no function. False: the group is one of PCI functions, or gone.
 */
static bool hold_other_bus(struct walk *w, const char *group, const char *node, uint32_t pid)
{
	own_free char **names = NULL;
	char path[SCENE_PATH], target[SCENE_PATH], pci[24];
	bool other = false;

	if ((size_t)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices", group) >=
	    sizeof(path))
		return true;
	int n = machine_list(w->s->m, path, &names);

	for (int i = 0; i < n; i++) {
		struct node one = { .vfio = true };

		if (addr_ok(names[i]))
			continue;
		other = true;
		if ((size_t)snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices/%s",
				     group, names[i]) >= sizeof(path) ||
		    machine_link(w->s->m, path, target, sizeof(target)))
			continue;
		addr_of_path(pci, sizeof(pci), target);
		int func = scene_index(w->s, pci);

		one.func = (uint32_t)func;
		if (func >= 0 && text_copy(one.path, sizeof(one.path), node))
			hold_node(w, &one, pid);
	}
	return other;
}

/* A group of vfio by its number, of which no function is known to be vfio's. */
static void wait_for(struct walk *w, const char *target, uint32_t pid)
{
	static const char groups[] = "/dev/vfio/";
	struct scene *s = w->s;
	struct hold h = { .kind = HOLD_VM, .pid = pid };

	if (strncmp(target, groups, strlen(groups)) != 0 || target[strlen(groups)] < '0' ||
	    target[strlen(groups)] > '9' || s->n_waits == SCENE_WAITS_MAX ||
	    hold_other_bus(w, target + strlen(groups), target, pid))
		return;
	struct scene_wait *one = &s->waits[s->n_waits++];

	name_it(s->m, &h);
	one->pid = pid;
	text_copy(one->who, sizeof(one->who), h.who);
	text_copy(one->what, sizeof(one->what), target);
	text_clean(one->what);
}

static void hold_path(struct walk *w, const char *target, const struct stat *st, uint32_t pid)
{
	bool found = false;

	for (uint32_t i = 0; i < w->n->n; i++)
		if (same_device(&w->n->v[i], target, NULL) ||
		    (st && same_device(&w->n->v[i], target, st))) {
			hold_node(w, &w->n->v[i], pid);
			found = true;
		}
	if (!found)
		wait_for(w, target, pid);
}

/* False: the process does not let us look, at this descriptor or any other. */
static bool look_at_fd(struct walk *w, int dir, const char *fd, uint32_t pid)
{
	char target[SCENE_PATH];
	struct stat st;
	ssize_t n = readlinkat(dir, fd, target, sizeof(target));

	if (n < 0 && (errno == EACCES || errno == EPERM))
		return false;
	if (n <= 0 || (size_t)n >= sizeof(target))
		return true;
	target[n] = '\0';
	if (strncmp(target, "/dev/", 5) == 0) {
		bool told = w->s->m->live && fstatat(dir, fd, &st, 0) == 0 &&
			    (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));

		hold_path(w, target, told ? &st : NULL, pid);
	} else if (strncmp(target, "/sys/devices/", 13) == 0) {
		char pci[24];

		if (registers_parse(target, pci, sizeof(pci)))
			hold_registers(w->s, pid, pci);
	}
	return true;
}

static void look_at_fds(struct walk *w, uint32_t pid)
{
	const struct dirent *de;
	char path[SCENE_PATH];

	proc_path(path, pid, "fd");
	own_fd int fd = machine_openat(w->s->m, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	if (fd < 0) {
		if ((fd == -EACCES || fd == -EPERM) && !is_kernel_thread(w->s->m, pid))
			w->unseen++;
		return;
	}
	own_dir DIR *d = fdopendir(fd);

	if (!d)
		return;
	take_fd(&fd);
	for (int i = 0; i < DESCRIPTORS_MAX && (de = readdir(d)); i++) {
		if (de->d_name[0] < '0' || de->d_name[0] > '9')
			continue;
		/* In a user name space the folder may be open to us and its links not. */
		if (!look_at_fd(w, dirfd(d), de->d_name, pid)) {
			w->unseen++;
			return;
		}
	}
}

/* --- mounts ------------------------------------------------------------------------------------------------ */

/* Each name space of mounts once: a container may have the last mount of a disk. */
static void look_at_mounts(struct walk *w, uint32_t pid)
{
	char path[SCENE_PATH], space[32];

	proc_path(path, pid, "ns/mnt");
	if (w->n_spaces == SPACES_MAX || machine_link(w->s->m, path, space, sizeof(space)))
		return;
	for (uint32_t i = 0; i < w->n_spaces; i++)
		if (strcmp(w->spaces[i], space) == 0)
			return;
	text_copy(w->spaces[w->n_spaces++], sizeof(space), space);
	proc_path(path, pid, "mountinfo");
	scene_read_mounts(w->s, w->n, path);
}

/* --- all of them ------------------------------------------------------------------------------------------------------------ */

void scene_read_procs(struct scene *s, struct nodes *n)
{
	own_free struct walk *w = calloc(1, sizeof(*w));
	own_fd int fd = machine_openat(s->m, "proc", O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	own_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	s->unseen = fact_unknown(WHY_NOT_EXPORTED);
	if (!w || !d)
		return;
	take_fd(&fd);
	w->s = s;
	w->n = n;
	own_free uint32_t *pids = calloc(PROCESSES_MAX, sizeof(*pids));

	w->pids = pids;
	if (!pids)
		return;
	for (int i = 0; i < PROCESSES_MAX && (de = readdir(d)); i++) {
		uint64_t pid;

		if (de->d_name[0] < '1' || de->d_name[0] > '9' ||
		    text_parse_u64(de->d_name, &pid) || pid > INT32_MAX ||
		    (s->m->live && pid == (uint64_t)getpid()))
			continue;
		w->n_seen++;
		look_at_mounts(w, (uint32_t)pid);
		look_at_fds(w, (uint32_t)pid);
		if (w->n_pids < PROCESSES_MAX)
			w->pids[w->n_pids++] = (uint32_t)pid;
	}
	w->unseen += scene_maps(s->m, pids, w->n_pids, hold_registers, s);
	if (w->n_seen)
		s->unseen = fact_of(w->unseen, SRC_PROC);
}
