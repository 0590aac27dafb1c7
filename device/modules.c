/* SPDX-License-Identifier: MIT */
#include "device/modules.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "device/scene_priv.h"

#define DRIVERS "sys/bus/pci/drivers"

/* Drivers whose module has another name. Source: the drivers' Makefiles in Linux 6.1 to 7.2. */
static const struct {
	const char *driver, *module;
} others[] = {
	{ "xhci_hcd", "xhci_pci" },
	{ "bochs-drm", "bochs" },
	{ "i801_smbus", "i2c_i801" },
	{ "sof-audio-pci-intel-tgl", "snd_sof_pci_intel_tgl" },
	{ "sof-audio-pci-intel-mtl", "snd_sof_pci_intel_mtl" },
};

bool driver_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n < 40 && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       n;
}

static char same(char c)
{
	return c == '-' ? '_' : c;
}

/* Whether two names are one, as modprobe compares them; `n` bytes of a. */
static bool is_name(const char *a, size_t n, const char *b)
{
	size_t i = 0;

	while (i < n && b[i] && same(a[i]) == same(b[i]))
		i++;
	return i == n && !b[i];
}

/* --- registered drivers ---------------------------------------------------------------------------------- */

static bool is_registered(const struct machine *m, const char *name, char *real)
{
	own_free char **names = NULL;
	int n = machine_list(m, DRIVERS, &names);

	for (int i = 0; i < n; i++)
		if (is_name(names[i], strlen(names[i]), name) && driver_name_ok(names[i]))
			return text_copy(real, MODULE_NAME_MAX, names[i]);
	return false;
}

/* How many letters must be put in, taken out or exchanged; names are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[MODULE_NAME_MAX + 1], n = strlen(b);

	if (n > MODULE_NAME_MAX)
		return SIZE_MAX;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t k = 1; k <= n; k++) {
			size_t swap = corner + (same(a[i - 1]) != same(b[k - 1]));
			size_t less = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;

			corner = row[k];
			row[k] = swap < less ? swap : less;
		}
	}
	return row[n];
}

void driver_nearest(const struct machine *m, const char *name, char *nearest)
{
	own_free char **names = NULL;
	int n = machine_list(m, DRIVERS, &names);
	size_t best = strlen(name) / 3 + 1;

	nearest[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (!driver_name_ok(names[i]) || distance(name, names[i]) > best)
			continue;
		best = distance(name, names[i]);
		text_copy(nearest, MODULE_NAME_MAX, names[i]);
	}
}

/* --- modules on disk ---------------------------------------------------------------------------------------- */

/* A line of modules.dep or modules.builtin is about "kernel/drivers/vfio/pci/vfio-pci.ko.xz: ...". */
static bool line_is(const char *line, const char *module)
{
	size_t n = strcspn(line, ":\n");
	const char *name = line;

	for (const char *at = line; at < line + n; at++)
		if (*at == '/')
			name = at + 1;
	const char *end = strstr(name, ".ko");

	return end && end < line + n && is_name(name, (size_t)(end - name), module);
}

/* 1: it is there; 0: it is not; -1: nobody can tell. */
static int is_installed(const struct machine *m, const char *module)
{
	char release[128], path[SCENE_PATH], line[4096];
	struct line_file f;
	bool found = false;

	if (machine_read(m, "proc/sys/kernel/osrelease", release, sizeof(release)) <= 0 ||
	    strchr(release, '/') ||
	    (size_t)snprintf(path, sizeof(path), "lib/modules/%s/modules.dep", release) >=
		    sizeof(path) ||
	    !lines_open(&f, m, path))
		return -1;
	while (!found && lines_next(&f, line, sizeof(line)))
		found = line_is(line, module);
	lines_close(&f);
	return found;
}

/* "alias nvidia nvidia-current", "install nvidia ...": a name that modprobe makes something of. */
static bool config_has(const struct machine *m, const char *folder, const char *module)
{
	own_free char **names = NULL;
	int n = machine_list(m, folder, &names);
	char path[SCENE_PATH], line[1024], word[16], name[128];
	bool found = false;

	for (int i = 0; i < n && !found; i++) {
		struct line_file f;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >=
			    sizeof(path) ||
		    !lines_open(&f, m, path))
			continue;
		while (!found && lines_next(&f, line, sizeof(line)))
			found = sscanf(line, " %15s %127s", word, name) == 2 &&
				(strcmp(word, "alias") == 0 || strcmp(word, "install") == 0) &&
				is_name(name, strlen(name), module);
		lines_close(&f);
	}
	return found;
}

static bool is_configured(const struct machine *m, const char *module)
{
	/* modprobe.d(5) */
	static const char *const folders[] = { "etc/modprobe.d", "run/modprobe.d",
					       "usr/lib/modprobe.d", "lib/modprobe.d" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (config_has(m, folders[i], module))
			return true;
	return false;
}

static const char *module_of(const char *driver)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_name(driver, strlen(driver), others[i].driver))
			return others[i].module;
	return driver;
}

enum driver_state driver_look(const struct machine *m, const char *name, char *real, char *module)
{
	text_copy(real, MODULE_NAME_MAX, name);
	text_copy(module, MODULE_NAME_MAX, module_of(name));
	if (is_registered(m, name, real))
		return DRIVER_LOADED;
	int installed = is_installed(m, module);

	if (installed < 0)
		return DRIVER_UNTOLD;
	return installed || is_configured(m, module) ? DRIVER_MODULE : DRIVER_UNKNOWN;
}

/* --- the agent ------------------------------------------------------------------------------------------------- */

int modprobe_call(const struct machine *m, const char *module, const char *value, struct err *e)
{
	/* The caller's environment is not root's: MODPROBE_OPTIONS could name another folder of modules. */
	char *const env[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	char name[MODULE_NAME_MAX];
	char *const argv[] = { (char *)(uintptr_t) "modprobe", (char *)(uintptr_t) "-q",
			       (char *)(uintptr_t) "--", name, NULL };
	static const char *const programs[] = { "/usr/sbin/modprobe", "/sbin/modprobe",
						"/usr/bin/modprobe" };
	int rc = ENOENT, status;
	pid_t pid;

	(void)m;
	(void)value;
	if (!driver_name_ok(module) || !text_copy(name, sizeof(name), module))
		return err_set(e, -EINVAL, "'%s' is no name of a module", module);
	for (size_t i = 0; i < 3 && rc; i++)
		rc = posix_spawn(&pid, programs[i], NULL, NULL, argv, env);
	if (rc)
		return err_set(e, -ENOSYS,
			       "modprobe cannot be run (%s): load the module %s yourself",
			       strerror(rc), module);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, -errno, "modprobe got lost: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, -ENOSYS, "the module %s cannot be loaded: 'modprobe %s' as root says why",
		       module, module);
}

int modprobe_look(const struct machine *m, const char *module, char *said, size_t size,
		  struct err *e)
{
	char path[SCENE_PATH], name[MODULE_NAME_MAX];

	(void)e;
	if (!driver_name_ok(module) || !text_copy(name, sizeof(name), module))
		return -ENODATA;
	for (char *at = name; *at; at++)
		*at = same(*at);
	snprintf(path, sizeof(path), "sys/module/%s", name);
	text_copy(said, size, machine_exists(m, path) ? "loaded" : "absent");
	return 0;
}
