/* SPDX-License-Identifier: MIT */
/*
 * The holder's workers: one at work, one that waits to take its place, and at times one of another version. All that comes
 * from them and from the opener is read here, and left in `news` for the holder to act on.
 */
#ifndef BERTH_CREW_H
#define BERTH_CREW_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/device.h"
#include "bar-forward/post.h"
#include "bar-forward/session.h"
#include "bar-forward/share.h"
#include "bar-forward/trace.h"
#include "bar-forward/doubt.h"

#define CREW_POLLED 4

/* An access that has not ended by then is the device's end; a reply is never sent later than the second. */
#define CREW_ACCESS_NS UINT64_C(3000000000)
#define CREW_LATE_NS   UINT64_C(4000000000)

struct hand {
	int32_t pid; /* 0: there is none */
	int call;
	bool hello; /* has started */
	bool given; /* has been told whom to serve */
	bool ready; /* can take over */
};

struct crew_news {
	bool asked, lost, ones, broken;
	int broken_rc;
	bool died;    /* the one at work, as `death` says; what it was at is to be judged */
	bool end;     /* the holder is to end in order */
	int policy;   /* a file to be read anew; -1: none */
	bool trace;   /* another recording: */
	int trace_fd; /* -1: none any more */
};

/* What came of an order to the opener. */
struct crew_made {
	uint32_t with;     /* enum fetch_with */
	uint32_t n;        /* descriptors */
	int fds[POST_FDS]; /* -1: taken */
	struct err why;
};

struct crew {
	int line;
	int share_fd;
	struct share *share;
	const struct device_ops *ops;
	struct device *d; /* NULL: it is gone */
	const struct trace *trace;
	void (*say)(void *arg, enum session_said how, const char *sentence);
	void *arg;
	int client; /* whom they serve; -1: nobody yet */
	struct hand work, spare, next;
	bool second;    /* the one that waits gets the client, too */
	bool orphan;    /* there is no opener any more */
	bool resting;   /* the one at work waits for us */
	bool waiting;   /* an access of ours is being made */
	bool done;      /* and `answer` says how it ended */
	int32_t orders; /* so far: the last one's number */
	bool ordered;   /* the opener has it */
	bool is_made;   /* and `made` says what came of it */
	struct crew_made made;
	struct call answer;
	struct line death;
	struct crew_news news;
	struct {
		bool is;
		struct share_access a;
	} known;           /* an access that happened, and whose end only is missing */
	int failures;      /* in a row, of workers that never came up */
	int futile;        /* that died at work without a message done, in a row */
	uint64_t messages; /* done when the last one died */
	uint64_t fruit_ns; /* when one died that had done some */
	uint64_t restarts, gap_ns;
	uint64_t gone_ns; /* since when nobody is at work although somebody should; 0 */
};

/* The share, by the opener before there is a holder: fd and mapping. 0 or a negative errno. */
int crew_share(int *fd, struct share **s);

/* line: to the opener. Then `ops`, `d`, `trace`, `say`, `arg` are the caller's to set. */
void crew_open(struct crew *c, int line, int share_fd, struct share *share);

/* All of them are sent away. */
void crew_close(struct crew *c);

/* Whether a first worker has come up, within ms. 0, or -ETIMEDOUT or what the opener said, with *e. */
int crew_await(struct crew *c, int ms, struct err *e);

/* A client is there, for a device: one worker takes both. 0 or a negative errno with *e. */
int crew_begin(struct crew *c, int client, struct device *d, struct err *e);

/* The client is gone, or the device is: workers that knew them go, too. */
void crew_end(struct crew *c);

/* The one that waits gets the client, too, so that it can take over at once. */
void crew_second(struct crew *c);

/* What to poll; those of no use are -1. */
void crew_polled(const struct crew *c, struct pollfd p[CREW_POLLED]);

/* Nobody is at work, and nobody comes. */
bool crew_failed(const struct crew *c);

/* The client hears and says nothing more: the one at work comes to rest, or is killed. */
void crew_rest(struct crew *c);

/* The device is gone: who has descriptors of it goes, too. */
void crew_retire(struct crew *c);

/* Read what is there, without waiting. */
void crew_read(struct crew *c);

/* The one at work may look at messages. Nothing happens when there is none, or it does already. */
void crew_go(struct crew *c);

/* The one at work, which does something else, is killed. False: it does not die, since the kernel keeps it in an access. */
bool crew_stop(struct crew *c);

/*
 * Of what the one at work had noted when it died: c->news.died is over. An access that ran becomes `known`, or (asked: it was
 * the holder's) the answer.
 */
struct doubt crew_judge(struct crew *c, bool asked);

/* As session_opts.access: by the worker, or by what is known. */
int crew_access(struct crew *c, const struct session_access *a);

/* Nothing is in doubt any more: the message at hand is done. */
void crew_clear(struct crew *c);

/* All workers that know the client are replaced: they have been told something that is not true any more. */
void crew_renew(struct crew *c);

/*
 * Have the opener make something, and wait for it: so many ms. 0, the descriptors are the caller's; or with *e what it says,
 * -ETIMEDOUT, or -EINTR: the bridge ends.
 */
int crew_order(struct crew *c, enum line_kind what, int ms, struct crew_made *to, struct err *e);

/* To the opener. */
void crew_tell(struct crew *c, enum line_kind kind, int rc, const char *text);

#endif
