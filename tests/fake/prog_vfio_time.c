/* SPDX-License-Identifier: MIT */
/*
 * How long a register of four bytes takes: prog_vfio_time BAR OFFSET N group GROUP ADDRESS. Lines "read NS", "write NS", and
 * "map NS" where the BAR can be mapped: the median of rounds of N accesses, each.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/fake/prog_vfio.h"

#define ROUNDS 15

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int order(const void *l, const void *r)
{
	const double *a = l, *b = r;

	return *a < *b ? -1 : *a > *b;
}

static void tell(const char *what, double *round)
{
	qsort(round, ROUNDS, sizeof(*round), order);
	printf("%s %.0f\n", what, round[ROUNDS / 2]);
}

/* By descriptor, as a monitor does for what is trapped. */
static bool by_call(int fd, off_t at, long n, bool writes)
{
	double round[ROUNDS];
	uint32_t value = 0;

	for (int r = 0; r < ROUNDS; r++) {
		uint64_t start = now();

		for (long i = 0; i < n; i++)
			if ((writes ? pwrite(fd, &value, 4, at) : pread(fd, &value, 4, at)) != 4)
				return false;
		round[r] = (double)(now() - start) / (double)n;
	}
	tell(writes ? "write" : "read", round);
	return true;
}

static void by_map(int fd, off_t at, long n)
{
	volatile uint32_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				    at & ~(off_t)4095);
	double round[ROUNDS];

	if (p == MAP_FAILED)
		return;
	p += (at & 4095) / 4;
	(void)*p;
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t start = now();

		for (long i = 0; i < n; i++)
			(void)*p;
		round[r] = (double)(now() - start) / (double)n;
	}
	tell("map", round);
}

int main(int argc, char **argv)
{
	off_t at;
	long n;
	int fd;

	if (argc < 6)
		return 2;
	at = (off_t)AT(strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
	n = strtol(argv[3], NULL, 0);
	fd = device_open(argc - 3, argv + 3);
	if (fd < 0 || !by_call(fd, at, n, false) || !by_call(fd, at, n, true))
		return why(-1), 1;
	by_map(fd, at, n);
	return 0;
}
