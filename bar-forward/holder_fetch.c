/* SPDX-License-Identifier: MIT */
/* The device as it comes from who opened it, and what is left to that process because it may hang. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/fetch.h"
#include "bar-forward/holder_priv.h"
#include "base/own.h"
#include "base/text.h"

#define FETCH_MS 90000 /* the kernel resets what is opened, and waits up to a minute for it */
#define CALL_MS  3500  /* a client waits for the answer, which never comes after CREW_LATE_NS */
#define REST_MS  10000 /* for a reset that nobody waits for but the next client */

static int take_device(struct holder *v, struct crew_made *m, struct err *e)
{
	uint32_t at = 0;
	own_fd int policy = m->with & FETCH_POLICY && at < m->n ? m->fds[at++] : -1;
	int rc;

	own_close_fd(&v->fetcher);
	if (m->with & FETCH_CALLS && at < m->n)
		v->fetcher = m->fds[at++];
	rc = fetch_take(&v->d, v->o->ops, v->o->what, v->o->beside, v->start->handed, m->fds + at,
			m->n - at, e);
	return rc ? rc : holder_first_policy(v, policy, e);
}

int holder_fetch(struct holder *v, struct err *e)
{
	struct crew_made m;
	int fds[DEV_FDS_MAX];
	int rc = crew_order(&v->crew, LINE_FETCH, FETCH_MS, &m, e);

	if (rc)
		return rc;
	rc = take_device(v, &m, e);
	if (rc && v->d)
		v->o->ops->close(v->d);
	if (rc) {
		v->d = NULL;
		own_close_fd(&v->fetcher);
		return rc;
	}
	v->alone = !v->o->ops->share || v->o->ops->share(v->d, fds) == 0;
	if (v->alone)
		crew_close(&v->crew);
	text_copy(v->page->now->backend, sizeof(v->page->now->backend),
		  v->o->ops->facts(v->d)->backend);
	return 0;
}

void holder_leave_fetcher(struct holder *v)
{
	bool has = v->client >= 0 ? v->session.d != NULL : v->d != NULL;

	if (!has)
		own_close_fd(&v->fetcher);
}

/* --- what may hang --- */

int holder_reset(void *arg, struct device *d, bool waited_for, struct err *e)
{
	struct holder *v = arg;
	int rc = fetch_call(&v->fetcher, FETCH_RESET, waited_for ? CALL_MS : REST_MS, e);

	return rc == -EPIPE ? v->o->ops->reset(d, e) : rc;
}

int holder_look(void *arg, struct device *d)
{
	struct holder *v = arg;
	int rc = v->o->ops->wanted ? v->o->ops->wanted(d) : 0;

	if (rc)
		return rc;
	rc = fetch_call(&v->fetcher, FETCH_LOOK, CALL_MS, NULL);
	return rc == -EPIPE ? v->o->ops->present(d) : rc;
}
