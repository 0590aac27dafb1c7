/* SPDX-License-Identifier: MIT */
/* From one core to the next. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "launch/serve_priv.h"

#define NEWS_MS 200 /* that the kernel has to tell of a device that made an engine abort */

/* Answer, and heed orders, for so long. */
static void wait_and_answer(struct job *j, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	while (!j->stop && !j->again) {
		struct pollfd p[1 + SERVE_POLLS_MAX] = { { j->signal_fd, POLLIN, 0 } };
		int64_t left = until - clock_ms();
		int timeout = left > 1000 ? 1000 : (int)left;
		uint32_t n;

		if (left <= 0)
			return;
		n = serve_polls(j->serve, p + 1, &timeout);
		if (poll(p, 1 + n, timeout) < 0 && errno != EINTR)
			return;
		notify_send(&j->serve->notify, "WATCHDOG=1");
		job_heed(j);
		serve_step(j, p + 1, n);
	}
}

static void note_ending(struct job *j)
{
	struct serve *s = j->serve;

	s->record.core_pid = 0;
	s->record.ready_s = 0;
	/* One that ended as it was asked to has nothing to tell */
	text_copy(s->record.last_class, sizeof(s->record.last_class),
		  strcmp(j->ending.class, "none") != 0 ? j->ending.class : "");
	text_copy(s->record.last_sentence, sizeof(s->record.last_sentence), j->ending.sentence);
	s->before = j->plan;
}

/* A core that serves ends when it is asked to, and not otherwise. */
static void doubt(struct job *j)
{
	if (j->stop || j->again || strcmp(j->ending.class, "none") != 0)
		return;
	text_copy(j->ending.class, sizeof(j->ending.class), "exit");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence),
		  "the core ended although nobody had asked it to");
	j->ending.exit = EXIT_ENGINE;
}

static void gave_up(struct job *j, const char *why)
{
	struct text t;
	size_t n = strlen(j->ending.sentence);

	text_init(&t, j->ending.sentence + n, sizeof(j->ending.sentence) - n);
	text_add(&t, "; %s", why);
	note_ending(j);
	serve_tell(j, RUN_FAILED);
}

static bool uses_pci(const struct plan *p)
{
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (p->devices[d].pci[0])
			return true;
	return false;
}

/*
 * An engine aborts within milliseconds of losing its device; the kernel may take longer to say so. What
 * looked like a crash was none, then.
 */
static enum policy_step look_again(struct job *j, enum policy_step step)
{
	struct serve *s = j->serve;

	if (step != POLICY_AGAIN || (!losses_hear(&j->losses, &s->before, &j->loss) &&
				     !losses_look(&j->losses, &s->before, &j->loss)))
		return step;
	log_warn(&j->log, "%s", j->loss.sentence);
	text_copy(j->ending.class, sizeof(j->ending.class), "device lost");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), j->loss.sentence);
	j->ending.exit = EXIT_LOST;
	note_ending(j);
	return POLICY_REPLAN;
}

/* Make ready for the next core as the policy says. false: there is none. */
static bool go_on(struct job *j)
{
	struct serve *s = j->serve;
	struct policy_decision d = policy_next(&s->policy, &j->ending, j->proven, clock_ms());
	struct err e = { 0 };
	int rc;

	if (d.step == POLICY_END) {
		gave_up(j, d.gave_up ? "gave up" : "starting it again would not help");
		return false;
	}
	log_warn(&j->log, "%s", j->ending.sentence);
	if (d.step == POLICY_AGAIN && d.delay_ms == 0 && uses_pci(&s->before))
		d.delay_ms = NEWS_MS;
	if (d.delay_ms >= 1000)
		log_note(&j->log, "the core is started again in %lld s",
			 (long long)d.delay_ms / 1000);
	serve_answer(s, "the engine has failed and is being started again",
		     (uint32_t)(d.delay_ms / 1000));
	serve_tell(j, RUN_WAITING);
	wait_and_answer(j, d.delay_ms);
	s->stopped_between = j->stop;
	if (j->stop || j->again)
		return !j->stop;
	rc = remedy_take(j, look_again(j, d.step), &e);
	if (rc == 0)
		return true;
	gave_up(j, e.text);
	return false;
}

static bool restarted(struct job *j)
{
	struct err e = { 0 };

	j->again = false;
	log_note(&j->log, "started again, as asked");
	serve_answer(j->serve, "the run is being started again", 1);
	serve_tell(j, RUN_STARTING);
	if (remedy_start_over(j, &e) == 0)
		return true;
	text_copy(j->ending.class, sizeof(j->ending.class), "plan");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), "it cannot be started again");
	j->ending.exit = EXIT_NO;
	gave_up(j, e.text);
	return false;
}

/* A core that could not even be started is one that ended. */
static void run_core(struct job *j)
{
	struct err e = { 0 };
	int rc = job_prepare(j, &e);

	if (rc == 0)
		rc = job_run(j, &e);
	if (rc == 0)
		return;
	text_copy(j->ending.class, sizeof(j->ending.class), "start");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), e.text);
	j->ending.exit = err_exit(rc);
}

/* Asked to end, it ended: fine, unless nobody was ever served, or a core that served crashed on the way. */
static void stopped(struct job *j)
{
	struct ending *end = &j->ending;
	bool ran = strcmp(end->class, "none") != 0 && strcmp(end->class, "stopped") != 0;

	if (ran && !j->serve->stopped_between)
		return;
	memset(end, 0, sizeof(*end));
	text_copy(end->class, sizeof(end->class), j->serve->served ? "none" : "stopped");
	if (j->serve->served)
		return;
	text_copy(end->sentence, sizeof(end->sentence), "stopped before the model was ready");
	end->exit = EXIT_NO;
}

int serve_run(struct job *j, struct err *e)
{
	bool more = true;

	j->serve->first = j->plan;
	(void)e;
	while (more) {
		job_reset(j);
		run_core(j);
		note_ending(j);
		doubt(j);
		if (j->stop)
			break;
		more = j->again ? restarted(j) : go_on(j);
		if (more && j->again)
			more = restarted(j);
	}
	if (j->stop) {
		stopped(j);
		runtime_close(&j->runtime, false); /* of a core that failed before, perhaps */
	}
	return 0;
}
