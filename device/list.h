/* SPDX-License-Identifier: MIT */
/* The verb `list`: what each device can be asked, and why not. Reads, and wakes nothing. */
#ifndef BERTH_DEVICE_LIST_H
#define BERTH_DEVICE_LIST_H

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "device/scene.h"

struct ask;

/* A verb.answer (verb.h): all GPUs and accelerators, with --any all devices; or the one that is named. */
int list_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		const struct log *log, struct err *e);

/*
 * What a device says to one verb: a row in asks[] (list_asks.c). `words` adds what can be asked, or why nothing can.
 */
struct ask_row {
	const char *verb;
	void (*words)(struct text *t, const struct scene *s, const struct func *f);
};
extern const struct ask_row asks[]; /* ends with a NULL verb */

/* Users of a card: as guard_users(), of all its functions. */
uint32_t list_users(const struct scene *s, const struct func *f, uint32_t *holds, uint32_t max);

/* The answer as JSON (docs/schema/device_list.json), for the devices set[0] to set[n - 1]. The caller owns it. */
json_t *list_json(const struct scene *s, const struct func *const *set, uint32_t n);

#define SETTINGS_MAX 64

/* A setting in /etc of a device that is not here. */
struct lone_setting {
	char pci[24];
	char driver[40]; /* "": the file is about sleep */
	char file[96];
};
uint32_t list_lone_settings(const struct scene *s, struct lone_setting *v, uint32_t max);

#endif
