/* SPDX-License-Identifier: MIT */
/*
 * A JSON schema made into a GBNF grammar: what the grammar lets through is what the schema allows, or
 * less, never more. What it cannot hold to is refused, so that nobody trusts an answer that was not
 * checked. Pure; the schema is hostile.
 *
 * Of an object only what `properties` names comes, in that order; other keys come where nothing is named.
 */
#ifndef BERTH_CORE_SCHEMA_H
#define BERTH_CORE_SCHEMA_H

#include "base/json.h"
#include "core/bytes.h"

/* 0, -EINVAL with *e naming the keyword and where it is ("#/properties/a"), or -ENOMEM. */
int schema_grammar(struct bytes *out, const json_t *schema, struct err *e);

/* The grammar of any JSON object. */
void schema_any(struct bytes *out);

#endif
