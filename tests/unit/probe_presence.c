/* SPDX-License-Identifier: MIT */
/* Whether a device is still there: by the files of a machine, and by what the kernel says of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "probe/watch.h"
#include "tests/unit/harness.h"

#define BRIDGE "sys/devices/pci0000:00/0000:00:01.0"
#define CARD   BRIDGE "/0000:01:00.0"
#define LIST   "sys/bus/pci/devices"

static char dir[] = "/tmp/berth-presence-XXXXXX";
static struct machine m;

static void full(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void put(const char *name, const void *bytes, size_t n)
{
	char path[400];

	full(path, sizeof(path), name);
	for (char *slash = strchr(path + sizeof(dir), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_link(const char *name, const char *to)
{
	char path[400];

	put_text(name, "");
	full(path, sizeof(path), name);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(to, path), 0);
}

static void take_away(const char *name)
{
	char path[400];

	full(path, sizeof(path), name);
	assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
	char path[100];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	full(path, sizeof(path), "sys"); /* what makes a folder a machine */
	return mkdir(path, 0700) || machine_open(&m, dir, NULL) ? -1 : 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	machine_close(&m);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void files(void **state)
{
	unsigned char ones[64], header[64] = { 0x86, 0x80 };

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	/* a machine that shows no bus is no machine that lost a device */
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_UNKNOWN);
	put_text(CARD "/power/runtime_status", "active\n");
	put_text(BRIDGE "/power/runtime_status", "active\n");
	put(CARD "/config", header, sizeof(header));
	put_link(LIST "/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_HERE);
	assert_int_equal(presence_of(&m, "0000:02:00.0"), PRESENCE_GONE);
	assert_int_equal(presence_of(&m, "../../x"), PRESENCE_UNKNOWN);

	put(CARD "/config", ones, sizeof(ones));
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_DEAD);
	/* a virtual function's ids are ones as well, but not all of it */
	ones[14] = 0;
	put(CARD "/config", ones, sizeof(ones));
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_HERE);
	ones[14] = 0xff;
	/* what was cut short says nothing */
	put(CARD "/config", ones, 63);
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_HERE);
	/* asleep, itself or what is above it: its configuration is not read */
	put(CARD "/config", ones, sizeof(ones));
	put_text(BRIDGE "/power/runtime_status", "suspended\n");
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_HERE);
	put_text(BRIDGE "/power/runtime_status", "active\n");
	put_text(CARD "/power/runtime_status", "resuming\n");
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_HERE);
	put_text(CARD "/power/runtime_status", "active\n");
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_DEAD);

	put_link(CARD "/driver", "../../../../bus/pci/drivers/amdgpu");
	assert_false(presence_usable(&m, "0000:01:00.0"));
	put(CARD "/config", header, sizeof(header));
	assert_true(presence_usable(&m, "0000:01:00.0"));
	take_away(CARD "/driver");
	assert_false(presence_usable(&m, "0000:01:00.0"));
	take_away(LIST "/0000:01:00.0");
	assert_int_equal(presence_of(&m, "0000:01:00.0"), PRESENCE_GONE);
}

static void events(void **state)
{
	static const char card[] = "/devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card1";
	static const struct {
		const char *subsystem, *action, *sysname, *devpath, *wedged;
		const char *pci, *how; /* NULL: nothing was lost */
	} rows[] = {
		{ "pci", "remove", "0000:01:00.0", "", "", "0000:01:00.0", "left the bus" },
		{ "pci", "unbind", "0000:01:00.0", "", "", "0000:01:00.0", "let go by its driver" },
		{ "drm", "remove", "card1", card, "", "0000:01:00.0", "let go by its driver" },
		{ "drm", "change", "card1", card, "rebind", "0000:01:00.0", "recovered by rebind" },
		{ "drm", "change", "card1", card, "none", NULL, NULL },
		{ "drm", "change", "card1", card, "", NULL, NULL },
		/* a connector, as a dock's hub takes it along */
		{ "drm", "remove", "card1-DP-3", card, "", NULL, NULL },
		{ "drm", "remove", "card", card, "", NULL, NULL },
		{ "drm", "remove", "card1", "/devices/virtual/drm/card1", "", NULL, NULL },
		{ "pci", "add", "0000:01:00.0", "", "", NULL, NULL },
		{ "pci", "bind", "0000:01:00.0", "", "", NULL, NULL },
		{ "pci", "remove", "../0000:01:00.0", "", "", NULL, NULL },
		{ "pci_express", "remove", "0000:01:00.0", "", "", NULL, NULL },
		{ "thunderbolt", "remove", "0-1", "", "", NULL, NULL },
		{ "", "", "", "", "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct uevent u = { .class = UINT32_MAX, .authorized = -1 };
		struct device_loss loss;

		snprintf(u.subsystem, sizeof(u.subsystem), "%s", rows[i].subsystem);
		snprintf(u.action, sizeof(u.action), "%s", rows[i].action);
		snprintf(u.sysname, sizeof(u.sysname), "%s", rows[i].sysname);
		snprintf(u.devpath, sizeof(u.devpath), "%s", rows[i].devpath);
		snprintf(u.wedged, sizeof(u.wedged), "%s", rows[i].wedged);
		assert_int_equal(presence_decide(&u, &loss), rows[i].pci != NULL);
		if (!rows[i].pci)
			continue;
		assert_string_equal(loss.pci, rows[i].pci);
		assert_non_null(strstr(loss.how, rows[i].how));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(files), cmocka_unit_test(events) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
