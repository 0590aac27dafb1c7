/* SPDX-License-Identifier: MIT */
/*
 * Asks a function of berth_vfio for whatever comes to mind: prog_vfio_noise SEED N FIRST LAST BAR group GROUP ADDRESS. Its
 * policy has one rule, that opens the pages FIRST to LAST of the trapped BAR. Whatever is granted must be by that rule,
 * whatever is refused by an errno that kmod/uapi.h names. The last line says how often either was so, or what was wrong.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "kmod/uapi.h"
#include "tests/fake/prog_vfio.h"

#define RANGES (BERTH_VFIO_RANGES + 4)

static struct {
	uint64_t first, last, state;
	uint32_t bar;
	int device, pages;
	bool writes;
	struct berth_vfio_range has;
	unsigned granted, refused;
} t = { .pages = -1 };

static uint64_t noise(void)
{
	t.state ^= t.state << 13;
	t.state ^= t.state >> 7;
	t.state ^= t.state << 17;
	return t.state;
}

static uint64_t below(uint64_t n)
{
	return noise() % n;
}

static _Noreturn void wrong(const char *what)
{
	printf("wrong: %s (%s)\n", what, strerrorname_np(errno));
	exit(1);
}

/* Mostly pages near those of the rule. */
static uint64_t number(void)
{
	switch (below(6)) {
	case 0:
		return noise();
	case 1:
		return below(0x20000);
	case 2:
		return ~UINT64_C(0) << below(64);
	default:
		return below(16) << 12;
	}
}

static bool known(int error)
{
	static const int all[] = { EINVAL, E2BIG, EPERM, EFAULT, ENODEV };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (error == all[i])
			return true;
	return false;
}

static bool by_rule(const struct berth_vfio_pages *ask)
{
	for (uint32_t i = 0; i < ask->n; i++) {
		const struct berth_vfio_range *r = &ask->ranges[i];

		if (!r->length || (r->offset | r->length) & 4095 || r->offset < t.first ||
		    r->length > t.last + 1 - r->offset)
			return false;
	}
	return ask->n && ask->bar == t.bar && ask->flags & BERTH_VFIO_PAGES_READ && ask->flags <= 3;
}

static void ask_pages(void)
{
	static uint64_t
		room[(sizeof(struct berth_vfio_pages) + RANGES * sizeof(struct berth_vfio_range)) /
		     8];
	struct berth_vfio_pages *ask = (void *)room;
	bool hidden = below(50) == 0;
	int fd;

	ask->n = (uint32_t)(below(8) ? 1 + below(3) : below(3) ? below(RANGES) : noise());
	ask->argsz = (uint32_t)(below(8) ? sizeof(room) : noise());
	ask->flags = (uint32_t)(below(8) ? 1 + 2 * below(2) : noise());
	ask->bar = (uint32_t)(below(8) ? t.bar : below(2) ? below(9) : noise());
	for (uint32_t i = 0; i < RANGES; i++)
		ask->ranges[i] = (struct berth_vfio_range) { number(), number() };
	fd = ioctl(t.device, BERTH_VFIO_PAGES, hidden ? (void *)(uintptr_t)number() : ask);
	if (fd < 0) {
		if (!known(errno))
			wrong("an errno of BERTH_VFIO_PAGES");
		t.refused++;
		return;
	}
	if (hidden || !by_rule(ask))
		wrong("pages that no rule opens");
	if (t.pages >= 0)
		close(t.pages);
	t.pages = fd;
	t.has = ask->ranges[0];
	t.writes = ask->flags & BERTH_VFIO_PAGES_WRITE;
	t.granted++;
}

static void map_pages(void)
{
	uint64_t at = below(2) ? t.has.offset : number() & ~UINT64_C(4095);
	uint64_t length = below(2) ? t.has.length : 1 + below(0x8000);
	int prot = (int)below(8), how = below(4) ? MAP_SHARED : MAP_PRIVATE;
	uint8_t *p;

	if (t.pages < 0)
		return;
	p = mmap(NULL, length, prot, how, t.pages, (off_t)(at & INT64_MAX));
	if (p == MAP_FAILED) {
		t.refused++;
		return;
	}
	if (how == MAP_PRIVATE || prot & PROT_EXEC || (prot & PROT_WRITE && !t.writes) ||
	    at < t.first || at + length - 1 > t.last)
		wrong("a map of other pages, or for more");
	if (prot & PROT_READ)
		(void)*(volatile uint8_t *)p;
	if (mprotect(p, length, prot | PROT_EXEC) == 0 ||
	    (!t.writes && mprotect(p, length, prot | PROT_WRITE) == 0))
		wrong("a map that can do more later");
	munmap(p, length);
	t.granted++;
}

/* By number, with what an ioctl of any size might find. What is VFIO's own, and changes the function, is left out. */
static void ask_foreign(void)
{
	uint64_t room[64];
	uint32_t nr = (uint32_t)(2 + below(254));

	for (size_t i = 0; i < 64; i++)
		room[i] = number();
	if (ioctl(t.device, _IOC((uint32_t)below(4), 0xBE, nr, (uint32_t)below(4096)), room) == 0)
		wrong("an ioctl that nobody knows");
	if (t.pages >= 0 && ioctl(t.pages, _IO(below(2) ? 0xBE : VFIO_TYPE, nr), room) == 0)
		wrong("an ioctl of a descriptor of pages");
	if (ioctl(t.device, BERTH_VFIO_REVOKE, noise() | 1) == 0)
		wrong("BERTH_VFIO_REVOKE with an argument");
	t.refused++;
}

static void ask_around(void)
{
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io) };

	io.flags = (uint32_t)(1u << below(4));
	io.offset = AT(below(10), number());
	io.fd = below(2) ? -1 : eventfd(0, EFD_CLOEXEC);
	if (ioctl(t.device, VFIO_DEVICE_IOEVENTFD, &io) == 0 || errno != EPERM)
		wrong("an ioeventfd");
	if (io.fd >= 0)
		close(io.fd);
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, t.device,
		 (off_t)AT(t.bar, number() & 0xfffff000)) != MAP_FAILED)
		wrong("a map of a trapped BAR");
	t.refused++;
}

static void take_back(void)
{
	if (ioctl(t.device, BERTH_VFIO_REVOKE, 0) != (t.pages >= 0))
		wrong("BERTH_VFIO_REVOKE does not count");
	if (t.pages >= 0)
		close(t.pages);
	t.pages = -1;
}

int main(int argc, char **argv)
{
	static void (*const acts[])(void) = { ask_pages, ask_pages, ask_pages,  map_pages,
					      map_pages, map_pages, ask_around, ask_foreign };
	uint64_t n;

	if (argc < 8)
		return 2;
	t.state = strtoull(argv[1], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	n = strtoull(argv[2], NULL, 0);
	t.first = strtoull(argv[3], NULL, 0);
	t.last = strtoull(argv[4], NULL, 0);
	t.bar = (uint32_t)strtoull(argv[5], NULL, 0);
	t.device = device_open(argc - 5, argv + 5);
	if (t.device < 0)
		return why(-1), 1;
	while (n--) {
		acts[below(sizeof(acts) / sizeof(acts[0]))]();
		if (below(100) == 0)
			take_back();
	}
	printf("%s granted, %s refused\n", t.granted > 20 ? "some" : "none",
	       t.refused > 20 ? "some" : "none");
	return 0;
}
