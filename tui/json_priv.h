/* SPDX-License-Identifier: MIT */
/* What the parts of "berth.top/1" share. */
#ifndef BERTH_TUI_JSON_PRIV_H
#define BERTH_TUI_JSON_PRIV_H

#include "tui/view.h"

/* Both end the program when memory is gone: an answer with keys missing would be a lie. */
void top_put(json_t *o, const char *key, json_t *v);
void top_append(json_t *list, json_t *v);

/* A count that a hostile page may have made larger than JSON's integers; TELEM_UNKNOWN is null. */
void top_put_count(json_t *o, const char *key, uint64_t n);

json_t *bridge_json(const struct bridge_seen *seen);

/* A size that a run measured; unknown with its reason. */
void top_put_bytes(json_t *o, const char *key, uint64_t bytes);

/* null: not read yet. */
json_t *top_devices_json(const struct snapshot *s);
json_t *top_cpu_json(const struct snapshot *s);

#endif
