/* SPDX-License-Identifier: MIT */
/* The power profiles that a GPU's driver offers: by which files, and which is in force. */
#ifndef BERTH_DEVICE_PROFILES_H
#define BERTH_DEVICE_PROFILES_H

#include "device/marked.h"
#include "device/scene.h"
#include "device/step.h"

#define PROFILES_MAX     2
#define PROFILES_FILES   8
#define PROFILES_TEXT    4096
#define PROFILES_DEFAULT "default"

/* How a driver's file says what there is, and takes a choice. */
enum profiles_how {
	PROFILES_LEVELS,   /* it reads one name of a known list, and takes one */
	PROFILES_TABLE,    /* a table with numbers (marked_table); takes a number */
	PROFILES_BRACKETS, /* names, the one in force in brackets; takes a name */
};

struct profiles_row {
	const char *driver;
	const char *kind; /* for people: "level", "mode" */
	enum profiles_how how;
	const char *
		file; /* below the function's folder; %c of "card%c" and each other %u are looked for */
	const char *usual;        /* what the driver starts with */
	const char *const *names; /* PROFILES_LEVELS */
};

/* The files of one row, which are always set alike, and what the first of them says. */
struct profiles {
	const struct profiles_row *row;
	uint32_t n_files;
	char files[PROFILES_FILES][STEP_TARGET];
	struct marked choice;
};

struct profile_sets {
	uint32_t n;
	struct profiles list[PROFILES_MAX];
	enum why why; /* n is 0 */
};

/* Read them; a device that sleeps is left alone, unless `wake`. */
void profiles_read(const struct scene *s, const struct func *f, bool wake, struct profile_sets *p);

/* What a file of the row says. Pure. */
void profiles_parse(const struct profiles_row *row, const char *text, struct marked *m);

/*
 * The steps that choose a profile by name, or `default`: none where it is so already. -EINVAL with *e: there
 * is no such profile, which names those there are; or -EOPNOTSUPP.
 */
int profiles_steps(const struct profile_sets *p, const struct machine *m, const char *device,
		   const char *name, struct txn *t, struct err *e);

/* "auto* low high"; the one in force has the star. */
void profiles_words(struct text *t, const struct profiles *p);

#endif
