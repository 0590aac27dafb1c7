/* SPDX-License-Identifier: MIT */
/* Collecting evidence: a table of files, and the functions on the ways to the GPUs. */
#include "probe/evidence.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

#define FILES_MAX 20000
#define VALUE_MAX 65536
#define HEX_MAX   256 /* of config: everybody may read 64, root all of it */

enum ev_kind {
	EV_TEXT,  /* as it is */
	EV_SCRUB, /* without what may name a machine or a person */
	EV_DIR,   /* only that it is there */
	EV_LINK,  /* the last part of a symbolic link */
	EV_LINES, /* the lines that hold one of the words; comments are left out */
	EV_WORDS, /* the words that begin with one of the words */
	EV_HEX,   /* bytes, as hex digits */
};

/* --- what is kept of files that people write --- */

static const char *const module_words[] = { "amdgpu",   "radeon",        "nvidia", "nouveau",
					    "nova",     "i915",          " xe",    "vfio",
					    "pci-stub", "snd_hda_intel", "kvmfr",  "thunderbolt",
					    "amdxdna",  "intel_vpu",     "amdkfd", NULL };
static const char *const udev_words[] = { "authorized", "mutter-device-preferred-primary",
					  "driver_override", NULL };
static const char *const kfd_words[] = { "simd_count", "location_id", "domain",
					 "gfx_target_version", NULL };
static const char *const unit_words[] = { "Before=bolt", "After=bolt", "bolt.service", NULL };
static const char *const cmdline_words[] = { "pci=",
					     "pcie_aspm",
					     "pcie_port_pm",
					     "iommu",
					     "intel_iommu",
					     "amd_iommu",
					     "amdgpu.",
					     "nvidia",
					     "nouveau.",
					     "i915.",
					     "xe.",
					     "vfio",
					     "thunderbolt.",
					     "module_blacklist",
					     "modprobe.blacklist",
					     "rd.driver.blacklist",
					     "nomodeset",
					     "noaer",
					     "radeon.",
					     "video=",
					     "rd.driver.pre",
					     "initcall_blacklist",
					     "efifb",
					     "lockdown",
					     "module.sig_enforce",
					     "pcie_ports",
					     "nova_core.",
					     "snd_hda_intel.",
					     "intremap",
					     NULL };

/* clang-format off */
static const struct wanted {
	const char *pattern; /* '*' stands for names of one folder */
	enum ev_kind kind;
	const char *const *words;
} wanted[] = {
	{ "proc/cmdline", EV_WORDS, cmdline_words },
	{ "proc/driver/nvidia/params", EV_SCRUB, NULL }, /* the driver's own copy: takes no power */
	{ "proc/driver/nvidia/version", EV_SCRUB, NULL }, /* it says who built the module, and where */
	{ "sys/module/thunderbolt/parameters/host_reset", EV_TEXT, NULL },
	{ "sys/module/thunderbolt/parameters/clx", EV_TEXT, NULL },
	{ "sys/module/thunderbolt/parameters/asym_threshold", EV_TEXT, NULL },
	{ "sys/module/nvidia_drm/parameters/fbdev", EV_TEXT, NULL },
	{ "sys/module/nvidia_drm/parameters/modeset", EV_TEXT, NULL },
	{ "sys/module/nvidia/version", EV_TEXT, NULL },
	{ "sys/module/vfio_pci/parameters/disable_idle_d3", EV_TEXT, NULL },
	{ "sys/module/pcie_aspm/parameters/policy", EV_TEXT, NULL },
	{ "sys/module/module/parameters/sig_enforce", EV_TEXT, NULL },
	{ "sys/module/amdgpu", EV_DIR, NULL },
	{ "sys/module/amdkfd", EV_DIR, NULL },
	{ "sys/module/nvidia", EV_DIR, NULL },
	{ "sys/module/nvidia_uvm", EV_DIR, NULL },
	{ "sys/module/nvidia_drm", EV_DIR, NULL },
	{ "sys/module/nouveau", EV_DIR, NULL },
	{ "sys/module/nova_core", EV_DIR, NULL },
	{ "sys/module/i915", EV_DIR, NULL },
	{ "sys/module/xe", EV_DIR, NULL },
	{ "sys/module/radeon", EV_DIR, NULL },
	{ "sys/module/vfio_pci", EV_DIR, NULL },
	{ "sys/module/berth_vfio", EV_DIR, NULL },
	{ "sys/module/thunderbolt", EV_DIR, NULL },
	{ "sys/class/iommu/*", EV_DIR, NULL },
	{ "sys/class/vtconsole/*/bind", EV_TEXT, NULL },
	{ "sys/class/vtconsole/*/name", EV_TEXT, NULL },
	{ "sys/class/graphics/*/name", EV_TEXT, NULL },
	{ "sys/class/graphics/*/device", EV_LINK, NULL },
	{ "sys/bus/platform/drivers/efi-framebuffer/efi-framebuffer.*", EV_DIR, NULL },
	{ "sys/bus/platform/drivers/simple-framebuffer/simple-framebuffer.*", EV_DIR, NULL },
	/* Cached when the device was plugged in: reading them resumes nothing. */
	{ "sys/bus/usb/devices/*/bDeviceClass", EV_TEXT, NULL },
	{ "sys/bus/usb/devices/*/bInterfaceClass", EV_TEXT, NULL },
	{ "sys/class/kfd/kfd/topology/nodes/*/properties", EV_LINES, kfd_words },
	{ "sys/power/mem_sleep", EV_TEXT, NULL },
	{ "sys/kernel/security/lockdown", EV_TEXT, NULL },
	{ "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", EV_HEX, NULL },
	{ "etc/modprobe.d/*.conf", EV_LINES, module_words },
	{ "run/modprobe.d/*.conf", EV_LINES, module_words },
	{ "usr/lib/modprobe.d/*.conf", EV_LINES, module_words },
	{ "etc/udev/rules.d/*.rules", EV_LINES, udev_words },
	{ "run/udev/rules.d/*.rules", EV_LINES, udev_words },
	{ "usr/lib/udev/rules.d/*.rules", EV_LINES, udev_words },
	{ "etc/systemd/system/*.service", EV_LINES, unit_words },
	{ "run/.containerenv", EV_DIR, NULL },
	{ ".dockerenv", EV_DIR, NULL },
	{ "run/systemd/container", EV_TEXT, NULL },
	{ "dev/dxg", EV_DIR, NULL },
};

/* Of every function on the way. None of them wakes (measured on 7.2 by the port's active time). */
static const struct {
	const char *name;
	enum ev_kind kind;
	bool when_awake; /* reading it resumes the function: only when all above it are active */
} of_function[] = {
	{ "vendor", EV_TEXT, false },
	{ "device", EV_TEXT, false },
	{ "class", EV_TEXT, false },
	{ "resource", EV_TEXT, false },
	{ "enable", EV_TEXT, false },
	{ "driver", EV_LINK, false },
	{ "driver_override", EV_TEXT, false },
	{ "power_state", EV_TEXT, false },
	{ "d3cold_allowed", EV_TEXT, false },
	{ "power/control", EV_TEXT, false },
	{ "power/runtime_status", EV_TEXT, false },
	{ "reset_method", EV_TEXT, false },
	{ "aer_dev_correctable", EV_TEXT, false },
	{ "aer_dev_nonfatal", EV_TEXT, false },
	{ "aer_dev_fatal", EV_TEXT, false },
	{ "config", EV_HEX, true },
};
/* clang-format on */

struct reader {
	const struct source *s;
	struct evidence *ev;
	uint32_t room;
	int rc;
};

/* --- texts, filtered --- */

static void keep_matching_lines(char *text, const char *const *words)
{
	char *to = text;

	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, " \t");
		for (char *tab = line; (tab = strchr(tab, '\t'));)
			*tab = ' ';
		text_clean(text_trim(line));
		if (*line == '#' || !has_any_word(line, words))
			continue;
		size_t n = strlen(line);

		memmove(to, line, n);
		to[n] = '\n';
		to += n + 1;
	}
	*to = '\0';
	text_trim(text);
}

static void keep_matching_words(char *text, const char *const *words)
{
	char *save = NULL, *to = text;

	for (char *w = strtok_r(text, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
		const char *const *p = words;
		size_t n = strlen(text_clean(w));

		while (*p && strncmp(w, *p, strlen(*p)) != 0)
			p++;
		if (!*p)
			continue;
		memmove(to, w, n);
		to[n] = ' ';
		to += n + 1;
	}
	*to = '\0';
	text_trim(text);
}

/* --- files --- */

static void add(struct reader *rd, const char *path, const char *value, int rc)
{
	struct evidence *ev = rd->ev;

	if (ev->n_files == FILES_MAX)
		return;
	if (ev->n_files == rd->room) {
		uint32_t room = rd->room ? rd->room * 2 : 128;
		void *more = realloc(ev->files, room * sizeof(*ev->files));

		if (!more) {
			rd->rc = -ENOMEM;
			return;
		}
		ev->files = more;
		rd->room = room;
	}
	struct ev_file f = { .path = strdup(path), .value = strdup(value), .rc = rc };

	if (!f.path || !f.value) {
		free(f.path);
		free(f.value);
		rd->rc = -ENOMEM;
		return;
	}
	ev->files[ev->n_files++] = f;
}

static void read_text(struct reader *rd, const char *path)
{
	char buf[8192];
	long n = src_read(rd->s, path, buf, sizeof(buf));

	if (n != -ENOENT && n != -ENOTDIR)
		add(rd, path, n < 0 ? "" : buf, n < 0 ? (int)n : 0);
}

static void read_scrubbed(struct reader *rd, const char *path)
{
	const struct source quiet = { .m = rd->s->m, .errors = rd->s->errors };
	char buf[8192];
	long n = src_read(&quiet, path, buf, sizeof(buf));

	if (n == -ENOENT || n == -ENOTDIR)
		return;
	if (n >= 0)
		kmsg_scrub(buf);
	if (rd->s->rec && n >= 0)
		record_file(rd->s->rec, path, buf);
	else if (rd->s->rec)
		record_error(rd->s->rec, path, (int)n);
	add(rd, path, buf, n < 0 ? (int)n : 0);
}

/* Only what is kept is recorded: the rest of such a file is nobody's business. */
static void read_filtered(struct reader *rd, const char *path, enum ev_kind kind,
			  const char *const *words)
{
	const struct source quiet = { .m = rd->s->m, .errors = rd->s->errors };
	/* The filters end what they keep with one character more. */
	own_free char *buf = malloc(VALUE_MAX + 1);

	if (!buf || src_read(&quiet, path, buf, VALUE_MAX) <= 0)
		return;
	if (kind == EV_LINES)
		keep_matching_lines(buf, words);
	else
		keep_matching_words(buf, words);
	if (!buf[0])
		return;
	if (rd->s->rec)
		record_file(rd->s->rec, path, buf);
	add(rd, path, buf, 0);
}

static void read_link(struct reader *rd, const char *path)
{
	char name[MACHINE_NAME_MAX];

	if (src_link_name(rd->s, path, name, sizeof(name)) == 0)
		add(rd, path, name, 0);
}

static void read_hex(struct reader *rd, const char *path)
{
	unsigned char bytes[HEX_MAX];
	char hex[2 * HEX_MAX + 1];
	long n = src_read_bytes(rd->s, path, bytes, sizeof(bytes));

	if (n >= 0)
		add(rd, path, text_hex(hex, bytes, (size_t)n), 0);
}

static void read_one(struct reader *rd, const char *path, enum ev_kind kind,
		     const char *const *words)
{
	switch (kind) {
	case EV_TEXT:
		read_text(rd, path);
		break;
	case EV_SCRUB:
		read_scrubbed(rd, path);
		break;
	case EV_DIR:
		if (src_exists(rd->s, path))
			add(rd, path, "", 0);
		break;
	case EV_LINK:
		read_link(rd, path);
		break;
	case EV_LINES:
	case EV_WORDS:
		read_filtered(rd, path, kind, words);
		break;
	case EV_HEX:
		read_hex(rd, path);
		break;
	}
}

/*
 * One folder's names for the first part of the pattern that has a '*', then the rest of it. What is
 * before `from` are names already: a '*' in one of them, as in a file "*.conf", stands for nothing.
 */
static void read_pattern(struct reader *rd, const char *pattern, size_t from,
			 const struct wanted *w)
{
	const char *star = strchr(pattern + from, '*');

	if (!star) {
		read_one(rd, pattern, w->kind, w->words);
		return;
	}
	const char *part = star, *rest = strchr(star, '/');

	while (part > pattern && part[-1] != '/')
		part--;
	own_free char **names = NULL;
	char dir[PATH_SIZE], mask[MACHINE_NAME_MAX], path[PATH_SIZE];

	snprintf(dir, sizeof(dir), "%.*s", (int)(part - pattern - (part > pattern)), pattern);
	snprintf(mask, sizeof(mask), "%.*s", (int)strcspn(part, "/"), part);
	int n = machine_list(rd->s->m, dir, &names);

	for (int i = 0; i < n; i++) {
		if (names[i][0] == '.' || fnmatch(mask, names[i], 0) != 0)
			continue;
		size_t done = strlen(dir) + 1 + strlen(names[i]);

		if ((size_t)snprintf(path, sizeof(path), "%s/%s%s", dir, names[i],
				     rest ? rest : "") < sizeof(path))
			read_pattern(rd, path, done, w);
	}
}

/* --- the functions on the way --- */

static const char *last_part(const char *dir)
{
	const char *slash = strrchr(dir, '/');

	return slash ? slash + 1 : dir;
}

static bool add_function(struct evidence *ev, const char *dir, enum ev_role role, int gpu)
{
	const char *pci = last_part(dir);
	char above[PATH_SIZE];

	if (!addr_ok(pci) || ev_function(ev, pci) || ev->n_functions == EV_FUNCTIONS_MAX)
		return false;
	struct ev_function *f = &ev->functions[ev->n_functions++];

	*f = (struct ev_function) { .role = role, .gpu = gpu };
	text_copy(f->pci, sizeof(f->pci), pci);
	text_copy(f->dir, sizeof(f->dir), dir);
	snprintf(above, sizeof(above), "%.*s", (int)(pci - dir - (pci > dir)), dir);
	if (addr_ok(last_part(above)))
		text_copy(f->above, sizeof(f->above), last_part(above));
	return true;
}

static void add_bridges(struct evidence *ev, const char *dir, int gpu)
{
	char at[PATH_SIZE];

	text_copy(at, sizeof(at), dir);
	for (char *slash; (slash = strrchr(at, '/'));) {
		*slash = '\0';
		if (!addr_ok(last_part(at)))
			return;
		add_function(ev, at, EV_BRIDGE, gpu);
	}
}

static bool is_empty_port(const struct source *s, const char *dir)
{
	own_free char **names = NULL;
	char path[PATH_SIZE + 8];
	uint64_t class;

	snprintf(path, sizeof(path), "%s/class", dir);
	if (machine_read_u64(s->m, path, &class) || class >> 8 != 0x0604)
		return false;
	int n = machine_list(s->m, dir, &names);

	for (int i = 0; i < n; i++)
		if (addr_ok(names[i]))
			return false;
	return n >= 0;
}

/*
 * Beside the bridges of the way, inside the same switch: an empty port holds a part of the window that a
 * larger BAR would need. Ports of the root have windows of their own.
 */
static void add_empty_ports(const struct source *s, struct evidence *ev, const char *dir, int gpu)
{
	char at[PATH_SIZE], path[PATH_SIZE];

	text_copy(at, sizeof(at), dir);
	for (char *slash; (slash = strrchr(at, '/'));) {
		own_free char **names = NULL;

		*slash = '\0';
		if (!addr_ok(last_part(at)))
			return;
		int n = machine_list(s->m, at, &names);

		for (int i = 0; i < n; i++)
			if (addr_ok(names[i]) &&
			    (size_t)snprintf(path, sizeof(path), "%s/%s", at, names[i]) <
				    sizeof(path) &&
			    is_empty_port(s, path))
				add_function(ev, path, EV_EMPTY_PORT, gpu);
	}
}

/* Functions of the same slot lie beside it: 0000:03:00.1 of 0000:03:00.0. */
static void add_companions(const struct source *s, struct evidence *ev, const char *dir, int gpu)
{
	char path[PATH_SIZE];
	size_t n = strlen(dir);

	for (char digit = '0'; digit < '8'; digit++) {
		text_copy(path, sizeof(path), dir);
		if (path[n - 1] == digit)
			continue;
		path[n - 1] = digit;
		if (machine_exists(s->m, path))
			add_function(ev, path, EV_COMPANION, gpu);
	}
}

static void list_functions(const struct source *s, struct evidence *ev)
{
	char dirs[PROBE_GPUS_MAX][PATH_SIZE];

	for (uint32_t i = 0; i < ev->r->n_gpus; i++) {
		sysfs_dir(s, ev->r->gpus[i].pci, dirs[i], sizeof(dirs[i]));
		add_function(ev, dirs[i], EV_GPU, (int)i);
	}
	for (uint32_t i = 0; i < ev->r->n_gpus; i++) {
		add_bridges(ev, dirs[i], (int)i);
		add_companions(s, ev, dirs[i], (int)i);
	}
	for (uint32_t i = 0; i < ev->r->n_gpus; i++)
		add_empty_ports(s, ev, dirs[i], (int)i);
}

/*
 * Now, by its own word: a card's sound sleeps while the GPU beside it works, and since the scan even the
 * GPU may have gone to sleep. Not recorded: the table has it so already.
 */
static bool is_active(const struct source *s, const struct ev_function *f)
{
	const struct source quiet = { .m = s->m, .errors = s->errors };
	char status[64];

	return src_read_in(&quiet, f->dir, "power/runtime_status", status, sizeof(status)) >= 0 &&
	       parse_runtime_status(status) == AWAKE_YES;
}

static void read_function(struct reader *rd, const struct ev_function *f)
{
	const struct gpu *g = &rd->ev->r->gpus[f->gpu];
	char path[PATH_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(of_function); i++) {
		if (of_function[i].when_awake && (g->awake != AWAKE_YES || !is_active(rd->s, f)))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, of_function[i].name) <
		    sizeof(path))
			read_one(rd, path, of_function[i].kind, NULL);
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct ev_file *)a)->path, ((const struct ev_file *)b)->path);
}

static void read_files(struct reader *rd)
{
	struct evidence *ev = rd->ev;

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		read_pattern(rd, wanted[i].pattern, 0, &wanted[i]);
	list_functions(rd->s, ev);
	for (uint32_t i = 0; i < ev->n_functions; i++)
		read_function(rd, &ev->functions[i]);
	if (ev->n_files)
		qsort(ev->files, ev->n_files, sizeof(*ev->files), by_path);
}

/* --- the whole --- */

static json_t *take_host(const struct source *s)
{
	struct err ignored = { 0 };
	json_t *o = s->m->live ? evidence_host_ask(s->m) : answer_read(s->m, "doctor", &ignored);

	if (o && s->rec)
		record_answer(s->rec, "doctor", o);
	return o;
}

int evidence_read(const struct source *s, const struct report *r, const char *log,
		  struct evidence **out, struct err *e)
{
	struct evidence *ev = calloc(1, sizeof(*ev));
	struct reader rd = { .s = s, .ev = ev };

	*out = NULL;
	if (!ev)
		return err_set(e, -ENOMEM, "out of memory");
	ev->r = r;
	if (fact_text_known(&r->kernel))
		ev->kernel = kver_parse(r->kernel.v);
	read_files(&rd);
	ev->host = take_host(s);
	int rc = rd.rc ? err_set(e, rd.rc, "out of memory") : evidence_take_log(s, log, ev, e);

	if (rc) {
		evidence_free(ev);
		return rc;
	}
	*out = ev;
	return 0;
}

void evidence_free(struct evidence *ev)
{
	if (!ev)
		return;
	for (uint32_t i = 0; i < ev->n_files; i++) {
		free(ev->files[i].path);
		free(ev->files[i].value);
	}
	free(ev->files);
	kmsg_free(&ev->log);
	json_decref(ev->host);
	free(ev);
}
