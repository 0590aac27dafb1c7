/* SPDX-License-Identifier: MIT */
/* The flight recorder on disk, and looking at any moment of a recording. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "tests/unit/moment.h"
#include "tui/film.h"
#include "tui/flight.h"
#include "tui/tape.h"

static char home[] = "/tmp/berth-flight.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(home) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", home);
	return system(cmd);
}

static void in_home(char path[512], const char *name)
{
	snprintf(path, 512, "%s/%s", home, name);
}

/* `n` devices at second `s`, each with `s` megabytes in use. */
static void set(struct snapshot *snap, struct report *r, uint32_t n, uint64_t s)
{
	r->n_gpus = n;
	for (uint32_t i = 0; i < n; i++) {
		struct gpu *g = moment_card(r, i);

		g->vram_used = fact_of((int64_t)s << 20, SRC_SYSFS);
	}
	snap->report = r;
	snap->now_ns = (1000 + s) * SECOND;
}

static off_t bytes_below(const char *dir, int *pieces)
{
	own_dir DIR *d = opendir(dir);
	off_t sum = 0;

	assert_non_null(d);
	*pieces = 0;
	for (const struct dirent *de; (de = readdir(d));) {
		struct stat st;

		if (!strstr(de->d_name, ".part"))
			continue;
		assert_int_equal(fstatat(dirfd(d), de->d_name, &st, 0), 0);
		sum += st.st_size;
		++*pieces;
	}
	return sum;
}

static void seconds_of(const char *path, uint64_t first, uint64_t last)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct film *f;
	struct err e = { 0 };

	assert_int_equal(film_open(&f, path, &e), 0);
	assert_int_equal(film_first_ms(f), (1000 + first) * 1000);
	assert_int_equal(film_last_ms(f), (1000 + last) * 1000);
	/* Forwards, backwards and all over. */
	for (uint64_t i = 0, at = first; i < 400;
	     i++, at = first + at * 7919 % (last - first + 1)) {
		film_show(f, (1000 + at) * 1000, s);
		assert_true(s->report->n_gpus > 0);
		assert_int_equal(s->report->gpus[0].vram_used.v >> 20, at);
	}
	film_show(f, 0, s);
	assert_int_equal(s->report->gpus[0].vram_used.v >> 20, first);
	film_show(f, UINT64_MAX, s);
	assert_int_equal(s->report->gpus[0].vram_used.v >> 20, last);
	assert_int_equal(film_garbled(f), 0);
	film_close(f);
	free(s);
}

static void any_moment_can_be_seen(void **state)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *r = calloc(1, sizeof(*r));
	char dir[512], path[512];
	struct flight *f;
	struct err e = { 0 };

	(void)state;
	in_home(dir, "seconds");
	in_home(path, "seconds.berthrec");
	assert_int_equal(flight_open(&f, dir, &e), 0);
	for (uint64_t s = 0; s < 500; s++) {
		set(snap, r, 1 + (uint32_t)(s / 100), s);
		assert_int_equal(flight_moment(f, snap), 0);
	}
	assert_int_equal(flight_save(dir, path, &e), 0);
	assert_int_equal(flight_save(dir, path, &e), -EEXIST);
	flight_close(f);
	seconds_of(path, 0, 499);

	/* Another process goes on where the first one ended. */
	assert_int_equal(flight_open(&f, dir, &e), 0);
	for (uint64_t s = 500; s < 600; s++) {
		set(snap, r, 1, s);
		assert_int_equal(flight_moment(f, snap), 0);
	}
	flight_close(f);
	in_home(path, "both.berthrec");
	assert_int_equal(flight_save(dir, path, &e), 0);
	seconds_of(path, 0, 599);
	free(snap);
	free(r);
}

static int to_file(void *ctx, const char *line, size_t size)
{
	return fwrite(line, 1, size, ctx) == size ? 0 : -EIO;
}

/* A boot of `n` seconds, which ran for `up` seconds before; a run began with it. */
static void record_boot(const char *path, uint64_t up, uint64_t n, uint64_t megabytes)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *r = calloc(1, sizeof(*r));
	struct recorder *rec = recorder_new();
	FILE *to = fopen(path, "a");

	assert_non_null(to);
	snap->n_runs = 1;
	moment_run(&snap->runs[0], "a.telem", "model")->page.run.started_ns = up * SECOND;
	for (uint64_t s = 0; s < n; s++) {
		set(snap, r, 1, megabytes + s);
		snap->now_ns = (up + s) * SECOND;
		assert_int_equal(recorder_moment(rec, snap, to_file, to), 0);
	}
	fclose(to);
	recorder_free(rec);
	free(snap);
	free(r);
}

/* Wherever one comes from: what it shows, and that time goes on from the first boot to the last. */
static void at_second(struct film *f, uint64_t s)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	const uint64_t first = 5000, began = s < 100 ? 0 : s < 300 ? 100 : 300;

	film_show(f, (first + s) * 1000 + 999, snap);
	assert_int_equal(snap->report->gpus[0].vram_used.v >> 20, s < 300 ? s : s + 700);
	assert_int_equal(snap->now_ns / 1000000000, first + s);
	assert_int_equal(snap->runs[0].page.run.started_ns / 1000000000, first + began);
	free(snap);
}

static void boots_that_follow_each_other_are_one_film(void **state)
{
	struct film *f;
	char path[512];
	struct err e = { 0 };

	(void)state;
	in_home(path, "boots.berthrec");
	record_boot(path, 5000, 100, 0);
	record_boot(path, 20, 200, 100);
	record_boot(path, 20, 100, 1000);
	assert_int_equal(film_open(&f, path, &e), 0);
	assert_int_equal(film_first_ms(f), 5000 * 1000);
	assert_int_equal(film_last_ms(f), 5399 * 1000);
	for (uint64_t s = 0; s < 400; s++)
		at_second(f, s);
	for (uint64_t s = 400; s-- > 0;)
		at_second(f, s);
	for (uint64_t s = 0; s < 400; s++)
		at_second(f, s * 181 % 400);
	assert_int_equal(film_garbled(f), 0);
	film_close(f);
}

/* It never takes more than it may, and what is left is whole. */
static void the_oldest_goes(void **state)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct report *r = calloc(1, sizeof(*r));
	char dir[512], path[512];
	struct flight *f;
	struct film *film;
	struct err e = { 0 };
	int pieces;

	(void)state;
	in_home(dir, "full");
	in_home(path, "full.berthrec");
	assert_int_equal(flight_open(&f, dir, &e), 0);
	/* Devices that come and go are told anew each time. */
	for (uint64_t s = 0; s < 500; s++) {
		set(snap, r, s % 2 ? PROBE_GPUS_MAX : 1, s);
		assert_int_equal(flight_moment(f, snap), 0);
	}
	assert_true(bytes_below(dir, &pieces) <= FLIGHT_BYTES);
	assert_int_equal(pieces, FLIGHT_PIECES);
	assert_int_equal(flight_save(dir, path, &e), 0);
	assert_int_equal(film_open(&film, path, &e), 0);
	uint64_t first = film_first_ms(film) / 1000 - 1000;

	assert_true(first > 0 && first < 499);
	film_close(film);
	seconds_of(path, first, 499);
	flight_close(f);
	free(snap);
	free(r);
}

static void one_writes(void **state)
{
	char dir[512];
	struct flight *f, *other;
	struct err e = { 0 };
	int status;

	(void)state;
	in_home(dir, "one");
	assert_int_equal(flight_open(&f, dir, &e), 0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(flight_open(&other, dir, &e) == -EBUSY ? 0 : 1);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	flight_close(f);
	assert_int_equal(flight_open(&f, dir, &e), 0);
	flight_close(f);
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void what_is_no_recording_is_refused(void **state)
{
	static const char header[] = "{\"schema\":\"berth.recording/1\",\"t\":1,\"clock_ms\":5}\n";
	char path[512], cut[600];
	struct film *f;
	struct err e = { 0 };

	(void)state;
	in_home(path, "no");
	assert_int_equal(film_open(&f, path, &e), -ENOENT);
	assert_int_equal(film_open(&f, home, &e), -EBADMSG);
	for (const char *const *text =
		     (const char *const[]) { "", "\n", "GGUF", "{}\n", header, NULL };
	     *text; text++) {
		put_file(path, *text);
		assert_int_equal(film_open(&f, path, &e), -EBADMSG);
	}
	/* A last line without an end is nobody's; garbage in between is passed over. */
	snprintf(
		cut, sizeof(cut), "%s%s%s", header,
		"{\"t\":1000,\"f\":\"index\"}\ngarbage\n{\"t\":1000,\"f\":\"machine\",\"full\":{}}\n",
		"{\"t\":2000,\"f\":\"machine\"");
	put_file(path, cut);
	assert_int_equal(film_open(&f, path, &e), 0);
	struct snapshot *s = calloc(1, sizeof(*s));

	film_show(f, 5000, s);
	assert_int_equal(film_last_ms(f), 1000);
	assert_int_equal(film_garbled(f), 1);
	assert_non_null(s->report);
	film_close(f);
	free(s);
}

/* Wound, it shows up to a minute before that place first. */
static void wind(const struct feed *feed, int64_t seconds, uint64_t ahead, struct snapshot *s)
{
	uint32_t n = feed->wind(feed->ctx, seconds);
	uint64_t first;

	assert_int_equal(n, ahead);
	feed->next(feed->ctx, s);
	first = s->now_ns;
	for (uint32_t i = 0; i < n; i++)
		feed->next(feed->ctx, s);
	assert_int_equal((s->now_ns - first) / 1000000000, ahead);
}

static void a_film_is_wound(void **state)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	char path[512];
	struct replay r;
	struct film *f;
	struct err e = { 0 };

	(void)state;
	in_home(path, "seconds.berthrec"); /* of the first test */
	assert_int_equal(film_open(&f, path, &e), 0);
	replay_begin(&r, f, "x.berthrec", 100);
	struct feed feed = replay_feed(&r);

	s->interval_ms = 1000;
	feed.next(feed.ctx, s);
	assert_int_equal(s->origin, ORIGIN_REPLAY);
	assert_string_equal(s->origin_name, "x.berthrec, 1:40 of 8:19");
	wind(&feed, -60, 40, s);
	assert_int_equal(s->now_ns / 1000000000, 1040);
	wind(&feed, -600, 0, s);
	assert_int_equal(s->now_ns / 1000000000, 1000);
	wind(&feed, 6000, 60, s);
	assert_int_equal(s->now_ns / 1000000000, 1499);
	film_close(f);
	free(s);
}

/* A feed of one second after the other; the device is lost every 700 seconds, for one. */
struct staged {
	struct report *r;
	uint64_t s;
};

static void staged_next(void *ctx, struct snapshot *snap)
{
	struct staged *st = ctx;

	set(snap, st->r, 1, st->s);
	snap->devices[0].lost = st->s % 700 == 699;
	st->s++;
}

static int count_files(const char *dir, const char *prefix)
{
	own_dir DIR *d = opendir(dir);
	int n = 0;

	for (const struct dirent *de; d && (de = readdir(d));)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	return n;
}

/* Wait for its next word; what follows those words. */
static const char *hear(struct tape *t, enum severity severity, const char *begins)
{
	static struct word w;

	while (!tape_word(t, &w)) {
		assert_true(tape_is_busy(t));
		usleep(1000);
	}
	assert_int_equal(w.severity, severity);
	assert_memory_equal(w.text, begins, strlen(begins));
	return w.text + strlen(begins);
}

static void what_came_before_an_alarm_is_saved(void **state)
{
	struct staged st = { .r = calloc(1, sizeof(*st.r)) };
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct tape *t = calloc(2, sizeof(*t));
	char dir[512], file[512];
	struct word word;
	struct err e = { 0 };

	(void)state;
	setenv("BERTH_RUNTIME_DIR", home, 1);
	setenv("XDG_STATE_HOME", home, 1);
	in_home(dir, "berth");
	in_home(file, "file.berthrec");
	tape_begin(&t[0], (struct feed) { .next = staged_next, .ctx = &st }, true,
		   &thresholds_default);
	tape_begin(&t[1], (struct feed) { .next = staged_next, .ctx = &st }, true,
		   &thresholds_default);
	assert_int_equal(tape_file(&t[0], file, &e), 0);
	assert_int_equal(tape_file(&t[1], file, &e), -EEXIST);
	struct feed feed = tape_feed(&t[0]), other = tape_feed(&t[1]);

	assert_null(feed.wind);
	for (int i = 0; i < 699; i++)
		feed.next(feed.ctx, snap);
	assert_false(tape_word(&t[0], &word));
	feed.next(feed.ctx, snap);
	const char *saved = hear(&t[0], SEVERITY_INFO, "What came before the alarm is saved in ");

	assert_int_equal(count_files(dir, "alarm-"), 1);
	seconds_of(saved, 0, 699);

	/* Who comes second keeps no flight recorder, and takes over when the first has ended. */
	other.next(other.ctx, snap);
	assert_null(t[1].flight);
	assert_int_equal(tape_save(&t[1], &e), 0);
	assert_int_equal(tape_save(&t[1], &e), -EBUSY);
	saved = hear(&t[1], SEVERITY_INFO, "Saved: berth top --replay ");
	seconds_of(saved, 0, 699);
	/* A second later, or in the same one: another file. */
	assert_int_equal(tape_save(&t[1], &e), 0);
	assert_int_equal(tape_end(&t[0], &word, &e), 0);
	assert_string_equal(word.text, "");
	for (int i = 0; i < TAPE_TRY_MS / 1000; i++)
		other.next(other.ctx, snap);
	assert_non_null(t[1].flight);
	assert_int_equal(tape_end(&t[1], &word, &e), 0);
	assert_non_null(strstr(word.text, "Saved: berth top --replay "));
	assert_int_equal(count_files(dir, "2"), 2);
	free(st.r);
	free(snap);
	free(t);

	struct film *f;

	assert_int_equal(film_open(&f, file, &e), 0);
	assert_int_equal(film_last_ms(f) - film_first_ms(f), 699000);
	film_close(f);
}

/* Nothing waits for the disk, and who watches hears of it. */
static void what_cannot_be_written_is_told_once(void **state)
{
	struct staged st = { .r = calloc(1, sizeof(*st.r)) };
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct tape *t = calloc(1, sizeof(*t));
	struct word word;
	char path[512];
	struct err e = { 0 };

	(void)state;
	in_home(path, "kept-none");
	setenv("BERTH_RUNTIME_DIR", path, 1);
	tape_begin(t, (struct feed) { .next = staged_next, .ctx = &st }, true, &thresholds_default);
	assert_int_equal(tape_save(t, &e), 0);
	assert_non_null(strstr(hear(t, SEVERITY_WARN, "Not saved: "), "nothing was recorded"));
	assert_int_equal(tape_file(t, "/dev/full", &e), -EEXIST);
	t->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	t->recorder = recorder_new();
	struct feed feed = tape_feed(t);

	feed.next(feed.ctx, snap);
	hear(t, SEVERITY_WARN, "The recording broke off: No space left on device");
	for (int i = 0; i < 5; i++) {
		feed.next(feed.ctx, snap);
		assert_false(tape_word(t, &word));
	}
	assert_int_equal(tape_end(t, &word, &e), -ENOSPC);
	setenv("BERTH_RUNTIME_DIR", home, 1);
	free(st.r);
	free(snap);
	free(t);
}

/* However often it happens, the disk does not fill. */
static void alarms_are_kept_to_a_number(void **state)
{
	char dir[512], path[600];

	(void)state;
	in_home(dir, "berth");
	/* Its name is that of a second, which may be this one. */
	snprintf(path, sizeof(path), "rm -f %s/alarm-2*", dir);
	assert_int_equal(system(path), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/alarm-1999-01-%02d.berthrec", dir, i + 1);
		put_file(path, "old");
	}
	int before = count_files(dir, "alarm-");
	struct staged st = { .r = calloc(1, sizeof(*st.r)), .s = 600 };
	struct snapshot *snap = calloc(1, sizeof(*snap));
	struct tape *t = calloc(1, sizeof(*t));
	struct word word;

	tape_begin(t, (struct feed) { .next = staged_next, .ctx = &st }, true, &thresholds_default);
	struct feed feed = tape_feed(t);

	for (int i = 0; i < 100; i++)
		feed.next(feed.ctx, snap);
	hear(t, SEVERITY_INFO, "What came before");
	tape_end(t, &word, NULL);
	assert_int_equal(count_files(dir, "alarm-"), before); /* one came, the oldest went */
	in_home(path, "berth/alarm-1999-01-01.berthrec");
	assert_int_equal(access(path, F_OK), -1);
	free(st.r);
	free(snap);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_moment_can_be_seen),
		cmocka_unit_test(boots_that_follow_each_other_are_one_film),
		cmocka_unit_test(the_oldest_goes),
		cmocka_unit_test(one_writes),
		cmocka_unit_test(what_is_no_recording_is_refused),
		cmocka_unit_test(a_film_is_wound),
		cmocka_unit_test(what_came_before_an_alarm_is_saved),
		cmocka_unit_test(alarms_are_kept_to_a_number),
		cmocka_unit_test(what_cannot_be_written_is_told_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
