/* SPDX-License-Identifier: MIT */
/*
 * Thunderbolt boxes as those who may let them in see them: what the probe leaves out because it names one
 * person's box (the unique id), and what boltd says. boltd keeps which boxes a person trusts, and lets them
 * in; where it runs, berth asks it and does not write behind its back.
 */
#ifndef BERTH_DEVICE_BOXES_H
#define BERTH_DEVICE_BOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/machine.h"
#include "probe/probe.h"

enum bolt_here {
	BOLT_UNKNOWN = 0, /* nobody was asked, or nobody answered: `why` says */
	BOLT_NONE,        /* this machine has none */
	BOLT_STARTABLE,   /* installed and not running: the first call to it starts it */
	BOLT_RUNS,
	BOLT_HERE_COUNT
};

/* One box as boltd knows it; also those that are stored and not plugged in. Empty: it does not say. */
struct bolt_device {
	char uid[64];
	char status[24]; /* disconnected, connected, authorizing, auth-error, authorized, ... */
	char policy[16]; /* of one that is stored: default, manual, auto, iommu */
	char key[16];    /* missing, have, new */
	bool stored;     /* enrolled: boltd lets it in by its policy when it is plugged in */
};

struct bolt_state {
	enum bolt_here here;
	char why[160];
	char auth_mode[16];      /* enabled; disabled: it lets nothing in by itself */
	char default_policy[16]; /* what an enrolment gets that names none */
	uint32_t n_devices, n_left_out;
	struct bolt_device devices[TB_ROUTERS_MAX];
};

struct box {
	char uid[64]; /* unique_id; empty: not told */
	bool has_key; /* the kernel has a place for a key: the security level is secure, and it can */
};

struct boxes {
	struct bolt_state bolt;
	struct box box[TB_ROUTERS_MAX]; /* as usb4.routers of the report */
};

/*
 * Of the live machine boltd is asked when there is any box; of a captured one answers/bolt.json tells what it
 * said. Never fails: what is not known is empty, and says why where that matters.
 */
void boxes_collect(const struct machine *m, const struct report *r, struct boxes *b);

/* What boltd knows of a box; NULL: nothing. */
const struct bolt_device *boxes_bolt(const struct boxes *b, uint32_t router);

/* answers/bolt.json, hostile: what is ill-formed is left out. */
void bolt_from_json(const json_t *o, struct bolt_state *s);

/* --- src_bolt.c: over D-Bus, with a timeout for each call --- */

void bolt_collect(struct bolt_state *s, uint32_t timeout_ms);

/*
 * Ask boltd for something: "authorise" (this time only), "enrol" (from now on, by boltd's own default policy)
 * or "forget". 0 or a negative errno with *e: -ESRCH no boltd, -ENODEV it knows no such box, -EACCES its policy
 * refuses, -ENOKEY, -EKEYREJECTED, -EBUSY the box is in no state for it, -ETIMEDOUT, -EIO.
 */
int bolt_ask(const char *uid, const char *what, uint32_t timeout_ms, struct err *e);

/*
 * What it says of a box now: its status, and " enrolled" after it when it is stored: "authorized enrolled".
 * 0 or as bolt_ask().
 */
int bolt_look(const char *uid, char *says, size_t size, uint32_t timeout_ms, struct err *e);

/* --- the agent "bolt" (agent.h): the object is a unique id --- */

/* As bolt_ask(); also "deauthorise", which boltd does not offer and sysfs does, and both: "forget deauthorise". */
int bolt_agent_call(const struct machine *m, const char *uid, const char *what, struct err *e);
int bolt_agent_look(const struct machine *m, const char *uid, char *said, size_t size,
		    struct err *e);

/* Whether a text is a unique id as the kernel writes them: hexadecimal digits and hyphens. */
bool box_uid_ok(const char *uid);

#endif
