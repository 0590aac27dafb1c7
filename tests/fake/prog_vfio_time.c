/* SPDX-License-Identifier: MIT */
/*
 * How long a register of four bytes takes by two devices, in turn: prog_vfio_time BAR OFFSET N ROUNDS GROUP ADDRESS GROUP ADDRESS.
 * Lines "WHAT NS NS RATIO", read, write, and map where both can be mapped: medians of ROUNDS of N accesses each, and that of
 * the ratios of each round, the first device over the second.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/fake/prog_vfio.h"

#define MAX_ROUNDS 1000

/* A device: its descriptor, and its register in a map. */
struct device {
	int fd;
	off_t at;
	volatile uint32_t *page;
};

typedef bool access_fn(const struct device *d, long n);

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

static double median(double *of, long n)
{
	qsort(of, (size_t)n, sizeof(*of), order);
	return of[n / 2];
}

/* By descriptor, as a monitor does for what is trapped. */
static bool do_reads(const struct device *d, long n)
{
	uint32_t value;

	for (; n > 0; n--)
		if (pread(d->fd, &value, 4, d->at) != 4)
			return false;
	return true;
}

static bool do_writes(const struct device *d, long n)
{
	uint32_t value = 0;

	for (; n > 0; n--)
		if (pwrite(d->fd, &value, 4, d->at) != 4)
			return false;
	return true;
}

static bool do_touches(const struct device *d, long n)
{
	for (; n > 0; n--)
		(void)*d->page;
	return true;
}

/* Which of them is first changes with each round, for who comes second finds caches as the first left them. */
static bool in_turn(const char *what, access_fn *run, const struct device *d, long n, long rounds)
{
	static double took[2][MAX_ROUNDS], ratio[MAX_ROUNDS];
	uint64_t start;

	if (!run(&d[0], n) || !run(&d[1], n))
		return false;
	for (long r = 0; r < rounds; r++) {
		for (long i = 0; i < 2; i++) {
			long which = (r + i) % 2;

			start = now();
			if (!run(&d[which], n))
				return false;
			took[which][r] = (double)(now() - start) / (double)n;
		}
		ratio[r] = took[0][r] / took[1][r];
	}
	printf("%s %.1f %.1f %.4f\n", what, median(took[0], rounds), median(took[1], rounds),
	       median(ratio, rounds));
	return true;
}

static bool map(struct device *d)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
			  d->at & ~(off_t)4095);

	if (page == MAP_FAILED)
		return false;
	d->page = (volatile uint32_t *)(page + (d->at & 4095));
	return true;
}

int main(int argc, char **argv)
{
	struct device d[2];
	long n, rounds;

	if (argc != 9)
		return 2;
	n = strtol(argv[3], NULL, 0);
	rounds = strtol(argv[4], NULL, 0);
	if (n < 1 || rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	for (int i = 0; i < 2; i++) {
		d[i].at = (off_t)AT(strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
		d[i].fd = by_group(argv[5 + 2 * i], argv[6 + 2 * i]);
		if (d[i].fd < 0)
			return why(-1), 1;
	}
	if (!in_turn("read", do_reads, d, n, rounds) || !in_turn("write", do_writes, d, n, rounds))
		return why(-1), 1;
	if (map(&d[0]) && map(&d[1]))
		in_turn("map", do_touches, d, n, rounds);
	return 0;
}
