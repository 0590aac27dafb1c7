/* SPDX-License-Identifier: MIT */
/* Who holds a GPU: what fdinfo says, and how the claims of many become one list. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/claims.h"
#include "tests/unit/harness.h"

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* A file below root, with the folders on its way. */
static void put(const char *root, const char *file, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", root, file);
	for (char *slash = path + 5; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0700);
	}
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct fdinfo parse(const char *text)
{
	struct fdinfo f;

	assert_true(fdinfo_parse(text, &f));
	return f;
}

static void assert_bytes(const struct fact *f, int64_t v)
{
	assert_true(fact_known(f));
	assert_int_equal(f->src, SRC_PROC);
	assert_int_equal(f->v, v);
}

/* amdgpu, Linux 6.12: the older names beside the newer ones, and time of engines that did nothing. */
static void reads_amdgpu(void **state)
{
	(void)state;
	struct fdinfo f = parse(
		"pos:\t0\nflags:\t02100002\nmnt_id:\t27\nino:\t1049\n"
		"drm-driver:\tamdgpu\ndrm-client-id:\t37\ndrm-pdev:\t0000:03:00.0\npasid:\t32789\n"
		"drm-total-cpu:\t0\ndrm-total-gtt:\t3456 KiB\ndrm-resident-gtt:\t2048 KiB\n"
		"drm-total-vram:\t900000 KiB\ndrm-resident-vram:\t4096 MiB\n"
		"drm-memory-vram:\t4 KiB\ndrm-total-doorbell:\t4 KiB\n"
		"drm-engine-gfx:\t0 ns\ndrm-engine-compute:\t123456 ns\n"
		"drm-engine-dec:\t77 ns\ndrm-engine-capacity-gfx:\t1\n");

	assert_string_equal(f.driver, "amdgpu");
	assert_string_equal(f.pdev, "0000:03:00.0");
	assert_true(f.has_client);
	assert_int_equal(f.client, 37);
	assert_bytes(&f.vram, 4096ll << 20);
	assert_bytes(&f.host, 2048 << 10);
	assert_int_equal(f.engines, ENGINE_COMPUTE | ENGINE_VIDEO);
	assert_string_equal(engines_text(f.engines, SRC_PROC).v, "compute, video");
}

static void reads_older_names(void **state)
{
	(void)state;
	struct fdinfo f = parse("drm-driver:\tamdgpu\ndrm-client-id:\t1\n"
				"drm-memory-vram:\t1000 KiB\ndrm-memory-gtt: \t20 KiB\n");

	assert_bytes(&f.vram, 1000 << 10);
	assert_bytes(&f.host, 20 << 10);
	assert_string_equal(f.pdev, "");
	assert_int_equal(f.engines, 0);
	assert_int_equal(engines_text(0, SRC_PROC).why, WHY_NOT_EXPORTED);
}

/* Two tiles are one memory; counts of cycles take the place of time; bytes are the unit without one. */
static void reads_intel(void **state)
{
	(void)state;
	struct fdinfo f = parse(
		"drm-driver:\txe\ndrm-client-id:\t12\ndrm-pdev:\t0000:03:00.0\n"
		"drm-total-system:\t4096\ndrm-resident-system:\t4096\ndrm-resident-gtt:\t100\n"
		"drm-resident-vram0:\t1 MiB\ndrm-resident-vram1:\t2 MiB\ndrm-resident-stolen:\t0\n"
		"drm-cycles-rcs:\t28257900\ndrm-total-cycles-rcs:\t7655183225\n"
		"drm-cycles-ccs:\t0\ndrm-total-cycles-ccs:\t7655183225\n");

	assert_bytes(&f.vram, 3 << 20);
	assert_bytes(&f.host, 4196);
	assert_int_equal(f.engines, ENGINE_RENDER);
	f = parse("drm-driver: i915\ndrm-total-local0: 16 KiB\ndrm-resident-local0: 0\n"
		  "drm-engine-video-enhance: 1 ns\n");
	assert_bytes(&f.vram, 0);
	assert_int_equal(f.host.why, WHY_NOT_EXPORTED);
	assert_int_equal(f.engines, ENGINE_VIDEO);
}

static void reads_no_client(void **state)
{
	struct fdinfo f;

	(void)state;
	assert_false(fdinfo_parse("pos:\t0\nflags:\t02\n", &f));
	assert_false(fdinfo_parse("", &f));
	assert_false(fdinfo_parse("drm-driver", &f));
}

static void doubts_numbers(void **state)
{
	static const char *const texts[] = {
		"drm-driver: x\ndrm-resident-vram: 99999999999999999999 KiB\n",
		"drm-driver: x\ndrm-resident-vram: 18446744073709551615 MiB\n",
		"drm-driver: x\ndrm-resident-vram: 18446744073709551615\n",
		"drm-driver: x\ndrm-resident-vram0: 9223372036854775807\ndrm-resident-vram1: 1\n",
		"drm-driver: x\ndrm-resident-vram: -1 KiB\n",
		"drm-driver: x\ndrm-resident-vram:\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct fdinfo f = parse(texts[i]);

		assert_false(fact_known(&f.vram));
		assert_int_equal(f.vram.why, WHY_GARBLED);
	}
	struct fdinfo f = parse("drm-driver: a\x1b[2Jb\ndrm-pdev: ../../x\n");

	assert_null(strchr(f.driver, 0x1b));
	assert_string_equal(f.pdev, "");
}

static struct claim claim(uint32_t pid, uint64_t client, int64_t vram)
{
	return (struct claim) { .pid = pid,
				.of = CLAIM_FD,
				.has_client = client,
				.client = client,
				.vram = fact_of(vram, SRC_PROC),
				.host = fact_unknown(WHY_NOT_EXPORTED) };
}

static void add(struct claims *c, struct claim one, const char *name)
{
	strcpy(one.name, name);
	one.broker = strcmp(name, "logind") == 0;
	assert_true(claims_add(c, &one));
}

static void adds_up(void **state)
{
	static struct holders h;
	struct claims c = { 0 };

	(void)state;
	add(&c, claim(900, 1, 100), "Xorg");
	add(&c, claim(1234, 2, 3000), "ollama");
	add(&c, claim(1234, 3, 5000), "ollama");
	/* The descriptor was duplicated, and inherited by a child: one opening, of who opened it. */
	add(&c, claim(1234, 3, 5000), "ollama");
	add(&c, claim(1240, 3, 5000), "runner");
	claims_of_gpu(&c, 0, &h);
	assert_int_equal(h.n_procs, 2);
	assert_string_equal(h.procs[0].name, "ollama");
	assert_bytes(&h.procs[0].vram, 8000);
	assert_int_equal(h.procs[0].host.why, WHY_NOT_EXPORTED);
	assert_int_equal(h.procs[1].pid, 900);
	claims_of_gpu(&c, 1, &h);
	assert_int_equal(h.n_procs, 0);
	claims_fini(&c);
}

/* Who opened a device for others does not hold it, whoever was seen first. */
static void brokers_hand_on(void **state)
{
	static struct holders h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct claims c = { 0 };

		if (i)
			add(&c, claim(2000, 7, 640), "sway");
		add(&c, claim(500, 7, 640), "logind");
		if (!i)
			add(&c, claim(2000, 7, 640), "sway");
		claims_of_gpu(&c, 0, &h);
		assert_int_equal(h.n_procs, 1);
		assert_string_equal(h.procs[0].name, "sway");
		assert_int_equal(h.procs[0].pid, 2000);
		claims_fini(&c);
	}
}

/* A driver's account of the whole process includes what its descriptors say. */
static void totals_do_not_add(void **state)
{
	static struct holders h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct claims c = { 0 };
		struct claim total = claim(1234, 0, i ? 9000 : 10);

		total.of = CLAIM_TOTAL;
		total.vram.src = SRC_SYSFS;
		total.engines = ENGINE_COMPUTE;
		add(&c, total, "ollama");
		add(&c, claim(1234, 1, 300), "ollama");
		add(&c, claim(1234, 2, 200), "ollama");
		claims_of_gpu(&c, 0, &h);
		assert_int_equal(h.n_procs, 1);
		assert_int_equal(h.procs[0].vram.v, i ? 9000 : 500);
		assert_int_equal(h.procs[0].vram.src, i ? SRC_SYSFS : SRC_PROC);
		assert_string_equal(h.procs[0].engines.v, "compute");
		claims_fini(&c);
	}
}

static void keeps_what_it_does_not_know(void **state)
{
	static struct holders h;
	struct claims c = { 0 };
	struct claim asleep = claim(900, 0, 0);

	(void)state;
	asleep.vram = asleep.host = fact_unknown(WHY_ASLEEP);
	add(&c, asleep, "Xorg");
	add(&c, claim(901, 5, INT64_MAX), "a");
	add(&c, claim(901, 6, INT64_MAX), "a");
	add(&c, claim(901, 8, 1), "a");
	claims_of_gpu(&c, 0, &h);
	assert_int_equal(h.n_procs, 2);
	assert_int_equal(h.procs[0].vram.why, WHY_ASLEEP);
	assert_int_equal(h.procs[1].vram.why, WHY_GARBLED);
	claims_fini(&c);
}

static void bounds_lists(void **state)
{
	static struct holders h;
	struct claims c = { 0 };

	(void)state;
	for (uint32_t i = 0; i < PROCS_MAX + 5; i++)
		add(&c, claim(100 + i, i + 1, 10 * i), "p");
	claims_of_gpu(&c, 0, &h);
	assert_int_equal(h.n_procs, PROCS_MAX);
	assert_int_equal(h.n_left_out, 5);
	assert_int_equal(h.procs[0].pid, 100 + PROCS_MAX + 4); /* the largest first */
	for (uint32_t i = c.n; i < CLAIMS_MAX; i++)
		add(&c, claim(10000 + i, 10000 + i, 1), "p");
	struct claim more = claim(1, 1000000, 1);

	assert_false(claims_add(&c, &more));
	claims_fini(&c);
	assert_int_equal(c.n, 0);
}

/* xe wakes its device to answer for a client: one that slept in since the scan is not asked. */
static void leaves_asleep(void **state)
{
	char root[] = "/tmp/berth-claims-XXXXXX", path[200];
	struct report *r = calloc(1, sizeof(*r));
	struct claims c = { 0 };
	struct machine m;

	(void)state;
	assert_non_null(r);
	assert_non_null(mkdtemp(root));
	put(root, "sys/bus/pci/devices/0000:05:00.0/power/runtime_status", "suspended\n");
	put(root, "proc/42/comm", "llama-server\n");
	put(root, "proc/42/fdinfo/7",
	    "drm-driver:\txe\ndrm-client-id:\t1\ndrm-resident-vram0:\t4 MiB\n");
	put(root, "proc/42/fd/x", "");
	snprintf(path, sizeof(path), "%s/proc/42/fd/7", root);
	assert_int_equal(symlink("/dev/dri/renderD129", path), 0);
	assert_int_equal(machine_open(&m, root, NULL), 0);
	r->n_gpus = 1;
	strcpy(r->gpus[0].pci, "0000:05:00.0");
	r->gpus[0].awake = AWAKE_YES;
	r->gpus[0].drm_render = fact_text_of("/dev/dri/renderD129", SRC_SYSFS);
	claims_walk(&c, &m, r, false, NULL);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.v[0].vram.why, WHY_ASLEEP);
	claims_fini(&c);
	claims_walk(&c, &m, r, true, NULL);
	assert_int_equal(c.n, 1);
	assert_bytes(&c.v[0].vram, 4 << 20);
	claims_fini(&c);
	machine_close(&m);
	nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
	free(r);
}

static bool holds(const struct machine *m, struct report *r, struct claims_past *past)
{
	struct claims c = { 0 };
	bool found = false;

	claims_walk(&c, m, r, false, past);
	for (uint32_t i = 0; i < c.n; i++)
		found = found || c.v[i].pid == (uint32_t)getpid();
	assert_true(c.n_seen > 0);
	claims_fini(&c);
	return found;
}

/* With a past, what costs a walk is passed over, and nothing is for ever. */
static void walks_by_what_was(void **state)
{
	struct report *r = calloc(1, sizeof(*r));
	struct claims_past past = { 0 };
	struct machine m;
	int walks = 0;

	(void)state;
	assert_non_null(r);
	assert_int_equal(machine_open(&m, NULL, NULL), 0);
	r->n_gpus = 1;
	r->gpus[0].vfio = fact_text_of("/dev/full", SRC_SYSFS);
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_false(holds(&m, r, &past));
	assert_false(holds(&m, r, &past));
	/* One more descriptor: it is looked at again. */
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(holds(&m, r, &past));
	assert_true(holds(&m, r, &past));
	assert_true(holds(&m, r, &past));
	close(fd);
	assert_false(holds(&m, r, &past));
	/* As many as before: found when all are looked at. */
	close(other);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	while (!holds(&m, r, &past))
		assert_true(++walks <= CLAIMS_ALL_EVERY);
	/* Another GPU: what was found of the first one tells nothing. */
	close(fd);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	while (holds(&m, r, &past))
		;
	r->gpus[0].vfio = fact_text_of("/dev/zero", SRC_SYSFS);
	assert_true(holds(&m, r, &past));
	close(fd);
	claims_past_fini(&past);
	machine_close(&m);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_amdgpu),
		cmocka_unit_test(reads_older_names),
		cmocka_unit_test(reads_intel),
		cmocka_unit_test(reads_no_client),
		cmocka_unit_test(doubts_numbers),
		cmocka_unit_test(adds_up),
		cmocka_unit_test(brokers_hand_on),
		cmocka_unit_test(totals_do_not_add),
		cmocka_unit_test(keeps_what_it_does_not_know),
		cmocka_unit_test(bounds_lists),
		cmocka_unit_test(leaves_asleep),
		cmocka_unit_test(walks_by_what_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
