/* SPDX-License-Identifier: MIT */
/*
 * How long it takes until nobody reaches a device any more through a map of its register at 0 of BAR 0:
 *
 *   prog_vfio_revoke memory|remove|revoke map|pages MAPPERS ROUNDS GROUP ADDRESS
 *
 *   memory, remove, revoke   what takes it away: its memory is switched off; sysfs's remove, once; BERTH_VFIO_REVOKE
 *   map, pages               how it is mapped: by the function's descriptor, by one of BERTH_VFIO_PAGES
 *
 * A line for each round: microseconds from then until the last of MAPPERS programs, which read without a pause, knew it, and
 * how: "ones" or "SIGBUS"; or "never", when one has still read the register after PATIENCE seconds.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "kmod/uapi.h"
#include "tests/fake/prog_vfio.h"

#define MAPPERS  16
#define PATIENCE 10
#define ONES     UINT32_MAX
#define COMMAND  AT(VFIO_PCI_CONFIG_REGION_INDEX, 4)
#define MEMORY   2

/* What a mapper tells. */
struct mapper {
	_Atomic bool runs;
	uint64_t at; /* 0: it has not lost the device */
	const char *how;
};

static struct shared {
	uint64_t start;
	struct mapper mappers[MAPPERS];
} * shared;

static struct mapper *me;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void lost(const char *how)
{
	me->at = now();
	me->how = how;
	_exit(0);
}

static void on_signal(int number)
{
	if (number == SIGBUS)
		lost("SIGBUS");
	_exit(0);
}

static void mapper(int fd)
{
	volatile uint32_t *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	signal(SIGBUS, on_signal);
	signal(SIGALRM, on_signal);
	alarm(PATIENCE);
	if (p == MAP_FAILED || *p == ONES)
		_exit(1);
	me->runs = true;
	while (*p != ONES)
		;
	lost("ones");
}

static int pages_of(int fd)
{
	uint64_t room[sizeof(struct berth_vfio_pages) / 8 + sizeof(struct berth_vfio_range) / 8];
	struct berth_vfio_pages *ask = (void *)room;

	*ask = (struct berth_vfio_pages) { .argsz = sizeof(room),
					   .flags = BERTH_VFIO_PAGES_READ,
					   .n = 1 };
	ask->ranges[0] = (struct berth_vfio_range) { .length = 4096 };
	return ioctl(fd, BERTH_VFIO_PAGES, ask);
}

static bool memory_set(int fd, bool on)
{
	uint16_t command;

	if (pread(fd, &command, 2, COMMAND) != 2)
		return false;
	command = (uint16_t)(on ? command | MEMORY : command & ~MEMORY);
	return pwrite(fd, &command, 2, COMMAND) == 2;
}

/* By another program, for it waits until nobody has the function open. */
static bool remove_begin(int fd, const char *address)
{
	char path[128];
	int file;

	if (fork())
		return true;
	close(fd);
	close(held[0]);
	close(held[1]);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", address);
	file = open(path, O_WRONLY | O_CLOEXEC);
	shared->start = now();
	_exit(file < 0 || write(file, "1", 1) != 1);
}

static bool take_away(int fd, const char *how, const char *address)
{
	if (!strcmp(how, "remove"))
		return remove_begin(fd, address);
	shared->start = now();
	return strcmp(how, "memory") ? ioctl(fd, BERTH_VFIO_REVOKE, 0) >= 0 : memory_set(fd, false);
}

static bool mappers_start(int fd, long n, pid_t *pids)
{
	memset(shared, 0, sizeof(*shared));
	for (long i = 0; i < n; i++) {
		me = &shared->mappers[i];
		pids[i] = fork();
		if (pids[i] == 0)
			mapper(fd);
		while (!me->runs && waitpid(pids[i], NULL, WNOHANG) == 0)
			usleep(1000);
		if (!me->runs)
			return false;
	}
	return true;
}

static void tell(long n)
{
	const char *how = "never";
	uint64_t last = 0;

	for (long i = 0; i < n; i++) {
		const struct mapper *m = &shared->mappers[i];

		if (!m->at) {
			puts("never");
			return;
		}
		if (m->at > last)
			last = m->at, how = m->how;
	}
	printf("%.1f %s\n", (double)(last - shared->start) / 1000, how);
}

static bool turn(int fd, char **argv, long n)
{
	bool chosen = !strcmp(argv[2], "pages");
	pid_t pids[MAPPERS];
	int mapped = chosen ? pages_of(fd) : fd;
	bool good = mapped >= 0 && mappers_start(mapped, n, pids) &&
		    take_away(fd, argv[1], argv[6]);

	if (!good)
		return false;
	for (long i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
	tell(n);
	if (chosen)
		close(mapped);
	return strcmp(argv[1], "memory") || memory_set(fd, true);
}

int main(int argc, char **argv)
{
	long n, rounds;
	int fd;

	if (argc != 7)
		return 2;
	n = strtol(argv[3], NULL, 0);
	rounds = strcmp(argv[1], "remove") ? strtol(argv[4], NULL, 0) : 1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (n < 1 || n > MAPPERS || shared == MAP_FAILED)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = by_group(argv[5], argv[6]);
	if (fd < 0 || !memory_set(fd, true))
		return why(-1), 1;
	for (; rounds > 0; rounds--)
		if (!turn(fd, argv, n))
			return why(-1), 1;
	return 0; /* and with it the function is closed, which a removal waits for */
}
