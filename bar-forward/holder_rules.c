/* SPDX-License-Identifier: MIT */
/* What a guest may do, and what is recorded of it: both may change while it is at work. */
#include "bar-forward/holder_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/own.h"

/* --- the policy --- */

/* Whether the device can be given to a guest with these rules, or goes on with the one that has it. */
static int check_rules(struct holder *v, const struct policy *p, struct err *e)
{
	const struct session_opts o = holder_session(v, p);

	return v->d ? session_check(&o, v->d, e) : session_rules(&v->session, p, e);
}

static int fit_policy(struct holder *v, struct policy *p, struct err *e)
{
	const struct dev_facts *f = v->d ? v->o->ops->facts(v->d) : &v->session.facts;
	uint64_t sizes[POLICY_BARS];
	int rc;

	for (uint32_t i = 0; i < POLICY_BARS; i++)
		sizes[i] = f->region[i].size;
	rc = policy_fits(p, sizes, e);
	return rc ? rc : check_rules(v, p, e);
}

void holder_publish_policy(struct holder *v)
{
	struct share *s = v->start->share;
	uint32_t other = (atomic_load(&s->policy_at) + 1) & 1;

	s->policy[other] = v->policy;
	atomic_store(&s->policy_at, other);
}

int holder_first_policy(struct holder *v, int fd, struct err *e)
{
	int rc;

	v->policy = (struct policy) { 0 };
	rc = fd < 0 ? check_rules(v, &v->policy, e) : policy_take(&v->policy, fd, e);
	if (!rc && fd >= 0)
		rc = fit_policy(v, &v->policy, e);
	if (rc && fd >= 0)
		err_at(e, rc, "%s", v->o->policy);
	return rc;
}

/* A guest at work keeps the rules it has, unless the new ones are sound. */
void holder_reread_policy(struct holder *v)
{
	own_free struct policy *fresh = calloc(1, sizeof(*fresh));
	own_fd int fd = take_fd(&v->crew.news.policy);
	struct err e = { 0 };
	int rc;

	if (!fresh || (!v->d && v->client < 0))
		return;
	rc = policy_take(fresh, fd, &e);
	if (!rc)
		rc = fit_policy(v, fresh, &e);
	if (rc) {
		log_warn(v->log, "%s: %s; the rules from before stay in force", v->o->policy,
			 e.text);
		return;
	}
	v->policy = *fresh;
	holder_publish_policy(v);
	log_note(v->log, "%s: %u rules are in force", v->o->policy, (unsigned)fresh->n);
}

/* --- the recorder --- */

void holder_change_trace(struct holder *v)
{
	struct trace fresh = { 0 }, *t = v->start->trace;
	struct err e = { 0 };

	v->crew.news.trace = false;
	if (v->crew.news.trace_fd >= 0 && trace_join(&fresh, take_fd(&v->crew.news.trace_fd), &e)) {
		log_warn(v->log, "nothing is recorded: %s", e.text);
		return;
	}
	trace_close(t);
	*t = fresh;
	crew_renew(&v->crew);
	trace_event(t, TRACE_DEVICE, telem_now_ns(), v->page->now->generation);
	if (v->client >= 0 && t->head) {
		trace_event(t, TRACE_CLIENT, telem_now_ns(), (uint64_t)v->page->now->client_pid);
		session_record_state(&v->session);
	}
}
