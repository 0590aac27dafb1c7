/* SPDX-License-Identifier: MIT */
/* The verbs that hand a device over and take it back, by `berth device`, whose journal remembers how it was. */
#ifndef BERTH_ATTACH_H
#define BERTH_ATTACH_H

#include "bar-forward/verbs.h"

/* Verbs (verbs.h). */
int attach_verb(const struct ask *a, struct err *e);
int detach_verb(const struct ask *a, struct err *e);

#endif
