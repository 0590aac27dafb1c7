/* SPDX-License-Identifier: MIT */
/* The workers, as the holder has to do with them: who died, what it was at, and whether the device still answers. */
#include "bar-forward/holder_priv.h"

#include <poll.h>
#include <sys/socket.h>

#include "bar-forward/post.h"

#define LOOK_NS UINT64_C(100000000) /* between looks at a device that reads all-ones */

/* Read once: a worker that was not itself may have given the share to somebody who still writes there. */
static uint64_t noted(const uint64_t *length)
{
	return *(const volatile uint64_t *)length;
}

/* What was sent of an answer, or taken of a message, by one that died: the rest. */
static void finish(struct holder *v, const struct doubt *doubt)
{
	const struct share *s = v->start->share;
	uint64_t reply = noted(&s->note.reply.length), message = noted(&s->note.take.length);
	struct incoming in = { .size = 0 };
	struct err e = { 0 };
	int rc = 0;

	if (doubt->kind == DOUBT_ANSWER) {
		if (reply > SHARE_REPLY || reply < doubt->bytes ||
		    (!doubt->bytes && holder_is_late(v)))
			rc = -ETIMEDOUT;
		else
			rc = stream_send(&v->stream, s->reply + doubt->bytes, reply - doubt->bytes,
					 -1);
		if (!rc)
			rc = stream_peek(&v->stream, &in, &e);
		stream_drop(&in);
	} else {
		/* Its head may be gone, but how long it was is noted. */
		in.size = message <= VU_MESSAGE_MAX && message >= doubt->bytes
				  ? (uint32_t)(message - doubt->bytes)
				  : 0;
	}
	if (!rc)
		rc = stream_take(&v->stream, &in);
	if (rc)
		holder_end_client(v, "the client is gone");
	else
		crew_clear(&v->crew);
}

/* The one at work is dead. What it was at is finished, and whoever comes next goes on behind it. */
static void recover(struct holder *v)
{
	struct doubt doubt = crew_judge(&v->crew, false);

	log_detail(v->log, "worker %d died of signal %d (%s), another takes over",
		   (int)v->crew.death.pid, (int)v->crew.death.status,
		   doubt.kind == DOUBT_NOTHING   ? "nothing was in doubt"
		   : doubt.kind == DOUBT_NOT     ? "its last access did not happen"
		   : doubt.kind == DOUBT_RAN     ? "its last access happened"
		   : doubt.kind == DOUBT_UNKNOWN ? "what it did last is not known"
						 : "its last answer is finished");
	switch (doubt.kind) {
	case DOUBT_ANSWER:
	case DOUBT_TAKE:
		finish(v, &doubt);
		break;
	case DOUBT_RAN:
		holder_serve_message(v);
		break;
	case DOUBT_UNKNOWN:
		session_lose(&v->session, "a worker died, and what it did last is not known");
		if (!doubt.answered)
			holder_serve_message(v);
		else
			holder_end_client(v, "whether it was answered is not known");
		break;
	default:
		break;
	}
}

/* An access has lasted too long: whoever makes it is killed, and the device counts as gone unless it answered after all. */
static void give_up(struct holder *v)
{
	bool dead = crew_stop(&v->crew);

	if (v->crew.news.died)
		recover(v);
	if (v->client < 0 ||
	    (dead && !crew_failed(&v->crew) && !atomic_load(&v->start->share->note.since_ns)))
		return; /* it came to an end */
	session_lose(&v->session, crew_failed(&v->crew) ? "its workers die" : "does not answer");
	if (atomic_load(&v->start->share->note.since_ns))
		holder_serve_message(v);
}

static bool is_hanging(const struct holder *v)
{
	uint64_t since = atomic_load(&v->start->share->note.since_ns);

	if (v->alone || v->client < 0 || !v->session.d)
		return false;
	return crew_failed(&v->crew) ||
	       (!v->crew.resting && since && telem_now_ns() - since > CREW_ACCESS_NS);
}

static void look(struct holder *v)
{
	uint64_t now = telem_now_ns();

	if (now - v->looked_ns < LOOK_NS)
		return;
	v->looked_ns = now;
	session_look(&v->session);
}

void holder_act(struct holder *v)
{
	struct crew_news *n = &v->crew.news;

	if (n->died && v->client >= 0)
		recover(v);
	if (is_hanging(v))
		give_up(v);
	if (n->broken && v->client >= 0)
		holder_end_client(v, n->broken_rc == -ETIMEDOUT
					     ? "the client does not read its replies"
					     : "the client is gone");
	if (n->lost && v->client >= 0)
		session_lose(&v->session, "does not answer");
	if (n->ones && v->client >= 0)
		look(v);
	/* The device is gone: workers that have it go, too, and what they were at is answered here. */
	if (v->client >= 0 && !v->session.d && v->crew.work.pid) {
		if (!v->crew.resting && crew_stop(&v->crew) && v->crew.news.died)
			recover(v);
		if (v->client >= 0)
			crew_retire(&v->crew);
	}
	if ((n->asked || n->lost) && v->client >= 0)
		holder_serve_message(v);
	n->asked = n->lost = n->ones = n->broken = false;
	if (v->client >= 0 && v->session.step != SESSION_NEW && v->session.d)
		crew_second(&v->crew);
	if (v->client >= 0 && v->session.d)
		crew_go(&v->crew);
}

/* The opener has the guest asked to let go of it. */
void holder_tell_lost(struct holder *v)
{
	const struct line l = { .kind = LINE_LOST, .next = 1, .rc = v->session.shaped.msix };

	if (v->told_lost || v->client < 0 || v->session.d)
		return;
	v->told_lost = true;
	post_send(v->start->line, &l, sizeof(l), NULL, 0, 0);
}

/* One that has hung up is let go before the next is looked at; what it had sent before is done first. */
bool holder_is_leaving(struct holder *v)
{
	struct pollfd p = { .fd = v->client, .events = POLLRDHUP };
	char byte;

	if (v->client < 0 || poll(&p, 1, 0) < 1 || !(p.revents & (POLLHUP | POLLRDHUP)))
		return false;
	if (recv(v->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return true;
	holder_end_client(v, "the client is gone");
	return v->ending;
}
