/* SPDX-License-Identifier: MIT */
/* The monitor without a screen: Prometheus' text, sentences, and another machine's recording over ssh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "tui/frame.h"
#include "tui/line.h"
#include "tui/print.h"
#include "tui/prom.h"
#include "tui/ssh.h"

static struct snapshot *make(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct report *r = calloc(1, sizeof(*r));
	struct telem_run *run = &s->runs[0].page.run;

	r->n_gpus = 2;
	strcpy(r->gpus[0].pci, "0000:03:00.0");
	r->gpus[0].awake = AWAKE_YES;
	r->gpus[0].name = fact_text_of("A \"quoted\" \\ card", SRC_PCI);
	r->gpus[0].driver = fact_text_of("amdgpu", SRC_SYSFS);
	r->gpus[0].vram_total = fact_of(INT64_C(16) << 30, SRC_SYSFS);
	r->gpus[0].vram_used = fact_of(0, SRC_SYSFS);
	r->gpus[0].power_mw = fact_of(72500, SRC_HWMON);
	r->gpus[0].busy_percent = fact_of(25, SRC_SYSFS);
	r->gpus[0].live.energy_uj = fact_of(INT64_C(123456789012345), SRC_HWMON);
	strcpy(r->gpus[1].pci, "0000:c1:00.0");
	r->gpus[1].awake = AWAKE_NO;
	r->gpus[1].power_mw = fact_unknown(WHY_ASLEEP);
	s->report = r;
	s->n_runs = 2;
	strcpy(s->runs[0].name, "chat");
	strcpy(run->model, "tiny");
	run->state = TELEM_READY;
	run->verified = 1;
	run->ctx_tokens = 4096;
	run->ctx_used_tokens = 12;
	run->counts.prompt_tokens = 100;
	run->counts.prompt_ns = 1500000000;
	run->counts.drafted_tokens = TELEM_UNKNOWN;
	run->n_devices = 1;
	run->devices[0].measured = (struct telem_bytes) { 1, 2, 3, TELEM_UNKNOWN };
	strcpy(s->runs[1].name, "other");
	s->runs[1].rc = -ENOENT;
	s->n_bridges = 1;
	strcpy(s->bridges[0].key, "0000:05:00.0 bridge");
	strcpy(s->bridges[0].page.pci, "0000:05:00.0");
	strcpy(s->bridges[0].page.guest, "vm");
	s->bridges[0].page.state = TELEM_BRIDGE_RUNNING;
	s->bridges[0].page.counts.interrupts = TELEM_UNKNOWN;
	s->bridges[0].page.regions[TELEM_BAR0].size_bytes = 4096;
	for (int i = 0; i < 3; i++)
		telem_access(&s->bridges[0].page, TELEM_BAR0, i ? TELEM_READ : TELEM_POSTED, 1500);
	return s;
}

static void drop(struct snapshot *s)
{
	free((void *)s->report);
	free(s);
}

static char *prom_of(const struct snapshot *s)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(prom_print(s, f), 0);
	fclose(f);
	return text;
}

static void has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("'%s' is not in:\n%s", line, text);
}

static void metrics(void **state)
{
	struct snapshot *s = make();
	own_free char *t = prom_of(s);

	(void)state;
	has(t, "# TYPE berth_gpu_power_watts gauge\nberth_gpu_power_watts{pci=\"0000:03:00.0\","
	       "name=\"A \\\"quoted\\\" \\\\ card\"} 72.5\n");
	has(t,
	    "berth_gpu_energy_joules_total{pci=\"0000:03:00.0\",name=\"A \\\"quoted\\\" \\\\ card\"} "
	    "123456789.012345\n");
	has(t, "} 0.25\n");
	has(t,
	    "berth_gpu_memory_used_bytes{pci=\"0000:03:00.0\",name=\"A \\\"quoted\\\" \\\\ card\"} 0\n");
	has(t, "berth_run_prompt_seconds_total{run=\"chat\",model=\"tiny\"} 1.5\n");
	has(t,
	    "berth_run_memory_bytes{run=\"chat\",model=\"tiny\",pci=\"\",device=\"\",purpose=\"kv\"} 2\n");
	has(t, "state=\"ASLEEP\"} 1\n");
	has(t,
	    "berth_bridge_reads_total{bridge=\"0000:05:00.0 bridge\",pci=\"0000:05:00.0\",guest=\"vm\",region=\"BAR0\"} 2\n");
	has(t, "le=\"1.024e-06\"} 0\n");
	has(t, "le=\"2.048e-06\"} 3\n");
	has(t, "le=\"+Inf\"} 3\n");
	has(t, "berth_bridge_access_seconds_count{bridge=\"0000:05:00.0 bridge\",");
	assert_null(strstr(t, "berth_bridge_interrupts"));
	/* What nobody knows is not there, not zero. */
	assert_null(strstr(t, "purpose=\"other\""));
	assert_null(strstr(t, "drafted"));
	assert_null(strstr(t, "berth_gpu_power_watts{pci=\"0000:c1:00.0\""));
	drop(s);
}

/* Each metric has its HELP and TYPE once, before its first sample, and its samples stand together. */
static void metrics_are_in_groups(void **state)
{
	struct snapshot *s = make();
	own_free char *t = prom_of(s);
	char names[64][80] = { "" }, kind[16] = "";
	size_t n = 0;
	char *save;

	(void)state;
	for (char *l = strtok_r(t, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char name[80];

		if (sscanf(l, "# HELP %79s", name) == 1) {
			for (size_t i = 0; i < n; i++)
				assert_string_not_equal(names[i], name);
			assert_true(n < COUNT(names));
			strcpy(names[n++], name);
		} else if (sscanf(l, "# TYPE %79s %15s", name, kind) == 2) {
			assert_string_equal(name, names[n - 1]);
		} else {
			assert_int_equal(sscanf(l, "%79[a-z_]", name), 1);
			/* Samples of these go on with _bucket, _sum and _count. */
			if (!strcmp(kind, "histogram") || !strcmp(kind, "summary"))
				name[strlen(names[n - 1])] = '\0';
			assert_string_equal(name, names[n - 1]);
		}
	}
	assert_true(n > 20);
	drop(s);
}

static void sentences(void **state)
{
	struct snapshot *s = make();
	struct events *ev = calloc(1, sizeof(*ev));
	own_free char *text = NULL;
	uint64_t seen = 0;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	line_state(s, f);
	fflush(f);
	has(text, "is ok, has 0 B of 16.0 GiB in use, draws 72 watts.\n");
	has(text, "is ASLEEP.\n");
	has(text, "Run chat is ready, model tiny, has 12 of 4096 tokens of context in use.\n");
	for (int i = 0; i < EVENTS_MAX + 10; i++)
		events_say(ev, s, i ? SEVERITY_WARN : SEVERITY_BAD, "something happened.");
	line_events(ev, &seen, f);
	fflush(f);
	has(text, "\n10 changes came too fast to be told.\n");
	has(text, "Warning: something happened.\n");
	size_t before = n;

	line_events(ev, &seen, f);
	fclose(f);
	assert_int_equal(before, n);
	free(ev);
	drop(s);
}

/* --- another machine --- */

static char dir[] = "/tmp/berth-remote.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* A stand-in for ssh that runs this script. */
static void ssh_is(const char *script)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/ssh", dir);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("BERTH_SSH", path, 1);
}

static void another_machine(void **state)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct ssh *r = NULL;
	struct err e = { 0 };

	(void)state;
	ssh_is("echo Welcome to ws1\n"
	       "[ \"$*\" = '-T -- me@ws1 berth top --record - --interval 0.500' ] || exit 9\n"
	       "echo '{\"schema\":\"berth.recording/1\",\"t\":5000,\"clock_ms\":7}'\n"
	       "echo '{\"t\":5000,\"f\":\"index\"}'\n"
	       "echo '{\"t\":5000,\"f\":\"machine\",\"full\":{}}'\n"
	       "echo '{\"t\":5000,\"f\":\"device\",\"id\":\"0000:03:00.0\",\"full\":{\"pci\":\"0000:03:00.0\"}}'\n"
	       "echo '{\"t\":5000,\"f\":\"moment\"}'\n"
	       "echo Bye >&2");
	assert_int_equal(ssh_open(&r, "me@ws1", 500, &e), 0);
	struct feed feed = ssh_feed(r);

	while (!s->device_error[0]) {
		feed.next(feed.ctx, s);
		usleep(1000);
	}
	assert_int_equal(s->origin, ORIGIN_REMOTE);
	assert_string_equal(s->origin_name, "me@ws1");
	assert_int_equal(s->report->n_gpus, 1);
	assert_string_equal(s->device_error, "me@ws1 has ended: Bye");
	assert_false(feed.may_kill);
	ssh_close(r);
	free(s);
}

static void no_machine(void **state)
{
	struct ssh *r = NULL;
	struct err e = { 0 };

	(void)state;
	ssh_is("echo 'Permission denied (publickey).' >&2; exit 255");
	assert_int_equal(ssh_open(&r, "me@ws1", 1000, &e), -EHOSTUNREACH);
	assert_string_equal(e.text, "nothing came from me@ws1: Permission denied (publickey).");
	ssh_is("echo '{\"schema\":\"berth.recording/9\",\"t\":1}'");
	assert_int_equal(ssh_open(&r, "ws1", 1000, &e), -EHOSTUNREACH);
	has(e.text, "berth.recording/9");
	ssh_is("yes $(head -c 3000000 /dev/zero | tr '\\0' x) | head -c 5000000");
	assert_int_equal(ssh_open(&r, "ws1", 1000, &e), -EHOSTUNREACH);
	setenv("BERTH_SSH", "/nonexistent/ssh", 1);
	assert_true(ssh_open(&r, "ws1", 1000, &e) < 0);
	for (const char *const *bad = (const char *const[]) { "", "-oProxyCommand=x", "a b", NULL };
	     *bad; bad++)
		assert_int_equal(ssh_open(&r, *bad, 1000, &e), -EINVAL);
}

/* What other tools would refuse whole, or believe. */
static void what_nobody_knows_is_left_out(void **state)
{
	struct snapshot *s = make();
	struct telem_bridge *b = &s->bridges[0].page;
	char *text;

	(void)state;
	strcpy(s->runs[0].page.run.model, "bad \xff\x1b name");
	b->counts.latency_ns = TELEM_UNKNOWN;
	b->regions[TELEM_BAR0].denied = TELEM_UNKNOWN;
	text = prom_of(s);
	has(text, "model=\"bad ?? name\"");
	assert_null(strstr(text, "access_seconds_sum"));
	assert_null(strstr(text, "bridge_denied_total{"));
	free(text);

	struct telem_counts *c = &s->runs[0].page.run.counts;

	c->first_tokens = 3;
	c->first_token_ns = TELEM_UNKNOWN;
	json_t *o = frame_to_json(&(struct frame) { .snap = s });

	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(o, "runs"), 0),
						 "first_token_ns_mean")));
	assert_string_equal(json_string_value(json_object_get(o, "origin")), "live");
	json_decref(o);
	drop(s);
}

static json_t *run_of(const struct frame *f, json_t **whole)
{
	*whole = frame_to_json(f);
	return json_array_get(json_object_get(*whole, "runs"), 0);
}

static void is(const json_t *o, const char *key, double v)
{
	assert_true(json_is_number(json_object_get(o, key)));
	assert_float_equal(json_number_value(json_object_get(o, key)), v, v * 1e-6);
}

/* Programs are told what the screen shows of two moments, and of one alone why not. */
static void what_tokens_cost(void **state)
{
	struct snapshot *s = make();
	struct history *h = calloc(1, sizeof(*h));
	struct prefs prefs = { .price_kwh = 0.36, .currency = "EUR" };
	struct frame f = { .snap = s, .prefs = &prefs };
	struct telem_run *run = &s->runs[0].page.run;
	struct gpu *g = &((struct report *)s->report)->gpus[0];
	json_t *o, *r;

	(void)state;
	run->state = TELEM_GENERATING;
	strcpy(run->devices[0].pci, g->pci);
	g->power_mw = fact_of(50000, SRC_HWMON);
	s->origin = ORIGIN_REMOTE; /* its pages come without their samples */
	s->interval_ms = 1000;
	for (int i = 0; i < 3; i++) {
		s->now_ns += UINT64_C(1000000000);
		run->counts.generated_tokens += 100;
		history_add(h, s);
	}
	r = run_of(&f, &o);
	assert_true(json_is_null(json_object_get(r, "tokens_per_joule")));
	assert_string_equal(json_string_value(json_object_get(r, "tokens_per_joule_why")),
			    "it takes two moments");
	assert_string_equal(json_string_value(json_object_get(r, "generated_tokens_per_s_now_why")),
			    "it takes two moments");
	json_decref(o);
	f.history = h;
	r = run_of(&f, &o);
	is(r, "tokens_per_joule", 2);
	is(r, "cost_million_tokens", 1e6 / 2 / 3.6e6 * 0.36);
	assert_string_equal(json_string_value(json_object_get(r, "currency")), "EUR");
	is(r, "generated_tokens_per_s_now", 100);
	json_decref(o);
	prefs.price_kwh = 0;
	r = run_of(&f, &o);
	is(r, "tokens_per_joule", 2);
	assert_string_equal(json_string_value(json_object_get(r, "cost_million_tokens_why")),
			    "no price-kwh is set in top.conf");
	assert_true(json_is_null(json_object_get(r, "currency")));
	json_decref(o);
	free(h);
	drop(s);
}

/* A machine whose numbers come at the fifth look. */
static void next_slowly(void *ctx, struct snapshot *s)
{
	struct snapshot *from = ctx;
	const struct report *r = from->report;
	struct gpu *g = &((struct report *)r)->gpus[0];

	from->n_bridges++; /* how often was looked */
	g->power_mw = from->n_bridges < 5 ? fact_unknown(WHY_NOT_EXPORTED)
					  : fact_of(7000, SRC_NVML);
	s->report = r;
	s->devices[0].age_ms = from->n_bridges < 5 ? AGE_UNKNOWN : 0;
	s->devices[1].age_ms = AGE_UNKNOWN; /* asleep: it has none */
	s->now_ns += 1000000;
}

/* Whoever reads a stream has the numbers from its first line on. */
static void the_first_line_has_numbers(void **state)
{
	struct snapshot *s = make();
	struct prefs prefs = { .interval_ms = 1 };
	const struct feed slow = { .next = next_slowly, .ctx = s };
	struct tape *tape = calloc(1, sizeof(*tape));
	struct word last;
	FILE *f = tmpfile();
	char line[16384];
	int out = dup(STDOUT_FILENO);

	(void)state;
	assert_non_null(f);
	s->n_bridges = 0;
	tape_begin(tape, slow, false, &prefs.alarm);

	const struct feed feed = tape_feed(tape);
	const struct printer p = { .feed = &feed,
				   .tape = tape,
				   .prefs = &prefs,
				   .output = OUTPUT_JSON,
				   .count = 2,
				   .signals = -1 };

	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	int rc = print_all(&p, NULL);
	dup2(out, STDOUT_FILENO);
	close(out);
	assert_int_equal(rc, 0);
	rewind(f);
	assert_non_null(fgets(line, sizeof(line), f));
	has(line, "\"power_mw\":7000");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_null(fgets(line, sizeof(line), f));
	fclose(f);
	tape_end(tape, &last, NULL);
	free(tape);
	drop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics),
		cmocka_unit_test(metrics_are_in_groups),
		cmocka_unit_test(the_first_line_has_numbers),
		cmocka_unit_test(what_tokens_cost),
		cmocka_unit_test(sentences),
		cmocka_unit_test(another_machine),
		cmocka_unit_test(no_machine),
		cmocka_unit_test(what_nobody_knows_is_left_out),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
