/* SPDX-License-Identifier: MIT */
/*
 * DRM nodes that are not there, by LD_PRELOAD: open() of a node gives a descriptor that answers the
 * ioctls of its driver. $DRM_SHIM lists them: "renderD128=xe,renderD129=amdgpu:hang". Every open and
 * every ioctl is a line of $DRM_SHIM_LOG, so that a test can see that a node was left alone.
 *
 * The requests and layouts are written out here once more, in bytes, so that a wrong one in berth is not
 * answered. Words after the driver: denied, eio, hang, crash, old (a kernel without the question),
 * other (another driver's node), root (what only root is told), user (an older xe's answer to others),
 * before (a nouveau before 6.9), igpu (no memory of its own), short (fewer bytes than it claims).
 *
 * A hang writes "suspended" into the file $DRM_SHIM_SUSPENDS first, as of another device that falls asleep
 * meanwhile. With $DRM_SHIM_DEV, /dev/dri is that folder, whose files look like character devices.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define GIB (1ull << 30)
#define MIB (1ull << 20)
#define FDS 64

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);
int ioctl(int fd, unsigned long request, ...);
int stat(const char *path, struct stat *st);
int stat64(const char *path, struct stat64 *st);
DIR *opendir(const char *path);

static char modes[FDS][64]; /* by descriptor: "xe:root" */

static void note(const char *what, const char *name, unsigned long request)
{
	const char *path = getenv("DRM_SHIM_LOG");
	FILE *f = path ? fopen(path, "a") : NULL;

	if (!f)
		return;
	fprintf(f, "%s %s %#lx\n", what, name, request);
	fclose(f);
}

/* The mode of a node in $DRM_SHIM, or false. */
static int mode_of(const char *path, char mode[64])
{
	const char *list = getenv("DRM_SHIM");
	const char *name = strncmp(path, "/dev/dri/", 9) == 0 ? path + 9 : NULL;
	size_t len = name ? strlen(name) : 0;

	for (const char *p = list; name && p && *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, name, len) == 0 && p[len] == '=') {
			size_t n = strcspn(p + len + 1, ",");

			if (n >= 64)
				return 0;
			memcpy(mode, p + len + 1, n);
			mode[n] = '\0';
			return 1;
		}
	}
	return 0;
}

static int has(const char *mode, const char *word)
{
	const char *colon = strchr(mode, ':');

	return colon && strcmp(colon + 1, word) == 0;
}

static int open_node(const char *path, char mode[64])
{
	int fd;

	note("open", path, 0);
	if (has(mode, "denied")) {
		errno = EACCES;
		return -1;
	}
	fd = dup(2);
	if (fd >= 0 && fd < FDS)
		memcpy(modes[fd], mode, 64);
	return fd;
}

static int open_any(const char *symbol, const char *path, int flags, mode_t create)
{
	int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT,
										     symbol);
	char mode[64];

	return mode_of(path, mode) ? open_node(path, mode) : real(path, flags, create);
}

int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t create = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_any("open", path, flags, create);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t create = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_any("open64", path, flags, create);
}

/* --- answers, by request number ------------------------------------------------------------------------ */

static void put(void *at, size_t offset, uint64_t v, size_t size)
{
	memcpy((char *)at + offset, &v, size);
}

static uint64_t get(const void *at, size_t offset, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)at + offset, size);
	return v;
}

/* struct drm_version: three ints, then length and pointer of the name at 16 and 24. */
static int version(const char *mode, void *arg)
{
	char name[64];
	size_t n = strcspn(mode, ":"), room = get(arg, 16, 8);

	snprintf(name, sizeof(name), "%.*s", (int)n, has(mode, "other") ? "vgem" : mode);
	if (get(arg, 24, 8))
		memcpy((void *)(uintptr_t)get(arg, 24, 8), name,
		       strlen(name) < room ? strlen(name) : room);
	put(arg, 16, strlen(name), 8);
	return 0;
}

/* An APU, or with "root" a card: { return_pointer, return_size, query }. */
static int amdgpu(const char *mode, unsigned long request, void *arg)
{
	uint64_t size = get(arg, 8, 4), query = get(arg, 12, 4);
	static const uint64_t apu[12] = {
		512 * MIB, 500 * MIB, 168 * MIB, 375 * MIB, 512 * MIB, 500 * MIB,
		168 * MIB, 375 * MIB, 108 * GIB, 107 * GIB, 1 * GIB,   80 * GIB,
	};
	unsigned char device[368] = { 0 };
	void *to = (void *)(uintptr_t)get(arg, 0, 8);

	if (request != 0x40206445)
		return -EINVAL;
	device[136] = !has(mode, "root"); /* ids_flags: bit 0 is FUSION */
	if (query == 0x19)
		memcpy(to, apu, size < sizeof(apu) ? size : sizeof(apu));
	else if (query == 0x16)
		memcpy(to, device, size < sizeof(device) ? size : sizeof(device));
	else
		return -EINVAL;
	return 0;
}

/* An A770 of 16 GiB with a window of 256 MiB. */
static int i915(const char *mode, unsigned long request, void *arg)
{
	/* class and instance, reserved, probed, unallocated, 8 x reserved of which two are the window's */
	const uint64_t used = has(mode, "root") ? 3 * GIB : 0;
	uint64_t answer[2 + 2 * 11] = { 2 };
	uint64_t *ram = answer + 2, *vram = answer + 13;
	void *item = (void *)(uintptr_t)get(arg, 8, 8);

	if (request != 0xc0106479 || get(arg, 0, 4) != 1 || get(item, 0, 8) != 4)
		return -EINVAL;
	ram[1] = ram[2] = ram[3] = ram[4] = 31 * GIB;
	vram[0] = 1;
	vram[1] = 16 * GIB - 128 * MIB;
	vram[2] = vram[1] - used;
	vram[3] = 256 * MIB;
	vram[4] = 256 * MIB - used / 64;
	if (!get(item, 8, 4))
		put(item, 8, has(mode, "short") ? 24 : sizeof(answer), 4);
	else
		memcpy((void *)(uintptr_t)get(item, 16, 8), answer,
		       get(item, 8, 4) < sizeof(answer) ? get(item, 8, 4) : sizeof(answer));
	return 0;
}

/* A B580 of 12 GiB, all of it in the CPU's reach; with "igpu" a part of the processor. */
static int xe(const char *mode, unsigned long request, void *arg)
{
	const int root = !has(mode, "user");
	uint64_t answer[1 + 2 * 11] = { 2 };
	uint64_t *ram = answer + 1, *vram = answer + 12;

	if (request != 0xc0286440 || get(arg, 8, 4) != 1)
		return -EINVAL;
	answer[0] = has(mode, "igpu") ? 1 : 2;
	ram[0] = 4096ull << 32;
	ram[1] = 31 * GIB;
	ram[2] = root ? 40 * MIB : 0;
	vram[0] = 1 | 1 << 16 | 65536ull << 32;
	vram[1] = vram[3] = 12 * GIB - 82 * MIB;
	vram[2] = vram[4] = root ? 600 * MIB : 0;
	if (!get(arg, 12, 4))
		put(arg, 12, has(mode, "short") ? 16 : sizeof(answer), 4);
	else
		memcpy((void *)(uintptr_t)get(arg, 16, 8), answer,
		       get(arg, 12, 4) < sizeof(answer) ? get(arg, 12, 4) : sizeof(answer));
	return 0;
}

static int nouveau(const char *mode, unsigned long request, void *arg)
{
	const uint64_t param = get(arg, 0, 8);

	if (request != 0xc0106440)
		return -EINVAL;
	if (param == 8)
		put(arg, 8, 8 * GIB - 64 * MIB, 8);
	else if (param == 18 && !has(mode, "before"))
		put(arg, 8, 256 * MIB, 8);
	else if (param == 19 && !has(mode, "before"))
		put(arg, 8, 96 * MIB, 8);
	else
		return -EINVAL;
	return 0;
}

static const struct {
	const char *name;
	int (*answer)(const char *mode, unsigned long request, void *arg);
} drivers[] = { { "amdgpu", amdgpu }, { "i915", i915 }, { "xe", xe }, { "nouveau", nouveau } };

static void hang(void)
{
	const char *path = getenv("DRM_SHIM_SUSPENDS");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (f) {
		fputs("suspended\n", f);
		fclose(f);
	}
	for (;;)
		pause();
}

static int answer(const char *mode, unsigned long request, void *arg)
{
	const size_t len = strcspn(mode, ":");

	if (request == 0xc0406400)
		return version(mode, arg);
	if (has(mode, "eio"))
		return -EIO;
	if (has(mode, "old"))
		return -EINVAL;
	if (has(mode, "crash"))
		abort();
	if (has(mode, "hang"))
		hang();
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strlen(drivers[i].name) == len && memcmp(drivers[i].name, mode, len) == 0)
			return drivers[i].answer(mode, request, arg);
	return -ENOTTY;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT,
										       "ioctl");
	va_list ap;

	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (fd < 0 || fd >= FDS || !modes[fd][0])
		return real(fd, request, arg);
	note("ioctl", modes[fd], request);
	int rc = answer(modes[fd], request, arg);

	errno = -rc;
	return rc ? -1 : 0;
}

/* --- /dev/dri ------------------------------------------------------------------------------------------ */

/* The path in $DRM_SHIM_DEV of a path in /dev/dri; else the path itself. */
static const char *elsewhere(const char *path, char *buf, size_t size)
{
	const char *dev = getenv("DRM_SHIM_DEV");

	if (!dev || strncmp(path, "/dev/dri", 8) != 0 || (path[8] && path[8] != '/'))
		return path;
	snprintf(buf, size, "%s%s", dev, path + 8);
	return buf;
}

/* card1 is 226:1 and renderD128 is 226:128. */
static dev_t number(const char *path)
{
	const char *digits = strrchr(path, '/') + 1;

	digits += strcspn(digits, "0123456789");
	return makedev(226, (unsigned)atoi(digits));
}

int stat(const char *path, struct stat *st)
{
	int (*real)(const char *,
		    struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
	char buf[512];
	const char *at = elsewhere(path, buf, sizeof(buf));
	int rc = real(at, st);

	if (rc == 0 && at == buf && S_ISREG(st->st_mode)) {
		st->st_mode = S_IFCHR | 0660;
		st->st_rdev = number(path);
	}
	return rc;
}

int stat64(const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)(void *)st);
}

DIR *opendir(const char *path)
{
	DIR *(*real)(const char *) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
	char buf[512];

	return real(elsewhere(path, buf, sizeof(buf)));
}

int access(const char *path, int how)
{
	int (*real)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
	char buf[512];

	return real(elsewhere(path, buf, sizeof(buf)), how);
}
