/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/telem.h"
#include "tests/unit/harness.h"

static int setup(void **state)
{
	char *dir = strdup("/tmp/berth-telem-XXXXXX");

	if (!mkdtemp(dir))
		return -1;
	setenv("BERTH_RUNTIME_DIR", dir, 1);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -rf %s", (char *)*state);
	free(*state);
	return system(line);
}

static void path_of(void **state, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", (char *)*state, name);
}

static void what_is_written_is_read(void **state)
{
	struct telem_writer w;
	struct telem_page page;
	enum telem_life life;
	char path[128];
	struct stat st;

	path_of(state, "a.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~0640, 0);
	telem_begin(&w);
	strcpy(w.page->run.model, "tiny");
	w.page->run.state = TELEM_GENERATING;
	w.page->run.n_devices = 1;
	w.page->run.devices[0].measured.kv = TELEM_UNKNOWN;
	telem_end(&w);
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_ALIVE);
	assert_string_equal(page.run.model, "tiny");
	assert_true(page.run.devices[0].measured.kv == TELEM_UNKNOWN);
	telem_remove(&w);
	assert_int_equal(access(path, F_OK), -1);
}

static void mid_write_is_busy(void **state)
{
	struct telem_writer w;
	struct telem_page page;
	enum telem_life life;
	struct err e = { 0 };
	char path[128];

	path_of(state, "b.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	telem_begin(&w);
	assert_int_equal(telem_read(path, &page, &life, &e), -EBUSY);
	assert_int_equal(life, TELEM_ALIVE);
	telem_end(&w);
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	telem_remove(&w);
}

static void dead_writer_is_seen(void **state)
{
	struct telem_page page;
	enum telem_life life;
	char path[128];
	pid_t pid;

	path_of(state, "c.telem", path);
	pid = fork();
	if (pid == 0) {
		struct telem_writer w;

		_exit(telem_create(&w, path, TELEM_RUN, NULL) ? 1 : 0);
	}
	siginfo_t info;
	int status;

	/* Ended, but not yet waited for: its process is still there, and no writer any more. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_DEAD);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_DEAD);
}

static void another_boot_or_start_is_dead(void **state)
{
	struct telem_writer w;
	struct telem_page page;
	enum telem_life life;
	char path[128];

	path_of(state, "d.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	w.page->header.boot_id[3] ^= 1;
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_DEAD);
	w.page->header.boot_id[3] ^= 1;
	w.page->header.writer_start++;
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_DEAD);
	w.page->header.writer_start--;
	w.page->header.heartbeat_ns -= TELEM_STALE_NS + 1;
	if ((int64_t)w.page->header.heartbeat_ns > 0) { /* a machine just booted has no such past */
		assert_int_equal(telem_read(path, &page, &life, NULL), 0);
		assert_int_equal(life, TELEM_STALE);
	}
	telem_remove(&w);
}

static void garbage_is_refused(void **state)
{
	struct telem_page page, good = { .header = { .magic = TELEM_MAGIC,
						     .version = TELEM_VERSION,
						     .kind = TELEM_RUN,
						     .size = sizeof(good) } };
	enum telem_life life;
	struct err e = { 0 };
	char path[128];

	path_of(state, "e.telem", path);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "not a page", 10), 10);
	assert_int_equal(telem_read(path, &page, &life, &e), -EBADMSG);
	assert_int_equal(ftruncate(fd, sizeof(page)), 0);
	assert_int_equal(telem_read(path, &page, &life, &e), -EBADMSG);
	close(fd);
	page = good;
	assert_int_equal(telem_check(&page, sizeof(page), &e), 0);
	assert_int_equal(telem_check(&page, sizeof(page) - 1, &e), -EBADMSG);
	page.header.version = 9;
	assert_int_equal(telem_check(&page, sizeof(page), &e), -EBADMSG);
	assert_non_null(strstr(e.text, "version 9"));
}

static void hostile_numbers_are_clamped(void **state)
{
	struct telem_page page;

	(void)state;
	memset(&page, 0xff, sizeof(page));
	page.header = (struct telem_header) { .magic = TELEM_MAGIC,
					      .version = TELEM_VERSION,
					      .kind = TELEM_RUN,
					      .size = sizeof(page) };
	assert_int_equal(telem_check(&page, sizeof(page), NULL), 0);
	assert_int_equal(page.run.n_devices, TELEM_DEVICES_MAX);
	assert_int_equal(page.run.state, TELEM_FAILED);
	assert_int_equal(strnlen(page.run.model, sizeof(page.run.model)),
			 sizeof(page.run.model) - 1);
	assert_true(page.run.ring_next < TELEM_RING);
}

/* --- bridges --- */

static void a_bridge_is_read_back(void **state)
{
	struct telem_writer w;
	struct telem_page page;
	enum telem_life life;
	char path[128];
	struct stat st;

	path_of(state, "g.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_BRIDGE, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1296);
	telem_begin(&w);
	strcpy(w.page->bridge.pci, "0000:05:00.0");
	w.page->bridge.state = TELEM_BRIDGE_RUNNING;
	telem_access(&w.page->bridge, TELEM_BAR0, TELEM_READ, 3000);
	telem_access(&w.page->bridge, TELEM_CONFIG, TELEM_POSTED, 100);
	telem_access(&w.page->bridge, TELEM_REGIONS, TELEM_WRITE, 1);
	telem_end(&w);
	assert_int_equal(telem_read(path, &page, &life, NULL), 0);
	assert_int_equal(life, TELEM_ALIVE);
	assert_int_equal(page.header.kind, TELEM_BRIDGE);
	assert_string_equal(page.bridge.pci, "0000:05:00.0");
	assert_int_equal(page.bridge.regions[TELEM_BAR0].reads, 1);
	assert_int_equal(page.bridge.regions[TELEM_CONFIG].writes, 1);
	assert_int_equal(page.bridge.regions[TELEM_CONFIG].posted, 1);
	assert_int_equal(page.bridge.latency[11] + page.bridge.latency[6], 2);
	assert_int_equal(page.bridge.counts.latency_ns, 3100);
	assert_int_equal(page.bridge.counts.latency_max_ns, 3000);
	/* Its bytes are no run's, nor the other way round. */
	w.page->header.kind = TELEM_RUN;
	assert_int_equal(telem_read(path, &page, &life, NULL), -EBADMSG);
	w.page->header.kind = TELEM_BRIDGE;
	w.page->header.size = (uint32_t)telem_size(TELEM_RUN);
	assert_int_equal(telem_read(path, &page, &life, NULL), -EBADMSG);
	w.page->header.size = (uint32_t)telem_size(TELEM_BRIDGE);
	w.page->header.kind = 3;
	assert_int_equal(telem_read(path, &page, &life, NULL), -EBADMSG);
	telem_remove(&w);
}

static void a_hostile_bridge_is_made_safe(void **state)
{
	struct telem_page page;
	const struct telem_bridge *b = &page.bridge;

	(void)state;
	memset(&page, 0xff, sizeof(page));
	page.header = (struct telem_header) { .magic = TELEM_MAGIC,
					      .version = TELEM_VERSION,
					      .kind = TELEM_BRIDGE,
					      .size = (uint32_t)telem_size(TELEM_BRIDGE) };
	assert_int_equal(telem_check(&page, telem_size(TELEM_BRIDGE), NULL), 0);
	assert_int_equal(telem_check(&page, sizeof(page), NULL), -EBADMSG);
	assert_int_equal(b->state, TELEM_BRIDGE_FAILED);
	assert_int_equal(b->mode, TELEM_MODE_UNKNOWN);
	assert_int_equal(b->client_pid, 0);
	assert_int_equal(strnlen(b->socket, sizeof(b->socket)), sizeof(b->socket) - 1);
	assert_int_equal(strnlen(b->trouble, sizeof(b->trouble)), sizeof(b->trouble) - 1);
	/* Counts beyond what 64 bits can add up. */
	assert_true(telem_percentile(b->latency, 0.5) > 0);
	assert_true(telem_percentile(b->latency, 0.99) <= 4294967296.0);
}

static void latencies(void **state)
{
	uint64_t h[TELEM_LATENCY] = { 0 };

	(void)state;
	assert_int_equal(telem_bucket(0), 0);
	assert_int_equal(telem_bucket(1), 0);
	assert_int_equal(telem_bucket(2), 1);
	assert_int_equal(telem_bucket(1023), 9);
	assert_int_equal(telem_bucket(1024), 10);
	assert_int_equal(telem_bucket(UINT64_MAX), TELEM_LATENCY - 1);
	assert_true(telem_percentile(h, 0.5) < 0);
	h[10] = 98; /* 1024 to 2047 ns */
	h[20] = 2;
	assert_float_equal(telem_percentile(h, 0), 1024, 1);
	assert_float_equal(telem_percentile(h, 0.49), 1536, 1);
	assert_float_equal(telem_percentile(h, 0.98), 2048, 1);
	assert_float_equal(telem_percentile(h, 0.99), 1572864, 1);
	assert_float_equal(telem_percentile(h, 1), 2097152, 1);
}

static void rate_over_a_window(void **state)
{
	struct telem_page page = { 0 };
	struct telem_writer w = { .page = &page };
	const uint64_t s = UINT64_C(1000000000);

	(void)state;
	assert_true(telem_rates(&page.run, 10 * s, 2 * s).generated < 0);
	for (uint64_t i = 1; i <= 100; i++) { /* ten tokens a second, a sample each 100 ms */
		page.run.counts.generated_tokens = i;
		page.run.counts.prompt_tokens = 3 * i;
		telem_sample(&w, i * s / 10);
	}
	assert_float_equal(telem_rates(&page.run, 10 * s, 2 * s).generated, 10.0, 0.01);
	assert_float_equal(telem_rates(&page.run, 10 * s, 2 * s).prompt, 30.0, 0.01);
	assert_true(telem_rates(&page.run, 100 * s, 2 * s).generated <
		    0); /* nothing within the window */
	/* The first token took no time of its own: two in a second are one a second. */
	assert_float_equal(telem_mean_rate(2, s), 1.0, 0.01);
	assert_true(telem_mean_rate(1, 5) < 0);
	assert_true(telem_mean_rate(2, 0) < 0);
}

/* A reader beside a busy writer never sees a torn page. */
static atomic_bool stop;

static void *write_pairs(void *arg)
{
	struct telem_writer *w = arg;

	for (uint64_t i = 1; !atomic_load(&stop); i++) {
		telem_begin(w);
		w->page->run.counts.prompt_tokens = i;
		w->page->run.devices[TELEM_DEVICES_MAX - 1].measured.other = i;
		w->page->run.ring[TELEM_RING - 1].generated_tokens = i;
		telem_end(w);
		usleep(20);
	}
	return NULL;
}

static void no_torn_page(void **state)
{
	struct telem_writer w;
	struct telem_page page;
	enum telem_life life;
	char path[128];
	pthread_t thread;
	int good = 0;

	path_of(state, "f.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_pairs, &w), 0);
	for (int i = 0; i < 2000; i++) {
		if (telem_read(path, &page, &life, NULL))
			continue;
		good++;
		assert_int_equal(page.run.counts.prompt_tokens,
				 page.run.devices[TELEM_DEVICES_MAX - 1].measured.other);
		assert_int_equal(page.run.counts.prompt_tokens,
				 page.run.ring[TELEM_RING - 1].generated_tokens);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_true(good > 1000);
	telem_remove(&w);
}

static void lists_pages_only(void **state)
{
	char **paths, path[128];
	struct telem_writer w;

	path_of(state, "z.telem", path);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, NULL), 0);
	int n = telem_list(&paths);

	assert_true(n >= 1);
	bool found = false;

	for (int i = 0; i < n; i++)
		found = found || strcmp(paths[i], path) == 0;
	assert_true(found);
	telem_list_free(paths);
	telem_remove(&w);
	assert_int_equal(telem_dir(path, sizeof(path), NULL), 0);
	assert_string_equal(path, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(mid_write_is_busy),
		cmocka_unit_test(dead_writer_is_seen),
		cmocka_unit_test(another_boot_or_start_is_dead),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(hostile_numbers_are_clamped),
		cmocka_unit_test(a_bridge_is_read_back),
		cmocka_unit_test(a_hostile_bridge_is_made_safe),
		cmocka_unit_test(latencies),
		cmocka_unit_test(rate_over_a_window),
		cmocka_unit_test(no_torn_page),
		cmocka_unit_test(lists_pages_only),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
