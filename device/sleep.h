/* SPDX-License-Identifier: MIT */
/* The verb `sleep`: whether a GPU that nobody uses may save power. */
#ifndef BERTH_DEVICE_SLEEP_H
#define BERTH_DEVICE_SLEEP_H

#include "device/scene.h"
#include "device/verb.h"

/* For `list`: "allowed, off altogether", "forbidden", "allowed; kept by /etc/udev/...". */
void sleep_words(struct text *t, const struct scene *s, const struct func *f);

/* The rule's file below the root, for a function. */
void sleep_rule_path(char *path, size_t size, const struct func *f);

int sleep_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);

#endif
