/* SPDX-License-Identifier: MIT */
#include "device/persist.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/modules.h"

/* Of driverctl 0.111: its confdir and `$bus-$device`; 05-driverctl.rules, which starts driverctl@.service. */
#define SETTING "etc/driverctl.d/pci-%s"
#define RULE    "etc/udev/rules.d/05-berth-%s.rules"

static bool has_driverctl(const struct machine *m)
{
	static const char *const places[] = { "usr/lib/udev/rules.d/05-driverctl.rules",
					      "lib/udev/rules.d/05-driverctl.rules" };

	return machine_exists(m, places[0]) || machine_exists(m, places[1]);
}

bool persist_read(const struct machine *m, const char *pci, char *driver, size_t size)
{
	char path[64], text[64];

	driver[0] = '\0';
	snprintf(path, sizeof(path), SETTING, pci);
	return machine_read(m, path, text, sizeof(text)) > 0 && driver_name_ok(text) &&
	       text_copy(driver, size, text);
}

/*
 * Tried on real machines by tests/lab: works at the start, after a rescan, and when another driver was faster. The
 * module is loaded by an import, because imports come before assignments and RUN comes after.
 */
void persist_rule(struct text *t, const struct func *f, const char *driver)
{
	bool some = strcmp(driver, "none") != 0;
	char match[256];

	text_add(
		t,
		"# %s belongs to %s at every start. Written by 'berth device'; 'berth device undo' takes "
		"it away.\n",
		f->pci, some ? driver : "no driver");
	snprintf(match, sizeof(match),
		 "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"%s\", ATTR{vendor}==\"0x%04x\", "
		 "ATTR{device}==\"0x%04x\", DRIVER!=\"%s\"",
		 f->pci, f->vendor, f->device, driver);
	if (some)
		text_add(t, "%s, IMPORT{builtin}=\"kmod load %s\"\n", match, driver);
	text_add(t, "%s, ATTR{driver_override}=\"%s\", ATTR{driver/unbind}=\"$kernel\"", match,
		 driver);
	if (some)
		text_add(t, ", ATTR{[drivers/pci:%s]bind}=\"$kernel\"", driver);
	text_add(t, "\n");
}

/* A whole file. The look is the content itself: what a crash left half is written again. */
static int save(const struct machine *m, struct txn *t, const char *path, const char *content,
		struct err *e)
{
	char says[160];

	snprintf(says, sizeof(says), "%s /%s", content ? "write" : "remove", path);
	struct step *st = txn_add(t, STEP_SAVE, e, "%s", says);
	int rc = st ? step_put(st->target, e, "%s", path) : -EFBIG;

	if (!rc && content)
		rc = step_put(st->value, e, "%s", content);
	if (rc)
		return rc;
	st->gone = !content;
	st->undo = UNDO_BEFORE;
	return txn_before(t, m, e);
}

static int take_away(const struct machine *m, struct txn *t, const char *path, struct err *e)
{
	return machine_exists(m, path) ? save(m, t, path, NULL, e) : 0;
}

int persist_steps(const struct scene *s, const struct func *f, const char *driver, struct txn *t,
		  struct err *e)
{
	char setting[64], rule[64], text[STEP_VALUE], line[64];
	struct text w;

	snprintf(setting, sizeof(setting), SETTING, f->pci);
	snprintf(rule, sizeof(rule), RULE, f->pci);
	if (!driver[0]) {
		int rc = take_away(s->m, t, setting, e);

		return rc ? rc : take_away(s->m, t, rule, e);
	}
	snprintf(line, sizeof(line), "%s\n", driver);
	int rc = save(s->m, t, setting, line, e);

	/* Two that do the same at the start would take the device from each other. */
	if (rc || has_driverctl(s->m))
		return rc;
	text_init(&w, text, sizeof(text));
	persist_rule(&w, f, driver);
	if (w.cut)
		return err_set(e, -EFBIG, "the rule for %s does not fit", f->pci);
	return save(s->m, t, rule, text, e);
}
