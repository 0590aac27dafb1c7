/* SPDX-License-Identifier: MIT */
/*
 * prog_polkitd FILE: polkit's authority on the system bus, for boltd in tests. An action is allowed while FILE
 * has a line with its name. Prints "ready" when it can be asked; ends when the bus does.
 */
#include <stdio.h>

#ifdef HAVE_libsystemd
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static bool allowed(const char *file, const char *action)
{
	char line[256];
	bool found = false;
	FILE *f = fopen(file, "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, action) == 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* (sa{sv}) subject, s action, a{ss} details, u flags, s cancellation -> (bba{ss}) */
static int check(sd_bus_message *m, void *file, sd_bus_error *error)
{
	const char *action;
	int rc = sd_bus_message_skip(m, "(sa{sv})");

	(void)error;
	if (rc >= 0)
		rc = sd_bus_message_read(m, "s", &action);
	if (rc < 0)
		return rc;
	return sd_bus_reply_method_return(m, "(bba{ss})", allowed(file, action), 0, 0);
}

static int text(sd_bus *bus, const char *path, const char *interface, const char *property,
		sd_bus_message *reply, void *data, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)data;
	(void)error;
	return sd_bus_message_append(reply, "s", "fake");
}

static int number(sd_bus *bus, const char *path, const char *interface, const char *property,
		  sd_bus_message *reply, void *data, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)data;
	(void)error;
	return sd_bus_message_append(reply, "u", 0u);
}

static const sd_bus_vtable authority[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("BackendName", "s", text, 0, 0),
	SD_BUS_PROPERTY("BackendVersion", "s", text, 0, 0),
	SD_BUS_PROPERTY("BackendFeatures", "u", number, 0, 0),
	SD_BUS_VTABLE_END,
};

int main(int argc, char **argv)
{
	sd_bus *bus = NULL;
	int rc = argc == 2 ? sd_bus_open_system(&bus) : -EINVAL;

	if (rc >= 0)
		rc = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
					      "org.freedesktop.PolicyKit1.Authority", authority,
					      argv[1]);
	if (rc >= 0)
		rc = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
	if (rc >= 0) {
		puts("ready");
		fflush(stdout);
	}
	while (rc >= 0) {
		rc = sd_bus_process(bus, NULL);
		if (rc == 0)
			rc = sd_bus_wait(bus, UINT64_MAX);
	}
	sd_bus_unref(bus);
	return 0;
}

#else

int main(void)
{
	fputs("built without libsystemd\n", stderr);
	return 77;
}

#endif
