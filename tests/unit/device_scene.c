/* SPDX-License-Identifier: MIT */
/* What machines of tests/machines/device show: functions, who uses them, and what the guard makes of that. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/guard.h"
#include "base/telem.h"
#include "device/lines.h"
#include "device/scene_priv.h"
#include "device/step.h"
#include "tests/unit/harness.h"

struct stage {
	struct machine m;
	struct scene *s;
};

static void open_stage(struct stage *st, const char *name)
{
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	char dir[512];
	struct err e = { 0 };

	snprintf(dir, sizeof(dir), "%s/tests/device/%s", build ? build : "build", name);
	assert_int_equal(machine_open(&st->m, dir, &e), 0);
	assert_int_equal(scene_collect(&st->m, &o, &st->s, &e), 0);
}

static void close_stage(struct stage *st)
{
	scene_free(st->s);
	machine_close(&st->m);
}
#define on_stage __attribute__((cleanup(close_stage)))

static const struct func *at(const struct stage *st, const char *pci)
{
	const struct func *f = scene_func(st->s, pci);

	assert_non_null(f);
	return f;
}

static void functions_are_read(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	const struct func *gpu = at(&st, "0000:01:00.0"), *sound = at(&st, "01:00.1");

	assert_int_equal(gpu->vendor, 0x1002);
	assert_int_equal(gpu->class, 0x030000);
	assert_true(gpu->shown);
	assert_false(sound->shown);
	assert_string_equal(gpu->driver, "amdgpu");
	assert_string_equal(gpu->override, "");
	assert_true(gpu->overridable);
	assert_string_equal(gpu->above, "0000:00:01.0");
	assert_string_equal(gpu->dir, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	assert_int_equal(gpu->iommu_group, 14);
	assert_int_equal(gpu->awake, AWAKE_YES);
	assert_string_equal(gpu->power_control, "auto");
	assert_string_equal(gpu->reset_method, "bus");
	assert_int_equal(gpu->boot_vga, 0);
	assert_int_equal(sound->boot_vga, -1);
	assert_int_equal(gpu->resizable, 1);
	assert_int_equal(gpu->sizes[0], 0x7f00);
	assert_int_equal(gpu->res[0].end - gpu->res[0].start + 1, 256 << 20);
	assert_non_null(scene_gpu(st.s, gpu));
	assert_null(scene_gpu(st.s, sound));
	assert_true(at(&st, "00:01.0")->bridge);
	assert_string_equal(at(&st, "04:00.1")->override, "vfio-pci");
	assert_string_equal(at(&st, "04:00.1")->physfn, "0000:04:00.0");
	assert_int_equal(at(&st, "04:00.0")->vfs, 2);
	assert_null(scene_func(st.s, "0000:99:00.0"));
	assert_null(scene_func(st.s, "radeon"));
}

/* Sizes are in the config space: of what sleeps they are not asked. */
static void a_sleeping_one_is_not_asked(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	const struct func *f = at(&st, "0c:00.0");

	assert_int_equal(f->awake, AWAKE_NO);
	assert_int_equal(f->resizable, 1);
	assert_int_equal(f->sizes[0], 0);
	assert_string_equal(f->removable, "removable");
}

static void neighbours_are_found(void **state)
{
	const struct func *set[SCENE_SLOT_MAX];
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	assert_int_equal(scene_slot(st.s, at(&st, "01:00.1"), set, SCENE_SLOT_MAX), 2);
	assert_string_equal(set[0]->pci, "0000:01:00.0");
	assert_string_equal(set[1]->pci, "0000:01:00.1");
	/* Virtual functions share the number of their card, and are none of it. */
	assert_int_equal(scene_slot(st.s, at(&st, "04:00.0"), set, SCENE_SLOT_MAX), 1);
	assert_int_equal(scene_slot(st.s, at(&st, "04:00.2"), set, SCENE_SLOT_MAX), 1);
	assert_string_equal(set[0]->pci, "0000:04:00.2");
	assert_int_equal(scene_below(st.s, at(&st, "00:07.0"), set, SCENE_SLOT_MAX), 4);
	assert_string_equal(set[0]->pci, "0000:0a:00.0");
	assert_string_equal(set[3]->pci, "0000:0c:00.1");
	assert_int_equal(scene_group(st.s, 20, set, SCENE_SLOT_MAX), 5);
	assert_int_equal(scene_group(st.s, -1, set, SCENE_SLOT_MAX), 0);
	assert_int_equal(scene_group(st.s, 20, set, 2), 2);
}

static void one_device_is_selected(void **state)
{
	static const struct {
		const char *text, *pci;
		int rc;
	} rows[] = {
		{ "0000:01:00.0", "0000:01:00.0", 0 },
		{ "01:00.1", "0000:01:00.1", 0 },
		{ "00000000:0C:00.0", "0000:0c:00.0", 0 },
		{ "4090", "0000:05:00.0", 0 },
		{ "00:1f.0", "0000:00:1f.0", 0 },
		{ "Flex", NULL, -EINVAL },
		{ "01:00.0,05:00.0", NULL, -EINVAL },
		{ "0000:99:00.0", NULL, -ENODEV },
		{ "", NULL, -EINVAL },
		{ "voodoo", NULL, -ENODEV },
	};
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct func *f = NULL;
		struct err e = { 0 };
		int rc = scene_select(st.s, rows[i].text, &f, &e);

		if (rc != rows[i].rc)
			fail_msg("'%s': %d (%s)", rows[i].text, rc, e.text);
		if (rc == 0)
			assert_string_equal(f->pci, rows[i].pci);
		else
			assert_true(e.text[0]);
	}
}

/* Every user as one line, functions in order. */
static void all_holds(const struct stage *st, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	for (uint32_t i = 0; i < st->s->n_holds; i++) {
		const struct hold *h = &st->s->holds[i];

		text_add(&t, "%s ", st->s->funcs[h->func].pci + 5);
		hold_words(&t, h);
		text_add(&t, "\n");
	}
	assert_false(t.cut);
}

static void expect_holds(const char *name, const char *want)
{
	on_stage struct stage st;
	char got[4096];

	open_stage(&st, name);
	all_holds(&st, got, sizeof(got));
	assert_string_equal(got, want);
}

static void users_of_an_idle_desk(void **state)
{
	(void)state;
	expect_holds("desk", "00:02.0 it shows a picture on DP-1\n"
			     "01:00.1 process 700 (wireplumber) has /dev/snd/controlC1 open\n"
			     "02:00.0 / is mounted from /dev/nvme0n1p1\n"
			     "02:00.0 /home is mounted from /dev/mapper/home\n"
			     "02:00.0 /dev/nvme0n1p3 is swapped to\n"
			     "03:00.0 network interface eth0 is up and has the default route\n"
			     "04:00.0 it has 2 virtual functions\n");
}

static void users_that_a_capture_kept(void **state)
{
	(void)state;
	expect_holds("captured", "00:02.0 it shows a picture on DP-1\n"
				 "01:00.0 process 1 (ollama) uses it\n"
				 "02:00.0 / is mounted from /dev/nvme0n1p1\n"
				 "02:00.0 /home is mounted from /dev/mapper/home\n"
				 "02:00.0 /dev/nvme0n1p3 is swapped to\n"
				 "03:00.0 network interface eth0 is up and has the default route\n"
				 "04:00.0 it has 2 virtual functions\n"
				 "04:00.1 the virtual machine process (process 2) has it\n");
}

static void unseen_processes_are_counted(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "captured");
	assert_true(fact_known(&st.s->unseen));
	assert_int_equal(st.s->unseen.v, 3);
}

static void users_of_everything(void **state)
{
	(void)state;
	expect_holds("held", "00:02.0 it shows a picture on DP-1\n"
			     "01:00.0 process 900 (kwin_wayland) has /dev/dri/card1 open\n"
			     "01:00.0 process 900 (kwin_wayland) has /dev/dri/renderD129 open\n"
			     "01:00.0 process 1234 (llama-server) has /dev/dri/renderD129 open\n"
			     "01:00.0 process 1310 (flasher) has its registers open\n"
			     "01:00.0 it shows a picture on HDMI-A-1\n"
			     "01:00.1 process 700 (wireplumber) has /dev/snd/controlC1 open\n"
			     "01:00.1 process 1300 (mpv) has /dev/snd/controlC1 open\n"
			     "02:00.0 / is mounted from /dev/nvme0n1p1\n"
			     "02:00.0 /home is mounted from /dev/mapper/home\n"
			     "02:00.0 /var/lib/data is mounted from /dev/nvme0n1p4\n"
			     "02:00.0 /dev/nvme0n1p3 is swapped to\n"
			     "02:00.0 md127 is built on /dev/nvme0n1p5\n"
			     "03:00.0 network interface eth0 is up and has the default route\n"
			     "04:00.0 it has 2 virtual functions\n"
			     "04:00.1 the virtual machine win11 (process 1400) has it\n");
}

/* --- the guard --------------------------------------------------------------------------------------------- */

static int check(const struct stage *st, const char *pci, enum harm harm, bool force, struct txn *t,
		 struct err *e)
{
	const struct func *set[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(st->s, at(st, pci), set, SCENE_SLOT_MAX);

	return guard_check(st->s, set, n, harm, force, t, e);
}

static void the_guard_names_who(void **state)
{
	static const struct {
		const char *machine, *pci;
		enum harm harm;
		int rc;
		const char *says;
	} rows[] = {
		{ "desk", "01:00.0", HARM_DRIVER, 0, "" },
		{ "desk", "0c:00.0", HARM_DEVICE, 0, "" },
		{ "held", "01:00.0", HARM_POWER, 0, "" },
		{ "desk", "00:02.0", HARM_DRIVER, -EBUSY,
		  "0000:00:02.0 is the boot display: the console and the firmware's picture are on it; and it "
		  "shows a picture on DP-1; --force "
		  "does it all the same" },
		{ "held", "01:00.1", HARM_DRIVER, -EBUSY,
		  "0000:01:00.0 is in use: process 900 (kwin_wayland) has /dev/dri/card1 open, process 1234 "
		  "(llama-server) has /dev/dri/renderD129 open, process 1300 (mpv) has /dev/snd/controlC1 "
		  "open, process 1310 (flasher) has its registers open and 1 more; close the program, end the "
		  "session on that screen, or give --force" },
		{ "desk", "02:00.0", HARM_DEVICE, -EBUSY,
		  "0000:02:00.0 is in use: / is mounted from /dev/nvme0n1p1, /home is mounted from "
		  "/dev/mapper/home, /dev/nvme0n1p3 is swapped to; unmount it, switch it off with swapoff, or "
		  "give --force" },
		{ "desk", "03:00.0", HARM_RESET, -EBUSY,
		  "0000:03:00.0 is in use: network interface eth0 is up and has the default route; take the "
		  "interface down, or give --force" },
		/* Whoever has a virtual function loses it with the card. */
		{ "held", "04:00.0", HARM_DRIVER, -EBUSY,
		  "0000:04:00.0 is in use: the virtual machine win11 (process 1400) has it, it has 2 virtual "
		  "functions; shut the virtual machine down, give its virtual functions back (0 to "
		  "sriov_numvfs), or give --force" },
		{ "held", "04:00.2", HARM_DRIVER, 0, "" },
		/* All below a bridge. */
		{ "held", "00:01.0", HARM_DEVICE, -EBUSY, "0000:00:01.0 is in use: process 900" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		on_stage struct stage st;
		struct err e = { 0 };

		open_stage(&st, rows[i].machine);
		int rc = check(&st, rows[i].pci, rows[i].harm, false, NULL, &e);

		if (rc != rows[i].rc || strncmp(e.text, rows[i].says, strlen(rows[i].says)) != 0)
			fail_msg("%s %s: %d '%s'", rows[i].machine, rows[i].pci, rc, e.text);
		if (rc == 0)
			assert_string_equal(e.text, "");
		else
			assert_int_equal(err_exit(rc), EXIT_ENV);
	}
}

static void force_says_what_breaks(void **state)
{
	on_stage struct stage st;
	own_txn struct txn t;
	struct err e = { 0 };
	(void)state;

	assert_int_equal(txn_open(&t, "unbind"), 0);
	open_stage(&st, "held");
	assert_int_equal(check(&st, "01:00.0", HARM_DRIVER, true, &t, &e), 0);
	assert_int_equal(t.n_warns, 5);
	assert_string_equal(t.warns[0], "0000:01:00.0 loses its driver although process 900 "
					"(kwin_wayland) has /dev/dri/card1 open");
	assert_string_equal(
		t.warns[4],
		"0000:01:00.0 loses its driver although it shows a picture on HDMI-A-1");
	assert_int_equal(check(&st, "00:02.0", HARM_DEVICE, true, &t, &e), 0);
	assert_string_equal(t.warns[5],
			    "0000:00:02.0 is the boot display: the console and the firmware's "
			    "picture are on it: the screen goes dark");
}

/* Without the processor's own display the Radeon is the one that is left, whether it shows anything or not. */
static void the_only_display_is_kept(void **state)
{
	static const char *const others[] = { "00:02.0", "04:00.0", "04:00.1",
					      "04:00.2", "05:00.0", "0c:00.0" };
	on_stage struct stage st;
	struct err e = { 0 };
	(void)state;

	open_stage(&st, "desk");
	for (size_t i = 0; i < COUNT(others); i++) {
		struct func *f = (struct func *)(uintptr_t)at(&st, others[i]);

		assert_int_equal(check(&st, "01:00.0", HARM_DEVICE, false, NULL, &e), 0);
		/* given to a guest, one after the other */
		strcpy(f->driver, "vfio-pci");
	}
	assert_int_equal(check(&st, "01:00.0", HARM_DEVICE, false, NULL, &e), -EBUSY);
	assert_string_equal(e.text,
			    "0000:01:00.0 is the only display of this machine; --force does "
			    "it all the same");
	st.s->other_display = true;
	assert_int_equal(check(&st, "01:00.0", HARM_DEVICE, false, NULL, &e), 0);
}

static void a_locked_function_is_left_alone(void **state)
{
	on_stage struct stage st;
	struct err e = { 0 };
	(void)state;

	open_stage(&st, "desk");
	((struct func *)(uintptr_t)at(&st, "01:00.1"))->stuck = true;
	assert_int_equal(check(&st, "01:00.0", HARM_POWER, true, NULL, &e), -EBUSY);
	assert_string_equal(
		e.text,
		"0000:01:00.1 is locked by the kernel: its driver snd_hda_intel has been told "
		"to let go and waits for its last user, or hangs; end that user first");
}

static void what_nobody_could_see_is_said(void **state)
{
	on_stage struct stage st;
	own_txn struct txn t;
	struct err e = { 0 };
	(void)state;

	assert_int_equal(txn_open(&t, "unbind"), 0);
	open_stage(&st, "desk");
	st.s->unseen = fact_of(7, SRC_PROC);
	assert_int_equal(check(&st, "01:00.0", HARM_DRIVER, false, &t, &e), 0);
	assert_int_equal(t.n_warns, 1);
	assert_string_equal(t.warns[0],
			    "7 processes of others may use it, too: only root sees what "
			    "they have open");
}

static void classes_need_any(void **state)
{
	static const struct {
		const char *pci;
		enum harm harm;
		bool any;
		int rc;
		const char *says;
	} rows[] = {
		{ "01:00.0", HARM_DRIVER, false, 0, "" },
		{ "01:00.1", HARM_DRIVER, false, 0, "" }, /* the card's own sound */
		{ "02:00.0", HARM_DRIVER, false, -EINVAL,
		  "0000:02:00.0 is no GPU or accelerator (NVMe drive); --any takes it all the same" },
		{ "02:00.0", HARM_DRIVER, true, 0, "" },
		{ "00:01.0", HARM_DRIVER, true, -EINVAL,
		  "0000:00:01.0 carries other devices (bridge): what lies below it would go with it; name the device itself" },
		{ "00:00.0", HARM_RESET, true, -EINVAL,
		  "0000:00:00.0 carries other devices (host bridge): what lies below it would go with it; name the device "
		  "itself" },
		{ "0a:00.0", HARM_DEVICE, true, 0, "" },
	};
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };
		int rc = guard_class(st.s, at(&st, rows[i].pci), rows[i].harm, rows[i].any, &e);

		if (rc != rows[i].rc || strcmp(e.text, rows[i].says) != 0)
			fail_msg("%s: %d '%s'", rows[i].pci, rc, e.text);
	}
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

static void lines_are_parsed(void **state)
{
	struct mount_line m;
	char text[64], pci[24];
	uint32_t major, minor;
	static const char vm[] = "qemu\0-nodefaults\0-name\0plain\0";
	static const char none[] = "qemu\0-m\0name\0-name";
	(void)state;

	assert_true(mount_parse(
		"41 40 253:0 /x /srv/two\\040words rw shared:1 - ext4 /dev/mapper/a rw", &m));
	assert_string_equal(m.where, "/srv/two words");
	assert_string_equal(m.source, "/dev/mapper/a");
	assert_int_equal(m.major, 253);
	assert_false(mount_parse("41 40 253:0 /x /srv rw shared:1", &m));
	assert_false(mount_parse("41 40 nonsense / / rw - ext4 /dev/a rw", &m));
	assert_false(mount_parse("", &m));
	assert_true(swap_parse("/swap\\040file file 1 0 -2", text, sizeof(text)));
	assert_string_equal(text, "/swap file");
	assert_false(swap_parse("Filename Type Size", text, sizeof(text)));
	assert_true(route_parse("eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0", text,
				sizeof(text)));
	assert_false(route_parse("eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000080\t0", text,
				 sizeof(text)));
	assert_true(registers_parse(
		"7f-80 rw-s 0 00:17 1 /sys/devices/pci0000:00/0000:01:00.0/resource2_wc", pci,
		sizeof(pci)));
	assert_string_equal(pci, "0000:01:00.0");
	assert_false(
		registers_parse("/sys/devices/pci0000:00/0000:01:00.0/resource", pci, sizeof(pci)));
	assert_false(registers_parse("/sys/devices/pci0000:00/0000:01:00.0/resource0_resize", pci,
				     sizeof(pci)));
	assert_false(registers_parse("/sys/devices/pci0000:00/0000:01:00.0/x/resource0", pci,
				     sizeof(pci)));
	assert_true(vm_name_parse(vm, sizeof(vm) - 1, text, sizeof(text)));
	assert_string_equal(text, "plain");
	assert_false(vm_name_parse(none, sizeof(none) - 1, text, sizeof(text)));
	assert_true(dev_parse("226:128", &major, &minor));
	assert_int_equal(minor, 128);
	assert_false(dev_parse("226:", &major, &minor));
	assert_false(dev_parse(":1", &major, &minor));
	assert_true(uevent_value("MAJOR=1\nDEVNAME=dri/card0\n", "DEVNAME", text, sizeof(text)));
	assert_string_equal(text, "dri/card0");
	assert_false(uevent_value("XDEVNAME=dri/card0", "DEVNAME", text, sizeof(text)));
}

/* A page of a living writer of the same user is a run; its process is told as that, once a card. */
static void a_run_is_told_by_its_name(void **state)
{
	static struct scene s;
	char dir[] = "/tmp/berth-scene-XXXXXX", path[64], words[128];
	struct telem_writer w;
	struct err e = { 0 };
	struct machine m;
	struct nodes none = { 0 };
	struct func funcs[2] = { { .pci = "0000:01:00.0", .gpu = -1 },
				 { .pci = "0000:ff:00.0", .gpu = -1 } };
	struct hold holds[8] = { { 0 } };
	struct text t;
	(void)state;

	assert_non_null(mkdtemp(dir));
	setenv("BERTH_RUNTIME_DIR", dir, 1);
	snprintf(path, sizeof(path), "%s/x.telem", dir);
	assert_int_equal(telem_create(&w, path, TELEM_RUN, &e), 0);
	telem_begin(&w);
	w.page->run.state = TELEM_READY;
	strcpy(w.page->run.name, "llama");
	w.page->run.n_devices = 3;
	strcpy(w.page->run.devices[1].pci, "0000:01:00.0");
	strcpy(w.page->run.devices[2].pci, "0000:02:00.0");
	telem_end(&w);
	assert_int_equal(machine_open(&m, NULL, &e), 0);
	s = (struct scene) { .m = &m, .funcs = funcs, .n_funcs = 2, .holds = holds };
	scene_read_runs(&s);
	telem_remove(&w);
	assert_int_equal(s.n_runs, 1);
	assert_int_equal(s.runs[0].n_pci, 2);
	scene_hold(&s, &(struct hold) { .kind = HOLD_PROCESS, .pid = (uint32_t)getpid() });
	/* Of a machine without files, so that only the run is found. */
	m.live = false;
	close(m.root_fd);
	m.root_fd = open(dir, O_PATH | O_DIRECTORY);
	scene_read_holds(&s, &none);
	assert_int_equal(s.n_holds,
			 2); /* by the page, and as a process: one once they are sorted */
	for (uint32_t i = 0; i < s.n_holds; i++) {
		text_init(&t, words, sizeof(words));
		hold_words(&t, &holds[i]);
		assert_non_null(strstr(words, "run llama (process "));
	}
	machine_close(&m);
	unsetenv("BERTH_RUNTIME_DIR");
	assert_int_equal(rmdir(dir), 0);
}

/* On a live machine they are read in a child: here a folder that says it is one. */
static void count_mapping(void *ctx, uint32_t pid, const char *pci)
{
	assert_int_equal(pid, 1310);
	assert_string_equal(pci, "0000:01:00.0");
	++*(int *)ctx;
}

static void mappings_are_read_in_a_child(void **state)
{
	static const uint32_t pids[] = { 900, 1310, 99999, 1400 };
	on_stage struct stage st;
	char words[128];
	int n = 0;
	(void)state;

	open_stage(&st, "held");
	st.m.live = true;
	/* A loaded machine may keep the child waiting: then it is told as silent, and nothing is made up. */
	uint32_t silent = scene_maps(&st.m, pids, COUNT(pids), count_mapping, &n);

	assert_true(silent ? n <= 1 : n == 1);
	long len = scene_cmdline(&st.m, 1400, words, sizeof(words));

	assert_true(len == -ETIMEDOUT || memmem(words, (size_t)len, "guest=win11", 11));
	assert_true(scene_cmdline(&st.m, 99999, words, sizeof(words)) < 0);
	assert_true(scene_cmdline(&st.m, 1400, words, 4) < 0);
	st.m.live = false;
}

/* A captured folder may hold anything: these are whole machines of broken files. */
static void broken_machines_are_survived(void **state)
{
	static const char *const folders[] = { "tests/machines/badfiles", "tests/machines/none",
					       "%s/tests/machines/badlinks" };
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	(void)state;

	for (size_t i = 0; i < COUNT(folders); i++) {
		struct machine m;
		struct scene *s = NULL;
		struct err e = { 0 };
		char dir[512];

		if (folders[i][0] == '%')
			snprintf(dir, sizeof(dir), "%s%s", build ? build : "build", folders[i] + 2);
		else
			snprintf(dir, sizeof(dir), "%s", folders[i]);
		assert_int_equal(machine_open(&m, dir, &e), 0);
		if (scene_collect(&m, &o, &s, &e) == 0)
			for (uint32_t k = 0; k < s->n_funcs; k++)
				assert_true(addr_ok(s->funcs[k].pci));
		scene_free(s);
		machine_close(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_read),
		cmocka_unit_test(a_sleeping_one_is_not_asked),
		cmocka_unit_test(neighbours_are_found),
		cmocka_unit_test(one_device_is_selected),
		cmocka_unit_test(users_of_an_idle_desk),
		cmocka_unit_test(users_that_a_capture_kept),
		cmocka_unit_test(unseen_processes_are_counted),
		cmocka_unit_test(users_of_everything),
		cmocka_unit_test(the_guard_names_who),
		cmocka_unit_test(force_says_what_breaks),
		cmocka_unit_test(the_only_display_is_kept),
		cmocka_unit_test(a_locked_function_is_left_alone),
		cmocka_unit_test(what_nobody_could_see_is_said),
		cmocka_unit_test(classes_need_any),
		cmocka_unit_test(lines_are_parsed),
		cmocka_unit_test(a_run_is_told_by_its_name),
		cmocka_unit_test(mappings_are_read_in_a_child),
		cmocka_unit_test(broken_machines_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
