/* SPDX-License-Identifier: MIT */
/* The verb `power`: what a GPU may draw, and how eagerly it works. */
#ifndef BERTH_DEVICE_POWER_H
#define BERTH_DEVICE_POWER_H

#include "device/caps.h"
#include "device/profiles.h"
#include "device/verb.h"

/* All that is decided by; read by power_look(). */
struct power_facts {
	char pci[24];
	char driver[40];
	bool asleep; /* and nobody said --wake: nothing was read */
	struct caps caps;
	struct profile_sets profiles;
};

void power_look(const struct scene *s, const struct func *f, bool wake, struct power_facts *p);

/* The steps for --cap and --profile, either NULL. Pure but for what `m` says the files hold. */
int power_decide(const struct power_facts *p, const struct machine *m, const char *cap,
		 const char *profile, struct txn *t, struct err *e);

/* For `list`: "236 W of 212 to 280 W; profiles", or why there is nothing to ask. Wakes nothing. */
void power_words(struct text *t, const struct scene *s, const struct func *f);

/* A row of agents[]. */
int nvml_agent_call(const struct machine *m, const char *object, const char *value, struct err *e);
int nvml_agent_look(const struct machine *m, const char *object, char *said, size_t size,
		    struct err *e);

/* Rows of verbs[]. */
int power_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
int power_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		 const struct log *log, struct err *e);
bool power_asks(const struct ask *a);
void power_after(const struct machine *m, const struct ask *a, struct txn *t);

#endif
