/* SPDX-License-Identifier: MIT */
#include "device/boxes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define BUS        "sys/bus/thunderbolt/devices"
#define ANSWER_MAX (256u << 10)
#define ASK_MS     3000
#define ACT_MS     18000 /* the step that asks has a little more */

static const char *const heres[BOLT_HERE_COUNT] = {
	[BOLT_NONE] = "none",
	[BOLT_STARTABLE] = "startable",
	[BOLT_RUNS] = "runs",
};

bool box_uid_ok(const char *uid)
{
	size_t n = strspn(uid, "0123456789abcdefABCDEF-");

	return n >= 8 && n < sizeof(((struct box *)NULL)->uid) && !uid[n] && uid[0] != '-';
}

static bool device_from_json(const json_t *o, struct bolt_device *d)
{
	json_get_text(o, "uid", d->uid, sizeof(d->uid));
	json_get_text(o, "status", d->status, sizeof(d->status));
	json_get_text(o, "policy", d->policy, sizeof(d->policy));
	json_get_text(o, "key", d->key, sizeof(d->key));
	d->stored = json_is_true(json_object_get(o, "stored"));
	return box_uid_ok(d->uid);
}

void bolt_from_json(const json_t *o, struct bolt_state *s)
{
	const json_t *one;
	char here[16];
	size_t i;

	*s = (struct bolt_state) { .here = BOLT_UNKNOWN };
	json_get_text(o, "here", here, sizeof(here));
	for (int h = BOLT_NONE; h < BOLT_HERE_COUNT; h++)
		if (strcmp(here, heres[h]) == 0)
			s->here = (enum bolt_here)h;
	json_get_text(o, "why", s->why, sizeof(s->why));
	json_get_text(o, "auth_mode", s->auth_mode, sizeof(s->auth_mode));
	json_get_text(o, "default_policy", s->default_policy, sizeof(s->default_policy));
	json_array_foreach(json_object_get(o, "devices"), i, one)
	{
		struct bolt_device d = { 0 };

		if (!device_from_json(one, &d))
			continue;
		if (s->n_devices == TB_ROUTERS_MAX)
			s->n_left_out++;
		else
			s->devices[s->n_devices++] = d;
	}
}

/* A captured machine without the file had nobody who asked; it is taken as one without boltd. */
static void read_answer(const struct machine *m, struct bolt_state *s)
{
	own_free char *text = malloc(ANSWER_MAX);
	struct err e = { 0 };

	*s = (struct bolt_state) { .here = BOLT_NONE };
	long n = text ? machine_read(m, "answers/bolt.json", text, ANSWER_MAX) : -ENOMEM;

	if (n == -ENOENT)
		return;
	json_t *o = n < 0 ? NULL : json_parse(text, (size_t)n, "answers/bolt.json", &e);

	if (o)
		bolt_from_json(o, s);
	else
		*s = (struct bolt_state) { .why = "answers/bolt.json cannot be read" };
	json_decref(o);
}

static void read_box(const struct machine *m, const struct tb_router *t, struct box *b)
{
	char path[128], uid[80];

	snprintf(path, sizeof(path), BUS "/%s/unique_id", t->name);
	if (machine_read(m, path, uid, sizeof(uid)) > 0 && box_uid_ok(uid))
		text_copy(b->uid, sizeof(b->uid), uid);
	snprintf(path, sizeof(path), BUS "/%s/key", t->name);
	b->has_key = machine_exists(m, path);
}

void boxes_collect(const struct machine *m, const struct report *r, struct boxes *b)
{
	bool any = false;

	*b = (struct boxes) { .bolt.why = "there is no Thunderbolt box" };
	for (uint32_t i = 0; i < r->usb4.n_routers; i++) {
		read_box(m, &r->usb4.routers[i], &b->box[i]);
		any |= !r->usb4.routers[i].host;
	}
	if (!any)
		return;
	if (m->live)
		bolt_collect(&b->bolt, ASK_MS);
	else
		read_answer(m, &b->bolt);
}

const struct bolt_device *boxes_bolt(const struct boxes *b, uint32_t router)
{
	const char *uid = router < TB_ROUTERS_MAX ? b->box[router].uid : "";

	for (uint32_t i = 0; uid[0] && i < b->bolt.n_devices; i++)
		if (strcasecmp(b->bolt.devices[i].uid, uid) == 0)
			return &b->bolt.devices[i];
	return NULL;
}

/* --- the agent --- */

/* The name of the box with an id, as it is now: another one may have been plugged in since. */
static int find_box(const struct machine *m, const char *uid, char *name, size_t size)
{
	own_free char **names = NULL;
	char path[256], found[80];
	int n = machine_list(m, BUS, &names);

	for (int i = 0; i < n; i++) {
		if ((size_t)snprintf(path, sizeof(path), BUS "/%s/unique_id", names[i]) <
			    sizeof(path) &&
		    machine_read(m, path, found, sizeof(found)) > 0 && strcasecmp(found, uid) == 0)
			return text_copy(name, size, names[i]) ? 0 : -ENODEV;
	}
	return n < 0 ? n : -ENODEV;
}

static int deauthorise(const struct machine *m, const char *uid, struct err *e)
{
	char name[64], path[128];
	int rc = find_box(m, uid, name, sizeof(name));

	if (rc)
		return err_set(e, rc, "the box with the id %s is not plugged in", uid);
	snprintf(path, sizeof(path), BUS "/%s/authorized", name);
	own_fd int fd = openat(m->root_fd, path, O_WRONLY | O_CLOEXEC);

	rc = fd < 0 ? -errno : io_write(fd, "0", 1);
	return rc ? err_set(e, rc, "/%s: %s", path, strerror(-rc)) : 0;
}

int bolt_agent_call(const struct machine *m, const char *uid, const char *what, struct err *e)
{
	int rc = 0;

	if (strncmp(what, "forget", 6) == 0)
		rc = bolt_ask(uid, "forget", ACT_MS, e);
	if (!rc && strstr(what, "deauthorise"))
		return deauthorise(m, uid, e);
	return strncmp(what, "forget", 6) == 0 ? rc : bolt_ask(uid, what, ACT_MS, e);
}

int bolt_agent_look(const struct machine *m, const char *uid, char *said, size_t size,
		    struct err *e)
{
	struct bolt_state s;

	if (m->live)
		return bolt_look(uid, said, size, ASK_MS, e);
	read_answer(m, &s);
	for (uint32_t i = 0; i < s.n_devices; i++)
		if (strcasecmp(s.devices[i].uid, uid) == 0) {
			snprintf(said, size, "%s%s", s.devices[i].status,
				 s.devices[i].stored ? " enrolled" : "");
			return 0;
		}
	return err_set(e, -ENODATA, "boltd was not asked about %s", uid);
}
