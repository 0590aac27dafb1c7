/* SPDX-License-Identifier: MIT */
#include "device/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "device/elsewhere.h"
#include "device/journal.h"
#include "device/reason.h"
#include "probe/probe.h"

/* sysfs answers when it is done; what follows by way of udev or another thread is there soon after, or never. */
#define SETTLE_MS 2000

static const char *const state_names[] = {
	[STATE_NONE] = "none",       [STATE_BEGUN] = "begun",   [STATE_DONE] = "done",
	[STATE_ALREADY] = "already", [STATE_FAILED] = "failed", [STATE_HUNG] = "hung",
	[STATE_UNDOING] = "undoing", [STATE_UNDONE] = "undone", [STATE_STUCK] = "stuck",
};

static const char *const end_names[] = {
	[RUN_OPEN] = "open",
	[RUN_DONE] = "done",
	[RUN_UNDONE] = "undone",
	[RUN_FAILED] = "failed",
};

const char *step_state_name(enum step_state s)
{
	return state_names[s];
}

const char *run_end_name(enum run_end end)
{
	return end_names[end];
}

static const int enders[] = { SIGINT, SIGTERM, SIGHUP };

#define N_ENDERS (sizeof(enders) / sizeof(enders[0]))

void run_hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < N_ENDERS; i++)
		sigaddset(&set, enders[i]);
	sigprocmask(SIG_BLOCK, &set, NULL); /* children have it from us, and end what they write */
}

/* A signal that is held back waits. */
static bool is_interrupted(const struct runner *r)
{
	sigset_t set;

	if (r->going_back || sigpending(&set) < 0)
		return false;
	for (size_t i = 0; i < N_ENDERS; i++)
		if (sigismember(&set, enders[i]) == 1)
			return true;
	return false;
}

/* While we act, a device that is absent has vanished. */
static int as_vanished(int rc)
{
	return rc == -ENODEV || rc == -ENOENT ? -ENXIO : rc;
}

#define DEVICES "sys/bus/pci/devices/"

/* The function whose state a step changes: the one that a driver is told of, or whose file it is. False: none. */
static bool function_of(const struct step *s, char pci[24])
{
	const char *at = s->target + strlen(DEVICES);
	size_t n;

	if (s->op != STEP_WRITE && s->op != STEP_AWAIT)
		return false;
	if (strncmp(s->target, "sys/bus/pci/drivers", strlen("sys/bus/pci/drivers")) == 0)
		return addr_ok(s->value) && text_copy(pci, 24, s->value);
	if (strncmp(s->target, DEVICES, strlen(DEVICES)) != 0)
		return false;
	n = strcspn(at, "/");
	if (n >= 24 || strcmp(at + n, "/rescan") == 0) /* which is about what is below */
		return false;
	memcpy(pci, at, n);
	pci[n] = '\0';
	return addr_ok(pci);
}

/* Its function has left the machine: pulled, or fallen off its bus. */
static bool has_vanished(struct runner *r, const struct step *s, char pci[24])
{
	char path[sizeof(DEVICES) + 24];

	if (!function_of(s, pci))
		return false;
	snprintf(path, sizeof(path), DEVICES "%s", pci);
	return !r->hand->ops->exists(r->hand, path);
}

static int note(struct runner *r, const struct txn *t, uint32_t i, struct outcome *o,
		enum step_state state, const char *why, struct err *e)
{
	struct event v = { .step = i, .state = state, .why = why, .of = &t->steps[i] };

	if (why)
		text_copy(o->whys[i], sizeof(o->whys[i]), why);
	if (state == STATE_HUNG || state == STATE_UNDOING)
		v.pid = r->hand->hung;
	o->states[i] = state;
	return r->journal ? journal_note(r->journal, t, &v, e) : 0;
}

static int note_end(struct runner *r, const struct txn *t, struct outcome *o, enum run_end end,
		    const char *why, struct err *e)
{
	o->end = end;
	return r->journal ? journal_end(r->journal, t, end, why, e) : 0;
}

/* Whether the target still holds what it held when this was decided. */
static int check_before(struct runner *r, const struct step *s, struct err *e)
{
	char now[STEP_VALUE];
	bool gone;

	if (!s->known)
		return 0;
	if (!hand_now(r->hand, s, now, &gone))
		return err_set(e, -ENXIO, "%s: /%s cannot be read any more", s->says, s->target);
	if (gone == s->was_gone && strcmp(now, s->before) == 0)
		return 0;
	if (s->op == STEP_SAVE)
		return err_set(e, -ENXIO, "%s: /%s was changed meanwhile", s->says, s->target);
	return err_set(e, -ENXIO, "%s: /%s was changed meanwhile: it reads '%.80s', not '%.80s'",
		       s->says, s->target, now, s->before);
}

/* Whether nothing needs to be done, as far as anything tells. */
static bool is_so(struct runner *r, const struct step *s)
{
	char now[STEP_VALUE];
	struct err ignored = { 0 };
	bool gone;

	if (s->op == STEP_AWAIT)
		return false;
	/* Near is good enough for what was written, and no reason not to write. */
	if (s->after.kind != LOOK_NONE && s->after.kind != LOOK_NEAR)
		return hand_look(r->hand, &s->after, &ignored) == 1;
	if (!s->known || !hand_now(r->hand, s, now, &gone))
		return false;
	return gone == s->gone && (s->gone || strcmp(now, s->value) == 0);
}

/* In which points it is another than was waited for, where an agent can tell: "; its ids are ...", or nothing. */
static void say_what_differs(struct runner *r, const struct look *l, struct text *t)
{
	const struct agent *a = l->kind == LOOK_AGENT && !l->not ? agent_find(r->hand->agents,
									      l->agent)
								 : NULL;
	struct err ignored = { 0 };
	char said[STEP_VALUE] = "";
	char points[240];
	struct text p;

	text_init(&p, points, sizeof(points));
	if (!a || !a->differs ||
	    r->hand->ops->ask(r->hand, l->agent, l->path, said, sizeof(said), &ignored))
		return;
	a->differs(&p, l->path, l->want, text_clean(said));
	text_add(t, "%s%s", p.len ? ": " : "", points);
}

/* Wait for `after`. */
static int await(struct runner *r, const struct step *s, struct err *e)
{
	bool own_time = s->op == STEP_ASK || s->op == STEP_AWAIT;
	int64_t limit = !own_time ? SETTLE_MS : s->timeout_ms ? s->timeout_ms : STEP_TIMEOUT_MS;
	int64_t until = clock_ms() + limit;
	int is, ms = 5;

	if (s->after.kind == LOOK_NONE)
		return 0;
	while ((is = hand_look(r->hand, &s->after, e)) != 1 && clock_ms() < until &&
	       !is_interrupted(r)) {
		if (!r->hand->ops->pause(r->hand, ms))
			break;
		ms = ms < 200 ? 2 * ms : ms;
	}
	if (is == 1)
		return 0;
	if (is < 0)
		return err_at(e, as_vanished(is), "%s", s->says);
	char points[256] = "";
	struct text t;

	text_init(&t, points, sizeof(points));
	say_what_differs(r, &s->after, &t);
	return err_set(e, -ENXIO, "%s: %s, but it did not come true within %.1f s%s", s->says,
		       s->op == STEP_AWAIT ? "waited for" : "it was taken", (double)limit / 1000,
		       points);
}

/* Of a step that takes back: what was done to a function that left is gone with it. */
static bool is_gone_with_it(struct runner *r, const struct step *u, char pci[24])
{
	if (!has_vanished(r, u, pci))
		return false;
	log_note(r->log, "%s has vanished; what was done to it is gone with it", pci);
	return true;
}

/* What the errno means here, where that is known, and what the kernel said. */
static int say_why(struct runner *r, const struct step *s, int rc, struct err *e)
{
	const char *means = step_reason(s, rc);
	struct err said = *e;
	char pci[24];

	if (has_vanished(r, s, pci))
		return err_set(e, -ENXIO, "%s: %s has vanished from this machine (%s)", s->says,
			       pci, strerror(-rc));
	if (!means)
		return err_at(e, as_vanished(rc), "%s", s->says);
	return err_set(e, as_vanished(rc), "%s: %s (%s)", s->says, means, said.text);
}

/* Act, and see it come true. Of what took too long only that counts. */
static int act(struct runner *r, struct step *s, struct err *e)
{
	struct err ignored = { 0 };
	bool gone;
	int rc = r->hand->ops->act(r->hand, s, e);

	/* A driver's link is gone before it has let go: of what still hangs no look says that it is over. */
	if (rc == -ETIMEDOUT && !r->hand->hung && s->after.kind != LOOK_NONE &&
	    hand_look(r->hand, &s->after, &ignored) == 1)
		rc = 0;
	else if (rc)
		return rc == -ETIMEDOUT ? rc : say_why(r, s, rc, e);
	rc = await(r, s, e);
	if (!rc && s->known)
		s->left_known = hand_now(r->hand, s, s->left, &gone);
	return rc;
}

/* One step forward. 0, also when it may fail; or why not. */
static int do_step(struct runner *r, struct txn *t, uint32_t i, struct outcome *o, struct err *e)
{
	struct step *s = &t->steps[i];
	struct err unsaid = { 0 };
	enum step_state state;
	char pci[24];

	log_detail(r->log, "%s", s->says);
	if (is_so(r, s) || (*t->undoes && is_gone_with_it(r, s, pci)))
		return note(r, t, i, o, STATE_ALREADY, NULL, e);
	int rc = check_before(r, s, e);

	if (!rc)
		rc = note(r, t, i, o, STATE_BEGUN, NULL, e);
	if (rc)
		return rc;
	rc = act(r, s, e);
	if (!rc)
		return note(r, t, i, o, STATE_DONE, NULL, e);
	state = r->hand->hung ? STATE_HUNG : STATE_FAILED;
	note(r, t, i, o, state, e->text, &unsaid);
	if (s->may_fail && state == STATE_FAILED) {
		log_warn(r->log, "%s", e->text);
		*e = (struct err) { 0 };
		return 0;
	}
	return rc;
}

/* One step backward: 0, or why it stays. */
static int undo_step(struct runner *r, struct txn *t, uint32_t i, struct outcome *o, struct err *e)
{
	struct err unsaid = { 0 };
	char pci[24];
	struct step u;
	int rc = step_invert(&t->steps[i], &u, e);

	if (rc < 0) {
		note(r, t, i, o, STATE_STUCK, e->text, &unsaid);
		return rc;
	}
	if (rc || is_so(r, &u) || is_gone_with_it(r, &u, pci))
		return note(r, t, i, o, STATE_UNDONE, NULL, e);
	log_detail(r->log, "%s", u.says);
	rc = note(r, t, i, o, STATE_UNDOING, NULL, e);
	if (rc) /* a journal that cannot be written is no reason to leave things half done */
		log_warn(r->log, "%s", e->text);
	rc = act(r, &u, e);
	if (rc && !r->hand->hung && is_gone_with_it(r, &u, pci))
		rc = 0;
	if (rc)
		note(r, t, i, o, r->hand->hung ? STATE_UNDOING : STATE_STUCK, e->text, &unsaid);
	else
		note(r, t, i, o, STATE_UNDONE, NULL, &unsaid);
	return rc;
}

static bool has_to_go_back(enum step_state s)
{
	return s != STATE_NONE && s != STATE_UNDONE && s != STATE_STUCK;
}

int txn_take_back(struct runner *r, struct txn *t, struct outcome *o, const char *cause,
		  struct err *e)
{
	struct err one = { 0 }, unsaid = { 0 };
	int rc = 0;

	r->going_back = true;
	for (uint32_t i = t->n; i-- > 0;) {
		if (!has_to_go_back(o->states[i]))
			continue;
		r->hand->ops->tidy(r->hand, &t->steps[i]);
		/* What was refused and what leaves no trace needs nothing; what half came true, does. */
		if (o->states[i] == STATE_FAILED && t->steps[i].undo == UNDO_NEVER) {
			note(r, t, i, o, STATE_UNDONE, NULL, &unsaid);
			continue;
		}
		int now = undo_step(r, t, i, o, &one);

		if (now && !rc) {
			rc = now;
			err_set(e, rc, "step %u stays (%s): %s", i + 1, t->steps[i].says, one.text);
		}
		if (r->hand->hung)
			return rc; /* the next change brings it to its end */
	}
	note_end(r, t, o, rc ? RUN_FAILED : RUN_UNDONE, cause, &unsaid);
	return rc;
}

static uint32_t n_changed(const struct txn *t, const struct outcome *o)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += o->states[i] == STATE_DONE;
	return n;
}

/* A step failed: what becomes of those before, and one sentence of both. */
static int fail(struct runner *r, struct txn *t, struct outcome *o, int rc, struct err *e)
{
	struct err cause = *e, back = { 0 }, unsaid = { 0 };
	char at[24];

	if (elsewhere_find(r->hand->m, t, at))
		rc = err_set(&cause, -ENXIO, "%s; a device with its ids (%s) is at %s now", e->text,
			     t->ids, at);
	uint32_t changed = n_changed(t, o);

	if (r->hand->hung) /* who takes back what is still being done makes it worse */
		return err_set(e, rc,
			       "%s; what was done so far stays, and the next change looks "
			       "whether it came true",
			       cause.text);
	if (t->keep && changed) {
		note_end(r, t, o, RUN_FAILED, cause.text, &unsaid);
		if (*t->undoes)
			return err_set(
				e, rc,
				"%s; what was taken back so far stays so, and 'berth device undo "
				"%s' goes on",
				cause.text, t->undoes);
		return err_set(e, rc,
			       "%s; what was done before stays: 'berth device undo' takes it "
			       "back",
			       cause.text);
	}
	if (txn_take_back(r, t, o, cause.text, &back))
		return err_set(e, rc, "%s; not all of what was done before could be taken back: %s",
			       cause.text, back.text);
	return err_set(e, rc, "%s; %s", cause.text,
		       changed ? "what was done before is taken back" : "nothing was changed");
}

int txn_finish(struct runner *r, struct txn *t, uint32_t at, struct outcome *o, struct err *e)
{
	int rc = 0;

	for (uint32_t i = at; !rc && i < t->n; i++) {
		if (is_interrupted(r))
			rc = err_set(e, -EINTR, "interrupted before step %u (%s)", i + 1,
				     t->steps[i].says);
		else
			rc = do_step(r, t, i, o, e);
	}
	if (rc)
		return fail(r, t, o, rc, e);
	return note_end(r, t, o, RUN_DONE, NULL, e);
}

int txn_run(struct runner *r, struct txn *t, struct outcome *o, struct err *e)
{
	*o = (struct outcome) { .end = RUN_OPEN };
	int rc = r->journal ? journal_begin(r->journal, t, e) : 0;

	return rc ? rc : txn_finish(r, t, 0, o, e);
}
