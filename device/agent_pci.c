/* SPDX-License-Identifier: MIT */
#include "device/agent_pci.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/probe.h"

#define DEVICES       "sys/bus/pci/devices"
#define DIR_SIZE      512
#define RESOURCE_SIZE 2048 /* 17 lines of 57 bytes */

/*
 * PCI 3.0, 6.1: ids; revision and class; header type; BARs. Not the command and status registers, nor what power
 * management and interrupts leave behind them.
 */
static const struct {
	uint8_t at, n;
} parts[] = { { 0, 4 }, { 8, 4 }, { 14, 1 }, { 16, 24 } };

void pci_header_text(const uint8_t bytes[PCI_HEADER_BYTES], char text[PCI_HEADER_TEXT])
{
	size_t at = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		text_hex(text + at, bytes + parts[i].at, parts[i].n);
		at += 2 * (size_t)parts[i].n;
	}
}

static int here(const struct machine *m, const char *pci, struct err *e)
{
	char path[sizeof(DEVICES) + MACHINE_NAME_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s", pci);
	return machine_exists(m, path) ? 0 : err_set(e, -ENODEV, "%s is not there", pci);
}

static long read_of(const struct machine *m, const char *pci, const char *name, void *buf,
		    size_t size)
{
	char path[sizeof(DEVICES) + MACHINE_NAME_MAX + 32];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", pci, name);
	return machine_read_bytes(m, path, buf, size);
}

static int look_config(const struct machine *m, const char *pci, char *said, size_t size,
		       struct err *e)
{
	uint8_t bytes[PCI_HEADER_BYTES];
	char text[PCI_HEADER_TEXT];
	long n = read_of(m, pci, "config", bytes, sizeof(bytes));

	if (n < 0)
		return err_set(e, (int)n, "the configuration space of %s does not read: %s", pci,
			       strerror((int)-n));
	if (n < (long)sizeof(bytes))
		return err_set(e, -EIO, "the configuration space of %s ends after %ld bytes", pci,
			       n);
	pci_header_text(bytes, text);
	text_copy(said, size, text);
	return 0;
}

static unsigned id_of(const struct machine *m, const char *pci, const char *name)
{
	char path[sizeof(DEVICES) + MACHINE_NAME_MAX + 32];
	uint64_t v;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", pci, name);
	return machine_read_u64(m, path, &v) || v > 0xffff ? 0 : (unsigned)v;
}

static int look_ids(const struct machine *m, const char *pci, char *said, size_t size,
		    struct err *e)
{
	uint8_t b[4];

	(void)e;
	if (read_of(m, pci, "config", b, sizeof(b)) == (long)sizeof(b))
		snprintf(said, size, "%02x%02x:%02x%02x", b[1], b[0], b[3], b[2]);
	else
		snprintf(said, size, "%04x:%04x", id_of(m, pci, "vendor"), id_of(m, pci, "device"));
	return 0;
}

static long read_text(const struct machine *m, const char *dir, char text[RESOURCE_SIZE])
{
	char path[DIR_SIZE + 16];

	snprintf(path, sizeof(path), "%s/resource", dir);
	return machine_read(m, path, text, RESOURCE_SIZE);
}

static int look_bar(const struct machine *m, int bar, const char *pci, char *said, size_t size,
		    struct err *e)
{
	char dir[DIR_SIZE], text[RESOURCE_SIZE];
	struct bar bars[PROBE_BARS];

	snprintf(dir, sizeof(dir), DEVICES "/%s", pci);
	long n = read_text(m, dir, text);

	if (n < 0)
		return err_set(e, (int)n, "the resources of %s do not read: %s", pci,
			       strerror((int)-n));
	parse_resource(text, bars);
	snprintf(said, size, "%" PRIu64, bars[bar].unassigned ? 0 : bars[bar].size_bytes);
	return 0;
}

/* --- nesting --- */

/* "../../../devices/pci0000:00/..." of a link in sys/bus/pci/devices; 0 or -errno. */
static int real_dir(const struct machine *m, const char *pci, char dir[DIR_SIZE])
{
	char path[sizeof(DEVICES) + MACHINE_NAME_MAX], link[DIR_SIZE - 8];
	const char *at = link;

	snprintf(path, sizeof(path), DEVICES "/%s", pci);
	int rc = machine_link(m, path, link, sizeof(link));

	if (rc < 0)
		return rc;
	while (strncmp(at, "../", 3) == 0)
		at += 3;
	snprintf(dir, DIR_SIZE, "sys/%s", at);
	return 0;
}

/* Go up to the bridge above; false: this was the last, which hangs on a root bus. */
static bool go_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (!slash)
		return false;
	*slash = '\0';
	slash = strrchr(dir, '/');
	return slash && strchr(slash, ':') && strchr(slash, '.');
}

static bool inside(uint64_t start, uint64_t size, const struct window up[2])
{
	return !size || window_holds(&up[0], start, size) || window_holds(&up[1], start, size);
}

static bool bars_inside(const struct bar bars[PROBE_BARS], const struct window up[2])
{
	for (int i = 0; i < PROBE_BARS - 1; i++)
		if (!bars[i].io && !bars[i].unassigned &&
		    !inside(bars[i].address, bars[i].size_bytes, up))
			return false;
	return true;
}

static const char *nested(const struct machine *m, char *dir)
{
	char text[RESOURCE_SIZE];
	struct bar bars[PROBE_BARS];
	struct window in[2] = { 0 }, up[2];

	if (read_text(m, dir, text) < 0)
		return "unknown";
	parse_resource(text, bars);
	while (go_up(dir)) {
		if (read_text(m, dir, text) < 0)
			return "unknown";
		bridge_windows(text, &up[0], &up[1]);
		if (!up[0].size && !up[1].size)
			return "unknown";
		if (!bars_inside(bars, up) || !inside(in[0].start, in[0].size, up) ||
		    !inside(in[1].start, in[1].size, up))
			return "no";
		/* From the second bridge on it is the windows below that must fit. */
		memset(bars, 0, sizeof(bars));
		memcpy(in, up, sizeof(in));
	}
	return "yes";
}

static int look_nested(const struct machine *m, const char *pci, char *said, size_t size,
		       struct err *e)
{
	char dir[DIR_SIZE];
	int rc = real_dir(m, pci, dir);

	if (rc)
		return err_set(e, rc, "the folder of %s is not to be found", pci);
	text_copy(said, size, nested(m, dir));
	return 0;
}

int pci_look(const struct machine *m, const char *object, char *said, size_t size, struct err *e)
{
	static const struct {
		const char *word;
		int (*look)(const struct machine *m, const char *pci, char *said, size_t size,
			    struct err *e);
	} kinds[] = { { "config ", look_config },
		      { "ids ", look_ids },
		      { "nested ", look_nested } };
	bool is_bar = strncmp(object, "bar ", 4) == 0 && object[4] >= '0' && object[4] <= '5' &&
		      object[5] == ' ';
	const char *pci = is_bar ? object + 6 : strchr(object, ' ');

	pci = pci && *pci == ' ' ? pci + 1 : pci;
	if (!pci || !strchr(pci, ':') || strpbrk(pci, "/ ") || strlen(pci) >= 24)
		return err_set(e, -EINVAL, "'%.60s' is nothing to look at", object);
	int rc = here(m, pci, e);

	if (rc)
		return rc;
	if (is_bar)
		return look_bar(m, object[4] - '0', pci, said, size, e);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(object, kinds[i].word, strlen(kinds[i].word)) == 0)
			return kinds[i].look(m, pci, said, size, e);
	return err_set(e, -EINVAL, "'%.60s' is nothing to look at", object);
}
