/* SPDX-License-Identifier: MIT */
/* What bind, unbind and rescan decide on the machines of tests/machines/device, carried out by the recording hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/bind.h"
#include "device/modules.h"
#include "device/persist.h"
#include "device/run.h"
#include "device/undo.h"
#include "device/verb.h"
#include "tests/unit/harness.h"

struct stage {
	struct machine m;
	struct scene *s;
	struct txn t;
	struct err e;
};

static void open_stage(struct stage *st, const char *name)
{
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	char dir[512];

	*st = (struct stage) { 0 };
	snprintf(dir, sizeof(dir), "%s/tests/device/%s", build ? build : "build", name);
	assert_int_equal(machine_open(&st->m, dir, &st->e), 0);
	assert_int_equal(scene_collect(&st->m, &o, &st->s, &st->e), 0);
	assert_int_equal(txn_open(&st->t, "bind"), 0);
}

static void close_stage(struct stage *st)
{
	txn_close(&st->t);
	scene_free(st->s);
	machine_close(&st->m);
}
#define on_stage __attribute__((cleanup(close_stage)))

static int plan(struct stage *st, const char *words, struct options o)
{
	static char copy[128];
	struct ask a = { .o = o };
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", words);
	const char *verb = strtok_r(copy, " ", &save);

	for (char *w; (w = strtok_r(NULL, " ", &save));)
		a.words[a.n_words++] = w;
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, verb) == 0)
			return v->plan(st->s, &a, &st->t, &st->e);
	fail_msg("no verb %s", verb);
	return 0;
}

/* Every step as "FILE <- VALUE (before) undo: FILE <- VALUE": what a golden of writes must hold. */
static void steps_text(const struct txn *t, char *buf, size_t size)
{
	struct text w;

	text_init(&w, buf, size);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct step *s = &t->steps[i];

		text_add(&w, "%s%s%s <- %s", s->agent, s->agent[0] ? " " : "", s->target,
			 s->gone ? "(gone)" : s->value);
		if (s->known)
			text_add(&w, " [%s]", s->was_gone ? "(gone)" : s->before);
		if (s->undo == UNDO_OTHER)
			text_add(&w, " undo %s <- %s", s->undo_target, s->undo_value);
		text_add(&w, "\n");
	}
	assert_false(w.cut);
}

/* Plans, compares, and lets the recording hand do it and take it back: every look must come true both ways. */
static void expect(const char *machine, const char *words, struct options o, const char *want)
{
	on_stage struct stage st;
	char got[8192];
	struct hand h;
	struct log log;
	own_free struct outcome *out = calloc(1, sizeof(*out));

	open_stage(&st, machine);
	int rc = plan(&st, words, o);

	if (rc)
		fail_msg("%s: %d %s", words, rc, st.e.text);
	steps_text(&st.t, got, sizeof(got));
	assert_string_equal(got, want);
	log_init(&log, "test", 2, 0);
	assert_int_equal(hand_recording(&h, &st.m, agents), 0);
	struct runner r = { .hand = &h, .log = &log };

	rc = txn_run(&r, &st.t, out, &st.e);
	if (rc)
		fail_msg("%s: %d %s", words, rc, st.e.text);
	assert_int_equal(out->end, RUN_DONE);
	txn_take_back(&r, &st.t, out, "test", &st.e);
	if (out->end != RUN_UNDONE)
		fail_msg("%s: taking back: %s", words, st.e.text);
	hand_close(&h);
}

static void refused(const char *machine, const char *words, struct options o, int rc, int exit,
		    const char *says)
{
	on_stage struct stage st;

	open_stage(&st, machine);
	int got = plan(&st, words, o);

	if (got != rc || strcmp(st.e.text, says) != 0)
		fail_msg("%s: %d '%s'", words, got, st.e.text);
	assert_int_equal(err_exit(got), exit);
}

#define NO_OPTIONS ((struct options) { 0 })

#define D "sys/bus/pci/devices/"
#define R "sys/bus/pci/drivers/"

static void a_whole_card_goes_to_a_guest(void **state)
{
	(void)state;
	expect("desk", "bind 01:00.0 vfio-pci", NO_OPTIONS,
	       R "snd_hda_intel/unbind <- 0000:01:00.1 undo " R
		 "snd_hda_intel/bind <- 0000:01:00.1\n" R "amdgpu/unbind <- 0000:01:00.0 undo " R
		 "amdgpu/bind <- 0000:01:00.0\n" D "0000:01:00.0/driver_override <- vfio-pci []\n" D
		 "0000:01:00.1/driver_override <- vfio-pci []\n" R
		 "vfio-pci/bind <- 0000:01:00.0 undo " R "vfio-pci/unbind <- 0000:01:00.0\n" R
		 "vfio-pci/bind <- 0000:01:00.1 undo " R "vfio-pci/unbind <- 0000:01:00.1\n");
}

/* By its sound, and by another spelling: the same card, the same driver. */
static void any_function_names_the_card(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	assert_int_equal(plan(&st, "bind 01:00.1 vfio_pci", NO_OPTIONS), 0);
	assert_int_equal(st.t.n, 6);
	assert_string_equal(st.t.device, "0000:01:00.1");
	assert_string_equal(st.t.steps[5].target, R "vfio-pci/bind");
}

static void only_one_function(void **state)
{
	(void)state;
	expect("desk", "bind 01:00.1 vfio-pci", (struct options) { .only = true },
	       R "snd_hda_intel/unbind <- 0000:01:00.1 undo " R
		 "snd_hda_intel/bind <- 0000:01:00.1\n" D
		 "0000:01:00.1/driver_override <- vfio-pci []\n" R
		 "vfio-pci/bind <- 0000:01:00.1 undo " R "vfio-pci/unbind <- 0000:01:00.1\n");
}

/* A virtual function is a card by itself, and already the guest's. */
static void what_is_so_needs_nothing(void **state)
{
	(void)state;
	expect("desk", "bind 04:00.1 vfio-pci", NO_OPTIONS, "");
	expect("desk", "bind 01:00.0 amdgpu", NO_OPTIONS, "");
	expect("desk", "bind 01:00.0 default", NO_OPTIONS, "");
}

static void unbind_takes_the_driver_away(void **state)
{
	(void)state;
	expect("desk", "unbind 01:00.0", NO_OPTIONS,
	       R "snd_hda_intel/unbind <- 0000:01:00.1 undo " R
		 "snd_hda_intel/bind <- 0000:01:00.1\n" R "amdgpu/unbind <- 0000:01:00.0 undo " R
		 "amdgpu/bind <- 0000:01:00.0\n");
}

/* Back to the host: the sound, which nobody named, to whichever driver the kernel has for it. */
static void a_card_comes_back(void **state)
{
	(void)state;
	expect("given", "bind 01:00.0 amdgpu", NO_OPTIONS,
	       R "vfio-pci/unbind <- 0000:01:00.1 undo " R "vfio-pci/bind <- 0000:01:00.1\n" R
		 "vfio-pci/unbind <- 0000:01:00.0 undo " R "vfio-pci/bind <- 0000:01:00.0\n" D
		 "0000:01:00.0/driver_override <- amdgpu [vfio-pci]\n" D
		 "0000:01:00.1/driver_override <-  [vfio-pci]\n" R
		 "amdgpu/bind <- 0000:01:00.0 undo " R "amdgpu/unbind <- 0000:01:00.0\n"
		 "sys/bus/pci/drivers_probe <- 0000:01:00.1 undo " D
		 "0000:01:00.1/driver/unbind <- 0000:01:00.1\n");
}

static void files_in_etc_keep_it(void **state)
{
	on_stage struct stage st;
	char driver[40];
	(void)state;

	open_stage(&st, "desk");
	assert_int_equal(plan(&st, "bind 01:00.0 vfio-pci", (struct options) { .persist = true }),
			 0);
	assert_int_equal(st.t.n, 10);
	assert_string_equal(st.t.steps[6].target, "etc/driverctl.d/pci-0000:01:00.0");
	assert_string_equal(st.t.steps[6].value, "vfio-pci\n");
	assert_true(st.t.steps[6].was_gone);
	assert_string_equal(st.t.steps[7].target, "etc/udev/rules.d/05-berth-0000:01:00.0.rules");
	assert_string_equal(
		st.t.steps[7].value,
		"# 0000:01:00.0 belongs to vfio-pci at every start. Written by 'berth device'; 'berth device "
		"undo' takes it away.\n"
		"ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"0000:01:00.0\", ATTR{vendor}==\"0x1002\", "
		"ATTR{device}==\"0x744c\", DRIVER!=\"vfio-pci\", IMPORT{builtin}=\"kmod load vfio-pci\"\n"
		"ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"0000:01:00.0\", ATTR{vendor}==\"0x1002\", "
		"ATTR{device}==\"0x744c\", DRIVER!=\"vfio-pci\", ATTR{driver_override}=\"vfio-pci\", "
		"ATTR{driver/unbind}=\"$kernel\", ATTR{[drivers/pci:vfio-pci]bind}=\"$kernel\"\n");
	assert_non_null(strstr(st.t.done, "softdep amdgpu pre: vfio-pci"));
	assert_false(persist_read(&st.m, "0000:01:00.0", driver, sizeof(driver)));
	assert_string_equal(driver, "");
}

/* Where driverctl is installed its own rule acts; with a file there already only what is new is written. */
static void driverctl_is_left_its_part(void **state)
{
	(void)state;
	expect("given", "bind 01:00.0 vfio-pci", (struct options) { .persist = true },
	       "etc/driverctl.d/pci-0000:01:00.1 <- vfio-pci\n [(gone)]\n");
	expect("given", "bind 01:00.0 default", (struct options) { .persist = true },
	       R "vfio-pci/unbind <- 0000:01:00.1 undo " R "vfio-pci/bind <- 0000:01:00.1\n" R
		 "vfio-pci/unbind <- 0000:01:00.0 undo " R "vfio-pci/bind <- 0000:01:00.0\n" D
		 "0000:01:00.0/driver_override <-  [vfio-pci]\n" D
		 "0000:01:00.1/driver_override <-  [vfio-pci]\n"
		 "sys/bus/pci/drivers_probe <- 0000:01:00.0 undo " D
		 "0000:01:00.0/driver/unbind <- 0000:01:00.0\n"
		 "sys/bus/pci/drivers_probe <- 0000:01:00.1 undo " D
		 "0000:01:00.1/driver/unbind <- 0000:01:00.1\n"
		 "etc/driverctl.d/pci-0000:01:00.0 <- (gone) [vfio-pci\n]\n");
}

static void unbound_for_good(void **state)
{
	(void)state;
	expect("desk", "unbind 0c:00.1", (struct options) { .persist = true, .only = true },
	       R
	       "snd_hda_intel/unbind <- 0000:0c:00.1 undo " R
	       "snd_hda_intel/bind <- 0000:0c:00.1\n" D "0000:0c:00.1/driver_override <- none []\n"
	       "etc/driverctl.d/pci-0000:0c:00.1 <- none\n [(gone)]\n"
	       "etc/udev/rules.d/05-berth-0000:0c:00.1.rules <- # 0000:0c:00.1 belongs to no driver at every "
	       "start. Written by 'berth device'; 'berth device undo' takes it away.\n"
	       "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"0000:0c:00.1\", ATTR{vendor}==\"0x1002\", "
	       "ATTR{device}==\"0xab28\", DRIVER!=\"none\", ATTR{driver_override}=\"none\", "
	       "ATTR{driver/unbind}=\"$kernel\"\n [(gone)]\n");
}

/* One that has no driver now gets none later either. */
static void unbound_already(void **state)
{
	on_stage struct stage st;
	struct func *f;
	(void)state;

	open_stage(&st, "desk");
	f = (struct func *)(uintptr_t)scene_func(st.s, "0c:00.1");
	f->driver[0] = '\0';
	assert_int_equal(plan(&st, "unbind 0c:00.1", (struct options) { .only = true }), 0);
	assert_int_equal(st.t.n, 0);
	assert_int_equal(
		plan(&st, "unbind 0c:00.1", (struct options) { .only = true, .persist = true }), 0);
	assert_int_equal(st.t.n, 3);
	assert_string_equal(st.t.steps[0].target, D "0000:0c:00.1/driver_override");
	assert_string_equal(st.t.steps[0].value, "none");
}

static void a_module_is_loaded_first(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "given");
	assert_int_equal(plan(&st, "bind 0c:00.0 pci_stub", NO_OPTIONS), 0);
	assert_int_equal(st.t.steps[0].op, STEP_ASK);
	assert_string_equal(st.t.steps[0].agent, "module");
	assert_string_equal(st.t.steps[0].target, "pci_stub");
	assert_int_equal(st.t.steps[0].after.kind, LOOK_HERE);
	txn_close(&st.t);
	txn_open(&st.t, "bind");
	/* By a name that modprobe's configuration has. */
	assert_int_equal(plan(&st, "bind 05:00.0 nvidia_legacy", NO_OPTIONS), 0);
	assert_string_equal(st.t.steps[0].target, "nvidia_legacy");
}

static void warned_of_what_stays_behind(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "desk");
	assert_int_equal(plan(&st, "bind 05:00.0 vfio-pci", NO_OPTIONS), 0);
	assert_int_equal(st.t.n_warns, 1);
	assert_string_equal(
		st.t.warns[0],
		"IOMMU group 20 also has 0000:06:00.0 (xhci_hcd): while that stays with the host, "
		"no virtual machine can take 0000:05:00.0");
	txn_close(&st.t);
	txn_open(&st.t, "bind");
	assert_int_equal(plan(&st, "bind 05:00.0 nvidia", NO_OPTIONS), 0);
	assert_int_equal(st.t.n_warns, 0);
}

static void warned_of_the_next_start(void **state)
{
	on_stage struct stage st;
	(void)state;

	open_stage(&st, "given");
	assert_int_equal(plan(&st, "bind 01:00.0 default", NO_OPTIONS), 0);
	assert_int_equal(st.t.n_warns, 1);
	assert_string_equal(st.t.warns[0],
			    "/etc/driverctl.d/pci-0000:01:00.0 gives it to vfio-pci again at "
			    "the next start, but for --persist");
}

static void refusals_say_why(void **state)
{
	const struct options any = { .any = true };
	(void)state;

	refused("desk", "bind 99:00.0 vfio-pci", NO_OPTIONS, -ENODEV, EXIT_NO,
		"no device matches '99:00.0'; there is: 0000:00:02.0  Intel UHD Graphics 770, 0000:01:00.0  AMD "
		"Radeon RX 7900 XT/7900 XTX, 0000:04:00.0  Intel Data Center GPU Flex 140, 0000:04:00.1  Intel "
		"Data Center GPU Flex 140, 0000:04:00.2  Intel Data Center GPU Flex 140, 0000:05:00.0  NVIDIA "
		"GeForce RTX 4090, 0000:0c:00.0  AMD Radeon RX 6800/6800 XT / 6900 XT");
	refused("desk", "bind 02:00.0 vfio-pci", NO_OPTIONS, -EINVAL, EXIT_BAD_INPUT,
		"0000:02:00.0 is no GPU or accelerator (NVMe drive); --any takes it all the same");
	refused("desk", "bind 02:00.0 vfio-pci", any, -EBUSY, EXIT_ENV,
		"0000:02:00.0 is in use: / is mounted from /dev/nvme0n1p1, /home is mounted from "
		"/dev/mapper/home, /dev/nvme0n1p3 is swapped to; unmount it, switch it off with swapoff, or "
		"give --force");
	refused("desk", "unbind 00:01.0", any, -EINVAL, EXIT_BAD_INPUT,
		"0000:00:01.0 carries other devices (bridge): what lies below it would go with it; name the "
		"device itself");
	refused("given", "bind 01:00.0 vifo-pci", NO_OPTIONS, -EINVAL, EXIT_BAD_INPUT,
		"there is no driver 'vifo-pci' here; there is 'vfio-pci'");
	refused("given", "bind 01:00.0 voodoo", NO_OPTIONS, -EINVAL, EXIT_BAD_INPUT,
		"there is no driver 'voodoo' here: none is registered by that name, and no module has it");
	refused("desk", "bind 01:00.0 ../../x", NO_OPTIONS, -EINVAL, EXIT_BAD_INPUT,
		"'../../x' is no name of a driver, such as vfio-pci");
	refused("desk", "unbind 00:02.0", NO_OPTIONS, -EBUSY, EXIT_ENV,
		"0000:00:02.0 is the boot display: the console and the firmware's picture are on it; and it "
		"shows a picture on DP-1; --force "
		"does it all the same");
	refused("vgpu", "bind 01:00.0 vfio-pci", NO_OPTIONS, -EBUSY, EXIT_ENV,
		"0000:01:00.0 is in use: the virtual machine qemu-system-x86 (process 710) has it; shut the "
		"virtual machine down, or give --force");
	refused("noiommu", "bind 01:00.0 vfio-pci", NO_OPTIONS, -ENOSYS, EXIT_ENV,
		"no IOMMU serves 0000:01:00.0, so vfio-pci would not take it: switch VT-d or AMD-Vi on, in the "
		"firmware's setup and the kernel");
}

/* The kernel takes the link away first: without a driver, and still letting go of it. */
static void what_hangs_is_not_done(void **state)
{
	on_stage struct stage st;
	struct func *f;
	(void)state;

	open_stage(&st, "desk");
	f = (struct func *)(uintptr_t)scene_func(st.s, "01:00.1");
	f->stuck = true;
	f->driver[0] = '\0';
	assert_int_equal(
		plan(&st, "unbind 01:00.1", (struct options) { .only = true, .force = true }),
		-EBUSY);
	assert_string_equal(
		st.e.text,
		"0000:01:00.1 is locked by the kernel: its driver has been told to let go and "
		"waits for its last user, or hangs; end that user first");
	assert_int_equal(plan(&st, "rescan", NO_OPTIONS), -EBUSY);
}

static void rescans(void **state)
{
	on_stage struct stage st;
	char got[256];

	open_stage(&st, "desk");
	assert_int_equal(plan(&st, "rescan 00:07.0", NO_OPTIONS), 0);
	steps_text(&st.t, got, sizeof(got));
	assert_string_equal(got, D "0000:00:07.0/rescan <- 1\n");
	assert_int_equal(st.t.steps[0].undo, UNDO_NEVER);
	assert_true(st.t.steps[0].why[0]);
	(void)state;
	refused("desk", "rescan 01:00.0", NO_OPTIONS, -EINVAL, EXIT_BAD_INPUT,
		"0000:01:00.0 is no bridge but a device (VGA display): give the bridge above it, 0000:00:01.0, "
		"or nothing for all buses");
	close_stage(&st);
	open_stage(&st, "vgpu");
	assert_int_equal(plan(&st, "rescan", NO_OPTIONS), 0);
	refused("given", "rescan", NO_OPTIONS, -EBUSY, EXIT_ENV,
		"process 77 (old) still has /dev/vfio/44 open, whose device is being taken away: a rescan would "
		"wait for it, and could not be ended; shut it down first");
}

/* Who was not there before is named, by what its files say. */
static void a_rescan_names_what_it_finds(void **state)
{
	struct ask a = { 0 };
	struct stage st;

	(void)state;
	open_stage(&st, "desk");
	assert_int_equal(plan(&st, "rescan", NO_OPTIONS), 0);
	rescan_after(&st.m, &a, &st.t);
	assert_string_equal(st.t.done, "nothing new was found");
	char *at = strstr(st.t.seen, "0000:01:00.0");

	assert_non_null(at);
	memset(at, 'x', strlen("0000:01:00.0"));
	rescan_after(&st.m, &a, &st.t);
	assert_string_equal(st.t.done, "found 0000:01:00.0 (VGA display 1002:744c)");
	strcpy(st.t.seen, " ");
	rescan_after(&st.m, &a, &st.t);
	assert_non_null(strstr(st.t.done, " more; 'berth device list --any' shows all"));
	close_stage(&st);
}

static void none_is_to_unbind(void **state)
{
	const struct options usual = device_defaults;
	char bind[4096], unbind[4096];
	on_stage struct stage a, b;

	(void)state;
	open_stage(&a, "desk");
	open_stage(&b, "desk");
	assert_int_equal(plan(&a, "bind 05:00.0 none", usual), 0);
	assert_int_equal(plan(&b, "unbind 05:00.0", usual), 0);
	steps_text(&a.t, bind, sizeof(bind));
	steps_text(&b.t, unbind, sizeof(unbind));
	assert_true(a.t.n > 0);
	assert_string_equal(bind, unbind);
}

static struct step *a_write(struct stage *st, const char *target, const char *value)
{
	struct step *s = txn_add(&st->t, STEP_WRITE, &st->e, "take it back");

	assert_non_null(s);
	assert_int_equal(step_put(s->target, &st->e, "%s", target), 0);
	assert_int_equal(step_put(s->value, &st->e, "%s", value), 0);
	return s;
}

static void an_undo_takes_nothing_from_who_uses_it(void **state)
{
	on_stage struct stage st;

	(void)state;
	open_stage(&st, "held");
	a_write(&st, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/power/control", "auto");
	assert_false(undo_takes(&st.t));
	a_write(&st, "sys/bus/pci/drivers/vfio-pci/unbind", "0000:04:00.1");
	assert_true(undo_takes(&st.t));
	assert_int_equal(undo_guard(st.s, false, &st.t, &st.e), -EBUSY);
	assert_non_null(strstr(st.e.text, "0000:04:00.1 is in use: "));
	assert_int_equal(undo_guard(st.s, true, &st.t, &st.e), 0);
	assert_true(st.t.n_warns > 0);
}

static void an_undo_gives_back_what_nobody_uses(void **state)
{
	on_stage struct stage st;

	(void)state;
	open_stage(&st, "desk");
	a_write(&st, "sys/bus/pci/drivers/vfio-pci/unbind", "0000:04:00.1");
	a_write(&st, "sys/bus/pci/devices/0000:04:00.2/remove", "1");
	a_write(&st, "sys/bus/pci/drivers/nosuch/unbind", "0000:7f:00.0"); /* not there any more */
	assert_int_equal(undo_guard(st.s, false, &st.t, &st.e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_card_goes_to_a_guest),
		cmocka_unit_test(any_function_names_the_card),
		cmocka_unit_test(only_one_function),
		cmocka_unit_test(what_is_so_needs_nothing),
		cmocka_unit_test(unbind_takes_the_driver_away),
		cmocka_unit_test(a_card_comes_back),
		cmocka_unit_test(files_in_etc_keep_it),
		cmocka_unit_test(driverctl_is_left_its_part),
		cmocka_unit_test(unbound_for_good),
		cmocka_unit_test(unbound_already),
		cmocka_unit_test(a_module_is_loaded_first),
		cmocka_unit_test(warned_of_what_stays_behind),
		cmocka_unit_test(warned_of_the_next_start),
		cmocka_unit_test(refusals_say_why),
		cmocka_unit_test(what_hangs_is_not_done),
		cmocka_unit_test(rescans),
		cmocka_unit_test(a_rescan_names_what_it_finds),
		cmocka_unit_test(none_is_to_unbind),
		cmocka_unit_test(an_undo_takes_nothing_from_who_uses_it),
		cmocka_unit_test(an_undo_gives_back_what_nobody_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
