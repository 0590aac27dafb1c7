/* SPDX-License-Identifier: MIT */
/* Address spaces: one for each IOMMU group, since the kernel gives a group one. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/vfio_priv.h"
#include "base/own.h"
#include "base/text.h"

#define NS_PER_S INT64_C(1000000000)

int vfio_why(struct err *e, int rc, const char *pci, const char *what)
{
	return err_set(e, rc, "%s: the kernel refuses %s: %s", pci, what, strerror(-rc));
}

/* --- which one --- */

static int group_of(const struct vfio_kernel *kernel, const char *pci, int32_t *group,
		    struct err *e)
{
	char path[128], text[256];
	struct machine m;
	int rc = machine_open(&m, kernel->root, e);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%.23s/iommu_group", pci);
	rc = machine_link(&m, path, text, sizeof(text));
	machine_close(&m);
	if (rc || !strrchr(text, '/') || sscanf(strrchr(text, '/'), "/%" SCNd32, group) != 1)
		return err_set(e, rc ? rc : -EINVAL,
			       "%s has no IOMMU group: nothing would confine the guest's DMA", pci);
	return 0;
}

static void link_after(struct vfio_space *s, struct vfio_space *other)
{
	s->next = s->before = s;
	if (!other)
		return;
	s->next = other->next;
	s->before = other;
	other->next->before = s;
	other->next = s;
}

static uint64_t may_lock(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_MEMLOCK, &r) || r.rlim_cur == RLIM_INFINITY ? UINT64_MAX
									    : r.rlim_cur;
}

/* The newer way where the kernel and the files' permissions have it. */
static int open_any(struct vfio_space *s, const char *pci, struct err *e)
{
	static const struct space_kind *const kinds[] = { &space_iommufd, &space_type1 };
	int rc = -ENOENT;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc; i++) {
		s->kind = kinds[i];
		s->fd = s->group_fd = -1;
		rc = s->kind->open(s, pci, e);
		if (rc && rc != -ENOENT && rc != -EACCES && rc != -EPERM)
			break;
	}
	return rc;
}

static int make(struct vfio_space **to, const struct vfio_kernel *kernel, int32_t group,
		const char *pci, struct vfio_space *other, struct err *e)
{
	struct vfio_space *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->kernel = kernel;
	s->group = group;
	s->locked = may_lock();
	s->users = 1;
	s->fd = s->group_fd = -1;
	link_after(s, other);
	s->table = vfio_seats_make();
	rc = s->table ? open_any(s, pci, e) : err_set(e, -ENOMEM, "out of memory");
	if (rc) {
		vfio_space_put(s);
		return rc;
	}
	*to = s;
	return 0;
}

static struct vfio_space *find(struct vfio_space *first, int32_t group)
{
	struct vfio_space *s = first;

	while (s && s->group != group)
		s = s->next == first ? NULL : s->next;
	return s;
}

int vfio_space_of(struct vfio_space **s, const struct vfio_kernel *kernel, const char *pci,
		  const struct device *beside, struct err *e)
{
	struct vfio_space *first = beside ? beside->gathered : NULL;
	int32_t group;
	int rc = group_of(kernel, pci, &group, e);

	if (rc)
		return rc;
	*s = find(first, group);
	if (!*s)
		return make(s, kernel, group, pci, first, e);
	(*s)->users++;
	return 0;
}

int vfio_space_find(struct vfio_space **s, int32_t group, const struct device *beside,
		    struct err *e)
{
	*s = find(beside ? beside->gathered : NULL, group);
	if (!*s)
		return err_set(e, -EPROTO, "IOMMU group %" PRId32 " is not open here", group);
	(*s)->users++;
	return 0;
}

int vfio_space_join(struct vfio_space **to, const struct vfio_space *what,
		    const struct device *beside, struct err *e)
{
	own_free struct vfio_space *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	*s = *what;
	s->table = vfio_seats_make();
	if (!s->table)
		return err_set(e, -ENOMEM, "out of memory");
	s->locked = may_lock();
	s->users = 1;
	link_after(s, beside ? beside->gathered : NULL);
	*to = take_ptr(&s);
	return 0;
}

void vfio_space_put(struct vfio_space *s)
{
	if (--s->users)
		return;
	s->next->before = s->before;
	s->before->next = s->next;
	if (s->kind)
		s->kind->close(s);
	vfio_seats_free(s->table);
	free(s);
}

void vfio_space_put_all(struct vfio_space *first)
{
	while (first) {
		struct vfio_space *next = first->next == first ? NULL : first->next;

		vfio_space_put(first);
		first = next;
	}
}

int vfio_space_gather(struct vfio_space **to, const struct vfio_kernel *kernel,
		      const char *const *what, uint32_t n, struct err *e)
{
	struct vfio_space *first = NULL, *s;

	for (uint32_t i = 0; i < n; i++) {
		int32_t group;
		int rc = group_of(kernel, what[i], &group, e);

		if (!rc && find(first, group))
			continue;
		if (!rc)
			rc = make(&s, kernel, group, what[i], first, e);
		if (rc) {
			vfio_space_put_all(first);
			return rc;
		}
		s->gathered = true;
		first = first ? first : s;
	}
	*to = first;
	return 0;
}

/* --- who is in it --- */

static int broken(struct err *e)
{
	return err_set(
		e, -EIO,
		"a process that served another function of this IOMMU group died while it mapped memory: "
		"start the bridge anew");
}

/* Locked: forget what a seat has mapped. The last process's maps go with the space, which asks the kernel for nothing. */
static void unmap_all(struct vfio_space *s, uint64_t seat)
{
	struct vmaps *m = &s->table->maps;
	const struct vmap *row;
	uint64_t at = 0;

	while ((row = vmaps_next(m, at, seat))) {
		uint64_t iova = row->iova, size = row->size;

		if (vmaps_release(m, iova, size, seat) == 1) {
			if (s->gathered)
				s->kind->unmap(s, iova, size);
			vmaps_drop(m, iova);
		}
		at = iova + size;
		if (!at)
			break;
	}
	pthread_cond_broadcast(&s->table->freed);
}

int vfio_space_enter(struct device *d, struct err *e)
{
	struct vfio_space *s = d->space;
	uint64_t seat;

	if (vfio_seats_lock(s->table))
		return broken(e);
	seat = vfio_seats_take(s->table, d->facts.name);
	if (seat)
		unmap_all(s, seat); /* of one that died here */
	vfio_seats_unlock(s->table);
	if (!seat)
		return err_set(e, -EMFILE,
			       "%d functions of IOMMU group %" PRId32 " have been served already",
			       SEATS, s->group);
	d->seat = seat;
	return 0;
}

void vfio_space_leave(struct device *d)
{
	if (!vfio_seats_lock(d->space->table)) {
		unmap_all(d->space, d->seat);
		vfio_seats_unlock(d->space->table);
	}
	d->seat = 0;
}

/* --- maps --- */

static int why_not(const struct vfio_space *s, const struct map *row, int rc, struct err *e)
{
	char has[TEXT_SIZE_MAX], needs[TEXT_SIZE_MAX];

	switch (rc) {
	case -ENOMEM:
		if (s->locked == UINT64_MAX)
			break;
		return err_set(
			e, rc,
			"%s may be locked (RLIMIT_MEMLOCK), and with this map %s would be: "
			"sudo prlimit --pid %d --memlock=unlimited, and start the guest anew",
			text_size(has, s->locked), text_size(needs, s->table->maps.bytes),
			(int)getpid());
	case -ENOSPC:
		return err_set(
			e, rc,
			"the kernel takes %" PRIu64 " DMA maps (dma_entry_limit): echo %" PRIu64
			" | sudo tee /sys/module/vfio_iommu_type1/parameters/dma_entry_limit, and "
			"start the bridge anew",
			s->entries, 2 * s->entries);
	case -EEXIST:
	case -EADDRINUSE:
		rc = -EBUSY; /* none of the client's doing */
		break;
	default:
		break;
	}
	return err_set(e, rc,
		       "the kernel does not map %" PRIu64 " bytes at DMA address 0x%" PRIx64 ": %s",
		       row->size, row->iova, strerror(-rc));
}

/* Kernels name it differently, and mmap() not at all. */
static int check_size(const struct map *row, const struct stat *st, struct err *e)
{
	uint64_t size = st->st_size < 0 ? 0 : (uint64_t)st->st_size;

	if (row->offset > size || row->size > size - row->offset)
		return err_set(e, -EFAULT,
			       "the guest's memory at DMA address 0x%" PRIx64 " has %" PRIu64
			       " bytes at 0x%" PRIx64 " of a file of %" PRIu64,
			       row->iova, row->size, row->offset, size);
	return 0;
}

/* What a program may do that maps the descriptor, the device may, and no more. */
static int check_rights(const struct map *row, struct err *e)
{
	int mode = fcntl(row->fd, F_GETFL), seals = fcntl(row->fd, F_GET_SEALS);

	if (mode < 0)
		return err_set(e, -errno, "the guest's memory: %s", strerror(errno));
	mode &= O_ACCMODE;
	if (mode == O_WRONLY || (row->write && mode == O_RDONLY))
		return err_set(e, -EACCES, "the descriptor of the guest's memory may not be %s",
			       mode == O_WRONLY ? "read" : "written");
	if (row->write && seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return err_set(e, -EPERM, "the guest's memory is sealed against writing");
	return 0;
}

static int other_memory(const struct map *row, struct err *e)
{
	return err_set(
		e, -EBUSY,
		"at DMA addresses 0x%" PRIx64 " to 0x%" PRIx64
		" the client of another function of its IOMMU group has other memory: one group goes to "
		"one virtual machine",
		row->iova, row->iova + (row->size - 1));
}

static struct timespec later(const struct timespec *t, uint32_t ms)
{
	int64_t ns = t->tv_nsec + INT64_C(1000000) * ms;

	return (struct timespec) { .tv_sec = t->tv_sec + ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

/*
 * Locked. A virtual machine moves its memory for each of its devices in turn: what another one still has there is let go
 * of at once, or is another machine's, and stays.
 */
static int add_row(struct device *d, const struct vmap *add)
{
	struct vfio_seats *t = d->space->table;
	struct timespec until;
	int rc = vmaps_add(&t->maps, add);

	clock_gettime(CLOCK_MONOTONIC, &until);
	until = later(&until, d->kernel->patience_ms);
	while (rc == -EBUSY && !d->refused) {
		int over = d->space->gathered ? vfio_seats_wait(t, &until) : -ETIMEDOUT;

		if (over == -EOWNERDEAD)
			return over;
		rc = vmaps_add(&t->maps, add);
		d->refused = over && rc == -EBUSY;
	}
	return rc;
}

/* Locked: the table first, and the kernel second, so that nothing is ever mapped that no row tells of. */
static int map_row(struct device *d, const struct map *row, const struct vmap *add, struct err *e)
{
	struct vfio_space *s = d->space;
	int rc = add_row(d, add);

	if (rc == -EBUSY)
		return other_memory(row, e);
	if (rc == -EOWNERDEAD)
		return broken(e);
	if (rc < 0)
		return err_set(e, rc, "the group has as many DMA maps as it may: %" PRIu32,
			       s->table->maps.n);
	rc = rc ? s->kind->map(s, row) : 0;
	if (!rc)
		return 0;
	rc = why_not(s, row, rc, e);
	vmaps_drop(&s->table->maps, row->iova);
	return rc;
}

int vfio_space_map(struct device *d, const struct map *row, struct err *e)
{
	struct vmap add = { .iova = row->iova,
			    .size = row->size,
			    .offset = row->offset,
			    .read = row->read,
			    .write = row->write,
			    .holders = d->seat };
	struct stat st;
	int rc;

	/* ROMs, and what else of a guest is not shared: no device's DMA goes there. */
	if (row->fd < 0)
		return 0;
	rc = check_rights(row, e);
	if (!rc && fstat(row->fd, &st))
		rc = err_set(e, -errno, "the guest's memory: %s", strerror(errno));
	if (!rc)
		rc = check_size(row, &st, e);
	if (rc)
		return rc;
	add.device = st.st_dev;
	add.inode = st.st_ino;
	if (vfio_seats_lock(d->space->table))
		return broken(e);
	rc = map_row(d, row, &add, e);
	vfio_seats_unlock(d->space->table);
	return rc;
}

static int unmap_row(struct vfio_space *s, uint64_t seat, const struct map *row, struct err *e)
{
	int rc = vmaps_release(&s->table->maps, row->iova, row->size, seat);

	if (rc <= 0)
		return rc ? err_set(e, rc, "nothing is mapped at DMA address 0x%" PRIx64, row->iova)
			  : 0;
	rc = s->kind->unmap(s, row->iova, row->size);
	if (rc)
		return err_set(e, rc, "the kernel does not unmap DMA address 0x%" PRIx64 ": %s",
			       row->iova, strerror(-rc));
	vmaps_drop(&s->table->maps, row->iova);
	pthread_cond_broadcast(&s->table->freed);
	return 0;
}

int vfio_space_unmap(struct device *d, const struct map *row, struct err *e)
{
	int rc;

	if (row->fd < 0)
		return 0;
	if (vfio_seats_lock(d->space->table))
		return broken(e);
	rc = unmap_row(d->space, d->seat, row, e);
	vfio_seats_unlock(d->space->table);
	d->refused = false;
	return rc;
}
