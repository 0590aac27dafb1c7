/* SPDX-License-Identifier: MIT */
/* The flight recorder: what is written is read, by any number of writers, whoever of them is killed where. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/device.h"
#include "bar-forward/heat.h"
#include "bar-forward/trace.h"
#include "bar-forward/tracefilter.h"
#include "bar-forward/traceread.h"
#include "bar-forward/traceshow.h"
#include "base/telem.h"
#include "tests/unit/harness.h"

#define SLOTS(n) (TRACE_HEAD_BYTES + (uint64_t)(n) * sizeof(struct trace_slot))

static char folder[] = "/tmp/berth-trace-XXXXXX";
static char path[64];
static struct trace_record rec;

static const struct trace_about about = { .device = "a\033device", .now_ns = 1000 };

static struct trace created(uint64_t slots)
{
	struct trace t;
	struct err e = { 0 };

	if (trace_create(&t, path, SLOTS(slots), &about, &e))
		fail_msg("%s", e.text);
	return t;
}

static struct trace_reader *opened(void)
{
	struct trace_reader *r = NULL;
	struct err e = { 0 };

	if (trace_reader_open(&r, path, &e))
		fail_msg("%s", e.text);
	return r;
}

static void put(struct trace *t, uint64_t n)
{
	trace_put(t, &(struct trace_slot) { .kind = TRACE_WRITE,
					    .width = 8,
					    .offset = 8 * n,
					    .value = ~n,
					    .ns = 1000 + n });
}

static void test_what_is_written_is_read(void **state)
{
	struct trace t = created(100);
	uint8_t bytes[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	trace_bytes(&t,
		    &(struct trace_slot) { .kind = TRACE_READ,
					   .region = 7,
					   .offset = 4,
					   .flags = TRACE_LOGGED,
					   .took = trace_took(UINT64_MAX),
					   .ns = 1002 },
		    bytes, 4);
	for (uint32_t n = 9; n <= 700; n += 691) {
		trace_bytes(&t,
			    &(struct trace_slot) { .kind = TRACE_READ, .region = 6, .ns = 1003 },
			    bytes, n);
	}
	trace_event(&t, TRACE_CLIENT, 1004, 4711);

	struct trace_reader *r = opened();

	assert_string_equal(r->head.device, "a?device");
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.s.value, 0x150e0700);
	assert_int_equal(rec.s.width, 4);
	assert_int_equal(rec.s.took, UINT32_MAX);
	assert_int_equal(rec.s.flags, TRACE_LOGGED);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.held, 9);
	assert_memory_equal(rec.bytes, bytes, 9);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.count, 700);
	assert_int_equal(rec.held, 700);
	assert_memory_equal(rec.bytes, bytes, 700);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.s.kind, TRACE_CLIENT);
	assert_int_equal(rec.s.value, 4711);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 0);
	/* It goes on. */
	put(&t, 1);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 0);
	assert_int_equal(trace_reader_look(r, NULL), 0);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.s.value, ~(uint64_t)1);
	trace_reader_close(r);
	/* More than a quarter of the ring is not kept. */
	trace_bytes(&t, &(struct trace_slot) { .kind = TRACE_READ, .ns = 1005 }, bytes, 1000);
	r = opened();
	while (trace_reader_next(r, &rec, NULL) == 1)
		;
	assert_int_equal(rec.count, 1000);
	assert_int_equal(rec.held, 0);
	assert_true(rec.s.flags & TRACE_CUT);
	trace_reader_close(r);
	trace_close(&t);
}

static void test_the_ring_turns(void **state)
{
	struct trace t = created(64);
	uint64_t bytes, lost, want = 1000 - 64;

	(void)state;
	for (uint64_t n = 0; n < 1000; n++)
		put(&t, n);

	struct trace_reader *r = opened();

	while (trace_reader_next(r, &rec, NULL) == 1) {
		assert_int_equal(rec.s.value, ~want);
		assert_int_equal(rec.ticket, want);
		want++;
	}
	assert_int_equal(want, 1000);
	assert_int_equal(r->skipped, 0);
	assert_int_equal(trace_reader_seek(r, 1000 + 970, NULL), 0);
	assert_int_equal(trace_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.s.ns, 1970);
	assert_int_equal(trace_reader_end(r), 1999);
	trace_counts(&t, &bytes, &lost);
	assert_int_equal(bytes, 48000);
	assert_int_equal(lost, 0);
	trace_reader_close(r);
	trace_close(&t);
}

/* A process died between its two words: nobody takes its slot, neither who reads nor who writes. */
static void test_a_slot_of_the_dead(void **state)
{
	struct trace t = created(64);
	uint64_t n = 0, seen = 0;

	(void)state;
	for (; n < 10; n++)
		put(&t, n);
	t.slot[10].word = 2 * 10 + 1;
	t.slot[10].kind = TRACE_WRITE;
	t.head->next = 11;
	for (; n < 20; n++)
		put(&t, n);

	struct trace_reader *r = opened();

	while (trace_reader_next(r, &rec, NULL) == 1)
		assert_int_equal(rec.s.value, ~seen++);
	assert_int_equal(seen, 20);
	assert_int_equal(r->skipped, 1);
	trace_reader_close(r);
	/* Round after round it is passed over, and nothing is lost by it. */
	for (; n < 500; n++)
		put(&t, n);
	assert_int_equal(t.slot[10].word, 21);
	assert_int_equal(t.head->lost, 0);
	r = opened();
	while (trace_reader_next(r, &rec, NULL) == 1)
		seen = ~rec.s.value;
	assert_int_equal(seen, 499);
	trace_reader_close(r);
	trace_close(&t);
}

static uint64_t mixed(uint64_t n)
{
	n *= UINT64_C(0x9e3779b97f4a7c15);
	return n ^ n >> 29;
}

static void record_for_ever(struct trace *t, uint64_t who)
{
	for (uint64_t n = 1;; n++) {
		uint64_t key = who << 40 | n;

		trace_put(t, &(struct trace_slot) { .kind = TRACE_WRITE,
						    .width = 8,
						    .ns = key,
						    .offset = mixed(key),
						    .value = mixed(key + 1),
						    .extra = mixed(key + 2),
						    .took = (uint32_t)mixed(key + 3) });
	}
}

static pid_t begin_writer(struct trace *t, uint64_t who)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		record_for_ever(t, who);
	return pid;
}

static void check_whole(const struct trace_slot *s)
{
	assert_int_equal(s->offset, mixed(s->ns));
	assert_int_equal(s->value, mixed(s->ns + 1));
	assert_int_equal(s->extra, mixed(s->ns + 2));
	assert_int_equal(s->took, (uint32_t)mixed(s->ns + 3));
}

/* Three write as fast as they can and are killed wherever they are, again and again; what is read meanwhile is whole. */
static void test_killed_writers_leave_whole_records(void **state)
{
	struct trace t = created(4096);
	struct trace_reader *r = opened();
	pid_t pid[3];
	uint64_t who = 0, read_all = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		pid[i] = begin_writer(&t, ++who);
	for (int kills = 0; kills < 60; kills++) {
		uint64_t until = read_all + 2000;

		while (read_all < until) {
			assert_int_equal(trace_reader_look(r, NULL), 0);
			for (int n = 0; n < 1000 && trace_reader_next(r, &rec, NULL) == 1; n++) {
				check_whole(&rec.s);
				read_all++;
			}
		}
		kill(pid[kills % 3], SIGKILL);
		assert_int_equal(waitpid(pid[kills % 3], NULL, 0), pid[kills % 3]);
		pid[kills % 3] = begin_writer(&t, ++who);
	}
	for (int i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	trace_reader_close(r);
	/* And what is left in the end, too: a dead process costs one slot at most. */
	r = opened();
	read_all = 0;
	while (trace_reader_next(r, &rec, NULL) == 1) {
		check_whole(&rec.s);
		read_all++;
	}
	assert_true(read_all + 63 >= 4096);
	trace_reader_close(r);
	trace_close(&t);
}

static void test_a_recording_that_cannot_be(void **state)
{
	struct rlimit was, little = { 8192, RLIM_INFINITY };
	struct err e = { 0 };
	struct trace t;

	(void)state;
	assert_int_equal(trace_create(&t, path, 100, &about, &e), -EINVAL);
	assert_int_equal(trace_create(&t, "/nowhere/at/all", SLOTS(64), &about, &e), -ENOENT);
	/* No room: an error now, not a signal later; and nothing is left. */
	unlink(path);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	little.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_FSIZE, &little);
	assert_int_equal(trace_create(&t, path, SLOTS(64), &about, &e), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(access(path, F_OK), -1);
	/* Off: nothing happens, nothing breaks. */
	t = (struct trace) { 0 };
	assert_false(trace_is_on(&t));
	assert_false(trace_is_on(NULL));
	trace_event(NULL, TRACE_LOST, 1, 2);
	trace_close(&t);
}

static void test_only_sound_files_are_joined(void **state)
{
	struct trace t = created(64), other;
	struct err e = { 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(trace_join(&other, fd, &e), 0);
	put(&other, 7);
	assert_int_equal(t.slot[0].value, ~(uint64_t)7);
	trace_close(&other);
	/* A file that has holes would end us by a signal. */
	fd = memfd_create("t", MFD_CLOEXEC);
	assert_int_equal(pwrite(fd, t.head, sizeof(*t.head), 0), sizeof(*t.head));
	assert_int_equal(ftruncate(fd, (off_t)SLOTS(64)), 0);
	assert_int_equal(trace_join(&other, fd, &e), -EBADMSG);
	assert_null(other.head);
	fd = memfd_create("t", MFD_CLOEXEC);
	assert_int_equal(trace_join(&other, fd, &e), -EBADMSG);
	/* For the reader a cut one is none. */
	struct trace_reader *r;

	assert_int_equal(truncate(path, (off_t)SLOTS(63)), 0);
	assert_int_equal(trace_reader_open(&r, path, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "cut off"));
	trace_close(&t);
}

static void test_the_device_is_told(void **state)
{
	struct trace t = created(64);
	struct dev_facts f = { .reset = true };
	uint8_t config[256] = { 0x34, 0x12 };

	(void)state;
	f.region[0] = (struct dev_region) { .size = 4096, .read = true, .write = true };
	f.irq[DEV_MSIX] = (struct dev_irq) { .count = 3, .eventfd = true };
	trace_device(&t, &f, 2, config, sizeof(config));

	struct trace_reader *r = opened();

	assert_int_equal(r->head.what.generation, 2);
	assert_int_equal(r->head.what.region[0].size, 4096);
	assert_int_equal(r->head.what.irq[DEV_MSIX].count, 3);
	assert_int_equal(r->head.what.config_size, 256);
	assert_int_equal(r->head.what.config[0], 0x34);
	trace_reader_close(r);
	t.head->what.seq |= 1;
	r = opened();
	assert_int_equal(r->head.what.seq, 0);
	assert_int_equal(r->head.what.region[0].size, 0);
	trace_reader_close(r);
	trace_close(&t);
}

static void test_filters(void **state)
{
	struct opt_list only = { 2, { "bar0:0x100-0x1ff", "CONFIG" } }, none = { 0 },
			except = { 1, { "bar0:0x180+8" } }, kinds = { 2, { "dma", "read" } };
	struct trace_slot read = { .kind = TRACE_READ, .width = 4, .offset = 0xfd },
			  map = { .kind = TRACE_DMA_MAP };
	struct trace_filter f;
	struct err e = { 0 };
	struct trace_place p;
	uint64_t ns;
	static const char *const bad[] = { "",           "bar6",
					   "bar0:",      "bar0:9",
					   "bar0:9-8",   "bar0:1+0",
					   "bar0:1-",    "bar0:0xffffffffffffffff+2",
					   "bar0:1-2-3", "vga" };

	(void)state;
	assert_int_equal(trace_filter_parse(&f, &only, &except, &none, &e), 0);
	assert_true(trace_filter_wants(&f, &read)); /* its last byte is in */
	read.offset = 0xfc;
	assert_false(trace_filter_wants(&f, &read));
	read.offset = 0x184;
	assert_false(trace_filter_wants(&f, &read));
	read.region = 7;
	assert_true(trace_filter_wants(&f, &read));
	assert_false(trace_filter_wants(&f, &map));
	assert_int_equal(trace_filter_parse(&f, &none, &none, &kinds, &e), 0);
	assert_true(trace_filter_wants(&f, &map));
	map.kind = TRACE_WRITE;
	assert_false(trace_filter_wants(&f, &map));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(trace_place_parse(&p, bad[i], &e), -EINVAL);
	assert_int_equal(trace_time_parse("1.5", 100, 0, &ns, &e), 0);
	assert_int_equal(ns, 1500000100);
	assert_int_equal(trace_time_parse("-1", 100, 3000000000, &ns, &e), 0);
	assert_int_equal(ns, 2000000000);
	assert_int_equal(trace_time_parse("--1", 0, 0, &ns, &e), -EINVAL);
	assert_int_equal(trace_time_parse("nan", 0, 0, &ns, &e), -EINVAL);
	kinds.v[1] = "rea";
	assert_int_equal(trace_filter_parse(&f, &none, &none, &kinds, &e), -EINVAL);
}

static void test_heat_takes_any_offset(void **state)
{
	struct heat h = { 0 };
	static const uint64_t at[] = { 0,         4095, 4096, UINT64_C(1) << 30, UINT64_C(1) << 40,
				       UINT64_MAX };
	uint64_t reads = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(at); i++)
		assert_int_equal(heat_add(&h, 1, at[i], 8, false), 0);
	assert_int_equal(h.region[1].cell_bytes, UINT64_C(1) << 48);
	for (uint32_t i = 0; i < h.region[1].n; i++)
		reads += h.region[1].cell[i].reads;
	assert_int_equal(reads, COUNT(at) + 1); /* one of them lies in two */
	assert_int_equal(h.region[1].n, HEAT_CELLS);
	heat_free(&h);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/t", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_the_ring_turns),
		cmocka_unit_test(test_a_slot_of_the_dead),
		cmocka_unit_test(test_killed_writers_leave_whole_records),
		cmocka_unit_test(test_a_recording_that_cannot_be),
		cmocka_unit_test(test_only_sound_files_are_joined),
		cmocka_unit_test(test_the_device_is_told),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_heat_takes_any_offset),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
