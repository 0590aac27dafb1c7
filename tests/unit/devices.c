/* SPDX-License-Identifier: MIT */
/* What counts as free when berth's own runs are to go. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/telem.h"
#include "tests/unit/harness.h"
#include "vram-planner/devices.h"

static char folder[] = "/tmp/berth-devices-XXXXXX";

static struct place card(const char *pci, int64_t free_bytes, int64_t total)
{
	struct place p = { .backend = "cuda",
			   .free_bytes = fact_of(free_bytes, SRC_NVML),
			   .total_bytes = fact_of(total, SRC_NVML) };

	text_copy(p.pci, sizeof(p.pci), pci);
	return p;
}

/* A run that lives in this process and holds `held` bytes of weights and 10 of cache on a card. */
static void write_run(struct telem_writer *w, const char *name, const char *pci, uint64_t held)
{
	char path[128];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/%s.telem", folder, name);
	if (telem_create(w, path, TELEM_RUN, &e))
		fail_msg("%s", e.text);
	telem_begin(w);
	w->page->run.n_devices = 1;
	text_copy(w->page->run.devices[0].pci, sizeof(w->page->run.devices[0].pci), pci);
	w->page->run.devices[0].measured = (struct telem_bytes) {
		.weights = held, .kv = 10, .compute = TELEM_UNKNOWN, .other = TELEM_UNKNOWN
	};
	telem_end(w);
}

static void runs_give_back_what_they_hold(void **state)
{
	struct devices d = { .n = 3 };
	struct telem_writer a, b, c;

	(void)state;
	d.places[0] = card("0000:01:00.0", 1000, 100000);
	d.places[1] = card("0000:02:00.0", 1000, 1500);
	d.places[2] = card("0000:03:00.0", 1000, 100000);
	write_run(&a, "a", "0000:01:00.0", 5000);
	write_run(&b, "b", "0000:01:00.0", 700);
	write_run(&c, "c", "0000:02:00.0", 90000);
	devices_free_runs(&d);
	assert_int_equal(d.places[0].free_bytes.v, 1000 + 5010 + 710);
	assert_int_equal(d.places[1].free_bytes.v, 1500); /* never more than there is */
	assert_int_equal(d.places[2].free_bytes.v, 1000);
	assert_int_equal(d.n_notes, 2);
	assert_non_null(strstr(d.notes[0], "on 0000:01:00.0: berth's own runs hold it"));
	telem_remove(&a);
	telem_remove(&b);
	telem_remove(&c);
	d.n_notes = 0;
	devices_free_runs(&d);
	assert_int_equal(d.n_notes, 0);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	setenv("BERTH_RUNTIME_DIR", folder, 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(runs_give_back_what_they_hold) };

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
