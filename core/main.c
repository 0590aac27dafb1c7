/* SPDX-License-Identifier: MIT */
/*
 * The core: carries out one plan with the engine, as a child of `berth launch` or by itself.
 * docs/formats.md has the protocol on --control-fd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"
#include "base/text.h"
#include "core/run.h"

static int find_lib_dir(char dir[PATH_MAX], struct err *e)
{
	char path[PATH_MAX];
	int rc = self_path(path, sizeof(path), "lib/berth", e);

	if (rc)
		return rc;
	if (!realpath(path, dir))
		return err_set(e, -errno, "the engine is not at %s; run `make deps`", path);
	return 0;
}

/*
 * Libraries of the engine and drivers may print on descriptor 1. Ours is another: what they print goes
 * to stderr, and only tokens reach the reader.
 */
static FILE *claim_stdout(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3); /* drivers start helpers */

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return NULL;
	return fdopen(fd, "w");
}

static int make_absolute(char *path, size_t size, const char *what, struct err *e)
{
	char all[PATH_MAX];

	if (!realpath(path, all))
		return err_set(e, -errno, "the plan's %s %s: %s", what, path, strerror(errno));
	if (!text_copy(path, size, all))
		return err_set(e, -ENAMETOOLONG, "the path of the %s is too long: %s", what, all);
	return 0;
}

static int read_plan(struct run *r, struct err *e)
{
	int rc = plan_read(&r->plan, r->o.plan, e);

	if (rc || r->o.calibrate) /* which loads no model but its own */
		return rc;
	rc = r->o.measure ? 0 : plan_runnable(&r->plan, e);
	if (rc)
		return rc;
	if (r->o.prompt && r->plan.flags.embeddings)
		return err_set(
			e, -EBADMSG,
			"the plan is for embeddings: it can be served, but generates no text");
	if (r->o.prompt && r->plan.draft.n_max)
		return err_set(e, -EBADMSG,
			       "the plan has a draft model, which guesses for a server: --serve");
	rc = make_absolute(r->plan.model_path, sizeof(r->plan.model_path), "model", e);
	if (!rc && r->plan.draft.n_max)
		rc = make_absolute(r->plan.draft.path, sizeof(r->plan.draft.path), "draft", e);
	return rc;
}

/* Everything with a relative path happens before chdir: libraries search the current directory. */
static int prepare(struct run *r, struct err *e)
{
	int rc = find_lib_dir(r->lib_dir, e);

	if (rc)
		return rc;
	setenv("GGML_NO_BACKTRACE", "1", 1); /* ggml would start a debugger when it aborts */
	r->out = claim_stdout();
	if (!r->out)
		return err_set(e, -errno, "standard output cannot be used: %s", strerror(errno));
	if (r->o.plan)
		rc = read_plan(r, e);
	if (rc == 0)
		rc = adapters_take(&r->loras, &r->o.loras, e);
	if (rc == 0)
		rc = adapters_take(&r->vectors, &r->o.vectors, e);
	if (rc)
		return rc;
	rc = page_open(&r->page, r->o.telemetry, &r->plan, r->o.http.name, e);
	if (rc)
		return rc;
	if (r->o.serve)
		rc = serve_open(&r->http, &r->o.http, r->plan.model_path, e);
	if (rc)
		return rc;
	return chdir("/") ? -errno : 0;
}

static void print_summary(const struct run *r)
{
	const struct outcome *o = &r->outcome;

	log_detail(&r->log, "%llu prompt tokens in %.3f s, %llu tokens in %.3f s on %u threads; %s",
		   (unsigned long long)o->prompt_tokens, (double)o->prompt_ns / 1e9,
		   (unsigned long long)o->generated_tokens, (double)o->generated_ns / 1e9,
		   r->o.threads, o->stop);
	for (uint32_t i = 0; i < r->account.n_devices; i++) {
		const struct account_device *d = &r->account.devices[i];
		char w[TEXT_SIZE_MAX], k[TEXT_SIZE_MAX], c[TEXT_SIZE_MAX];

		log_detail(&r->log, "%s %s: %u layers, weights %s, KV %s, compute %s", d->name,
			   d->pci, d->layers, text_size(w, d->bytes.weights),
			   text_size(k, d->bytes.kv), text_size(c, d->bytes.compute));
	}
}

static int finish(struct run *r, enum failure f, const struct err *e)
{
	page_state(&r->page, f ? TELEM_FAILED : TELEM_STOPPED);
	if (f) {
		control_send(&r->control, event_failed(f, e->text));
		if (r->control.fd < 0)
			err_report("core", e->rc, e);
		return failure_exit(f);
	}
	control_send(&r->control, event_done(&r->outcome));
	print_summary(r);
	return EXIT_YES;
}

static int run(struct run *r, struct err *e)
{
	int rc = control_init(&r->control, r->o.control_fd ? (int)r->o.control_fd : -1, e);
	enum failure f;

	if (rc == 0)
		rc = prepare(r, e);
	if (rc) {
		control_send(&r->control, event_failed(FAILURE_PLAN, e->text));
		return r->control.fd >= 0 ? (int)err_exit(rc) : (int)err_report("core", rc, e);
	}
	if (r->o.measure)
		return ask_measure(r, e);
	if (!r->o.list_devices && !r->o.calibrate)
		return finish(r, run_carry_out(r, e), e);
	f = r->o.calibrate ? ask_calibrate(r, e) : ask_devices(r, e);
	return f ? finish(r, f, e) : EXIT_YES;
}

int main(int argc, char **argv)
{
	own_free struct run *r = calloc(1, sizeof(*r));
	struct err e = { 0 };
	bool stop;
	int rc;

	if (!r)
		return EXIT_ENV;
	rc = options_parse(&r->o, argc, argv, &stop);
	if (stop)
		return rc;
	log_init(&r->log, "berth core", r->o.quiet, r->o.verbose);
	rc = run(r, &e);
	serve_close(&r->http);
	engine_close(r->draft);
	engine_close(r->engine);
	page_close(&r->page);
	control_fini(&r->control);
	if (r->out && fclose(r->out) != 0 && rc == EXIT_YES && (r->o.list_devices || r->o.measure))
		rc = EXIT_ENV;
	return rc;
}
