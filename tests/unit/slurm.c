/* SPDX-License-Identifier: MIT */
/* Slurm: its files, its numbers of the GPUs, what a job asks for, and the job's script. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/gres.h"
#include "launch/slurm.h"
#include "tests/unit/harness.h"

static struct gres g;
static struct report r;
static struct plan p;
static struct err e;

static struct gpu *add(const char *pci, const char *driver, const char *name, const char *render)
{
	struct gpu *one = &r.gpus[r.n_gpus++];

	*one = (struct gpu) { .vendor = 0x1002, .device = 0x7448 };
	text_copy(one->pci, sizeof(one->pci), pci);
	one->driver = fact_text_of(driver, SRC_SYSFS);
	one->name = fact_text_of(name, SRC_PCI);
	one->drm_render = fact_text_of(render, SRC_SYSFS);
	one->index.drm_render = fact_of(atoi(render + strlen("/dev/dri/renderD")), SRC_SYSFS);
	return one;
}

/* Two equal cards with another between them. */
static int setup(void **state)
{
	(void)state;
	memset(&g, 0, sizeof(g));
	memset(&r, 0, sizeof(r));
	memset(&p, 0, sizeof(p));
	e = (struct err) { 0 };
	add("0000:3b:00.0", "amdgpu", "AMD Radeon Pro W7900", "/dev/dri/renderD128");
	add("0000:af:00.0", "xe", "Intel Arc A770", "/dev/dri/renderD129");
	add("0000:d8:00.0", "amdgpu", "AMD Radeon Pro W7900", "/dev/dri/renderD130");
	r.host = fact_text_of("box.example.org", SRC_PROC);
	r.cpu.cores = fact_of(32, SRC_HWLOC);
	text_copy(p.model_path, sizeof(p.model_path), "/m.gguf");
	return 0;
}

static void device(const char *pci, const char *name)
{
	struct plan_device *d = &p.devices[p.n_devices++];

	text_copy(d->pci, sizeof(d->pci), pci);
	text_copy(d->name, sizeof(d->name), name);
	d->layers = 4;
}

static int parse(const char *text)
{
	e = (struct err) { 0 };
	return gres_parse(&g, text, strlen(text), "box", &e);
}

static int order(const char *text)
{
	return gres_order(&g, text, strlen(text), "box", &e);
}

/* The last two characters of each file, in order. */
static const char *files(void)
{
	static char all[PROBE_GPUS_MAX * 3 + 1];

	all[0] = 0;
	for (uint32_t i = 0; i < g.n; i++) {
		const char *f = g.gpus[i].file;

		strcat(strcat(all, i ? " " : ""), f + (strlen(f) > 2 ? strlen(f) - 2 : 0));
	}
	return all;
}

static void test_lines(void **state)
{
	(void)state;
	assert_int_equal(parse("# gres.conf\n"
			       "name=GPU type=a file=/dev/nvidia1 # 0000:01:00.0\n"
			       "Name=gpu Type=a File=/dev/dri/renderD[130,132-133] Cores=0-3\n"
			       "Name=mps Count=100\n"
			       "  Name = gpu \\\n  File = \"/dev/x07\"\r\n"
			       "Name=gpu File=/dev/nvidia[08-10],/dev/q44"),
			 0);
	assert_string_equal(files(), "a1 30 32 33 07 08 09 10 44");
	assert_string_equal(g.gpus[1].file, "/dev/dri/renderD130");
	assert_string_equal(g.gpus[1].type, "a");
	assert_string_equal(g.gpus[4].type, "");
	assert_false(g.includes);
	assert_int_equal(parse("Name=gpu MultipleFiles=/dev/a[10-13]\nName=gpu File=/dev/a20"), 0);
	assert_string_equal(files(), "10 20");
	assert_int_equal(parse("Include other.conf\n"), 0);
	assert_true(g.includes);
	assert_int_equal(parse(""), 0);
	assert_int_equal(g.n, 0);
}

static void test_nodes(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} rows[] = {
		{ "box", true },    { "bo", false },         { "boxes", false },
		{ "a,box", true },  { "b[1-3]x,box", true }, { "box[1-3]", false },
		{ "[a-z]", false }, { "b[", false },         { "box[", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[100];

		snprintf(text, sizeof(text), "NodeName=%s Name=gpu File=/dev/f10", rows[i].list);
		assert_int_equal(parse(text), 0);
		assert_int_equal(g.n, rows[i].has);
	}
	static const char numbered[] = "NodeName=n[1-3,07-12]-ib Name=gpu File=/dev/f10";
	static const char *const in[] = { "n1-ib", "n3-ib", "n07-ib", "n12-ib" };
	static const char *const out[] = { "n4-ib", "n7-ib", "n01-ib", "n-ib", "n1", "n1x-ib" };

	for (size_t i = 0; i < COUNT(in); i++) {
		assert_int_equal(gres_parse(&g, numbered, strlen(numbered), in[i], &e), 0);
		assert_int_equal(g.n, 1);
	}
	for (size_t i = 0; i < COUNT(out); i++) {
		assert_int_equal(gres_parse(&g, numbered, strlen(numbered), out[i], &e), 0);
		assert_int_equal(g.n, 0);
	}
}

static void test_bad_lines(void **state)
{
	static const char *const bad[] = {
		"Name=gpu File=/dev/nvidia[0-99]",
		"Name=gpu File=/dev/nvidia[3-1]",
		"Name=gpu File=/dev/nvidia[a]",
		"Name=gpu File=/dev/nvidia[1;2]",
		"Name=gpu File=/dev/nvidia[0-9999999999999999999999]",
	};
	char longer[70 + 40], *line = malloc(9000);

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(parse(bad[i]), -EBADMSG);
		assert_true(e.text[0]);
	}
	snprintf(longer, sizeof(longer), "Name=gpu File=/dev/%070d", 1);
	assert_int_equal(parse(longer), -EBADMSG);
	memset(line, 'x', 8999);
	line[8999] = 0;
	assert_int_equal(parse(line), -EBADMSG);
	free(line);
}

/* The one thing that gres.conf alone does not tell, as Slurm 22.05 was seen to do it. */
static void test_order(void **state)
{
	static const char conf[] = "Name=gpu Type=w File=/dev/f30\n"
				   "Name=gpu Type=a File=/dev/f29\n"
				   "Name=gpu Type=w File=/dev/f28\n";

	(void)state;
	parse(conf);
	assert_int_equal(order("NodeName=box Gres=gpu:w:2,gpu:a:1\n"), 1);
	assert_string_equal(files(), "30 28 29");
	parse(conf);
	assert_int_equal(
		order("NodeName=x Gres=gpu:9\nnodename=a,b[0-9]x,box gres=gpu:A:1(S:0),mps:4,gpu:w:2"),
		1);
	assert_string_equal(files(), "29 30 28");
	parse(conf);
	assert_int_equal(order("NodeName=DEFAULT Gres=gpu:3\nNodeName=box CPUs=4\n"), 1);
	assert_string_equal(files(), "30 29 28");
	parse(conf);
	assert_int_equal(order("NodeName=box Gres=gpu:w:1,gpu:a\n"), 1);
	assert_string_equal(files(), "30 29");
	parse("Name=gpu Type=3090 File=/dev/f[10-13]\nName=gpu Type=b File=/dev/f20");
	assert_int_equal(order("NodeName=box Gres=gpu:b:no_consume:1,gpu:3090:2"), 1);
	assert_string_equal(files(), "20 10 11");
	parse(conf);
	assert_int_equal(order("NodeName=other Gres=gpu:a:1\n"), 0);
	assert_string_equal(files(), "30 29 28");
}

static void test_detected(void **state)
{
	(void)state;
	parse("AutoDetect=rsmi\n");
	gres_detect(&g, &r);
	assert_string_equal(files(), "28 30");
	parse("AutoDetect=rsmi\nName=gpu File=/dev/dri/renderD[130,128]\n");
	gres_detect(&g, &r);
	assert_string_equal(files(), "28 30");
	parse("AutoDetect=rsmi\nNodeName=box AutoDetect=off Name=gpu File=/dev/dri/renderD130\n");
	gres_detect(&g, &r);
	assert_string_equal(files(), "30");
	memset(&g, 0, sizeof(g));
	gres_detect(&g, &r);
	assert_string_equal(files(), "28 29 30");
}

static void test_granted(void **state)
{
	struct grant to;

	(void)state;
	parse("Name=gpu File=/dev/dri/renderD[128,130]\nName=gpu File=/dev/dri/renderD129\n");
	assert_int_equal(grant_find(&to, &g, &r, "1,2", &e), 0);
	assert_int_equal(to.n, 2);
	assert_string_equal(to.pci[0], "0000:d8:00.0");
	assert_string_equal(to.pci[1], "0000:af:00.0");
	assert_true(to.mixed);
	assert_int_equal(grant_find(&to, &g, &r, NULL, &e), 0);
	assert_int_equal(to.n, 0);
	assert_int_equal(grant_find(&to, &g, &r, "3", &e), -ENODATA);
	assert_non_null(strstr(e.text, "GPU 3, and gres.conf lists 3"));
	assert_int_equal(grant_find(&to, &g, &r, "GPU-1234", &e), -EBADMSG);
	parse("Name=gpu File=/dev/dri/renderD[128,130],/dev/nvidia0\n");
	assert_int_equal(grant_find(&to, &g, &r, "2", &e), -ENODATA);
	assert_non_null(strstr(e.text, "/dev/nvidia0"));
	assert_false(to.mixed);
}

static void test_check(void **state)
{
	struct grant to = { .n = 2, .pci = { "0000:3b:00.0", "0000:af:00.0" } };

	(void)state;
	assert_int_equal(grant_check(&to, &p, &r, &e), 0); /* a plan without GPUs */
	device("0000:af:00.0", "Intel Arc A770");
	device("", "software");
	assert_int_equal(grant_check(&to, &p, &r, &e), 0);
	device("0000:d8:00.0", "AMD Radeon Pro W7900");
	assert_int_equal(grant_check(&to, &p, &r, &e), -EXDEV);
	assert_non_null(strstr(e.text,
			       "the plan is for 0000:d8:00.0, and Slurm granted 0000:3b:00.0, "
			       "0000:af:00.0, which"));
	assert_int_equal(err_exit(-EXDEV), EXIT_PLACEMENT);
	to.n = 0;
	assert_int_equal(grant_check(&to, &p, &r, &e), -EXDEV);
	assert_non_null(strstr(e.text, "0000:af:00.0, Intel Arc A770, and Slurm granted no GPU"));
}

static void test_job(void **state)
{
	struct slurm_job s;

	(void)state;
	device("0000:d8:00.0", "x");
	device("0000:af:00.0", "x");
	device("0000:3b:00.0", "x");
	p.host.buffers.weights_bytes = (100 << 20) + 1;
	assert_int_equal(slurm_job_make(&s, &p, &r, "chat", &e), 0);
	assert_string_equal(s.gres, "gpu:amd_radeon_pro_w7900:2,gpu:intel_arc_a770:1");
	assert_string_equal(s.name, "berth-chat");
	assert_string_equal(s.node, "box");
	assert_int_equal(s.memory_mib, 101 + 1024 + 3 * 512);
	assert_int_equal(s.cpus, 2);
	assert_int_equal(s.n_alike, 0);
	/* layers on the host are computed by all cores */
	p.host.layers = 1;
	p.n_devices = 1;
	assert_int_equal(slurm_job_make(&s, &p, &r, "chat", &e), 0);
	assert_int_equal(s.cpus, 32);
	assert_int_equal(s.n_alike, 1);
	/* of another machine, by the plan's own names */
	p.n_devices = 0;
	device("0000:01:00.0", "NVIDIA GeForce RTX 4090");
	assert_int_equal(slurm_job_make(&s, &p, &r, "chat", &e), 0);
	assert_string_equal(s.gres, "gpu:nvidia_geforce_rtx_4090:1");
	assert_string_equal(s.node, "");
	device("0000:02:00.0", "");
	assert_int_equal(slurm_job_make(&s, &p, &r, "chat", &e), -ENODEV);
	p.n_devices = 0;
	device("", "llvmpipe");
	assert_int_equal(slurm_job_make(&s, &p, &r, "chat", &e), -ENODEV);
}

static void test_options(void **state)
{
	static const char *const good[] = { "partition=gpu",   "wait",
					    "time=1-00:00:00", "mem=64G",
					    "nodelist=n[1-2]", "gpu-freq=low",
					    "no-requeue" };
	static const char *const bad[] = { "",
					   "p",
					   "-p",
					   "--time=1",
					   "gres=gpu:1",
					   "gre=x",
					   "gpus=2",
					   "nodes=2",
					   "node=2",
					   "comment=a b",
					   "time=1\n#SBATCH --nodes=2",
					   "comment=#",
					   "x\"=1",
					   "comment='",
					   "wrap=ls",
					   "array=1-9",
					   "comment=\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(slurm_option_check(good[i], &e), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		e = (struct err) { 0 };
		assert_int_equal(slurm_option_check(bad[i], &e), -EINVAL);
		assert_null(strchr(e.text, '\n'));
	}
}

static void test_script(void **state)
{
	struct slurm_job s = {
		.name = "berth-m", .gres = "gpu:a:1", .node = "box", .cpus = 2, .memory_mib = 9
	};
	struct opt_list options = { .n = 2, .v = { "nodelist=n1", "wait" } };
	static char buf[SLURM_SCRIPT_MAX], small[400];
	struct text t;

	(void)state;
	device("0000:af:00.0", "Intel Arc A770");
	text_init(&t, buf, sizeof(buf));
	slurm_script(&t, &s, &p, &options, "{}\n", "/opt/a b/bin/berth", " --serve");
	assert_false(t.cut);
	assert_int_equal(strncmp(buf, "#!/bin/sh\n#SBATCH --job-name=berth-m\n", 37), 0);
	assert_non_null(strstr(buf, "\n#SBATCH --gres=gpu:a:1\n"));
	assert_non_null(strstr(buf, "\n#SBATCH --nodelist=n1\n#SBATCH --wait\n#"));
	assert_null(strstr(buf, "nodelist=box"));
	assert_non_null(strstr(buf, "<<'BERTH_PLAN'\n{}\nBERTH_PLAN\nsrun "));
	assert_non_null(strstr(
		buf,
		"'/opt/a b/bin/berth' launch --plan \"$berth/plan.json\" --granted --serve\n"));
	text_init(&t, small, sizeof(small));
	slurm_script(&t, &s, &p, &options, "{}\n", "/b", "");
	assert_true(t.cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_nodes, setup),
		cmocka_unit_test_setup(test_bad_lines, setup),
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_detected, setup),
		cmocka_unit_test_setup(test_granted, setup),
		cmocka_unit_test_setup(test_check, setup),
		cmocka_unit_test_setup(test_job, setup),
		cmocka_unit_test_setup(test_options, setup),
		cmocka_unit_test_setup(test_script, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
