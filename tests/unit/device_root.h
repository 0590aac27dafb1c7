/* SPDX-License-Identifier: MIT */
/* For tests of device/: a root of its own with files in it, and a transaction of all kinds of steps on them. */
#ifndef TESTS_UNIT_DEVICE_ROOT_H
#define TESTS_UNIT_DEVICE_ROOT_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "device/journal.h"
#include "device/recover.h"
#include "device/run.h"
#include "device/undo.h"
#include "tests/unit/harness.h"

/* --- a root with files --- */

struct root {
	char path[64], state[96];
	struct machine m;
	struct log log;
};

static inline void put_file(const struct root *r, const char *path, const char *content)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", r->path, path);
	for (char *p = full + strlen(r->path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	own_file FILE *f = fopen(full, "we");

	assert_non_null(f);
	fputs(content, f);
}

static inline void read_back(const struct root *r, const char *path, char buf[STEP_VALUE])
{
	if (machine_read(&r->m, path, buf, STEP_VALUE) < 0)
		strcpy(buf, "(none)");
}

#define assert_file(r, path, want)                                                                 \
	do {                                                                                       \
		char now_[STEP_VALUE];                                                             \
		read_back(r, path, now_);                                                          \
		assert_string_equal(now_, want);                                                   \
	} while (0)

static inline void root_make(struct root *r)
{
	struct err e = { 0 };

	strcpy(r->path, "/tmp/berth-device-XXXXXX");
	assert_non_null(mkdtemp(r->path));
	put_file(r, "sys/a", "one\n");
	put_file(r, "sys/b", "two\n");
	put_file(r, "sys/c", "(null)\n");
	put_file(r, "etc/udev/there.rules", "old content\n");
	put_file(r, "proc/sys/kernel/random/boot_id", "11111111-2222\n");
	snprintf(r->state, sizeof(r->state), "%s/state", r->path);
	setenv("BERTH_STATE_DIR", r->state, 1);
	assert_int_equal(machine_open(&r->m, r->path, &e), 0);
	r->m.live = true;
	log_init(&r->log, "test", 1, 0);
}

static inline void root_remove(struct root *r)
{
	char command[128];

	machine_close(&r->m);
	snprintf(command, sizeof(command), "rm -rf '%s'", r->path);
	assert_int_equal(system(command), 0);
}

/* All but the journal: paths and contents, one after another. */
static inline void add_tree(struct text *t, const char *dir, const char *name)
{
	char path[512];
	struct dirent **list;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int n = scandir(path, &list, NULL, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		const char *d = list[i]->d_name;
		char child[800], content[STEP_VALUE];

		snprintf(child, sizeof(child), "%s/%s", path, d);
		if (strcmp(d, ".") != 0 && strcmp(d, "..") != 0 && strcmp(d, "state") != 0) {
			int fd = open(child, O_RDONLY);
			ssize_t got = read(fd, content, sizeof(content) - 1);

			content[got > 0 ? got : 0] = '\0';
			close(fd);
			text_add(t, "%s=%s;", child, content);
			if (list[i]->d_type == DT_DIR)
				add_tree(t, path, d);
		}
		free(list[i]);
	}
	free(list);
}

static inline char *tree_of(const struct root *r)
{
	char *buf = malloc(65536);
	struct text t;

	text_init(&t, buf, 65536);
	add_tree(&t, r->path, "");
	assert_false(t.cut);
	return buf;
}

/* --- a transaction of all kinds of steps --- */

static inline void add_write(struct txn *t, const struct machine *m, const char *target,
			     const char *value)
{
	struct err e = { 0 };
	struct step *s = txn_add(t, STEP_WRITE, &e, "write %s to %s", value, target);

	assert_non_null(s);
	assert_int_equal(step_put(s->target, &e, "%s", target), 0);
	assert_int_equal(step_put(s->value, &e, "%s", value), 0);
	assert_int_equal(txn_before(t, m, &e), 0);
	assert_true(s->known);
	assert_int_equal(look_set(&s->after, LOOK_TEXT, value, &e, "%s", target), 0);
	s->undo = UNDO_BEFORE;
}

static inline void add_save(struct txn *t, const struct machine *m, const char *target,
			    const char *value)
{
	struct err e = { 0 };
	struct step *s = txn_add(t, STEP_SAVE, &e, "%s %s", value ? "write" : "remove", target);

	assert_non_null(s);
	assert_int_equal(step_put(s->target, &e, "%s", target), 0);
	assert_int_equal(step_put(s->value, &e, "%s", value ? value : ""), 0);
	s->gone = !value;
	assert_int_equal(txn_before(t, m, &e), 0);
	s->undo = UNDO_BEFORE;
}

static inline void make_txn(struct txn *t, const struct machine *m)
{
	assert_int_equal(txn_open(t, "bind"), 0);
	text_copy(t->words, sizeof(t->words), "0000:01:00.0 vfio-pci");
	text_copy(t->device, sizeof(t->device), "0000:01:00.0");
	add_write(t, m, "sys/a", "uno");
	add_save(t, m, "etc/new/deep/x.rules", "first line\nsecond line\n");
	add_write(t, m, "sys/c", "vfio-pci");
	add_save(t, m, "etc/udev/there.rules", "new content\n");
	add_write(t, m, "sys/a", "eins");
	add_save(t, m, "etc/udev/there.rules", NULL);
	add_write(t, m, "sys/b", "dos");
}

static inline void assert_all_done(const struct root *r)
{
	assert_file(r, "sys/a", "eins");
	assert_file(r, "sys/b", "dos");
	assert_file(r, "sys/c", "vfio-pci");
	assert_file(r, "etc/new/deep/x.rules", "first line\nsecond line");
	assert_file(r, "etc/udev/there.rules", "(none)");
}

/* Files of ours take a newline from sysfs writes; the kernel's would not keep one. Compare them without. */
static inline void assert_same_tree(const struct root *r, const char *before)
{
	char *now = tree_of(r), *a = strdup(before);

	for (char *p = now; (p = strstr(p, "\n;"));)
		memmove(p, p + 1, strlen(p));
	for (char *p = a; (p = strstr(p, "\n;"));)
		memmove(p, p + 1, strlen(p));
	for (char *p = a;
	     (p = strstr(p, "(null)"));) /* written back, an unset text is an empty one */
		memmove(p, p + 6, strlen(p + 5));
	for (char *p = now; (p = strstr(p, "(null)"));)
		memmove(p, p + 6, strlen(p + 5));
	assert_string_equal(now, a);
	free(now);
	free(a);
}

static inline struct entry *last_entry(const struct journal *j)
{
	struct err e = { 0 };
	struct entry *en = NULL;
	uint32_t *ids;
	int n = journal_list(j, &ids, &e);

	if (n > 0 && journal_read(j, ids[n - 1], &en, &e))
		fail_msg("%s", e.text);
	free(ids);
	return en;
}

/* As a call of `berth device` does it: lock, bring to an end, decide, do. */
struct call {
	struct journal j;
	struct hand h;
	struct runner r;
	struct hangs hangs;
	struct outcome o;
};

static inline void begin(struct call *c, const struct root *r)
{
	struct err e = { 0 };

	if (journal_open(&c->j, &r->m, true, &e) || journal_lock(&c->j, "test", 10000, &r->log, &e))
		fail_msg("%s", e.text);
	hand_live(&c->h, &r->m, agents);
	c->r = (struct runner) { .hand = &c->h, .journal = &c->j, .log = &r->log };
	recover_all(&c->r, &c->hangs);
}

static inline int carry_out(const struct root *r, struct err *e)
{
	struct call *c = calloc(1, sizeof(*c));
	own_txn struct txn t;

	begin(c, r);
	make_txn(&t, &r->m);
	int rc = txn_run(&c->r, &t, &c->o, e);

	journal_close(&c->j);
	free(c);
	return rc;
}

/* Take the last one back. */
static inline int undo_last(const struct root *r, struct err *e)
{
	struct call *c = calloc(1, sizeof(*c));
	own_txn struct txn t;

	begin(c, r);
	struct entry *en = last_entry(&c->j);

	assert_non_null(en);
	assert_int_equal(txn_open(&t, "undo"), 0);
	int rc = undo_make(en, false, false, &t, e);

	if (!rc)
		rc = txn_run(&c->r, &t, &c->o, e);
	entry_free(en);
	journal_close(&c->j);
	free(c);
	return rc;
}

#endif
