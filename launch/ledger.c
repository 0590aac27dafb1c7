/* SPDX-License-Identifier: MIT */
#include "launch/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define FILE_MAX (64 << 10)
#define ENDING   ".caps"

/* --- lines --- */

static struct ledger_cap *entry(struct ledger *l, const char *whom)
{
	for (uint32_t i = 0; whom[0] && i < l->n; i++)
		if (strcmp(l->caps[i].whom, whom) == 0)
			return &l->caps[i];
	return NULL;
}

/* Room for one more: what is paid is of no use any more. NULL: all are owed. */
static struct ledger_cap *room(struct ledger *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!l->caps[i].owed)
			return &l->caps[i];
	return l->n < PLAN_DEVICES_MAX ? &l->caps[l->n++] : NULL;
}

static void take_owe(struct ledger *l, const json_t *o)
{
	struct ledger_cap c = { .owed = true };

	json_get_text(o, "owe", c.whom, sizeof(c.whom));
	json_get_text(o, "pci", c.pci, sizeof(c.pci));
	json_get_text(o, "cap", c.cap, sizeof(c.cap));
	if (!c.whom[0] || !c.pci[0] || entry(l, c.whom))
		return;
	struct ledger_cap *to = room(l);

	if (to)
		*to = c;
}

static void take_line(struct ledger *l, const char *line, size_t n)
{
	json_t *o = json_parse(line, n, "the ledger", NULL);
	char whom[LEDGER_FOR_MAX] = "";
	struct ledger_cap *c;

	if (!o)
		return; /* torn: it was killed as it wrote */
	if (json_object_get(o, "schema"))
		json_get_text(o, "run", l->run, sizeof(l->run));
	take_owe(l, o);
	json_get_text(o, "set", whom, sizeof(whom));
	c = entry(l, whom);
	if (c)
		json_get_text(o, "txn", c->txn, sizeof(c->txn));
	whom[0] = '\0';
	json_get_text(o, "paid", whom, sizeof(whom));
	c = entry(l, whom);
	if (c)
		c->owed = false;
	json_decref(o);
}

void ledger_parse(struct ledger *l, const char *text, size_t n)
{
	l->n = 0;
	l->run[0] = '\0';
	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t line = end ? (size_t)(end - text) : n;

		if (line)
			take_line(l, text, line);
		line += end != NULL;
		text += line;
		n -= line;
	}
}

static int add_line(const struct ledger *l, json_t *o)
{
	own_free char *text = json_dumps(o, JSON_COMPACT);
	own_free char *line = NULL;

	json_decref(o);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		return -ENOMEM;
	return io_write(l->fd, line, strlen(line));
}

static json_t *line_of(const char *key, const char *whom)
{
	json_t *o = json_object();

	json_put_text(o, key, whom);
	return o;
}

/* --- one of our own --- */

/* What nobody else could have put there, and what still is there. */
static bool is_ours(int fd, const char *path)
{
	struct stat st, there;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       lstat(path, &there) == 0 && st.st_ino == there.st_ino && st.st_dev == there.st_dev;
}

/* Before we lock it, somebody who looks for orphans may take it for one, and remove it. */
static int open_new(struct ledger *l, const char *dir, struct err *e)
{
	uint32_t random;

	for (int tries = 0; tries < 16; tries++) {
		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return err_set(e, -EACCES, "no random bytes: %s", strerror(errno));
		snprintf(l->path, sizeof(l->path), "%s/run-%d-%08" PRIx32 ENDING, dir,
			 (int)getpid(), random);
		l->fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			     0640);
		if (l->fd < 0)
			return err_set(e, -EACCES, "%s: %s", l->path, strerror(errno));
		if (flock(l->fd, LOCK_EX) == 0 && is_ours(l->fd, l->path))
			return 0;
		unlink(l->path);
		own_close_fd(&l->fd);
	}
	return err_set(e, -EACCES, "%s cannot be locked", l->path);
}

int ledger_begin(struct ledger *l, const char *run, struct err *e)
{
	char dir[PATH_MAX - 64];
	json_t *o;
	int rc = telem_dir(dir, sizeof(dir), e);

	*l = (struct ledger)LEDGER_NONE;
	if (rc == 0)
		rc = open_new(l, dir, e);
	if (rc)
		return rc;
	text_copy(l->run, sizeof(l->run), run);
	o = json_answer("berth.caps/1");
	json_put_text(o, "run", run);
	json_put_int(o, "pid", getpid());
	rc = add_line(l, o);
	if (rc == 0)
		return 0;
	err_set(e, -EACCES, "%s: %s", l->path, strerror(-rc));
	ledger_end(l);
	return -EACCES;
}

/* What tells this debt from every other, in the journal of the devices, too. */
static int put_whom(struct ledger_cap *c, const struct ledger *l, struct err *e)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(e, -EACCES, "no random bytes: %s", strerror(errno));
	snprintf(c->whom, sizeof(c->whom), "run %.40s %08" PRIx32, l->run, random);
	return 0;
}

struct ledger_cap *ledger_owe(struct ledger *l, const char *pci, const char *cap, struct err *e)
{
	struct ledger_cap c = { .owed = true }, *to;
	json_t *o;
	int rc;

	text_copy(c.pci, sizeof(c.pci), pci);
	text_copy(c.cap, sizeof(c.cap), cap);
	if (ledger_find(l, pci)) {
		err_set(e, -EACCES, "%s is limited already", pci);
		return NULL;
	}
	if (put_whom(&c, l, e))
		return NULL;
	o = line_of("owe", c.whom);
	json_put_text(o, "pci", pci);
	json_put_text(o, "cap", cap);
	rc = add_line(l, o);
	to = rc ? NULL : room(l);
	if (to)
		*to = c;
	else
		err_set(e, -EACCES, "%s: %s", l->path, rc ? strerror(-rc) : "no room");
	return to;
}

void ledger_set(struct ledger *l, struct ledger_cap *c, const char *txn)
{
	json_t *o = line_of("set", c->whom);

	text_copy(c->txn, sizeof(c->txn), txn);
	json_put_text(o, "txn", txn);
	add_line(l, o); /* lost, it is found by `whom` */
}

void ledger_paid(struct ledger *l, struct ledger_cap *c)
{
	c->owed = false;
	add_line(l, line_of("paid", c->whom)); /* lost, it is asked for again, and there is none */
}

struct ledger_cap *ledger_find(struct ledger *l, const char *pci)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->caps[i].owed && strcasecmp(l->caps[i].pci, pci) == 0)
			return &l->caps[i];
	return NULL;
}

void ledger_end(struct ledger *l)
{
	bool owed = false;

	for (uint32_t i = 0; i < l->n; i++)
		owed = owed || l->caps[i].owed;
	if (l->fd >= 0 && !owed)
		unlink(l->path);
	own_close_fd(&l->fd);
}

/* --- those of others --- */

static bool read_file(struct ledger *l)
{
	own_free char *text = malloc(FILE_MAX);
	long n = text ? pread(l->fd, text, FILE_MAX, 0) : -1;

	if (n < 0)
		return false;
	/* What comes next must not be added to a line that was torn; who only reads fails in vain */
	if (n && text[n - 1] != '\n')
		io_write(l->fd, "\n", 1);
	ledger_parse(l, text, (size_t)n);
	return true;
}

/* Open one; with `lock` only if nobody holds it, else only if somebody does. */
static bool take_file(struct ledger *l, const char *dir, const char *name, bool lock)
{
	size_t n = strlen(name), tail = sizeof(ENDING) - 1;
	bool held;

	*l = (struct ledger)LEDGER_NONE;
	if (n <= tail || strcmp(name + n - tail, ENDING) != 0 ||
	    snprintf(l->path, sizeof(l->path), "%s/%s", dir, name) >= (int)sizeof(l->path))
		return false;
	l->fd = open(l->path,
		     (lock ? O_RDWR | O_APPEND : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (l->fd < 0)
		return false;
	held = flock(l->fd, LOCK_EX | LOCK_NB) < 0;
	if (held != lock && (!lock || is_ours(l->fd, l->path)) && read_file(l))
		return true;
	own_close_fd(&l->fd);
	return false;
}

int ledgers_orphaned(struct ledger *list)
{
	char dirs[TELEM_FOLDERS][512];
	int n_dirs = telem_folders(dirs), n = 0;

	for (int i = 0; i < n_dirs; i++) {
		own_dir DIR *d = opendir(dirs[i]);

		for (const struct dirent *de; d && n < LEDGERS_MAX && (de = readdir(d));)
			n += take_file(&list[n], dirs[i], de->d_name, true);
	}
	return n;
}

bool ledgers_limit(const char *pci, const struct ledger *but, char run[64])
{
	own_free struct ledger *l = malloc(sizeof(*l));
	char dirs[TELEM_FOLDERS][512];
	int n_dirs = telem_folders(dirs);
	bool found = false;

	for (int i = 0; l && i < n_dirs; i++) {
		own_dir DIR *d = opendir(dirs[i]);

		for (const struct dirent *de; d && !found && (de = readdir(d));) {
			if (!take_file(l, dirs[i], de->d_name, false))
				continue;
			found = strcmp(l->path, but->path) != 0 && ledger_find(l, pci);
			text_copy(run, 64, l->run);
			own_close_fd(&l->fd);
		}
	}
	return found;
}
