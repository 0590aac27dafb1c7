/* SPDX-License-Identifier: MIT */
/* What stands in the way of bridging a device: each check, over facts filled by hand. */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/collect.h"
#include "bar-forward/ready.h"
#include "bar-forward/ready_priv.h"
#include "kmod/uapi.h"
#include "tests/unit/harness.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A card with its sound, given to vfio-pci, of which everything is known and fine. */
static struct bridge_facts card(void)
{
	struct bridge_facts f = {
		.pci = "0000:01:00.0",
		.kind = "VGA display",
		.driver = "vfio-pci",
		.class = 0x030000,
		.group = 14,
		.reset_method = "flr bus",
		.has_reset = true,
		.boot_vga = fact_of(0, SRC_SYSFS),
		.d3cold_allowed = fact_of(0, SRC_SYSFS),
		.attach = "to any driver, or none",
		.n_mates = 1,
		.mates = { { .pci = "0000:01:00.1",
			     .class = 0x040300,
			     .driver = "vfio-pci",
			     .in_slot = true,
			     .in_group = true,
			     .on_bus = true } },
		.kernel = "6.14.2",
		.irqs_remapped = fact_of(1, SRC_PROC),
		.coherent = fact_of(1, SRC_SYSFS),
		.memlock_bytes = fact_of(INT64_C(8) << 30, SRC_PROC),
		.guest_bytes = fact_of(INT64_C(4) << 30, SRC_USER),
		.node = NODE_OURS,
		.node_path = "/dev/vfio/14",
	};
	return f;
}

static struct mate *stranger(struct bridge_facts *f, const char *pci, const char *driver)
{
	struct mate *m = &f->mates[f->n_mates++];

	*m = (struct mate) { .in_group = true };
	text_copy(m->pci, sizeof(m->pci), pci);
	text_copy(m->driver, sizeof(m->driver), driver);
	return m;
}

/* What one check says. Its words must name `has`; NULL: any. */
static enum verdict of(const struct bridge_facts *f, const char *check, const char *has)
{
	static struct readiness r; /* the sentences outlive the call, for the messages below */

	ready_judge(f, &r);
	for (uint32_t i = 0; i < r.n; i++) {
		const struct finding *w = &r.list[i];

		if (strcmp(w->check, check) != 0)
			continue;
		if (has && !strstr(w->words, has) && !strstr(w->fix, has))
			fail_msg("'%s' and '%s' lack '%s'", w->words, w->fix, has);
		assert_true(w->words[0] && strlen(w->words) < sizeof(w->words) - 1);
		return w->verdict;
	}
	return VERDICT_COUNT;
}

static enum verdict state(const struct bridge_facts *f)
{
	struct readiness r;

	ready_judge(f, &r);
	assert_true((r.state == VERDICT_NO) == (ready_refusal(&r) != NULL));
	return r.state;
}

static void a_card_of_which_all_is_fine_is_ready(void **unused)
{
	struct bridge_facts f = card();
	struct readiness r;

	(void)unused;
	ready_judge(&f, &r);
	assert_int_equal(r.n, 12);
	for (uint32_t i = 0; i < r.n; i++)
		if (r.list[i].verdict != VERDICT_YES)
			fail_msg("%s: %s", r.list[i].check, r.list[i].words);
	assert_int_equal(r.state, VERDICT_YES);
	assert_null(ready_refusal(&r));
}

static void nothing_known_is_never_a_yes(void **unused)
{
	struct bridge_facts f = {
		.pci = "0000:01:00.0", .group = 3, .driver = "vfio-pci", .class = 0x030000
	};
	static const char *const untold[] = { "display",    "interrupts", "coherency", "memory",
					      "permission", "power",      "width" };

	(void)unused;
	for (size_t i = 0; i < N_OF(untold); i++)
		assert_int_equal(of(&f, untold[i], NULL), VERDICT_UNTOLD);
}

static void without_an_iommu_it_is_refused(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.group = -1;
	assert_int_equal(of(&f, "iommu", "no IOMMU serves it"), VERDICT_NO);
	assert_int_equal(of(&f, "driver", NULL), VERDICT_COUNT);
	assert_int_equal(state(&f), VERDICT_NO);
	f = card();
	f.noiommu = true;
	assert_int_equal(of(&f, "iommu", "without an IOMMU"), VERDICT_NO);
	assert_int_equal(state(&f), VERDICT_NO);
}

static void every_endpoint_of_the_group_has_to_come_along(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	stranger(&f, "0000:00:01.0", "pcieport");
	stranger(&f, "0000:00:01.1", "");
	stranger(&f, "0000:00:01.2", "pci-stub");
	stranger(&f, "0000:02:00.0", "mlx5_vfio_pci");
	assert_int_equal(of(&f, "group", NULL), VERDICT_YES);
	stranger(&f, "0000:06:00.0", "xhci_hcd");
	assert_int_equal(of(&f, "group", "0000:06:00.0 (xhci_hcd) shares its group"), VERDICT_NO);
	assert_int_equal(of(&f, "group", "berth device bind 0000:06:00.0 vfio-pci --any"),
			 VERDICT_NO);
	stranger(&f, "AMDI0095:00", "amd_gpio");
	assert_int_equal(of(&f, "group", "AMDI0095:00 (amd_gpio) share its group, and have to be"),
			 VERDICT_NO);
}

static void who_has_it_decides_how_it_is_attached(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	text_copy(f.driver, sizeof(f.driver), "amdgpu");
	assert_int_equal(of(&f, "driver", "berth bridge attach 0000:01:00.0"), VERDICT_ATTACH);
	assert_int_equal(state(&f), VERDICT_ATTACH);
	text_copy(f.attach, sizeof(f.attach), "only with --force: it is in use");
	assert_int_equal(of(&f, "driver", "attach 0000:01:00.0 --force"), VERDICT_FORCE);
	assert_int_equal(state(&f), VERDICT_FORCE);
	text_copy(f.attach, sizeof(f.attach), "no: its driver hangs");
	assert_int_equal(of(&f, "driver", "keeps it: its driver hangs"), VERDICT_NO);
	/* the sound of it is left behind */
	f = card();
	text_copy(f.mates[0].driver, sizeof(f.mates[0].driver), "snd_hda_intel");
	assert_int_equal(of(&f, "driver", "a function of it"), VERDICT_ATTACH);
	/* in a group of its own it is no obstacle */
	f.mates[0].in_group = false;
	assert_int_equal(of(&f, "driver", "vfio-pci has it"), VERDICT_YES);
	/* what is no GPU */
	f.driver[0] = '\0';
	f.class = 0x010802;
	assert_int_equal(of(&f, "driver", "attach 0000:01:00.0 --any"), VERDICT_ATTACH);
}

static void a_virtual_machine_has_it_alone(void **unused)
{
	struct bridge_facts f = card();
	struct readiness r;

	(void)unused;
	f.n_users = 1;
	f.users[0] = (struct user) { "virtual machine", "the virtual machine win11 has it" };
	assert_int_equal(of(&f, "users", "win11"), VERDICT_NO);
	ready_judge(&f, &r);
	assert_non_null(ready_refusal_of_guest(&r));
	/* a bridge, too; but a virtual machine may connect to that one, and to no other program's device */
	f.users[0] = (struct user) { "bridge", "berth bridge (process 237) serves it" };
	assert_int_equal(of(&f, "users", "process 237"), VERDICT_NO);
	ready_judge(&f, &r);
	assert_non_null(ready_refusal(&r));
	assert_null(ready_refusal_of_guest(&r));
	f.users[1] = (struct user) { "virtual machine", "the virtual machine win11 has it" };
	f.n_users = 2;
	ready_judge(&f, &r);
	assert_non_null(ready_refusal_of_guest(&r));
	f.n_users = 1;
	f.users[0] = (struct user) { "process", "process 700 (wireplumber) has a mixer open" };
	f.n_users_left_out = 7;
	assert_int_equal(of(&f, "users", "wireplumber"), VERDICT_NOTE);
	assert_int_equal(of(&f, "users", "and 7 more"), VERDICT_NOTE);
	assert_int_equal(state(&f), VERDICT_YES);
}

static void the_firmwares_display_is_told(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.boot_vga = fact_of(1, SRC_SYSFS);
	assert_int_equal(of(&f, "display", "the firmware's display"), VERDICT_NOTE);
	f.class = 0x038000;
	assert_int_equal(of(&f, "display", "no VGA device"), VERDICT_YES);
	f.class = 0x010802;
	assert_int_equal(of(&f, "display", NULL), VERDICT_COUNT);
}

static void interrupts_that_are_not_remapped_are_refused(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.irqs_remapped = fact_of(0, SRC_PROC);
	assert_int_equal(of(&f, "interrupts", "vfio refuses"), VERDICT_NO);
	f.irqs_unsafe = fact_of(0, SRC_SYSFS);
	assert_int_equal(of(&f, "interrupts", NULL), VERDICT_NO);
	f.irqs_unsafe = fact_of(1, SRC_SYSFS);
	assert_int_equal(of(&f, "interrupts", "forge"), VERDICT_NOTE);
	f.coherent = fact_of(0, SRC_SYSFS);
	assert_int_equal(of(&f, "coherency", "stale"), VERDICT_NOTE);
}

static void all_of_the_guests_memory_has_to_be_locked(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.guest_bytes = f.memlock_bytes;
	assert_int_equal(of(&f, "memory", NULL), VERDICT_YES);
	f.guest_bytes.v++;
	assert_int_equal(of(&f, "memory", "--memlock=8589934593:8589934593"), VERDICT_NO);
	f.memlock_bytes.v = INT64_MAX;
	assert_int_equal(of(&f, "memory", "any amount"), VERDICT_YES);
	f.memlock_bytes.v = 0;
	f.guest_bytes = fact_unknown(WHY_NONE);
	assert_int_equal(of(&f, "memory", "--memory SIZE"), VERDICT_UNTOLD);
}

static void maps_are_counted(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.dma_entries = fact_of(65535, SRC_SYSFS);
	assert_int_equal(of(&f, "maps", "65535"), VERDICT_YES);
	f.dma_entries.v--;
	assert_int_equal(of(&f, "maps", "echo 65535 | sudo tee"), VERDICT_NOTE);
}

static void its_file_has_to_open(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.node = NODE_DENIED;
	assert_int_equal(of(&f, "permission", "chown \"$USER\" /dev/vfio/14"), VERDICT_NO);
	f.node = NODE_MISSING;
	assert_int_equal(of(&f, "permission", "/dev/vfio/14 is not there"), VERDICT_NO);
	text_copy(f.driver, sizeof(f.driver), "amdgpu");
	f.node = NODE_UNTOLD;
	assert_int_equal(of(&f, "permission", "once vfio has the device"), VERDICT_UNTOLD);
}

static void a_reset_takes_the_slot_or_nothing(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	assert_int_equal(of(&f, "reset", "by itself, by flr"), VERDICT_YES);
	text_copy(f.reset_method, sizeof(f.reset_method), "pm bus");
	assert_int_equal(of(&f, "reset", "all its 2 functions"), VERDICT_YES);
	f.n_mates = 0;
	assert_int_equal(of(&f, "reset", "reaches nothing else"), VERDICT_YES);
	stranger(&f, "0000:01:01.0", "nvme")->on_bus = true;
	assert_int_equal(
		of(&f, "reset", "only a weak one, by pm: a hot reset would reach 0000:01:01.0"),
		VERDICT_NOTE);
	f.root_bus = true;
	f.reset_method[0] = '\0';
	f.has_reset = false;
	assert_int_equal(of(&f, "reset", "none: no bridge"), VERDICT_NOTE);
	/* an older kernel */
	f.has_reset = true;
	assert_int_equal(of(&f, "reset", "does not name"), VERDICT_YES);
	f.has_reset = false;
	f.virtual_function = true;
	assert_int_equal(of(&f, "reset", "none: after a guest"), VERDICT_NOTE);
}

static void a_box_may_not_come_back_from_without_power(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	f.d3cold_allowed = fact_of(1, SRC_SYSFS);
	assert_int_equal(of(&f, "power", "gets it back"), VERDICT_YES);
	f.removable = true;
	assert_int_equal(of(&f, "power", "berth device sleep 0000:01:00.0 shallow"), VERDICT_NOTE);
	f.idle_d3 = fact_of(1, SRC_SYSFS);
	assert_int_equal(of(&f, "power", "shallow"), VERDICT_NOTE);
	f.idle_d3 = fact_of(0, SRC_SYSFS);
	assert_int_equal(of(&f, "power", "disable_idle_d3"), VERDICT_YES);
}

static void eight_bytes_are_one_access_by_the_kernels_version(void **unused)
{
	static const struct {
		const char *release;
		int wide;
	} rows[] = {
		{ "6.1.0-28-amd64", 0 },
		{ "6.6.79", 0 },
		{ "6.11.2", 0 },
		{ "6.12.15", 0 },
		{ "6.12.16", 1 },
		{ "6.12.107+deb13-amd64", 1 },
		{ "6.13.3", 0 },
		{ "6.13.4-arch1", 1 },
		{ "6.14.0-rc1", 1 },
		{ "6.14", 1 },
		{ "6.18.20", 1 },
		{ "7.0-rc5", 1 },
		{ "5.15.0-1-microsoft-WSL2", 0 },
		{ "10.0.1", 1 },
		{ "", -1 },
		{ "six", -1 },
		{ "6", -1 },
	};

	(void)unused;
	for (size_t i = 0; i < N_OF(rows); i++)
		if (kernel_is_wide(rows[i].release) != rows[i].wide)
			fail_msg("%s: %d", rows[i].release, kernel_is_wide(rows[i].release));
}

static void our_module_has_to_be_of_this_version(void **unused)
{
	struct bridge_facts f = card();

	(void)unused;
	assert_int_equal(of(&f, "module", NULL), VERDICT_COUNT);
	text_copy(f.driver, sizeof(f.driver), BERTH_VFIO_DRIVER);
	text_copy(f.mates[0].driver, sizeof(f.mates[0].driver), BERTH_VFIO_DRIVER);
	assert_int_equal(of(&f, "driver", BERTH_VFIO_DRIVER " has it"), VERDICT_YES);
	assert_int_equal(of(&f, "module", "version is not told"), VERDICT_UNTOLD);
	f.kmod_abi = fact_of(BERTH_VFIO_ABI, SRC_SYSFS);
	assert_int_equal(of(&f, "module", "how it gives its BARs"), VERDICT_UNTOLD);
	text_copy(f.kmod_bars, sizeof(f.kmod_bars), "0 trap, 1 map");
	assert_int_equal(of(&f, "module", "0 trap, 1 map"), VERDICT_YES);
	f.kmod_abi.v++;
	assert_int_equal(of(&f, "module", "this program wants"), VERDICT_NO);
	assert_int_equal(state(&f), VERDICT_NO);
}

static void what_a_machine_tells_is_read(void **unused)
{
	struct fact v;

	(void)unused;
	v = irqs_remapped(" 130:  0  800  IR-PCI-MSI-0000:02:00.0    0-edge      nvme0q0\n");
	assert_true(fact_known(&v) && v.v == 1);
	v = irqs_remapped(
		"   8:  0    IO-APIC    8-edge      rtc0\n 25: 1 PCI-MSI 65536-edge virtio\n");
	assert_true(fact_known(&v) && v.v == 0);
	v = irqs_remapped(" 11:  0   GICv3  27 Level   arch_timer\n");
	assert_false(fact_known(&v));
	v = memlock_of(
		"Max locked memory         8388608              unlimited            bytes\n");
	assert_true(fact_known(&v) && v.v == 8388608);
	v = memlock_of(
		"Max locked memory         unlimited            unlimited            bytes\n");
	assert_true(fact_known(&v) && v.v == INT64_MAX);
	v = memlock_of("Max locked memory         -1  5 bytes\n");
	assert_false(fact_known(&v));
	v = memlock_of("Max locked memory");
	assert_false(fact_known(&v));
	assert_true(may_lock_all("CapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n"));
	assert_true(may_lock_all("CapEff:\t0000000000004000\n"));
	assert_false(may_lock_all("CapEff:\t0000000000003fff\n"));
	assert_false(may_lock_all("Name:\tx\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_of_which_all_is_fine_is_ready),
		cmocka_unit_test(nothing_known_is_never_a_yes),
		cmocka_unit_test(without_an_iommu_it_is_refused),
		cmocka_unit_test(every_endpoint_of_the_group_has_to_come_along),
		cmocka_unit_test(who_has_it_decides_how_it_is_attached),
		cmocka_unit_test(a_virtual_machine_has_it_alone),
		cmocka_unit_test(the_firmwares_display_is_told),
		cmocka_unit_test(interrupts_that_are_not_remapped_are_refused),
		cmocka_unit_test(all_of_the_guests_memory_has_to_be_locked),
		cmocka_unit_test(maps_are_counted),
		cmocka_unit_test(its_file_has_to_open),
		cmocka_unit_test(a_reset_takes_the_slot_or_nothing),
		cmocka_unit_test(a_box_may_not_come_back_from_without_power),
		cmocka_unit_test(eight_bytes_are_one_access_by_the_kernels_version),
		cmocka_unit_test(our_module_has_to_be_of_this_version),
		cmocka_unit_test(what_a_machine_tells_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
