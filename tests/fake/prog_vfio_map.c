/* SPDX-License-Identifier: MIT */
/*
 * Holds a function as a virtual machine does, maps its BARs, and goes on touching them whatever becomes of the
 * device; a command of standard input at a time:
 *
 *   prog_vfio_map group GROUP ADDRESS     by /dev/vfio/GROUP and a container
 *   prog_vfio_map cdev NAME               by /dev/vfio/devices/NAME and an iommufd
 *
 *   read REGION OFFSET WIDTH     the value, of up to eight bytes, by descriptor
 *   write REGION OFFSET WIDTH VALUE
 *   mmap REGION OFFSET LENGTH    for the commands below
 *   peek OFFSET, poke OFFSET VALUE   of four bytes
 *   age OFFSET VALUE             a poke, and what is there 20 ms later
 *   scan LENGTH STEP VALUE       how many words of the map, one every STEP bytes, are VALUE
 *   unmap LENGTH
 *   loop REGION LENGTH OFFSET    a child maps the region, too, and writes and reads the word until stop
 *   expect 0|1|2|3               what children find: what they wrote, or ones; ones; what they wrote; anything
 *   rounds N                     until every child has done N more
 *   stop                         "ok", or how children died, or what they found
 *   reset
 *   sleep, wake                  low power
 *   ask                          to be told when the function is wanted back
 *   alarm                        to be told when its bus has failed
 *   doze                         low power, from which it may be woken by others, and to be told of it
 *   asked                        until all that was asked for has come; "no" after a minute
 *   open ADDRESS                 another function of the group, which the commands are for from now on
 *
 * Each command is answered by a line: numbers, "ok", or the name of the errno. "open" comes first, or why it is not.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/fake/prog_vfio.h"

#define HUGE     (UINT64_C(2) << 20)
#define CHILDREN 8
#define ONES     UINT32_MAX
#define ECHO_US  20000 /* so long the module lets a write be read back */

enum expect {
	EITHER,
	DEAD,
	ALIVE,
	ANYTHING,
};

/* What the children of `loop` and we know of each other. */
struct family {
	_Atomic int expect;
	_Atomic bool stop;
	_Atomic uint64_t rounds[CHILDREN];
	_Atomic uint64_t bad[CHILDREN];
	_Atomic uint32_t found[CHILDREN], wrote[CHILDREN];
};

static struct family *family;
static pid_t children[CHILDREN];
static unsigned int n_children;
static struct pollfd told[CHILDREN];
static unsigned int n_told;
static int device_fd;

/* Where a huge page could be one, as monitors do it. */
static void *map(int fd, uint64_t offset, size_t length)
{
	char *room = mmap(NULL, length + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return MAP_FAILED;
	munmap(room, length + HUGE);
	room += (HUGE - (uintptr_t)room % HUGE) % HUGE;
	return mmap(room, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
}

static int do_mmap(int fd, const uint64_t *n)
{
	void *at = map(fd, AT(n[0], n[1]), n[2]);

	if (at == MAP_FAILED)
		return why(-1);
	pages = at;
	return said("ok");
}

static int do_age(int fd, const uint64_t *n)
{
	if (!pages)
		return said("nothing is mapped");
	*(volatile uint32_t *)(pages + n[0]) = (uint32_t)n[1];
	usleep(ECHO_US);
	return do_peek(fd, n);
}

static int do_scan(int fd, const uint64_t *n)
{
	uint64_t at, same = 0;

	(void)fd;
	for (at = 0; pages && n[1] && at < n[0]; at += n[1])
		same += *(volatile uint32_t *)(pages + at) == n[2];
	printf("%" PRIu64 "\n", same);
	return 0;
}

static int do_unmap(int fd, const uint64_t *n)
{
	int rc = munmap((void *)(uintptr_t)pages, n[0]);

	(void)fd;
	pages = NULL;
	return why(rc);
}

/* --- children that do not stop for anything --- */

static void bad(unsigned int me, uint32_t wrote, uint32_t found)
{
	family->wrote[me] = wrote;
	family->found[me] = found;
	family->bad[me]++;
}

/*
 * What is written is there at once, or ones are, or, when the device came back in between, what was there
 * before; and once the device is away, the echo is gone in time. An expectation counts where it held before
 * and after.
 */
static void turn(unsigned int me, volatile uint32_t *at, uint32_t value)
{
	int before = family->expect;
	uint32_t found;

	*at = value;
	found = *at;
	if (before != ANYTHING && found != value &&
	    ((found != ONES && found >> 24 != me + 1) ||
	     (before == ALIVE && family->expect == ALIVE)))
		bad(me, value, found);
	if (before == DEAD) {
		usleep(ECHO_US);
		found = *at;
		if (found != ONES && family->expect == DEAD)
			bad(me, value, found);
	}
	family->rounds[me]++;
}

static void child(unsigned int me, int fd, const uint64_t *n)
{
	char *at = map(fd, AT(n[0], 0), n[1]);
	uint32_t i = 0;

	if (at == MAP_FAILED)
		_exit(2);
	while (!family->stop)
		turn(me, (volatile uint32_t *)(at + n[2]), (me + 1) << 24 | (++i & 0xffffff));
	munmap(at, n[1]);
	_exit(family->bad[me] ? 1 : 0);
}

static int do_loop(int fd, const uint64_t *n)
{
	pid_t pid;

	if (!family)
		family = mmap(NULL, sizeof(*family), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n_children == CHILDREN || family == MAP_FAILED)
		return said("no room");
	family->stop = false;
	family->rounds[n_children] = family->bad[n_children] = 0;
	pid = fork();
	if (pid == 0)
		child(n_children, fd, n);
	children[n_children++] = pid;
	return why(pid);
}

static int do_expect(int fd, const uint64_t *n)
{
	(void)fd;
	if (!family)
		return said("no children");
	family->expect = (int)n[0];
	return said("ok");
}

static int do_rounds(int fd, const uint64_t *n)
{
	uint64_t goal;
	unsigned int i;

	(void)fd;
	for (i = 0; i < n_children; i++) {
		goal = family->rounds[i] + n[0];
		while (family->rounds[i] < goal && waitpid(children[i], NULL, WNOHANG) == 0)
			usleep(1000);
		if (family->rounds[i] < goal)
			return said("a child died");
	}
	return said("ok");
}

static int do_stop(int fd, const uint64_t *n)
{
	const char *verdict = "ok";
	char text[128];
	unsigned int i;
	int status;

	(void)fd;
	(void)n;
	if (family)
		family->stop = true;
	for (i = 0; i < n_children; i++) {
		status = -1;
		waitpid(children[i], &status, 0);
		if (status == 0)
			continue;
		snprintf(text, sizeof(text),
			 "child %u: status 0x%x, %llu bad, wrote 0x%x, found 0x%x", i,
			 (unsigned int)status, (unsigned long long)family->bad[i], family->wrote[i],
			 family->found[i]);
		verdict = text;
	}
	n_children = 0;
	return said(verdict);
}

static int told_add(void)
{
	told[n_told].fd = eventfd(0, EFD_CLOEXEC);
	told[n_told].events = POLLIN;
	return told[n_told++].fd;
}

static int ask_for(int fd, uint32_t index)
{
	union {
		struct vfio_irq_set head;
		uint8_t room[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} set = { .head = { .argsz = sizeof(set),
			    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    .index = index,
			    .count = 1 } };
	int32_t event;

	if (n_told == CHILDREN)
		return said("no room");
	event = told_add();
	memcpy(set.head.data, &event, sizeof(event));
	return why(ioctl(fd, VFIO_DEVICE_SET_IRQS, &set));
}

static int do_ask(int fd, const uint64_t *n)
{
	(void)n;
	return ask_for(fd, VFIO_PCI_REQ_IRQ_INDEX);
}

static int do_alarm(int fd, const uint64_t *n)
{
	(void)n;
	return ask_for(fd, VFIO_PCI_ERR_IRQ_INDEX);
}

static int do_doze(int fd, const uint64_t *n)
{
	struct {
		int32_t event;
		uint32_t reserved;
	} entry = { 0 };
	union {
		struct vfio_device_feature head;
		uint8_t room[sizeof(struct vfio_device_feature) + sizeof(entry)];
	} f = { .head = { .argsz = sizeof(f), .flags = VFIO_DEVICE_FEATURE_SET | FEATURE_DOZE } };

	(void)n;
	if (n_told == CHILDREN)
		return said("no room");
	entry.event = told_add();
	memcpy(f.head.data, &entry, sizeof(entry));
	return why(ioctl(fd, VFIO_DEVICE_FEATURE, &f));
}

static int do_asked(int fd, const uint64_t *n)
{
	unsigned int i;

	(void)fd;
	(void)n;
	for (i = 0; i < n_told; i++)
		if (poll(&told[i], 1, 60000) != 1)
			return said("no");
	return said("yes");
}

static int do_open(const char *address)
{
	int fd = address ? ioctl(held[1], VFIO_GROUP_GET_DEVICE_FD, address) : -1;

	if (fd >= 0)
		device_fd = fd;
	return why(fd);
}

static const struct command {
	const char *name;
	int n;
	int (*run)(int fd, const uint64_t *n);
} commands[] = {
	{ "read", 3, do_read },     { "write", 4, do_write },   { "mmap", 3, do_mmap },
	{ "peek", 1, do_peek },     { "poke", 2, do_poke },     { "age", 2, do_age },
	{ "scan", 3, do_scan },     { "unmap", 1, do_unmap },   { "loop", 3, do_loop },
	{ "expect", 1, do_expect }, { "rounds", 1, do_rounds }, { "stop", 0, do_stop },
	{ "reset", 0, do_reset },   { "sleep", 0, do_sleep },   { "wake", 0, do_wake },
	{ "ask", 0, do_ask },       { "asked", 0, do_asked },   { "alarm", 0, do_alarm },
	{ "doze", 0, do_doze },
};

static int run(int fd, char *line)
{
	uint64_t n[4] = { 0 };
	char *save, *name = strtok_r(line, " \n", &save), *word;
	int given = 0;
	size_t i;

	if (name && !strcmp(name, "open"))
		return do_open(strtok_r(NULL, " \n", &save));
	while (given < 4 && (word = strtok_r(NULL, " \n", &save)))
		n[given++] = strtoull(word, NULL, 0);
	for (i = 0; name && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name) && commands[i].n == given)
			return commands[i].run(fd, n);
	return said("what?");
}

int main(int argc, char **argv)
{
	char line[256];

	device_fd = device_open(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (device_fd < 0)
		return why(-1), 1;
	puts("open");
	while (fgets(line, sizeof(line), stdin))
		run(device_fd, line);
	return 0;
}
