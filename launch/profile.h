/* SPDX-License-Identifier: MIT */
/*
 * A profile: options of `berth launch` under a name, in a file of lines "option = value". The same table
 * that reads the command line judges them, so that neither knows a word the other does not.
 */
#ifndef BERTH_LAUNCH_PROFILE_H
#define BERTH_LAUNCH_PROFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cmd.h"
#include "base/err.h"

#define PROFILE_SIZE_MAX (64 << 10)
#define PROFILE_NAME_MAX 64
#define PROFILE_PLACES   2

/* The line that is no option of the table: what to run. */
#define PROFILE_MODEL "model"

#define PROFILE_ENDING ".conf" /* of its file, after its name */

struct profile {
	char path[PATH_MAX];
	char *text;        /* the file, cut into keys and values; owned: options point into it */
	char *home;        /* values that began with ~/, one after the other; owned likewise */
	const char *model; /* NULL: none given */
};

/* Letters, digits, '.', '_' and '-', beginning with a letter or a digit, at most PROFILE_NAME_MAX. */
bool profile_is_name(const char *name);

/*
 * Where a profile may lie, the first that exists counts: below $XDG_CONFIG_HOME, else $HOME/.config
 * (both may be NULL), then below /etc. A place that does not apply is "".
 */
void profile_places(char places[PROFILE_PLACES][PATH_MAX], const char *name, const char *xdg,
		    const char *home);

/*
 * Read p->text (n bytes and a NUL), which is cut up in place, into the options of `into` by `c`, and fill
 * the rest of *p but its path. A value "~/x" begins with `home`, as a shell would have it; with NULL such
 * a value is an error. A key that is given twice, no option, or in `barred` (ends with NULL) is an error,
 * as is a value the table does not take. 0; -EBADMSG with *e: "line 3: ..."; -ENOMEM.
 */
int profile_parse(struct profile *p, size_t n, const char *home, const struct cmd *c,
		  const char *const *barred, void *into, struct err *e);

/* Find and read the profile `name`. 0; -ENOENT: there is none (and *e says where it was looked for). */
int profile_read(struct profile *p, const char *name, const struct cmd *c,
		 const char *const *barred, void *into, struct err *e);

void profile_free(struct profile *p);

#endif
