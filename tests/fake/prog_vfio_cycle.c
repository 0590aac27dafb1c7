/* SPDX-License-Identifier: MIT */
/*
 * Binds, opens and maps a function of berth_vfio again and again, and takes it away from under two programs that
 * touch its BAR without a pause:
 *
 *   prog_vfio_cycle ADDRESS BAR TIMES MODULE
 *
 * Each time it is opened by another way (the group's container, and an iommufd where there is one) while a third
 * program tries to have it, too; then it is switched off and on, put to sleep and woken, reset, or left alone; and
 * then removed and found again, unbound, the module asked to unload, or just closed. What the programs must find is
 * ones while it is off, asleep or gone, and what they wrote else; a signal, or another value, is counted.
 *
 * The answer is a line "NAME NUMBER" each: cycles, and what went wrong in them; removals, and how many milliseconds
 * the slowest of them, and the one in the middle, took from the last close to its end.
 */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kmod/uapi.h"
#include "tests/fake/prog_vfio.h"

#define MAPPERS 2
#define ONES    UINT32_MAX
#define ECHO_US 20000 /* so long the module lets a write be read back */
#define TIMES   100000
#define COMMAND AT(VFIO_PCI_CONFIG_REGION_INDEX, 4)

enum expect {
	EITHER,
	DEAD,
	ALIVE,
};

enum end {
	REMOVED,
	UNBOUND,
	UNLOADED,
	CLOSED,
	ENDS,
};

/* What the mappers and we know of each other; all else is ours alone. */
static struct family {
	_Atomic int expect;
	_Atomic bool stop;
	_Atomic uint64_t rounds[MAPPERS];
	_Atomic uint64_t bad;
	_Atomic uint32_t wrote, found;
	_Atomic int expected;
} * family;

static const char *address, *module;
static uint32_t bar;
static uint64_t bar_size;
static pid_t mappers[MAPPERS];
static uint64_t cycle, by_iommufd, n_wrong;
static uint64_t took[TIMES];
static size_t n_took;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list args;

	if (n_wrong++ >= 20)
		return;
	va_start(args, format);
	printf("wrong in cycle %" PRIu64 ": ", cycle);
	vprintf(format, args);
	puts("");
	va_end(args);
}

/* --- files of sysfs --- */

__attribute__((format(printf, 2, 3))) static char *path_of(char path[256], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(path, 256, format, args);
	va_end(args);
	return path;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = errno;
	close(fd);
	return rc;
}

static int put_of_function(const char *file, const char *text)
{
	char path[256];

	return put(path_of(path, "/sys/bus/pci/devices/%s/%s", address, file), text);
}

static bool there(void)
{
	char path[256];

	return !access(path_of(path, "/sys/bus/pci/devices/%s", address), F_OK);
}

static bool module_load(void)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC);
	long rc = syscall(SYS_finit_module, fd, "", 0);

	close(fd);
	return rc == 0 || errno == EEXIST;
}

static int module_unload(void)
{
	return syscall(SYS_delete_module, "berth_vfio", O_NONBLOCK) ? errno : 0;
}

/* Somebody else may hold it for a moment: who asks for the module, or a removal that is not over. */
static bool bind_it(void)
{
	char path[256], mode[32];
	int i;

	snprintf(mode, sizeof(mode), "berth/bar%u_mode", bar);
	for (i = 0; i < 600; i++) {
		if (there() && module_load()) {
			put_of_function("driver_override", BERTH_VFIO_DRIVER);
			put("/sys/bus/pci/drivers_probe", address);
			if (!access(path_of(path, "/sys/bus/pci/devices/%s/%s", address, mode),
				    F_OK) &&
			    (!put_of_function(mode, "revocable")))
				return true;
		}
		usleep(100000);
	}
	return false;
}

/* --- the function, by either way --- */

static bool group_of(char name[32])
{
	char path[256], link[256];
	ssize_t n = readlink(path_of(path, "/sys/bus/pci/devices/%s/iommu_group", address), link,
			     sizeof(link) - 1);
	char *last;

	if (n <= 0)
		return false;
	link[n] = '\0';
	last = strrchr(link, '/');
	snprintf(name, 32, "%.31s", last ? last + 1 : link);
	return true;
}

static bool cdev_of(char name[32])
{
	char path[256];
	DIR *dir = opendir(path_of(path, "/sys/bus/pci/devices/%s/vfio-dev", address));
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir))) {
		found = !strncmp(e->d_name, "vfio", 4);
		if (found)
			snprintf(name, 32, "%.31s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void let_go(void)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (held[i] >= 0)
			close(held[i]);
		held[i] = -1;
	}
}

static int open_once(bool cdev)
{
	char name[32];
	int fd = -1;

	if (cdev && cdev_of(name))
		fd = by_cdev(name);
	else if (!cdev && group_of(name))
		fd = by_group(name, address);
	if (fd < 0)
		let_go();
	return fd;
}

/* The third program may have it just now. */
static int open_it(bool cdev)
{
	int i, fd;

	for (i = 0; i < 6000; i++) {
		fd = open_once(cdev);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	return -1;
}

/* --- the programs --- */

/* As prog_vfio_map's: an expectation counts where it held before and after. */
static void look(uint32_t me, uint32_t wrote, uint32_t found, int before, bool late)
{
	bool own = found == wrote || found >> 24 == me + 1;
	int after = family->expect;

	if (found == ONES ? before == ALIVE && after == ALIVE
			  : !own || (late && before == DEAD && after == DEAD)) {
		family->wrote = wrote;
		family->found = found;
		family->expected = before;
		family->bad++;
	}
}

static void turn(uint32_t me, volatile uint32_t *at, uint32_t value)
{
	int before = family->expect;

	*at = value;
	look(me, value, *at, before, false);
	if (before == DEAD) {
		usleep(ECHO_US);
		look(me, value, *at, before, true);
	}
	family->rounds[me]++;
}

static void mapper(uint32_t me, int fd)
{
	char *at = mmap(NULL, bar_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)AT(bar, 0));
	uint32_t i = 0;

	if (at == MAP_FAILED)
		_exit(2);
	while (!family->stop)
		turn(me, (volatile uint32_t *)(at + 16 * (me + 1)),
		     (me + 1) << 24 | (++i & 0xffffff));
	_exit(0);
}

static void mappers_start(int fd)
{
	uint32_t i;

	family->stop = false;
	family->expect = EITHER;
	fflush(stdout);
	for (i = 0; i < MAPPERS; i++) {
		family->rounds[i] = 0;
		mappers[i] = fork();
		if (!mappers[i])
			mapper(i, fd);
	}
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

static void rounds(uint64_t n)
{
	uint32_t i;

	for (i = 0; i < MAPPERS; i++) {
		uint64_t goal = family->rounds[i] + n;

		while (family->rounds[i] < goal && !has_ended(mappers[i]))
			usleep(500);
	}
}

static void expect(enum expect what)
{
	family->expect = what;
	rounds(2);
	family->expect = EITHER;
}

static void mappers_end(void)
{
	uint32_t i;
	int status;

	family->stop = true;
	for (i = 0; i < MAPPERS; i++) {
		if (waitpid(mappers[i], &status, 0) != mappers[i] || status)
			wrong("a program ended with status 0x%x", (unsigned int)status);
	}
	if (family->bad)
		wrong("%" PRIu64 " values, the last 0x%x where 0x%x was written, expecting %d",
		      family->bad, family->found, family->wrote, family->expected);
	family->bad = 0;
}

/* Tries to have what others have. */
static pid_t intruder_start(void)
{
	uint32_t word;
	pid_t pid;
	int fd;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	fd = open_once(false);
	if (fd >= 0)
		(void)!pread(fd, &word, sizeof(word), (off_t)AT(bar, 0));
	_exit(0);
}

/* --- what is done to it --- */

static void check(const char *what, int rc)
{
	if (rc < 0)
		wrong("%s: %s", what, strerrorname_np(errno));
}

static int feature(int fd, uint32_t which)
{
	struct vfio_device_feature f = { .argsz = sizeof(f),
					 .flags = VFIO_DEVICE_FEATURE_SET | which };

	return ioctl(fd, VFIO_DEVICE_FEATURE, &f);
}

static void use(int fd)
{
	const uint16_t off = 4, on = 6;

	expect(ALIVE);
	switch (cycle % 4) {
	case 0:
		check("off", pwrite(fd, &off, 2, (off_t)COMMAND) == 2 ? 0 : -1);
		expect(DEAD);
		check("on", pwrite(fd, &on, 2, (off_t)COMMAND) == 2 ? 0 : -1);
		break;
	case 1:
		check("sleep", feature(fd, FEATURE_SLEEP));
		expect(DEAD);
		check("wake", feature(fd, FEATURE_WAKE));
		break;
	case 2:
		family->expect = ALIVE;
		check("reset", ioctl(fd, VFIO_DEVICE_RESET));
		break;
	default:
		return;
	}
	expect(ALIVE);
}

static int ask(int fd)
{
	union {
		struct vfio_irq_set head;
		uint8_t room[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} set = { .head = { .argsz = sizeof(set),
			    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    .index = VFIO_PCI_REQ_IRQ_INDEX,
			    .count = 1 } };
	int32_t told = eventfd(0, EFD_CLOEXEC);

	memcpy(set.head.data, &told, sizeof(told));
	check("asking to be told", ioctl(fd, VFIO_DEVICE_SET_IRQS, &set));
	return told;
}

/* Waits until the function is closed, so another does it. */
static pid_t taken_start(enum end how, int fd)
{
	pid_t pid;
	int rc;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	/* Its copies would keep it open. */
	close(fd);
	let_go();
	rc = how == REMOVED ? put_of_function("remove", "1")
			    : put("/sys/bus/pci/drivers/berth_vfio/unbind", address);
	_exit(rc ? 1 : 0);
}

/* The program is told, sees ones, and has its time to go; then the removal ends. */
static void take(int fd, enum end how)
{
	struct pollfd told = { .fd = ask(fd), .events = POLLIN };
	pid_t taker = taken_start(how, fd);
	uint64_t closed;
	uint32_t word;
	int status = -1;

	if (poll(&told, 1, 60000) != 1)
		wrong("nobody was told");
	expect(DEAD);
	if (pread(fd, &word, sizeof(word), (off_t)AT(bar, 0)) >= 0 || errno != EIO)
		wrong("it can be read");
	if (waitpid(taker, &status, WNOHANG))
		wrong("who takes it did not wait: 0x%x", (unsigned int)status);
	mappers_end();
	close(told.fd);
	close(fd);
	let_go();
	closed = now_ms();
	if (waitpid(taker, &status, 0) == taker && !status && n_took < TIMES)
		took[n_took++] = now_ms() - closed;
	else
		wrong("who takes it: 0x%x", (unsigned int)status);
	if (how == REMOVED && there())
		wrong("it is still there");
	if (how == REMOVED)
		put("/sys/bus/pci/rescan", "1");
}

static void end(int fd, enum end how)
{
	int rc;

	if (how == REMOVED || how == UNBOUND)
		return take(fd, how);
	rc = how == UNLOADED ? module_unload() : EWOULDBLOCK;
	if (rc != EWOULDBLOCK)
		wrong("the module goes while it is used: %d", rc);
	mappers_end();
	close(fd);
	let_go();
	if (how == UNLOADED && (rc = module_unload()))
		wrong("the module does not go: %s", strerrorname_np(rc));
}

static void run(void)
{
	bool cdev = cycle % 3 == 2 && !access("/dev/iommu", F_OK);
	pid_t intruder;
	int fd;

	if (!bind_it()) {
		wrong("it cannot be bound");
		return;
	}
	intruder = intruder_start();
	fd = open_it(cdev);
	by_iommufd += cdev && fd >= 0;
	if (fd < 0) {
		wrong("it cannot be opened");
	} else {
		mappers_start(fd);
		use(fd);
	}
	/* Else it would hold the module, and the removal up. */
	waitpid(intruder, NULL, 0);
	if (fd >= 0)
		end(fd, cycle / 4 % ENDS);
}

static int compare(const void *left, const void *right)
{
	const uint64_t *l = left, *r = right;

	return *l < *r ? -1 : *l > *r;
}

static uint64_t size_of_bar(void)
{
	char path[256], line[128];
	FILE *f = fopen(path_of(path, "/sys/bus/pci/devices/%s/resource", address), "re");
	unsigned long long first = 0, last = 0;
	uint32_t i;

	for (i = 0; f && i <= bar && fgets(line, sizeof(line), f); i++)
		if (i == bar && sscanf(line, "%llx %llx", &first, &last) != 2)
			last = first = 0;
	if (f)
		fclose(f);
	return last > first ? last - first + 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t times, start = now_ms();

	if (argc != 5)
		return 2;
	address = argv[1];
	bar = (uint32_t)strtoul(argv[2], NULL, 10);
	times = strtoull(argv[3], NULL, 10);
	module = argv[4];
	bar_size = size_of_bar();
	family = mmap(NULL, sizeof(*family), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (family == MAP_FAILED || !bar_size)
		return 2;
	for (; cycle < times && n_wrong < 20; cycle++) {
		run();
		fflush(stdout);
	}
	qsort(took, n_took, sizeof(*took), compare);
	printf("cycles %" PRIu64 "\nwrong %" PRIu64 "\nby_iommufd %" PRIu64 "\nremovals %zu\n",
	       cycle, n_wrong, by_iommufd, n_took);
	printf("slowest_ms %" PRIu64 "\nmiddle_ms %" PRIu64 "\nseconds %" PRIu64 "\n",
	       n_took ? took[n_took - 1] : 0, n_took ? took[n_took / 2] : 0,
	       (now_ms() - start) / 1000);
	return n_wrong ? 1 : 0;
}
