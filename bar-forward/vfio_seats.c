/* SPDX-License-Identifier: MIT */
#include "bar-forward/vfio_seats.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bar-forward/wire.h"
#include "base/text.h"

/* What is not used of it is never touched, and takes no memory. */
static size_t size(void)
{
	return sizeof(struct vfio_seats) + VU_DMA_MAPS * sizeof(struct vmap);
}

struct vfio_seats *vfio_seats_make(void)
{
	pthread_mutexattr_t lock;
	pthread_condattr_t freed;
	struct vfio_seats *t = mmap(NULL, size(), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	t->maps.room = VU_DMA_MAPS;
	pthread_mutexattr_init(&lock);
	pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&lock, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&t->lock, &lock);
	pthread_mutexattr_destroy(&lock);
	pthread_condattr_init(&freed);
	pthread_condattr_setpshared(&freed, PTHREAD_PROCESS_SHARED);
	pthread_condattr_setclock(&freed, CLOCK_MONOTONIC);
	pthread_cond_init(&t->freed, &freed);
	pthread_condattr_destroy(&freed);
	return t;
}

void vfio_seats_free(struct vfio_seats *t)
{
	if (t)
		munmap(t, size());
}

/* The lock goes on, so that others hear of it, too. */
static int locked(struct vfio_seats *t, int rc)
{
	if (rc == EOWNERDEAD) {
		t->broken = true;
		pthread_mutex_consistent(&t->lock);
	}
	return t->broken ? -EOWNERDEAD : 0;
}

int vfio_seats_lock(struct vfio_seats *t)
{
	int rc = locked(t, pthread_mutex_lock(&t->lock));

	if (rc)
		pthread_mutex_unlock(&t->lock);
	return rc;
}

void vfio_seats_unlock(struct vfio_seats *t)
{
	pthread_mutex_unlock(&t->lock);
}

int vfio_seats_wait(struct vfio_seats *t, const struct timespec *until)
{
	int rc = pthread_cond_timedwait(&t->freed, &t->lock, until);

	if (locked(t, rc))
		return -EOWNERDEAD;
	return rc == ETIMEDOUT ? -ETIMEDOUT : 0;
}

uint64_t vfio_seats_take(struct vfio_seats *t, const char *pci)
{
	int free = -1;

	for (int i = 0; i < SEATS; i++) {
		if (strcmp(t->who[i], pci) == 0)
			return UINT64_C(1) << i;
		if (free < 0 && !t->who[i][0])
			free = i;
	}
	if (free < 0)
		return 0;
	text_copy(t->who[free], sizeof(t->who[free]), pci);
	return UINT64_C(1) << free;
}

bool vfio_seats_busy(const struct vfio_seats *t, const char *pci)
{
	for (int i = 0; i < SEATS; i++)
		if (strcmp(t->who[i], pci) == 0)
			return vmaps_next(&t->maps, 0, UINT64_C(1) << i);
	return false;
}
