/* SPDX-License-Identifier: MIT */
/*
 * sd-bus of libsystemd, to ask boltd (org.freedesktop.bolt1, bolt 0.2 to 0.9.x). It is optional: without it,
 * boxes are let in through sysfs, as where no boltd runs. No systemd has to run; a system bus has to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/boxes.h"

#ifdef HAVE_libsystemd
#include <systemd/sd-bus.h>

#define NAME    "org.freedesktop.bolt"
#define PATH    "/org/freedesktop/bolt"
#define MANAGER "org.freedesktop.bolt1.Manager"
#define DEVICE  "org.freedesktop.bolt1.Device"

#define own_bus   __attribute__((cleanup(sd_bus_flush_close_unrefp)))
#define own_msg   __attribute__((cleanup(sd_bus_message_unrefp)))
#define own_error __attribute__((cleanup(sd_bus_error_free)))

/* What D-Bus and bolt (common/bolt-error.c) call what went wrong. */
static const struct refusal {
	const char *name;
	int rc;
	const char *says; /* NULL: boltd's own words */
} refusals[] = {
	{ "org.freedesktop.bolt.Error.NoKey", -ENOKEY,
	  "boltd has no key for this box; enrol it anew with boltctl forget and boltctl enroll" },
	{ "org.freedesktop.bolt.Error.BadKey", -EKEYREJECTED,
	  "the box refused boltd's key, so it is not the box that was enrolled, or its memory was cleared; "
	  "if you trust it, boltctl forget and enrol it anew" },
	{ "org.freedesktop.bolt.Error.AuthChain", -EINVAL,
	  "the box that it is plugged into is not authorised; authorise that one first" },
	{ "org.freedesktop.bolt.Error.BadState", -EBUSY, NULL },
	{ SD_BUS_ERROR_ACCESS_DENIED, -EACCES,
	  "boltd's policy (polkit) does not allow it; ask as root or as an administrator" },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES,
	  "boltd's policy (polkit) wants an administrator's password; run this as root" },
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, -ESRCH, "boltd does not run and cannot be started" },
	{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, -ESRCH, "boltd has ended" },
	{ SD_BUS_ERROR_NO_REPLY, -ETIMEDOUT, "boltd ended, or did not answer in time" },
	{ SD_BUS_ERROR_TIMEOUT, -ETIMEDOUT, "boltd did not answer in time" },
};

static int explain(int rc, const sd_bus_error *be, struct err *e)
{
	char words[256];

	if (rc == -ETIMEDOUT)
		return err_set(e, rc, "boltd did not answer in time");
	for (size_t i = 0; be->name && i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(be->name, refusals[i].name) == 0 && refusals[i].says)
			return err_set(e, refusals[i].rc, "%s", refusals[i].says);
		else if (strcmp(be->name, refusals[i].name) == 0)
			rc = refusals[i].rc;
	text_copy(words, sizeof(words), be->message ? be->message : strerror(-rc));
	return err_set(e, rc, "boltd refuses: %s", text_clean(words));
}

static int open_bus(sd_bus **bus, uint32_t timeout_ms)
{
	int rc = sd_bus_open_system(bus);

	if (rc < 0)
		return rc;
	return sd_bus_set_method_call_timeout(*bus, (uint64_t)timeout_ms * 1000);
}

/* --- what there is --- */

static int name_has_owner(sd_bus *bus)
{
	own_msg sd_bus_message *reply = NULL;
	int owned = 0;
	int rc = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
				    "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
				    NAME);

	if (rc >= 0)
		rc = sd_bus_message_read(reply, "b", &owned);
	return rc < 0 ? rc : owned;
}

static bool can_be_started(sd_bus *bus)
{
	char **names = NULL;
	bool found = false;

	if (sd_bus_list_names(bus, NULL, &names) < 0)
		return false;
	for (char **n = names; n && *n; n++) {
		found |= strcmp(*n, NAME) == 0;
		free(*n);
	}
	free(names);
	return found;
}

static void take(char *to, size_t size, const char *text)
{
	text_copy(to, size, text);
	text_clean(to);
}

static int read_entry(sd_bus_message *m, const char *name, struct bolt_device *d)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} texts[] = {
		{ "Uid", d->uid, sizeof(d->uid) },
		{ "Status", d->status, sizeof(d->status) },
		{ "Policy", d->policy, sizeof(d->policy) },
		{ "Key", d->key, sizeof(d->key) },
	};
	const char *text;
	int stored, rc;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(name, texts[i].name) != 0)
			continue;
		rc = sd_bus_message_read(m, "v", "s", &text);
		if (rc >= 0)
			take(texts[i].to, texts[i].size, text);
		return rc;
	}
	if (strcmp(name, "Stored") != 0)
		return sd_bus_message_skip(m, "v");
	rc = sd_bus_message_read(m, "v", "b", &stored);
	d->stored = rc >= 0 && stored;
	return rc;
}

/* All properties in one answer, an array of name and value. */
static int read_device(sd_bus *bus, const char *path, struct bolt_device *d, sd_bus_error *be)
{
	own_msg sd_bus_message *m = NULL;
	const char *name;
	int rc = sd_bus_call_method(bus, NAME, path, "org.freedesktop.DBus.Properties", "GetAll",
				    be, &m, "s", DEVICE);

	*d = (struct bolt_device) { 0 };
	if (rc >= 0)
		rc = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (rc >= 0 && (rc = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		rc = sd_bus_message_read(m, "s", &name);
		if (rc >= 0)
			rc = read_entry(m, name, d);
		if (rc >= 0)
			rc = sd_bus_message_exit_container(m);
	}
	return rc;
}

static int read_devices(sd_bus *bus, struct bolt_state *s)
{
	own_msg sd_bus_message *m = NULL;
	const char *path;
	int rc = sd_bus_call_method(bus, NAME, PATH, MANAGER, "ListDevices", NULL, &m, "");

	if (rc >= 0)
		rc = sd_bus_message_enter_container(m, 'a', "o");
	while (rc >= 0 && (rc = sd_bus_message_read(m, "o", &path)) > 0) {
		struct bolt_device d;
		int one = read_device(bus, path, &d, NULL);

		if (one == -ETIMEDOUT)
			return one;
		if (one < 0 || !box_uid_ok(d.uid))
			continue;
		if (s->n_devices == TB_ROUTERS_MAX)
			s->n_left_out++;
		else
			s->devices[s->n_devices++] = d;
	}
	return rc < 0 ? rc : 0;
}

static int read_text(sd_bus *bus, const char *property, char *to, size_t size)
{
	char *text = NULL;
	int rc = sd_bus_get_property_string(bus, NAME, PATH, MANAGER, property, NULL, &text);

	if (rc >= 0)
		take(to, size, text);
	free(text);
	return rc;
}

/* An old boltd has no AuthMode; one that does not answer is not asked again and again. */
static void read_bolt(sd_bus *bus, struct bolt_state *s)
{
	int rc = read_text(bus, "DefaultPolicy", s->default_policy, sizeof(s->default_policy));

	if (rc >= 0)
		rc = read_devices(bus, s);
	if (rc >= 0)
		read_text(bus, "AuthMode", s->auth_mode, sizeof(s->auth_mode));
	s->here = rc < 0 ? BOLT_UNKNOWN : BOLT_RUNS;
	if (rc < 0)
		snprintf(s->why, sizeof(s->why), "it runs and does not answer (%s)", strerror(-rc));
}

void bolt_collect(struct bolt_state *s, uint32_t timeout_ms)
{
	own_bus sd_bus *bus = NULL;
	int rc = open_bus(&bus, timeout_ms);

	*s = (struct bolt_state) { .here = BOLT_NONE };
	if (rc < 0) {
		snprintf(s->why, sizeof(s->why), "no system bus answers: %s", strerror(-rc));
		return;
	}
	rc = name_has_owner(bus);
	if (rc < 0) {
		s->here = BOLT_UNKNOWN;
		snprintf(s->why, sizeof(s->why), "the system bus does not answer: %s",
			 strerror(-rc));
	} else if (rc == 0) {
		s->here = can_be_started(bus) ? BOLT_STARTABLE : BOLT_NONE;
	} else {
		read_bolt(bus, s);
	}
}

/* --- asking --- */

/* Its object on the bus. An unknown id is answered with an error of GIO's, which has no name of its own. */
static int find(sd_bus *bus, const char *uid, char *path, size_t size, struct err *e)
{
	own_error sd_bus_error be = SD_BUS_ERROR_NULL;
	own_msg sd_bus_message *reply = NULL;
	const char *object;
	int rc = sd_bus_call_method(bus, NAME, PATH, MANAGER, "DeviceByUid", &be, &reply, "s", uid);

	if (rc >= 0)
		rc = sd_bus_message_read(reply, "o", &object);
	if (rc < 0 && be.name && strstr(be.name, "io_2derror"))
		return err_set(e, -ENODEV, "boltd knows no box with the id %s", uid);
	if (rc < 0)
		return explain(rc, &be, e);
	return text_copy(path, size, object) ? 0
					     : err_set(e, -EOVERFLOW, "boltd's path is too long");
}

static int authorise(sd_bus *bus, const char *uid, sd_bus_error *be, struct err *e)
{
	char path[256];
	int rc = find(bus, uid, path, sizeof(path), e);

	if (rc)
		return rc;
	rc = sd_bus_call_method(bus, NAME, path, DEVICE, "Authorize", be, NULL, "s", "");
	return rc < 0 ? explain(rc, be, e) : 0;
}

static int enrol(sd_bus *bus, const char *uid, sd_bus_error *be, struct err *e)
{
	int rc = sd_bus_call_method(bus, NAME, PATH, MANAGER, "EnrollDevice", be, NULL, "sss", uid,
				    "default", "");

	return rc < 0 ? explain(rc, be, e) : 0;
}

static int forget(sd_bus *bus, const char *uid, sd_bus_error *be, struct err *e)
{
	int rc = sd_bus_call_method(bus, NAME, PATH, MANAGER, "ForgetDevice", be, NULL, "s", uid);

	return rc < 0 ? explain(rc, be, e) : 0;
}

static const struct {
	const char *what;
	int (*ask)(sd_bus *bus, const char *uid, sd_bus_error *be, struct err *e);
} asks[] = {
	{ "authorise", authorise },
	{ "enrol", enrol },
	{ "forget", forget },
};

static int reach(sd_bus **bus, const char *uid, uint32_t timeout_ms, struct err *e)
{
	if (!box_uid_ok(uid))
		return err_set(e, -EINVAL, "'%s' is no box's unique id", uid);
	int rc = open_bus(bus, timeout_ms);

	return rc < 0 ? err_set(e, -ESRCH, "boltd cannot be asked, as no system bus answers: %s",
				strerror(-rc))
		      : 0;
}

int bolt_ask(const char *uid, const char *what, uint32_t timeout_ms, struct err *e)
{
	own_error sd_bus_error be = SD_BUS_ERROR_NULL;
	own_bus sd_bus *bus = NULL;

	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		if (strcmp(what, asks[i].what) != 0)
			continue;
		int rc = reach(&bus, uid, timeout_ms, e);

		return rc ? rc : asks[i].ask(bus, uid, &be, e);
	}
	return err_set(e, -EINVAL, "boltd cannot be asked to '%s'", what);
}

int bolt_look(const char *uid, char *says, size_t size, uint32_t timeout_ms, struct err *e)
{
	own_error sd_bus_error be = SD_BUS_ERROR_NULL;
	own_bus sd_bus *bus = NULL;
	struct bolt_device d;
	char path[256];
	int rc = reach(&bus, uid, timeout_ms, e);

	if (!rc)
		rc = find(bus, uid, path, sizeof(path), e);
	if (rc)
		return rc;
	rc = read_device(bus, path, &d, &be);
	if (rc < 0)
		return explain(rc, &be, e);
	snprintf(says, size, "%s%s", d.status, d.stored ? " enrolled" : "");
	return 0;
}

#else

static const char none[] = "this berth was built without libsystemd, so boltd cannot be asked";

void bolt_collect(struct bolt_state *s, uint32_t timeout_ms)
{
	(void)timeout_ms;
	*s = (struct bolt_state) { .here = BOLT_UNKNOWN };
	text_copy(s->why, sizeof(s->why), none);
}

int bolt_ask(const char *uid, const char *what, uint32_t timeout_ms, struct err *e)
{
	(void)uid;
	(void)what;
	(void)timeout_ms;
	return err_set(e, -ENOSYS, "%s", none);
}

int bolt_look(const char *uid, char *says, size_t size, uint32_t timeout_ms, struct err *e)
{
	(void)uid;
	(void)says;
	(void)size;
	(void)timeout_ms;
	return err_set(e, -ENOSYS, "%s", none);
}

#endif
