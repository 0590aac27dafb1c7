/* SPDX-License-Identifier: MIT */
#include "bar-forward/qmp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define NAMED   "/machine/peripheral"
#define UNNAMED "/machine/peripheral-anon"

static const char kind[] = "child<vfio-user-pci>";

void qmp_begin(struct qmp *q, const char *socket, bool msix)
{
	*q = (struct qmp) { .socket = socket, .msix = msix, .step = QMP_GREETING };
}

/* --- commands --- */

static void ask(char *out, size_t room, const char *command, const char *key, const char *value)
{
	json_t *o = json_object();
	char *text;

	json_put_text(o, "execute", command);
	if (key) {
		json_t *arguments = json_object();

		json_put_text(arguments, key, value);
		json_object_set_new(o, "arguments", arguments);
	}
	text = json_dumps(o, JSON_COMPACT);
	snprintf(out, room, "%s\n", text ? text : "");
	free(text);
	json_decref(o);
}

void qmp_begin_mute(struct qmp *q, const char *socket, bool msix, char *out, size_t size)
{
	qmp_begin(q, socket, msix);
	q->step = QMP_NAMED;
	ask(out, size, "qom-list", "path", NAMED);
}

/* --- which device it is --- */

/* The devices of our kind in a list of an object's properties. */
static void note_devices(struct qmp *q, const json_t *list, const char *of)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "type"));
		struct qmp_device *d = &q->device[q->n];
		int n;

		if (!name || !type || strcmp(type, kind) != 0 || q->n == QMP_DEVICES)
			continue;
		n = snprintf(d->path, sizeof(d->path), "%s/%s", of, name);
		d->told = d->exact = d->alike = false;
		if (n > 0 && (size_t)n < sizeof(d->path))
			q->n++;
	}
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names of regions have "\x2f" for a slash. */
static void decode(const char *name, char *to, size_t room)
{
	size_t n = 0;

	while (*name && n + 1 < room) {
		bool coded = name[0] == '\\' && name[1] == 'x' && hex(name[2]) >= 0 &&
			     hex(name[3]) >= 0;

		to[n++] = coded ? (char)(hex(name[2]) << 4 | hex(name[3])) : name[0];
		name += coded ? 4 : 1;
	}
	to[n] = '\0';
}

/* Whether `path` stands in the text, as a whole: behind a colon, "<" or (`part`) a slash, and before a blank or ">". */
static bool stands_in(const char *text, const char *path, bool part)
{
	size_t n = strlen(path);

	for (const char *at = text; n && (at = strstr(at, path)); at++) {
		char before = at == text ? '\0' : at[-1], after = at[n];

		if ((before == ':' || before == '<' || (part && before == '/')) &&
		    (after == ' ' || after == '>' || after == '\0'))
			return true;
	}
	return false;
}

/* A device's regions are called "vfio-user:/path/of/socket BAR 0". */
static void look(struct qmp *q, const json_t *list, struct qmp_device *d)
{
	const char *slash = strrchr(q->socket, '/');
	char name[512];
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *coded = json_string_value(json_object_get(one, "name"));

		if (!coded || strstr(coded, "vfio-user") != coded)
			continue;
		decode(coded, name, sizeof(name));
		d->told = true;
		d->exact |= stands_in(name, q->socket, false);
		d->alike |= stands_in(name, slash ? slash + 1 : q->socket, true);
	}
}

/*
 * Exactly one that has our socket, else one whose socket is called so, else the only one there is, unless that one is known to
 * have another socket: then this is the monitor of another machine.
 */
static int choose(struct qmp *q, struct err *e)
{
	uint32_t exact = 0, alike = 0;
	const struct qmp_device *best = &q->device[0];

	for (uint32_t i = 0; i < q->n; i++) {
		exact += q->device[i].exact;
		alike += q->device[i].alike;
		if (q->device[i].exact || (!exact && q->device[i].alike))
			best = &q->device[i];
	}
	if (!q->n || (q->n == 1 && best->told && !exact && !alike))
		return err_set(e, -ENOENT, "that machine has no vfio-user-pci device at %s",
			       q->socket);
	if (exact > 1 || (!exact && alike > 1) || (!exact && !alike && q->n > 1))
		return err_set(e, -ENOENT,
			       "that machine has %" PRIu32
			       " vfio-user-pci devices, and which of them is at %s cannot be told",
			       exact > 1   ? exact
			       : alike > 1 ? alike
					   : q->n,
			       q->socket);
	text_copy(q->chosen, sizeof(q->chosen), best->path);
	return 0;
}

/* --- the steps --- */

static int greet(struct qmp *q, const json_t *o, char *out, size_t room, struct err *e)
{
	const json_t *hello = json_object_get(o, "QMP");
	const json_t *v = json_object_get(json_object_get(hello, "version"), "qemu");

	if (!json_is_object(hello))
		return err_set(e, -EBADMSG, "who listens there is no monitor of QEMU's");
	if (json_is_integer(json_object_get(v, "major")))
		snprintf(q->version, sizeof(q->version), "%d.%d.%d",
			 (int)json_integer_value(json_object_get(v, "major")) % 1000,
			 (int)json_integer_value(json_object_get(v, "minor")) % 1000,
			 (int)json_integer_value(json_object_get(v, "micro")) % 1000);
	q->step = QMP_AGREE;
	ask(out, room, "qmp_capabilities", NULL, NULL);
	return 0;
}

static int delete_chosen(struct qmp *q, char *out, size_t room, struct err *e)
{
	const char *id = strrchr(q->chosen, '/') + 1;
	bool named = strncmp(q->chosen, UNNAMED "/", strlen(UNNAMED "/")) != 0;

	if (q->msix)
		return err_set(
			e, -EPERM,
			"QEMU%s%s would abort at the unplug of a vfio-user device that shows MSI-X (11.1.3 and "
			"before do, of later ones it is not known); `device_del %s` is yours to say",
			q->version[0] ? " " : "", q->version, named ? id : q->chosen);
	q->step = QMP_DELETE;
	ask(out, room, "device_del", "id", named ? id : q->chosen);
	return 0;
}

/* The next device to look at; behind the last the choice. */
static int next(struct qmp *q, char *out, size_t room, struct err *e)
{
	int rc;

	if (q->at < q->n) {
		q->step = QMP_LOOK;
		ask(out, room, "qom-list", "path", q->device[q->at].path);
		return 0;
	}
	rc = choose(q, e);
	return rc ? rc : delete_chosen(q, out, room, e);
}

static int answered(struct qmp *q, const json_t *got, char *out, size_t room, struct err *e)
{
	switch (q->step) {
	case QMP_AGREE:
		q->step = QMP_NAMED;
		ask(out, room, "qom-list", "path", NAMED);
		return 0;
	case QMP_NAMED:
		note_devices(q, got, NAMED);
		q->step = QMP_UNNAMED;
		ask(out, room, "qom-list", "path", UNNAMED);
		return 0;
	case QMP_UNNAMED:
		note_devices(q, got, UNNAMED);
		return next(q, out, room, e);
	case QMP_LOOK:
		look(q, got, &q->device[q->at++]);
		return next(q, out, room, e);
	case QMP_DELETE:
		q->step = QMP_WAIT;
		return 0;
	default:
		return 0; /* an answer that nobody asked for */
	}
}

static int refused(struct qmp *q, const json_t *error, struct err *e)
{
	char why[256];

	json_get_text(error, "desc", why, sizeof(why));
	return err_set(e, q->step == QMP_AGREE ? -EBADMSG : -EACCES, "QEMU refuses%s%s: %s",
		       q->chosen[0] ? " to unplug " : "", q->chosen,
		       why[0] ? why : "it does not say why");
}

/* Events of other devices, and those before we asked, are not ours. */
static int happened(struct qmp *q, const char *event, const json_t *data, struct err *e)
{
	char path[sizeof(q->chosen)];

	json_get_text(data, "path", path, sizeof(path));
	if ((q->step != QMP_WAIT && q->step != QMP_DELETE) || strcmp(path, q->chosen) != 0)
		return 0;
	if (strcmp(event, "DEVICE_DELETED") == 0)
		q->step = QMP_DONE;
	if (strcmp(event, "DEVICE_UNPLUG_GUEST_ERROR") == 0)
		return err_set(e, -EBUSY, "the guest refuses to let go of %s", q->chosen);
	return 0;
}

int qmp_take(struct qmp *q, const char *object, size_t size, char *out, size_t room, struct err *e)
{
	json_t *o = json_parse(object, size, "what the monitor says", e);
	const char *event;
	int rc = 0;

	out[0] = '\0';
	if (!o)
		return -EBADMSG;
	event = json_string_value(json_object_get(o, "event"));
	if (q->step == QMP_GREETING)
		rc = greet(q, o, out, room, e);
	else if (event)
		rc = happened(q, event, json_object_get(o, "data"), e);
	else if (json_object_get(o, "error") && q->step >= QMP_NAMED && q->step <= QMP_LOOK)
		rc = answered(q, NULL, out, room, e); /* there is no such list */
	else if (json_object_get(o, "error"))
		rc = refused(q, json_object_get(o, "error"), e);
	else if (json_object_get(o, "return"))
		rc = answered(q, json_object_get(o, "return"), out, room, e);
	json_decref(o);
	return rc;
}
