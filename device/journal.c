/* SPDX-License-Identifier: MIT */
#include "device/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define STATE_DIR "var/lib/berth"
#define NEW_FILE  "new"

/* --- the folder --- */

static int make_path(int at, const char *path)
{
	char part[512];

	if (!text_copy(part, sizeof(part), path))
		return -ENAMETOOLONG;
	for (char *p = part; p; p = strchr(p + 1, '/')) {
		if (p == part)
			continue;
		*p = '\0';
		if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdirat(at, part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_folder(const char *path, const struct machine *m, bool change)
{
	int at = m ? m->root_fd : AT_FDCWD;
	int rc = change ? make_path(at, path) : 0;

	if (rc)
		return rc;
	if (m)
		return machine_openat(m, path, O_RDONLY | O_DIRECTORY);
	rc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return rc < 0 ? -errno : rc;
}

int journal_open(struct journal *j, const struct machine *m, bool change, struct err *e)
{
	const char *given = getenv("BERTH_STATE_DIR");
	bool ours = given && *given;
	struct text path;

	*j = (struct journal) { .dir_fd = -1, .lock_fd = -1, .file_fd = -1, .live = m->live };
	text_init(&path, j->path, sizeof(j->path));
	text_add(&path, "%s", ours ? given : m->path);
	if (!ours)
		text_add(&path, "%s" STATE_DIR, j->path[path.len - 1] == '/' ? "" : "/");
	text_add(&path, "/journal");
	if (path.cut)
		return err_set(e, -ENAMETOOLONG, "the path of the journal's folder is too long");
	machine_read(m, "proc/sys/kernel/random/boot_id", j->boot, sizeof(j->boot));
	j->dir_fd = ours ? open_folder(j->path, NULL, change)
			 : open_folder(STATE_DIR "/journal", m, change);
	if (j->dir_fd >= 0)
		return 0;
	int rc = take_fd(&j->dir_fd);

	if (rc == -EACCES || rc == -EPERM)
		return err_set(e, rc, "cannot %s the journal in %s: %s; run it as root",
			       change ? "write" : "read", j->path, strerror(-rc));
	return err_set(e, rc, "cannot %s the journal in %s: %s", change ? "write" : "read", j->path,
		       strerror(-rc));
}

void journal_close(struct journal *j)
{
	own_close_fd(&j->file_fd);
	/* Released by word: a child that hangs has the descriptor, too, and would keep the lock. */
	if (j->lock_fd >= 0)
		flock(j->lock_fd, LOCK_UN);
	own_close_fd(&j->lock_fd);
	own_close_fd(&j->dir_fd);
}

/* --- the lock --- */

static void read_holder(int fd, char holder[160])
{
	ssize_t n = pread(fd, holder, 159, 0);

	holder[n > 0 ? n : 0] = '\0';
	text_clean(text_trim(holder));
}

/* The first words of the lock's file: who has it. One that was killed is gone, but not what it has begun. */
static bool holder_is_dead(const char *holder)
{
	int pid;

	return sscanf(holder, "process %d", &pid) == 1 && pid > 0 && kill(pid, 0) < 0 &&
	       errno == ESRCH;
}

static int say_held(const char *holder, struct err *e)
{
	if (holder_is_dead(holder))
		return err_set(e, -EBUSY,
			       "%s was killed, and the step that it had begun still runs in the "
			       "kernel; try again when that is over",
			       holder);
	return err_set(e, -EBUSY, "%s is changing the machine; try again when it is done",
		       *holder ? holder : "another process");
}

static int wait_for_lock(struct journal *j, int wait_ms, const struct log *log, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	char holder[160];

	for (int waited = 0; flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0; waited += 20) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, -errno, "cannot lock the journal in %s: %s", j->path,
				       strerror(errno));
		read_holder(j->lock_fd, holder);
		if (waited >= wait_ms)
			return say_held(holder, e);
		if (waited == 0)
			log_note(log, "waiting for %s", *holder ? holder : "another process");
		nanosleep(&pause, NULL);
	}
	return 0;
}

int journal_lock(struct journal *j, const char *what, int wait_ms, const struct log *log,
		 struct err *e)
{
	char holder[160];

	/* Nobody else may open it: a lock can be held by whoever can read the file. */
	j->lock_fd = openat(j->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->lock_fd < 0)
		return err_set(e, -errno, "cannot lock the journal in %s: %s%s", j->path,
			       strerror(errno), errno == EACCES ? "; run it as root" : "");
	int rc = wait_for_lock(j, wait_ms, log, e);

	if (rc)
		return rc;
	int n = snprintf(holder, sizeof(holder), "process %d (%s)\n", (int)getpid(), what);

	if ((size_t)n >= sizeof(holder))
		n = (int)sizeof(holder) - 1;
	/* Only for those that wait: when it cannot be written they hear of "another process". */
	if (ftruncate(j->lock_fd, 0) == 0 && pwrite(j->lock_fd, holder, (size_t)n, 0) < 0)
		log_detail(log, "cannot leave a name in the lock of %s", j->path);
	return 0;
}

/* --- writing --- */

static int write_line(int fd, json_t *o)
{
	char *line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (!line)
		return -ENOMEM;
	size_t n = strlen(line);

	line[n] = '\n'; /* in place of the NUL: one write, so that a torn line has no end */
	int rc = io_write(fd, line, n + 1);

	free(line);
	return rc ? rc : fsync(fd) < 0 ? -errno : 0;
}

static int say(const struct journal *j, int rc, struct err *e)
{
	return rc ? err_set(e, rc, "cannot write the journal in %s: %s", j->path, strerror(-rc))
		  : 0;
}

static void put_who(json_t *o)
{
	static const char *const names[] = { "SUDO_UID", "PKEXEC_UID" };
	const char *uid = NULL;
	char who[32];
	uint64_t v;

	for (size_t i = 0; !uid && i < 2; i++)
		uid = getenv(names[i]);
	if (!uid || text_parse_u64(uid, &v))
		v = getuid();
	snprintf(who, sizeof(who), "uid %" PRIu64, v);
	json_put_text(o, "who", who);
}

static void put_when(json_t *o)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_put_text(o, "when", when);
}

static json_t *head_to_json(const struct journal *j, const struct txn *t)
{
	json_t *o = json_answer("berth.journal/1"), *steps = json_array();

	json_put_text(o, "id", t->id);
	json_put_text(o, "verb", t->verb);
	json_put_text(o, "words", t->words);
	json_put_text(o, "device", t->device);
	if (*t->ids) {
		json_put_text(o, "ids", t->ids);
		json_put_text(o, "alike", t->alike);
	}
	if (*t->undoes)
		json_put_text(o, "undoes", t->undoes);
	if (*t->done)
		json_put_text(o, "done", t->done);
	if (*t->whom)
		json_put_text(o, "for", t->whom);
	if (t->keep)
		json_put_bool(o, "keep", true);
	put_when(o);
	put_who(o);
	json_put_text(o, "boot", j->boot);
	for (uint32_t i = 0; i < t->n; i++)
		json_array_append_new(steps, step_to_json(&t->steps[i]));
	json_object_set_new(o, "steps", steps);
	return o;
}

static void file_name(char name[32], const char *id)
{
	snprintf(name, 32, "%.20s.jsonl", id);
}

/* The oldest go; what is not at its end stays. */
static void forget_old(const struct journal *j, const uint32_t *ids, int n)
{
	char id[16], name[32];

	for (int i = 0; i < n - JOURNAL_KEPT; i++) {
		struct entry *en = NULL;
		struct err ignored = { 0 };

		if (journal_read(j, ids[i], &en, &ignored) == 0 && en->o.end != RUN_OPEN) {
			snprintf(id, sizeof(id), "%" PRIu32, ids[i]);
			file_name(name, id);
			unlinkat(j->dir_fd, name, 0);
		}
		entry_free(en);
	}
}

static int check_steps(const struct txn *t, struct err *e)
{
	for (uint32_t i = 0; i < t->n; i++) {
		int rc = step_check(&t->steps[i], e);

		if (rc)
			return rc;
	}
	return 0;
}

int journal_begin(struct journal *j, struct txn *t, struct err *e)
{
	own_free uint32_t *ids = NULL;
	int n = journal_list(j, &ids, e);
	int rc = n < 0 ? n : check_steps(t, e);
	char name[32];

	if (rc)
		return rc;
	if (n && ids[n - 1] == UINT32_MAX)
		return err_set(e, -EOVERFLOW, "the journal in %s is full", j->path);
	snprintf(t->id, sizeof(t->id), "%" PRIu32, n ? ids[n - 1] + 1 : 1);
	file_name(name, t->id);
	own_close_fd(&j->file_fd);
	j->file_fd = openat(j->dir_fd, NEW_FILE,
			    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	rc = j->file_fd < 0 ? -errno : write_line(j->file_fd, head_to_json(j, t));
	if (!rc && (renameat(j->dir_fd, NEW_FILE, j->dir_fd, name) < 0 || fsync(j->dir_fd) < 0))
		rc = -errno;
	if (!rc)
		forget_old(j, ids, n);
	return say(j, rc, e);
}

/* Where the last whole line ends. */
static int cut_torn(int fd)
{
	char buf[512];
	off_t at = lseek(fd, 0, SEEK_END);

	while (at > 0) {
		size_t n = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);

		if (pread(fd, buf, n, at - (off_t)n) != (ssize_t)n)
			return -EIO;
		const char *nl = memrchr(buf, '\n', n);

		if (nl)
			return ftruncate(fd, at - (off_t)n + (nl - buf) + 1) < 0 ? -errno : 0;
		at -= (off_t)n;
	}
	return -EBADMSG;
}

int journal_resume(struct journal *j, const struct txn *t, struct err *e)
{
	char name[32];

	file_name(name, t->id);
	own_close_fd(&j->file_fd);
	j->file_fd = openat(j->dir_fd, name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	return say(j, j->file_fd < 0 ? -errno : cut_torn(j->file_fd), e);
}

int journal_note(struct journal *j, const struct txn *t, const struct event *v, struct err *e)
{
	json_t *o = json_object();
	uint64_t began = 0;

	(void)t;
	json_put_int(o, "step", v->step);
	json_put_text(o, "is", step_state_name(v->state));
	if (v->why)
		json_put_text(o, "why", v->why);
	if (v->state == STATE_DONE && v->of->left_known && text_is_utf8(v->of->left))
		json_object_set_new(o, "left", json_string(v->of->left));
	if (v->pid) {
		telem_start_time(v->pid, &began);
		json_put_int(o, "pid", v->pid);
		json_put_int(o, "began", (int64_t)began);
	}
	return say(j, write_line(j->file_fd, o), e);
}

int journal_end(struct journal *j, const struct txn *t, enum run_end end, const char *why,
		struct err *e)
{
	json_t *o = json_object();

	(void)t;
	json_put_text(o, "end", run_end_name(end));
	if (why)
		json_put_text(o, "why", why);
	return say(j, write_line(j->file_fd, o), e);
}

/* --- reading --- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* "12.jsonl", and no other spelling of it. */
static bool id_of_file(const char *name, uint32_t *id)
{
	char again[32], digits[16];
	uint64_t v;
	size_t n = strspn(name, "0123456789");

	if (!n || n >= sizeof(digits))
		return false;
	memcpy(digits, name, n);
	digits[n] = '\0';
	if (text_parse_u64(digits, &v) || !v || v > UINT32_MAX)
		return false;
	snprintf(again, sizeof(again), "%" PRIu64 ".jsonl", v);
	*id = (uint32_t)v;
	return strcmp(again, name) == 0;
}

int journal_list(const struct journal *j, uint32_t **ids, struct err *e)
{
	own_free uint32_t *list = NULL;
	const struct dirent *de;
	size_t n = 0, room = 0;
	int fd = openat(j->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);

	*ids = NULL;
	if (!d)
		return err_set(e, -errno, "cannot list the journal in %s: %s", j->path,
			       strerror(errno));
	while ((de = readdir(d))) {
		uint32_t id;

		if (!id_of_file(de->d_name, &id) || n >= MACHINE_LIST_MAX)
			continue;
		if (n == room) {
			room = room ? 2 * room : 64;
			uint32_t *more = reallocarray(list, room, sizeof(*list));

			if (!more)
				return err_set(e, -ENOMEM, "out of memory");
			list = more;
		}
		list[n++] = id;
	}
	if (n)
		qsort(list, n, sizeof(*list), by_number);
	*ids = take_ptr(&list);
	return (int)n;
}

static int slurp(int fd, char **bytes, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size > JOURNAL_FILE_MAX)
		return -EFBIG;
	*bytes = malloc((size_t)st.st_size + 1);
	if (!*bytes)
		return -ENOMEM;
	long n = io_read(fd, *bytes, (size_t)st.st_size);

	*size = n < 0 ? 0 : (size_t)n;
	return n < 0 ? (int)n : 0;
}

int journal_read(const struct journal *j, uint32_t id, struct entry **en, struct err *e)
{
	own_free char *bytes = NULL;
	size_t size = 0;
	char name[32], digits[16];

	*en = NULL;
	snprintf(digits, sizeof(digits), "%" PRIu32, id);
	file_name(name, digits);
	own_fd int fd = openat(j->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = fd < 0 ? -errno : slurp(fd, &bytes, &size);

	if (rc == -ENOENT)
		return err_set(e, rc,
			       "there is no transaction %" PRIu32 "; 'berth device journal' "
			       "lists them",
			       id);
	if (rc)
		return err_set(e, rc, "cannot read %s/%s: %s", j->path, name, strerror(-rc));
	rc = entry_parse(bytes, size, en, e);
	if (rc)
		return err_at(e, rc, "%s/%s is not sound", j->path, name);
	if (strcmp((*en)->t.id, digits) != 0) {
		entry_free(*en);
		*en = NULL;
		return err_set(e, -EBADMSG, "%s/%s is not sound: it has another number inside",
			       j->path, name);
	}
	return 0;
}
