/* SPDX-License-Identifier: MIT */
/*
 * The monitor with a clock of its own: stage SCENE DEVICES runs the same screen, keys and all, over a made-up
 * minute in which every second is the same each time, and then stands still.
 *
 *   calm      all is well: devices at work, two runs, a process of somebody else
 *   trouble   one left its bus, one sleeps, one's driver hangs, one is hot; a run crashed and came back,
 *             another is gone, a third waits for its next core
 *   bridge    calm, and a device that works for a virtual machine: accesses, a worker that ended
 *   pulled    the same, but its device is pulled; a second bridge waits, a third was killed
 *   names     names as nobody should give them: two cells wide, broken, full of commands
 *   NAME=DIR  the devices of a machine folder
 *   replay=FILE  the scene `pulled`, recorded to that file and shown again; with STAGE_AT=SECONDS from there on,
 *                where it stands still at once
 *   demo=FILE    the recording that the demo is made of, a minute into it
 *
 * Once the minute is over, and after each key, the title becomes "done N", N keys answered: in band, so that
 * whoever sees it has all that was drawn before.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "base/io.h"
#include "tests/screen/scenes/scenes.h"
#include "tui/demo.h"
#include "tui/watch.h"

#define LAST 60 /* seconds */

struct stage {
	struct scene scene;
	struct film *film; /* of replay and demo */
	struct replay replay;
	struct demo demo;
};

static bool is(const struct stage *st, const char *scene)
{
	size_t n = strlen(scene);

	return !strncmp(st->scene.name, scene, n) && st->scene.name[n] == '=';
}

/* --- the feed --- */

static void make_moment(struct stage *st, struct snapshot *s)
{
	s->report = st->scene.report;
	s->now_ns = (1000 + st->scene.step) * SECOND;
	s->n_runs = s->n_bridges = 0;
	memset(s->devices, 0, sizeof(s->devices));
	snprintf(s->clock, sizeof(s->clock), "12:%02u:%02u", 34 + st->scene.step / 60,
		 st->scene.step % 60);
	if (strchr(st->scene.name, '=') && !is(st, "replay")) {
		s->origin = ORIGIN_CAPTURED;
		return;
	}
	scene_move(&st->scene);
	if (!strcmp(st->scene.name, "trouble")) {
		scene_trouble(&st->scene, s);
		scene_trouble_runs(&st->scene, s);
	} else if (!strcmp(st->scene.name, "names")) {
		scene_odd_names(&st->scene, s);
	} else {
		scene_calm_runs(&st->scene, s);
		if (strcmp(st->scene.name, "calm") != 0)
			scene_bridges(&st->scene, s, strcmp(st->scene.name, "bridge") != 0);
	}
}

static void next(void *ctx, struct snapshot *s)
{
	struct stage *st = ctx;
	bool moves = st->scene.step < LAST;

	st->scene.step += moves;
	/* A second of the made-up minute passes as soon as it is drawn; afterwards time stands still. */
	s->interval_ms = st->scene.step < LAST ? 1 : 1000;
	if (!st->film) {
		make_moment(st, s);
	} else if (is(st, "demo")) {
		demo_show(&st->demo, s, st->scene.step * 1000);
		snprintf(s->clock, sizeof(s->clock), "12:34:%02u", st->scene.step % 60);
	} else if (st->replay.ahead) {
		const struct feed played = replay_feed(&st->replay);

		played.next(played.ctx, s);
	} else {
		st->replay.at_ms += moves && st->scene.step > 1 ? 1000 : 0;
		replay_show(&st->replay, s);
	}
}

static uint32_t wind(void *ctx, int64_t seconds)
{
	struct stage *st = ctx;
	const struct feed played = replay_feed(&st->replay);

	return is(st, "replay") ? played.wind(played.ctx, seconds) : 0;
}

/* --- films --- */

/* A recording says when it was made: at the same time each time. */
static int put_line(void *ctx, const char *line, size_t size)
{
	static const char head[] = "{\"schema\":\"berth.recording/1\",\"t\":1001000,"
				   "\"clock_ms\":1795264441000,\"origin\":\"\"}\n";
	const int *fd = ctx;

	return memmem(line, size, "clock_ms", strlen("clock_ms"))
		       ? io_write(*fd, head, sizeof(head) - 1)
		       : io_write(*fd, line, size);
}

static bool record(struct stage *st, const char *path)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	own_free struct snapshot *s = calloc(1, sizeof(*s));
	struct recorder *r = recorder_new();
	int rc = fd < 0 ? -errno : 0;

	for (st->scene.step = 1; !rc && st->scene.step <= LAST; st->scene.step++) {
		make_moment(st, s);
		rc = recorder_moment(r, s, put_line, &fd);
	}
	st->scene.step = 0;
	recorder_free(r);
	return rc == 0;
}

static bool take_film(struct stage *st)
{
	const char *path = strchr(st->scene.name, '=') + 1, *at = getenv("STAGE_AT");
	struct err e = { 0 };

	if (film_open(&st->film, path, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return false;
	}
	demo_begin(&st->demo, st->film);
	replay_begin(&st->replay, st->film, strrchr(path, '/') + 1, at ? atoi(at) : 0);
	st->scene.step = at ? LAST : 0;
	return true;
}

static void painted(void *ctx, uint64_t keys)
{
	const struct stage *st = ctx;

	if (st->scene.step < LAST)
		return;
	printf("\033]2;done %llu\a", (unsigned long long)keys);
	fflush(stdout);
}

static bool take_folder(struct stage *st, const char *dir)
{
	struct err e = { 0 };
	struct machine m;

	if (machine_open(&m, dir, &e) || probe_collect(&m, NULL, &st->scene.report, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return false;
	}
	machine_close(&m);
	return true;
}

static bool prepare(struct stage *st)
{
	const char *file = strchr(st->scene.name, '=');

	if (is(st, "demo"))
		return take_film(st);
	if (is(st, "replay"))
		return scene_devices(&st->scene) && record(st, file + 1) && take_film(st);
	return file ? take_folder(st, file + 1) : scene_devices(&st->scene);
}

int main(int argc, char **argv)
{
	struct stage st = { .scene = { .name = argc > 1 ? argv[1] : "calm",
				       .n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0 } };
	const struct feed staged = { .next = next, .wind = wind, .painted = painted, .ctx = &st };
	struct tape tape;
	struct feed feed;
	struct prefs prefs;
	struct watching how = {
		.feed = &feed, .prefs = &prefs, .tape = &tape, .term = getenv("TERM")
	};
	struct screen *screen;
	const char *theme = getenv("STAGE_THEME");
	sigset_t set;

	setlocale(LC_CTYPE, "");
	if (!prepare(&st))
		return 1;
	prefs_default(&prefs);
	prefs.price_kwh = 0.3;
	if (theme && prefs_set(&prefs, "theme", theme, NULL))
		return 2;
	tape_begin(&tape, staged, false, &prefs.alarm);
	feed = tape_feed(&tape);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	how.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	how.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen = screen_open(!getenv("NO_COLOR"), (enum theme)prefs.theme);
	if (!screen)
		return 3;
	watch(screen, &how, NULL);
	screen_close(screen);
	probe_free(st.scene.report);
	film_close(st.film);
	return 0;
}
