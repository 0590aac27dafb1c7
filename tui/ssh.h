/* SPDX-License-Identifier: MIT */
/* Another machine's monitor, read over ssh: `berth top --record -` there writes a recording, drawn here. */
#ifndef BERTH_TUI_SSH_H
#define BERTH_TUI_SSH_H

#include "tui/feed.h"

struct ssh;

/* Whether it can be a host's name, and is not an option of ssh. */
bool ssh_is_host(const char *s);

/*
 * Start $BERTH_SSH, else ssh, for `host` ("USER@HOST", or a name of ssh's configuration), and wait for the
 * first moment: ssh may ask for a password on the terminal meanwhile. -EINVAL: no host's name; -EHOSTUNREACH:
 * it ended without one, and *e has its last word.
 */
int ssh_open(struct ssh **r, const char *host, uint32_t interval_ms, struct err *e);

/* Ends ssh. NULL is fine. */
void ssh_close(struct ssh *r);

/* What has come until now; once the connection has ended, the last that came, and a sentence. */
struct feed ssh_feed(struct ssh *r);

#endif
