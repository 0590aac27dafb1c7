/* SPDX-License-Identifier: MIT */
#include "bar-forward/memstate.h"

#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bar-forward/device.h"
#include "base/own.h"

#define MAGIC UINT64_C(0x6274686d656d3031)

/* --- values into their places --- */

void memstate_move(uint8_t *to, const uint8_t *from, uint32_t width)
{
	switch (width) {
	case 1:
		*to = *from;
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 8:
		memcpy(to, from, 8);
		break;
	default:
		memcpy(to, from, width);
	}
}

static void put_first(struct memstate *m)
{
	struct mem_state *s = m->s;

	memcpy(s->config, m->space->first, sizeof(s->config));
	for (uint32_t i = 0; i < m->desc->n_regs; i++)
		s->value[i] = m->desc->reg[i].value;
	memset(s->table, 0, sizeof(s->table));
	for (uint32_t i = 0; i < VU_IRQS_MAX; i++)
		s->table[16 * i + 12] = 1; /* masked, as PCI has it after a reset */
	memset(s->pending, 0, sizeof(s->pending));
	s->engine.busy = 0;
}

static void put_one(struct memstate *m, const struct effect *x)
{
	uint8_t *base = NULL;
	uint64_t room = 0;

	if (x->where == IN_RESET) {
		put_first(m);
		return;
	}
	if (x->where == IN_STATE) {
		/* Never into the lock or the list itself. */
		base = (uint8_t *)m->s + offsetof(struct mem_state, done);
		room = sizeof(*m->s) - offsetof(struct mem_state, done);
	} else if (x->where < MEMSTATE_STORES) {
		base = m->store[x->where];
		room = m->store_size[x->where];
	}
	if (!base || x->width > 8 || x->width > room || x->offset > room - x->width)
		return;
	memstate_move(base + x->offset, (const uint8_t *)&x->value, x->width);
}

/* What is written down is put in place, once more if need be. */
static void redo(struct memstate *m)
{
	struct mem_state *s = m->s;
	uint32_t n = atomic_load_explicit(&s->redo.n, memory_order_acquire);

	for (uint32_t i = 0; i < n && i < MEMSTATE_EFFECTS; i++)
		put_one(m, &s->redo.row[i]);
	atomic_store_explicit(&s->redo.n, 0, memory_order_release);
	/* The next list is not begun before this one is off. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* --- the lock --- */

static int init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t how;
	int rc = pthread_mutexattr_init(&how);

	if (rc)
		return -rc;
	pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
	rc = pthread_mutex_init(lock, &how);
	pthread_mutexattr_destroy(&how);
	return -rc;
}

void memstate_lock(struct memstate *m)
{
	if (pthread_mutex_lock(&m->s->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&m->s->lock);
	redo(m);
}

void memstate_unlock(struct memstate *m)
{
	pthread_mutex_unlock(&m->s->lock);
}

/* --- an access --- */

void access_begin(struct access *a, struct memstate *m)
{
	a->m = m;
	a->n = 0;
}

void access_end(struct access *a)
{
	struct mem_state *s = a->m->s;

	memcpy(s->redo.row, a->row, a->n * sizeof(a->row[0]));
	/* From here on it has happened. */
	atomic_store_explicit(&s->redo.n, a->n, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	redo(a->m);
}

static void add(struct access *a, uint32_t where, uint64_t offset, uint64_t value, uint32_t width)
{
	assert(a->n < MEMSTATE_EFFECTS);
	a->row[a->n++] = (struct effect) { where, width, offset, value };
}

/* Offsets in the block count from what an access may change. */
static uint64_t place(const struct access *a, const void *p)
{
	return (uint64_t)((const uint8_t *)p - (const uint8_t *)a->m->s) -
	       offsetof(struct mem_state, done);
}

uint64_t access_word(const struct access *a, const uint64_t *word)
{
	uint64_t at = place(a, word);

	for (uint32_t i = a->n; i > 0; i--)
		if (a->row[i - 1].where == IN_STATE && a->row[i - 1].offset == at)
			return a->row[i - 1].value;
	return *word;
}

void access_set(struct access *a, const uint64_t *word, uint64_t value)
{
	add(a, IN_STATE, place(a, word), value, 8);
}

void access_add(struct access *a, const uint64_t *word, uint64_t more)
{
	access_set(a, word, access_word(a, word) + more);
}

void access_bytes(struct access *a, const uint8_t *at, const uint8_t *bytes, uint32_t width)
{
	uint64_t value = 0;

	memcpy(&value, bytes, width);
	add(a, IN_STATE, place(a, at), value, width);
}

void access_store(struct access *a, uint32_t store, uint64_t offset, const uint8_t *bytes,
		  uint32_t width)
{
	uint64_t value = 0;

	memcpy(&value, bytes, width);
	add(a, store, offset, value, width);
}

void access_reset(struct access *a)
{
	add(a, IN_RESET, 0, 0, 0);
}

/* --- memory --- */

/*
 * Sparse, and sealed: a client that gets the descriptor to map it by can neither cut it short, which would kill whoever
 * reads it then, nor make it grow.
 */
static int make_fd(const char *name, uint64_t size)
{
	own_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

uint64_t memstate_wants(const struct pcidesc *d, uint32_t store)
{
	if (store < PCIDESC_BARS)
		return d->bar[store].memory ? d->bar[store].size : 0;
	if (d->doorbell == REG_NONE || d->reg[d->doorbell].memory_bar >= 0)
		return 0;
	return d->reg[d->doorbell].memory_bytes;
}

static void *map(int fd, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_all(struct memstate *m, struct err *e)
{
	m->s = map(m->fd, sizeof(*m->s));
	if (!m->s)
		return err_set(e, -errno, "no memory for the device's state: %s", strerror(errno));
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++) {
		m->store_size[i] = memstate_wants(m->desc, i);
		if (!m->store_size[i])
			continue;
		m->store[i] = map(m->store_fd[i], m->store_size[i]);
		if (!m->store[i])
			return err_set(e, -errno,
				       "no addresses for the device's %llu bytes of memory: %s",
				       (unsigned long long)m->store_size[i], strerror(errno));
	}
	return 0;
}

void memstate_none(struct memstate *m)
{
	*m = (struct memstate) { .fd = -1 };
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++)
		m->store_fd[i] = -1;
}

static int make_all(struct memstate *m, struct err *e)
{
	int rc;

	m->fd = make_fd("berth-device", sizeof(*m->s));
	rc = m->fd < 0 ? m->fd : 0;
	for (uint32_t i = 0; !rc && i < MEMSTATE_STORES; i++) {
		if (!memstate_wants(m->desc, i))
			continue;
		m->store_fd[i] = make_fd("berth-device-memory", memstate_wants(m->desc, i));
		rc = m->store_fd[i] < 0 ? m->store_fd[i] : 0;
	}
	return rc ? err_set(e, rc, "cannot make memory: %s", strerror(-rc)) : map_all(m, e);
}

int memstate_make(struct memstate *m, const struct pcidesc *d, const struct pcispace *space,
		  struct err *e)
{
	int rc;

	m->desc = d;
	m->space = space;
	rc = make_all(m, e);
	if (!rc && (rc = init_lock(&m->s->lock)))
		err_set(e, rc, "cannot make a lock: %s", strerror(-rc));
	if (rc)
		return rc;
	m->s->magic = MAGIC;
	m->s->size = sizeof(*m->s);
	m->s->irq_index = DEV_IRQS;
	put_first(m);
	return 0;
}

static bool holds(int fd, uint64_t size)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

void memstate_take(struct memstate *m, const int fds[MEMSTATE_STORES + 1])
{
	m->fd = fds[0];
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++)
		m->store_fd[i] = fds[i + 1];
}

int memstate_join(struct memstate *m, const struct pcidesc *d, const struct pcispace *space,
		  struct err *e)
{
	bool fits = holds(m->fd, sizeof(*m->s));
	int rc;

	m->desc = d;
	m->space = space;
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++)
		fits &= !memstate_wants(d, i) || holds(m->store_fd[i], memstate_wants(d, i));
	rc = fits ? map_all(m, e) : err_set(e, -EINVAL, "this is not the state of such a device");
	if (!rc && (m->s->magic != MAGIC || m->s->size != sizeof(*m->s)))
		rc = err_set(e, -EINVAL, "the device's state is of another version");
	return rc;
}

void memstate_fds(const struct memstate *m, int fds[MEMSTATE_STORES + 1])
{
	fds[0] = m->fd;
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++)
		fds[i + 1] = m->store_fd[i];
}

void memstate_close(struct memstate *m)
{
	if (m->s)
		munmap(m->s, sizeof(*m->s));
	own_close_fd(&m->fd);
	for (uint32_t i = 0; i < MEMSTATE_STORES; i++) {
		if (m->store[i])
			munmap(m->store[i], m->store_size[i]);
		m->store[i] = NULL;
		own_close_fd(&m->store_fd[i]);
	}
	m->s = NULL;
}
